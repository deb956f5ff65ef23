/* plan/observe.c
 * Running the probes of the ledger. Each is cut into fixed chunks of rows (or the parts of a gauge) whose sums are kept in
 * double and added in chunk order: the same numbers for any number of threads. */
#include "plan/ledger.h"

#include <math.h>

#include "core/threads.h"

/* What one pass over two rows gives (kernel products). */
typedef struct an_pair { double a, b, aa, bb, ab; } an_pair;

static an_pair pair_of(const an_run *r, size_t n, const an_real *a, const an_real *b)
{
    double s[5];
    r->k->products(n, a, b, s);
    return (an_pair){ s[0], s[1], s[2], s[3], s[4] };
}

/* Sum of squares around the mean, from the sums of n values and of their squares; both are exact to double. */
static double spread(size_t n, double sum, double squares) { return fmax(0, squares - sum * sum / (double)n); }

/* --- what the branch has given so far --------------------------------------------------------------------------- */

static size_t watch_parts(const an_ledger *l, const an_probe *p) { return an_chunks(an_rows(l->watch[p->index].value)); }

static void keep_part(an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums)
{
    const an_watch *w = &l->watch[p->index];
    const size_t c = an_cols(w->value);
    const an_range k = an_chunk(an_rows(w->value), index);
    (void)thread;
    (void)sums;
    if (p->keep == 0) r->k->scale(k.n * c, p->add, w->value->grad + k.begin * c, w->kept->data + k.begin * c, 0);
    else r->k->axpby(k.n * c, p->keep, w->kept->data + k.begin * c, p->add, w->value->grad + k.begin * c, w->kept->data + k.begin * c);
}

const an_probe_kind an__probe_keep = { watch_parts, keep_part, NULL };

/* --- both parts of a gradient ----------------------------------------------------------------------------------- */

enum { ID, BR, DOT, TOTAL };

/* g: the buffer's row or NULL; kept, own: as the watch says, or NULL. The branch's share is g + kept, kept, or g; plus own. */
static void add_row(const an_watch *w, size_t c, const an_real *g, const an_real *kept, const an_real *own, double *sums)
{
    double id = 0, br = 0, both = 0, total = 0;
    for (size_t j = 0; j < c; j++) {
        const double from_buffer = g ? (double)g[j] : 0, from_own = own ? (double)own[j] : 0, all = from_buffer + from_own;
        const double share = (w->open ? from_buffer : 0) + (kept ? (double)kept[j] : 0) + (w->own_branch ? from_own : 0), rest = all - share;
        id += rest * rest;
        br += share * share;
        both += rest * share;
        total += all * all;
    }
    sums[ID] += id;
    sums[BR] += br;
    sums[DOT] += both;
    sums[TOTAL] += total;
}

/* The usual cases in one pass: skip and branch in two buffers, or all in one. */
static void add_parts(const an_run *r, size_t c, const an_real *id, const an_real *br, double *sums)
{
    const an_pair p = pair_of(r, c, id ? id : br, br ? br : id);
    const double ii = id ? p.aa : 0, bb = br ? p.bb : 0, ib = id && br ? p.ab : 0;
    sums[ID] += ii;
    sums[BR] += bb;
    sums[DOT] += ib;
    sums[TOTAL] += ii + bb + 2 * ib;
}

/* The branch added last: the buffer holds all, `kept` the rest with its sign turned. What cancels here in double had its digits in float. */
static void add_grown(const an_run *r, size_t c, const an_real *g, const an_real *kept, double *sums)
{
    const an_pair p = pair_of(r, c, g, kept);
    sums[ID] += p.bb;
    sums[BR] += fmax(0, p.aa + 2 * p.ab + p.bb);
    sums[DOT] -= p.ab + p.bb;
    sums[TOTAL] += p.aa;
}

static void gradient_part(an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums)
{
    const an_watch *w = &l->watch[p->index];
    const size_t c = an_cols(w->value);
    const an_range k = an_chunk(an_rows(w->value), index);
    an_real *own = w->own ? r->thread_work[thread] : NULL;
    for (size_t row = k.begin; row < k.begin + k.n; row++) {
        const an_real *g = w->filled ? w->value->grad + row * c : NULL, *kept = w->kept ? w->kept->data + row * c : NULL;
        if (own) w->own->op->own_grad(r, w->own, row, own);
        if (kept && w->open && !own) add_grown(r, c, g, kept, sums);
        else if (kept || (own && w->own_branch && w->open)) add_row(w, c, g, kept, own, sums);
        else if (w->open) add_parts(r, c, own, g, sums);
        else if (w->own_branch) add_parts(r, c, g, own, sums);
        else if (own && g) add_row(w, c, g, kept, own, sums);
        else add_parts(r, c, own ? own : g, NULL, sums);
    }
}

