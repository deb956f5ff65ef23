/* train/probe_update.c
 * What one update does to the function: streams before and after it, and between them four points on the line through both
 * for the derivative along it. Only forward passes, so every design and op has it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "train/memory.h"
#include "train/probe.h"

/* Steps of the central differences; the formula over both is exact to order 4. Larger than round-off by far, smaller than the
 * update by enough. */
static const double STEP = 0.125;

struct an_mover {
    an_model *look;
    const an_pass *pass;
    const an_param *param;
    size_t n_param, n_real, n_site, n_stream;   /* reals of all parameters, of all streams and the head's input */
    an_real *before, *after;       /* parameters */
    an_real *first, *start, *end, *near, *wide;   /* streams: W_0, W, W + dW; differences at h and 2h */
    double loss[2];
    bool begun;
};

static an_site_view view(const an_mover *m, size_t i) { return i < m->n_site ? an_model_get_site(m->look, i) : an_model_get_hidden(m->look); }

static void params_out(const an_mover *m, an_real *to)
{
    for (size_t i = 0; i < m->n_param; to += m->param[i++].count) memcpy(to, m->param[i].data, m->param[i].count * sizeof *to);
}

static void params_in(const an_mover *m, const an_real *from)
{
    for (size_t i = 0; i < m->n_param; from += m->param[i++].count) memcpy(m->param[i].data, from, m->param[i].count * sizeof *from);
}

static double step_of(const an_mover *m, size_t k) { return (double)m->after[k] - (double)m->before[k]; }

/* W + h dW, as near as reals can say it. */
static void params_on_the_way(const an_mover *m, double h)
{
    size_t at = 0;
    for (size_t i = 0; i < m->n_param; i++)
        for (size_t k = 0; k < m->param[i].count; k++, at++)
            m->param[i].data[k] = AN_R((double)m->before[at] + h * step_of(m, at));
}

/* to = keep * to + add * the streams of the last pass. */
static void streams_out(const an_mover *m, an_real *to, an_real keep, an_real add)
{
    for (size_t i = 0; i <= m->n_site; i++) {
        const an_site_view v = view(m, i);
        for (size_t s = 0; s < v.streams; s++, to += v.rows * v.cols)
            for (size_t k = 0; k < v.rows * v.cols; k++) to[k] = (keep != 0 ? keep * to[k] : 0) + add * v.stream[s][k];
    }
}

an_status an_mover_create(an_mover **out, an_model *look, const an_pass *pass)
{
    an_mover *m = an_alloc(sizeof *m);
    if (!m) return an_fail(AN_ENOMEM, "probe: no memory");
    m->look = look;
    m->pass = pass;
    m->param = an_model_get_params(look, &m->n_param);
    m->n_site = an_model_site_count(look);
    for (size_t i = 0; i < m->n_param; i++) m->n_real += m->param[i].count;
    for (size_t i = 0; i <= m->n_site; i++) m->n_stream += view(m, i).rows * view(m, i).cols * view(m, i).streams;
    const an_status room = an_memory_check((2 * m->n_real + 5 * m->n_stream) * sizeof(an_real), an_memory_available());
    an_real **const copies[] = { &m->before, &m->after, &m->first, &m->start, &m->end, &m->near, &m->wide };
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        const size_t count = i < 2 ? m->n_real : m->n_stream;
        if (room == AN_OK && (*copies[i] = an_alloc(count * sizeof(an_real)))) continue;
        an_mover_destroy(&m);
        return room != AN_OK ? room : an_fail(AN_ENOMEM, "probe: no memory for a copy of %zu numbers; a smaller batch_size needs less", count);
    }
    *out = m;
    return AN_OK;
}

void an_mover_destroy(an_mover **mover)
{
    an_mover *m = *mover;
    if (!m) return;
    an_real *copies[] = { m->before, m->after, m->first, m->start, m->end, m->near, m->wide };
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) free(copies[i]);
    free(m);
    *mover = NULL;
}

void an_mover_begin(an_mover *m)
{
    params_out(m, m->before);
    m->loss[0] = an_model_forward(m->look, m->pass);
    streams_out(m, m->start, 0, 1);
    if (!m->begun) memcpy(m->first, m->start, m->n_stream * sizeof *m->first);
    m->begun = true;
}

static void measure_linear(an_mover *m)
{
    an_real *const to[] = { m->near, m->wide };
    for (int i = 0; i < 4; i++) {                            /* + h, - h, + 2h, - 2h */
        params_on_the_way(m, (i % 2 ? -STEP : STEP) * (i < 2 ? 1 : 2));
        an_model_forward(m->look, m->pass);
        streams_out(m, to[i / 2], AN_R(i % 2), AN_R(i % 2 ? -1 : 1));
    }
    params_in(m, m->after);
}

static an_moved moved_at(const an_mover *m, size_t at, size_t count, bool linear)
{
    double size = 0, change = 0, slope = 0, distance = 0, doubt = 0, since = 0;
    for (size_t k = at; k < at + count; k++) {
        const double a = (double)m->start[k], b = (double)m->end[k], c = b - (double)m->first[k];
        const double near = (double)m->near[k] / (2 * STEP), wide = (double)m->wide[k] / (4 * STEP), d = (4 * near - wide) / 3;
        size += a * a;
        change += (b - a) * (b - a);
        since += c * c;
        slope += d * d;
        distance += (b - a - d) * (b - a - d);
        doubt += (d - near) * (d - near);
    }
    const double n = (double)count;
    an_moved out = { sqrt(size / n), sqrt(change / n), sqrt(slope / n), sqrt(distance / n), sqrt(doubt / n), sqrt(since / n) };
    if (!linear) out.linear = out.distance = out.doubt = NAN;
    return out;
}

double an_mover_end(an_mover *m, bool linear, an_moved *moved)
{
    double squares = 0;
    size_t at = 0;
    params_out(m, m->after);
    m->loss[1] = an_model_forward(m->look, m->pass);
    streams_out(m, m->end, 0, 1);
    if (linear) measure_linear(m);
    for (size_t i = 0; i <= m->n_site; i++) {
        const an_site_view v = view(m, i);
        moved[i] = moved_at(m, at, v.rows * v.cols * v.streams, linear);
        at += v.rows * v.cols * v.streams;
    }
    at = 0;
    for (size_t i = 0; i < m->n_param; at += m->param[i++].count)
        for (size_t k = at; k < at + m->param[i].count && !m->param[i].rule.buffer; k++) squares += step_of(m, k) * step_of(m, k);
    return sqrt(squares);
}

double an_mover_loss(const an_mover *m, bool after) { return m->loss[after]; }

double an_mover_slope(an_mover *m, an_model *trains)
{
    size_t count, at = 0;
    const an_param *param = an_model_get_params(trains, &count);
    double sum = 0;
    params_in(m, m->before);
    an_model_forward_backward(trains, m->pass);
    for (size_t i = 0; i < count; at += param[i++].count)
        for (size_t k = 0; k < param[i].count && !param[i].rule.buffer; k++) sum += (double)param[i].grad[k] * step_of(m, at + k);
    params_in(m, m->after);
    return sum;
}
