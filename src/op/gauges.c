/* op/gauges.c
 * What norms, attentions and the output tell on observed passes (an_gauges in op.h). Attention and output look at a fixed
 * sample of rows, chosen by shape alone, so that the cost stays small and two runs look at the same places.
 * Source    attention logits and entropy: Wortsman et al. 2023, arXiv:2309.14322, Zhai et al. 2023, arXiv:2303.06296;
 *           sink: Xiao et al. 2023, arXiv:2309.17453; log Z: Chowdhery et al. 2022, arXiv:2204.02311 */
#include "op/op.h"

#include <math.h>

enum { SEQUENCES = 4, QUERIES = 8, OUTPUT_ROWS = 8 };

size_t an_gauge_chunks(const an_step *s) { return an_chunks(an_rows(s->in[0])); }
size_t an_gauge_once(const an_step *s) { (void)s; return 1; }
double an_gauge_rms(const an_value *v) { return v ? sqrt(an_dot(v->count, v->data, v->data) / (double)v->count) : 1; }

static double number(an_cells x, size_t i) { return (double)(x.store == AN_STORE_REAL ? x.p[i] : an_bf16_widen(*(const an_bf16 *)an_cell(x, i))); }

/* Of n numbers from i on with those from j on, however they are stored. */
static double dot(size_t n, an_cells x, size_t i, an_cells y, size_t j)
{
    double sum = 0;
    if (x.store == AN_STORE_REAL && y.store == AN_STORE_REAL) return an_dot(n, x.p + i, y.p + j);
    for (size_t k = 0; k < n; k++) sum += number(x, i + k) * number(y, j + k);
    return sum;
}

/* --- norms: root mean square of the gains; share of rows whose variance is below 10 eps --------------------------- */

/* Whether a row's variance is below 10 eps; outside the root eps is a deviation, and its square a variance. */
static bool is_small(const an_norm_spec *sp, double rstd)
{
    const double eps = (double)sp->eps, deviation = 1 / rstd - eps;
    return sp->outside ? deviation * deviation < 10 * eps * eps : 1 / (rstd * rstd) - eps < 10 * eps;
}

static double measure_norm(const an_step *s, const an_norm_spec *sp, const an_value *gain, const an_value *rstd, size_t part, double *m)
{
    const an_range w = an_chunk(an_rows(s->in[0]), part);
    m[0] = (double)w.n * an_gauge_rms(gain);
    for (size_t i = w.begin; i < w.begin + w.n; i++) m[1] += is_small(sp, (double)rstd->data[i]);
    return (double)w.n;
}

static double of_norm(const an_run *r, const an_step *s, size_t part, double *m)
{
    (void)r;
    return measure_norm(s, &((const an_norm_attr *)s->attr)->spec, s->n_in > 1 ? s->in[1] : NULL, s->out[2], part, m);
}

static double of_add_norm(const an_run *r, const an_step *s, size_t part, double *m)
{
    (void)r;
    return measure_norm(s, &((const an_add_norm_attr *)s->attr)->spec, s->in[2], s->out[3], part, m);
}