static void gradient_fold(an_ledger *l, const an_run *r, const an_probe *p, const double *sums, size_t parts)
{
    double sum[4] = { 0 };
    for (size_t i = 0; i < parts; i++)
        for (size_t k = 0; k < 4; k++) sum[k] += sums[i * AN_SUMS + k];
    const double unit = 1 / (r->loss_scale * r->loss_scale);   /* gradients of the mean loss itself, whatever the number of micro-batches */
    an_watch *w = &l->watch[p->index];
    w->id = sum[ID] * unit;
    w->br = sum[BR] * unit;
    w->dot = sum[DOT] * unit;
    w->total = sum[TOTAL] * unit;
}

const an_probe_kind an__probe_gradient = { watch_parts, gradient_part, gradient_fold };

/* The sum where own's step has just left it: a measurement of its own, and not the two parts put together. */
static void whole_part(an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums)
{
    const an_value *v = l->watch[p->index].value;
    const an_range k = an_chunk(an_rows(v), index);
    (void)thread;
    for (size_t row = k.begin; row < k.begin + k.n; row++) sums[TOTAL] += pair_of(r, an_cols(v), v->grad + row * an_cols(v), v->grad + row * an_cols(v)).aa;
}

static void whole_fold(an_ledger *l, const an_run *r, const an_probe *p, const double *sums, size_t parts)
{
    double sum = 0;
    for (size_t i = 0; i < parts; i++) sum += sums[i * AN_SUMS + TOTAL];
    l->watch[p->index].total = sum / (r->loss_scale * r->loss_scale);
}

const an_probe_kind an__probe_whole = { watch_parts, whole_part, whole_fold };

/* --- the stream and the branch going up ------------------------------------------------------------------------- */

enum { XX, FF, YY, VAR_F, VAR_SUM, COS_XF, COS_XY };

static size_t stream_parts(const an_ledger *l, const an_probe *p)
{
    const an_site_plan *s = &l->site[p->index];
    return s->n_x && s->x[0] ? an_chunks(s->tokens) : 0;
}

static double cosine(double ab, double aa, double bb) { return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0; }

static void stream_part(an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums)
{
    const an_site_plan *s = &l->site[p->index];
    const size_t c = s->x[0]->count / s->tokens, width = c / s->fold, same = s->n_x == s->n_y ? s->n_x : 0, most = s->n_x > s->n_y ? s->n_x : s->n_y;
    const an_range w = an_chunk(s->tokens, index);
    an_real *room = r->thread_work[thread];
    for (size_t t = w.begin; t < w.begin + w.n; t++) {
        const size_t o = t * c;
        double xx = 0, yy = 0, xy = 0;
        for (size_t k = 0; k < most; k++) {
            const an_value *from = s->x[k < s->n_x ? k : 0], *to = s->y[k < s->n_y ? k : 0];
            const an_pair q = pair_of(r, c, an_view_of(r, an_data_of(from), o, c, room), an_view_of(r, an_data_of(to), o, c, room + c));
            xx += k < s->n_x ? q.aa : 0;
            yy += k < s->n_y ? q.bb : 0;
            xy += k < same ? q.ab : 0;
        }
        sums[XX] += xx;
        sums[YY] += yy;
        sums[COS_XY] += cosine(xy, xx, yy);
        if (!s->f) continue;
        const an_pair q = pair_of(r, width, an_view_of(r, an_data_of(s->x[0]), o, width, room), an_view_of(r, an_data_of(s->f), t * width, width, room + c));
        sums[FF] += q.bb;
        sums[COS_XF] += cosine(q.ab, q.aa, q.bb);        /* means something for one stream only */
        if (!s->sum) continue;
        sums[VAR_F] += spread(c, q.b, q.bb);
        const an_real *sum = an_view_of(r, an_data_of(s->sum), o, c, room);
        const an_pair v = pair_of(r, c, sum, sum);
        sums[VAR_SUM] += spread(c, v.a, v.aa);
    }
}

