/* op/linear_few.c
 * Linear layer of a decoding plan, with the activation behind it if there is one: few rows meet a matrix that is read once, in whatever
 * storage the plan keeps it (value.store). Its time is that of reading w, which no library's product of large blocks knows.
 * Shapes    x [N,I]   w [O,I]   bias [O] or absent   y, and z with an activation, [N,O]
 * Saves     nothing; forward only    Cost  2NIO flop, w moved in its storage
 * Errors    build: widths differ -> AN_ESHAPE
 * Threads   rows of w, about PART bytes each; rows of x whose sequence rests in this pass are left out */
#include "op/linear.h"

enum { X, W, B };
enum { Y, Z };
enum { PART = 1 << 17, BLOCK = 8 };

static size_t number_bytes(const an_value *w) { return w->store == AN_STORE_REAL ? sizeof(an_real) : w->store == AN_STORE_BF16 ? sizeof(an_bf16) : sizeof(int8_t); }

/* Rows of w in one part: whole blocks of the kernels. */
static size_t part_rows(const an_step *s)
{
    const size_t blocks = PART / (BLOCK * number_bytes(s->in[W]) * an_cols(s->in[X]) + 1);
    return BLOCK * (blocks ? blocks : 1);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    return dir == AN_FORWARD && phase == 0 ? (an_cols(s->out[Y]) + part_rows(s) - 1) / part_rows(s) : 0;
}

/* Rows [i, i + m) of x against rows [j, j + n) of w. */
static void product(const an_run *r, const an_step *s, size_t i, size_t m, size_t j, size_t n, const an_real *bias, an_real *y)
{
    const an_value *w = s->in[W];
    const size_t in = an_cols(s->in[X]), out = an_cols(s->out[Y]);
    const an_real *x = s->in[X]->data + i * in;
    switch (w->store) {
    case AN_STORE_BF16: r->k->few_bf16(m, n, in, x, in, (const an_bf16 *)w->low + j * in, NULL, bias, y + i * out + j, out); break;
    case AN_STORE_INT8: r->k->few_int8(m, n, in, x, in, (const int8_t *)w->low + j * in, w->low_scale + j, bias, y + i * out + j, out); break;
    default: r->k->few_real(m, n, in, x, in, w->data + j * in, NULL, bias, y + i * out + j, out);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->n_out > Z ? s->attr : NULL;
    const size_t rows = an_rows(s->in[X]), out = an_cols(s->out[Y]), j = p->index * part_rows(s), n = out - j < part_rows(s) ? out - j : part_rows(s);
    const an_real *bias = s->in[B] ? s->in[B]->data + j : NULL;
    for (size_t i = 0, m; i < rows; i += m) {
        for (m = 1; i + m < rows && an_rests(r, i + m) == an_rests(r, i); m++) {}
        if (an_rests(r, i)) continue;
        product(r, s, i, m, j, n, at ? NULL : bias, s->out[at ? Z : Y]->data);
        for (size_t q = i; at && q < i + m; q++) at->kind->fwd(r->k, 1, n, bias, s->out[Z]->data + q * out + j, s->out[Y]->data + q * out + j);
    }
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[Y]);
    return (an_cost){ 2 * n * in * out, in * out * (double)number_bytes(s->in[W]) + (n * in + n * out) * sizeof(an_real) };
}

const an_op an_op_linear_few = { .name = "linear_few", .infer = an_linear_infer, .parts = parts, .forward = forward, .cost = cost, .low_in = 1u << W };