const an_gauges an_gauges_norm = { "norm", 2, { "gain_rms", "small_rows" }, { AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_chunks, of_norm };
const an_gauges an_gauges_add_norm = { "norm", 2, { "gain_rms", "small_rows" }, { AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_chunks, of_add_norm };

/* --- batch norm: channels that eps decides, and how far the running statistics (before this pass moves them) are from the batch's --- */

enum { GAIN_RMS, SMALL_CHANNELS, TID_MEAN, TID_DEV, MEAN_DISTANCE, VAR_DISTANCE, PENALTY };

static double of_batch_norm(const an_run *r, const an_step *s, size_t part, double *m)
{
    const an_batch_norm_attr *at = s->attr;
    const size_t c = an_cols(s->in[0]);
    const double n = (double)an_counted_rows(s, 5);
    (void)r;
    (void)part;
    m[GAIN_RMS] = (double)c * an_gauge_rms(s->in[1]);
    for (size_t j = 0; j < c; j++) {
        const double mean = (double)s->out[1]->data[j], var = (double)s->out[2]->data[j], run_mean = (double)s->in[3]->data[j], run_var = (double)s->in[4]->data[j];
        const double deviation = sqrt(var + at->eps), keep = 1 - at->momentum, after_mean = keep * run_mean + at->momentum * mean;
        m[SMALL_CHANNELS] += var < 10 * at->eps;
        m[TID_MEAN] += fabs(run_mean - mean) / deviation;
        m[TID_DEV] += fabs(sqrt(run_var + at->eps) / deviation - 1);
        m[MEAN_DISTANCE] += (run_mean - mean) * (run_mean - mean);
        m[VAR_DISTANCE] += (run_var - var) * (run_var - var);
        if (n > 1) m[PENALTY] += at->mean_penalty * (after_mean - mean) * (after_mean - mean) + at->var_penalty * fabs(keep * run_var + at->momentum * var * n / (n - 1) - var);
    }
    m[MEAN_DISTANCE] = (double)c * sqrt(m[MEAN_DISTANCE] / (double)c);
    m[VAR_DISTANCE] = (double)c * sqrt(m[VAR_DISTANCE] / (double)c);
    m[PENALTY] *= (double)c;                             /* a sum, where the others are means */
    return (double)c;
}

const an_gauges an_gauges_batch_norm = { "norm", 7, { "gain_rms", "small_channels", "tid_mean", "tid_dev", "mean_distance", "var_distance", "penalty" },
    { AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_once, of_batch_norm };

/* --- attention: per head, on QUERIES rows of each of SEQUENCES sequences ------------------------------------------- */

enum { MAX_LOGIT, ENTROPY, ENTROPY_MIN, SINK };

static size_t attention_parts(const an_step *s) { return ((const an_attention_attr *)s->attr)->heads; }

/* One query row against its keys, but for padding: p_j = exp(s_j - lse), entropy = lse - sum p_j s_j. The sink is the first key. */
static void add_query(const an_attention_attr *at, an_cells qkv, size_t q, size_t k, size_t keys, const int32_t *tokens, double lse, double *m)
{
    double weighted = 0;
    bool first = true;
    for (size_t j = 0; j < keys; j++) {
        if (tokens && tokens[j] < 0) continue;
        const double score = at->scale * dot(at->width, qkv, q, qkv, k + j * an_qkv_width(at)), p = exp(score - lse);
        if (!(score <= m[MAX_LOGIT])) m[MAX_LOGIT] = score;
        weighted += p * score;
        if (first) m[SINK] += p;
        first = false;
    }
    m[ENTROPY] += lse - weighted;
}

static double of_attention(const an_run *r, const an_step *s, size_t head, double *m)
{
    const an_attention_attr *at = s->attr;
    const size_t ld = an_qkv_width(at), t = at->seq, keys = at->heads + head / (at->heads / at->kv_heads);
    const size_t sequences = at->batch < SEQUENCES ? at->batch : SEQUENCES, queries = t < QUERIES ? t : QUERIES;
    size_t seen = 0;
    (void)r;
    m[MAX_LOGIT] = -INFINITY;
    for (size_t i = 0; i < sequences; i++) {
        const size_t b = i * at->batch / sequences;
        const size_t base = b * t * ld;
        const int32_t *tokens = s->n_in > 1 && s->in[1] ? s->in[1]->tokens + b * t : NULL;
        for (size_t j = 0; j < queries; j++) {
            const size_t row = (j + 1) * t / queries - 1;
            if (tokens && tokens[row] < 0) continue;
            add_query(at, an_data_of(s->in[0]), base + row * ld + head * at->width, base + keys * at->width, at->causal ? row + 1 : t, tokens, (double)s->out[1]->data[(b * at->heads + head) * t + row], m);
            seen++;
        }
    }
    m[ENTROPY_MIN] = m[ENTROPY] / (double)(seen ? seen : 1);
    return (double)seen;
}

const an_gauges an_gauges_attention = { "attention", 4, { "max_logit", "entropy", "entropy_min", "sink" },
    { AN_FOLD_MAX, AN_FOLD_MEAN, AN_FOLD_MIN, AN_FOLD_MEAN }, attention_parts, of_attention };

/* --- output: logits of OUTPUT_ROWS rows; a part is a row ------------------------------------------------------------ */

enum { LOG_Z = 1 };

static size_t output_parts(const an_step *s)
{
    const size_t rows = an_rows(s->in[0]);
    return rows < OUTPUT_ROWS ? rows : OUTPUT_ROWS;
}

/* One more logit: the largest so far and the sum of exponentials relative to it. */
static void add_logit(double z, double *largest, double *sum)
{
    if (!(z <= *largest)) {
        *sum = *sum * exp(*largest - z) + 1;
        *largest = z;
    } else {
        *sum += exp(z - *largest);
    }
}

/* The row's logits, some at a time, along parts of a row of w: x is widened once for all of them. */
static double of_head_xent(const an_run *r, const an_step *s, size_t part, double *m)
{
    enum { LOGITS = 64, ALONG = 512 };
    const size_t c = an_cols(s->in[0]), v = an_rows(s->in[1]), row = part * an_rows(s->in[0]) / output_parts(s);
    double largest = -INFINITY, sum = 0;
    for (size_t j = 0; j < v; j += LOGITS) {
        const size_t n = v - j < LOGITS ? v - j : LOGITS;
        double z[LOGITS] = { 0 }, of_part[5];
        for (size_t p = 0; p < c; p += ALONG) {
            const size_t k = c - p < ALONG ? c - p : ALONG;
            an_real room[ALONG];
            const an_real *x = an_view_of(r, an_data_of(s->in[0]), row * c + p, k, room);
            for (size_t i = 0; i < n; i++) {
                r->k->products(k, x, s->in[1]->data + (j + i) * c + p, of_part);
                z[i] += of_part[4];
            }
        }
        for (size_t i = 0; i < n; i++) add_logit(z[i], &largest, &sum);
    }
    m[MAX_LOGIT] = largest;
    m[LOG_Z] = largest + log(sum);
    return 1;
}

static double of_xent(const an_run *r, const an_step *s, size_t part, double *m)
{
    const size_t v = an_cols(s->in[0]), row = part * an_rows(s->in[0]) / output_parts(s);
    double largest = -INFINITY, sum = 0;
    (void)r;
    for (size_t j = 0; j < v; j++) add_logit((double)s->in[0]->data[row * v + j], &largest, &sum);
    m[MAX_LOGIT] = largest;
    m[LOG_Z] = largest + log(sum);
    return 1;
}

const an_gauges an_gauges_xent = { "output", 2, { "max_logit", "log_z" }, { AN_FOLD_MAX, AN_FOLD_MEAN }, output_parts, of_xent };
const an_gauges an_gauges_head_xent = { "output", 2, { "max_logit", "log_z" }, { AN_FOLD_MAX, AN_FOLD_MEAN }, output_parts, of_head_xent };