static size_t sample_rows(size_t rows) { return rows < AN_SAMPLE_ROWS ? rows : AN_SAMPLE_ROWS; }

static size_t width_of(const an_site_plan *s) { return s->y[0]->count / s->tokens / s->fold; }

/* Rows at even distances; several streams added up. */
static void take_sample(const an_site_plan *s)
{
    const size_t rows = s->tokens, c = width_of(s), n = sample_rows(rows);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) {
            an_real sum = 0;
            for (size_t k = 0; k < s->n_y; k++)
                for (size_t a = 0; a < s->fold; a++) sum += an_number(s->y[k], (i * rows / n * s->fold + a) * c + j);
            s->sample[i * c + j] = sum;
        }
}

static void stream_fold(an_ledger *l, const an_run *r, const an_probe *p, const double *sums, size_t parts)
{
    an_site_plan *s = &l->site[p->index];
    (void)r;
    memset(s->sums, 0, sizeof s->sums);
    for (size_t i = 0; i < parts; i++)
        for (size_t k = 0; k < AN_SUMS; k++) s->sums[k] += sums[i * AN_SUMS + k];
    if (s->sample) take_sample(s);
}

const an_probe_kind an__probe_stream = { stream_parts, stream_part, stream_fold };

/* --- gauges ------------------------------------------------------------------------------------------------------ */

static size_t gauge_parts(const an_ledger *l, const an_probe *p) { return l->gauge[p->index].step->op->gauges->parts(l->gauge[p->index].step); }

static void gauge_part(an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums)
{
    const an_step *s = l->gauge[p->index].step;
    (void)thread;
    sums[AN_GAUGES] = s->op->gauges->measure(r, s, index, sums);
}

static double fold_one(an_fold how, size_t k, const double *sums, size_t parts)
{
    double total = 0, weight = 0, largest = -INFINITY, smallest = INFINITY;
    for (size_t i = 0; i < parts; i++) {
        const double m = sums[i * AN_SUMS + k], w = sums[i * AN_SUMS + AN_GAUGES];
        if (w <= 0) continue;
        total += m;
        weight += w;
        if (!(m <= largest)) largest = m;                /* a NaN stays */
        if (!(m >= smallest)) smallest = m;
    }
    if (weight <= 0) return (double)NAN;
    return how == AN_FOLD_MEAN ? total / weight : how == AN_FOLD_MAX ? largest : smallest;
}

static void gauge_fold(an_ledger *l, const an_run *r, const an_probe *p, const double *sums, size_t parts)
{
    an_gauge *g = &l->gauge[p->index];
    (void)r;
    for (size_t k = 0; k < g->step->op->gauges->n; k++) g->value[k] = fold_one(g->step->op->gauges->fold[k], k, sums, parts);
}

const an_probe_kind an__probe_gauge = { gauge_parts, gauge_part, gauge_fold };

/* --- the pass ---------------------------------------------------------------------------------------------------- */

an_status an_ledger_bind(an_ledger *l)
{
    size_t reals = 0;
    for (size_t i = 0; i < l->n_site && l->plan->observe == AN_OBSERVE_FULL; i++)
        if (l->site[i].n_y) reals += sample_rows(l->site[i].tokens) * width_of(&l->site[i]);
    AN_TRY(an_block_init(&l->samples, reals, "samples for telemetry"));
    l->record = an_alloc(l->n_site * sizeof *l->record);
    l->gauge_record = an_alloc(l->n_gauge * sizeof *l->gauge_record);
    if ((!l->record && l->n_site) || (!l->gauge_record && l->n_gauge)) return an_fail(AN_ENOMEM, "out of memory for telemetry");
    an_real *at = l->samples.data;
    for (size_t i = 0; i < l->n_site; i++) {
        const an_site_mark *m = &l->plan->sites[i];
        an_site_plan *s = &l->site[i];
        const an_value *y = s->n_y ? s->y[0] : NULL;
        l->record[i] = (an_site_record){ .name = m->name, .layer = m->layer, .n_in = m->n_in * s->fold, .n_out = m->n_out * s->fold, .rows = s->tokens, .cols = y ? width_of(s) : 0 };
        if (!reals || !y) continue;
        l->record[i].sample = s->sample = at;
        l->record[i].sample_rows = sample_rows(s->tokens);
        at += l->record[i].sample_rows * width_of(s);
    }
    for (size_t i = 0; i < l->n_gauge; i++) {
        const an_step *s = l->gauge[i].step;
        l->gauge_record[i] = (an_gauge_record){ s->name, s->op->gauges->family, s->op->gauges->n, s->op->gauges->name, l->gauge[i].value };
    }
    l->telemetry = (an_telemetry){ l->record, l->gauge_record, l->n_site, l->n_gauge };
    return AN_OK;
}

