/* op/activation.c
 * Pointwise activations and SwiGLU.
 * Shapes    z, y [N,F]          SwiGLU: x [N,2F] = (gate | up), y [N,F] = silu(gate) * up
 * Saves     z (SwiGLU: x)       Cost  see the table below; 2NF moved (SwiGLU 3NF)
 * Backward  dz (+)= dy * act'(z)
 * Errors    build: SwiGLU over an odd width -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    GELU: Hendrycks & Gimpel 2016, arXiv:1606.08415; SwiGLU: Shazeer 2020, arXiv:2002.05202 */
#include "op/op.h"

/* The kinds: adapters from a kind to its kernel rows; one line each. */
#define KIND(row)                                                                                                     \
    static void row##_f(const an_kernels *k, size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { k->row##_fwd(n, c, bias, z, y); } \
    static void row##_b(const an_kernels *k, size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { k->row##_bwd(n, z, dy, dz, add); }
KIND(gelu_tanh)
KIND(gelu_erf)
KIND(relu)

static const an_act_kind KINDS[] = {
    { "gelu_tanh", "z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))", gelu_tanh_f, gelu_tanh_b, 14 },
    { "gelu_erf", "z/2 (1 + erf(z / sqrt 2))", gelu_erf_f, gelu_erf_b, 16 },
    { "relu", "max(z, 0)", relu_f, relu_b, 1 },
};

const an_act_kind *an_act_at(size_t i) { return i < sizeof KINDS / sizeof *KINDS ? &KINDS[i] : NULL; }

const an_act_kind *an_act_find(const char *name)
{
    for (size_t i = 0; an_act_at(i); i++)
        if (strcmp(KINDS[i].name, name) == 0) return &KINDS[i];
    return NULL;
}

enum { Z };

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->in[Z])) : 0; }

static an_status act_infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, Z, 2));
    return an_out(b, s, 0, "", s->in[Z]->dims, false);
}

static void act_forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->attr;
    const size_t c = an_cols(s->in[Z]);
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        an_real *z = an_view_to(an_data_of(s->in[Z]), i * c, an_view_room(r, p, c, 0)), *y = an_view_to(an_data_of(s->out[0]), i * c, an_view_room(r, p, c, 1));
        (void)an_view_of(r, an_data_of(s->in[Z]), i * c, n * c, z);
        at->kind->fwd(r->k, n, c, NULL, z, y);
        an_view_done(r, an_data_of(s->out[0]), i * c, n * c, y);
    }
}

static void act_backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->attr;
    const size_t c = an_cols(s->in[Z]);
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    for (size_t i = w.begin, n; an_has_grad(s, Z) && i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *z = an_view_of(r, an_data_of(s->in[Z]), i * c, n * c, an_view_room(r, p, c, 0));
        const an_real *dy = an_view_of(r, an_grad_of(s->out[0]), i * c, n * c, an_view_room(r, p, c, 1));
        an_real *dz = an_view_to(an_grad_of(s->in[Z]), i * c, an_view_room(r, p, c, 2));
        at->kind->bwd(r->k, n * c, z, dy, dz, an_add(r, s, Z));
        an_view_done(r, an_grad_of(s->in[Z]), i * c, n * c, dz);
    }
}

static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[Z]), 3) : 0; }

static an_cost act_cost(const an_step *s)
{
    const double n = (double)s->in[Z]->count;
    return (an_cost){ n * ((const an_act_attr *)s->attr)->kind->flops, 2 * n * sizeof(an_real) };
}

const an_op an_op_activation = { .name = "activation", .infer = act_infer, .parts = parts, .forward = act_forward, .backward = act_backward,
    .cost = act_cost, .backward_flops = 1.3, .thread_work = thread_work, .low_in = 1u << Z, .low_out = 1, .saves_in = 1u << Z };

static an_status glu_infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, Z, 2));
    const size_t w = an_cols(s->in[Z]);
    if (w % 2) return an_fail(AN_ESHAPE, "%s: swiglu needs an even width (gate and up halves), got %zu", s->name, w);
    return an_out(b, s, 0, "", AN_MAT(an_rows(s->in[Z]), w / 2), false);
}

static int gate_last(const an_step *s) { return ((const an_swiglu_attr *)s->attr)->gate_last; }

static void glu_forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t f = an_cols(s->out[0]), c = 2 * f;
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        an_real *y = an_view_to(an_data_of(s->out[0]), i * f, an_view_room(r, p, c, 1));
        r->k->swiglu_fwd(n, f, an_view_of(r, an_data_of(s->in[Z]), i * c, n * c, an_view_room(r, p, c, 0)), gate_last(s), y);
        an_view_done(r, an_data_of(s->out[0]), i * f, n * f, y);
    }
}

static void glu_backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t f = an_cols(s->out[0]), c = 2 * f;
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    for (size_t i = w.begin, n; an_has_grad(s, Z) && i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *x = an_view_of(r, an_data_of(s->in[Z]), i * c, n * c, an_view_room(r, p, c, 0));
        const an_real *dy = an_view_of(r, an_grad_of(s->out[0]), i * f, n * f, an_view_room(r, p, c, 1));
        an_real *dx = an_view_to(an_grad_of(s->in[Z]), i * c, an_view_room(r, p, c, 2));
        r->k->swiglu_bwd(n, f, x, gate_last(s), dy, dx, an_add(r, s, Z));
        an_view_done(r, an_grad_of(s->in[Z]), i * c, n * c, dx);
    }
}

static an_cost glu_cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 12 * n, 3 * n * sizeof(an_real) }; }

const an_op an_op_swiglu = { .name = "swiglu", .infer = glu_infer, .parts = parts, .forward = glu_forward, .backward = glu_backward,
    .cost = glu_cost, .backward_flops = 1.5, .thread_work = thread_work, .low_in = 1u << Z, .low_out = 1, .saves_in = 1u << Z };