void an_ledger_begin(an_ledger *l) { l->cursor = 0; }

typedef struct an_look { an_ledger *ledger; const an_run *run; const an_probe *probe; } an_look;

static void run_probe(void *context, size_t index, int thread)
{
    const an_look *look = context;
    double *sums = look->ledger->sums + index * AN_SUMS;
    memset(sums, 0, AN_SUMS * sizeof *sums);
    look->probe->kind->part(look->ledger, look->run, look->probe, index, thread, sums);
}

void an_ledger_visit(an_ledger *l, const an_run *run, size_t at, bool after)
{
    for (; l->cursor < l->n_probe; l->cursor++) {
        const an_probe *p = &l->probe[l->cursor];
        if (p->at != at || p->after != after) return;
        an_look look = { l, run, p };
        const size_t parts = p->kind->parts(l, p);
        an_parallel_for(l->plan->threads, parts, run_probe, &look);
        if (p->kind->fold) p->kind->fold(l, run, p, l->sums, parts);
    }
}

static double total_of(const an_ledger *l, const size_t *at, size_t first, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += l->watch[at ? at[k] : first + k].total;
    return sqrt(sum);
}

static void finish_gradients(const an_ledger *l, const an_site_mark *m, const an_site_plan *s, an_site_record *r)
{
    double id = 0, br = 0, both = 0;
    for (size_t k = 0; k < s->n_fork; k++) {
        const an_watch *w = &l->watch[s->fork + k];
        id += w->id;
        br += w->br;
        both += w->dot;
    }
    r->g_in = total_of(l, NULL, s->in, m->n_in);
    r->g_out = total_of(l, s->out, 0, m->n_out);
    r->g_fork = total_of(l, NULL, s->fork, s->n_fork);
    r->g_id = sqrt(id);
    r->g_br = sqrt(br);
    r->g_dot = both;
    r->g_cos = id > 0 && br > 0 ? both / sqrt(id * br) : (double)NAN;
    const double norm = m->fork ? r->g_in / r->g_fork : 1;   /* of the skip, what it keeps of all that comes down to it */
    r->attenuation = l->chain ? norm * r->g_id / r->g_out : (double)NAN;
}

void an_ledger_finish(an_ledger *l)
{
    for (size_t i = 0; i < l->n_site; i++) {
        const an_site_plan *s = &l->site[i];
        an_site_record *r = &l->record[i];
        const double rows = (double)r->rows, n = rows * (double)r->cols;
        r->g_in = r->g_out = r->g_fork = r->g_id = r->g_br = r->g_dot = r->g_cos = r->attenuation = (double)NAN;
        if (l->plan->train) finish_gradients(l, &l->plan->sites[i], s, r);
        r->x_rms = sqrt(s->sums[XX] / (n * (double)(s->n_x * s->fold)));
        r->y_rms = sqrt(s->sums[YY] / (n * (double)(s->n_y * s->fold)));
        r->f_rms = s->f ? fabs(s->scale) * sqrt(s->sums[FF] / n) : (double)NAN;
        r->rho = r->f_rms / r->x_rms;
        r->dependency = s->sum ? s->scale * s->scale * s->sums[VAR_F] / s->sums[VAR_SUM] : (double)NAN;
        r->sum_dev = s->sum ? sqrt(s->sums[VAR_SUM] / n) : (double)NAN;
        r->cos_xf = s->f && s->n_x == 1 && s->fold == 1 ? (s->scale < 0 ? -1 : 1) * s->sums[COS_XF] / rows : (double)NAN;
        r->cos_xy = s->n_x == s->n_y ? s->sums[COS_XY] / rows : (double)NAN;
    }
}
