/* op/hyper.c
 * The coefficients of hyper-connections: how n streams are read, mixed and written (op/streams.c), per token.
 *   b_a = B_a + s_b g(zb_a)     [m_a | R_.a] = A_a + s_m g(zm_a)          g = tanh, or the identity
 * Row a of A [n, n + 1] belongs to stream a: how much of it is read, then how much of it goes to each stream. zb and zm are
 * products with the normed streams; without them the coefficients are the same for all tokens.
 * Shapes    B [n]   A [n, n + 1]   zb [N n, 1], zm [N n, n + 1], s_b [1], s_m [1], or all four absent   k [N, n (n + 2)]
 * Saves     zb, zm, s_b, s_m          Cost  3 N n (n + 2) flop
 * Backward  dB, dA (+)= sums over tokens of dk;  dz (+)= s g'(z) dk;  ds (+)= sum of g(z) dk; sums per chunk, then in order
 * Errors    build: a shape that does not fit n and N -> AN_ESHAPE
 * Threads   tokens in fixed chunks
 * Source    Zhu et al. 2024, arXiv:2409.19606, sections 2.1 to 2.3 */
#include "op/op.h"

enum { B, A, ZB, ZM, SB, SM };

static size_t streams(const an_step *s) { return s->in[B]->count; }
static bool is_dynamic(const an_step *s) { return s->in[ZB] != NULL; }

static an_status infer(struct an_build *b, an_step *s)
{
    const an_hyper_attr *at = s->attr;
    AN_TRY(an_need_rank(s, B, 1));
    const size_t n = streams(s);
    if (n == 0) return an_fail(AN_ESHAPE, "%s: 0 streams; at least 1 is needed", s->name);
    AN_TRY(an_need(s, A, AN_MAT(n, n + 1)));
    if (is_dynamic(s)) {
        AN_TRY(an_need(s, ZB, AN_MAT(at->rows * n, 1)));
        AN_TRY(an_need(s, ZM, AN_MAT(at->rows * n, n + 1)));
        AN_TRY(an_need(s, SB, AN_VEC(1)));
        AN_TRY(an_need(s, SM, AN_VEC(1)));
    }
    return an_out(b, s, 0, "", AN_MAT(at->rows, n * (n + 2)), false);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->out[0]));
    return dir == AN_BACKWARD && phase == 1 ? 1 : 0;
}

/* Where in a row of k the coefficient of A_aj stands. */
static size_t place(size_t n, size_t a, size_t j) { return j == 0 ? a : n + (j - 1) * n + a; }

static an_real squash(const an_step *s, an_real z) { return ((const an_hyper_attr *)s->attr)->bounded ? an_tanh(z) : z; }

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), row = n * (n + 2);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    (void)r;
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t a = 0; a < n; a++) {
            an_real *k = s->out[0]->data + i * row;
            const size_t at = i * n + a;
            k[n + n * n + a] = s->in[B]->data[a] + (is_dynamic(s) ? s->in[SB]->data[0] * squash(s, s->in[ZB]->data[at]) : 0);
            for (size_t j = 0; j <= n; j++)
                k[place(n, a, j)] = s->in[A]->data[a * (n + 1) + j] + (is_dynamic(s) ? s->in[SM]->data[0] * squash(s, s->in[ZM]->data[at * (n + 1) + j]) : 0);
        }
}

/* z's share of one coefficient's gradient d; returns that of the scale. */
static double through(const an_run *r, const an_step *s, int z, int scale, size_t at, an_real d)
{
    const an_real g = squash(s, s->in[z]->data[at]), dz = s->in[scale]->data[0] * d * (((const an_hyper_attr *)s->attr)->bounded ? 1 - g * g : 1);
    if (an_has_grad(s, z)) s->in[z]->grad[at] = an_add(r, s, z) ? s->in[z]->grad[at] + dz : dz;
    return (double)g * (double)d;
}

/* Sums of a chunk: dB [n] | dA [n, n + 1] | ds_b | ds_m */
static size_t sums_per_chunk(const an_step *s) { const size_t n = streams(s); return n + n * (n + 1) + 2; }

static void reduce(const an_run *r, const an_step *s)
{
    const size_t n = streams(s), size = sums_per_chunk(s), first[] = { [B] = 0, [A] = n, [SB] = size - 2, [SM] = size - 1 };
    static const int IN[] = { B, A, SB, SM };
    for (size_t which = 0; which < sizeof IN / sizeof *IN; which++) {
        const int in = IN[which];
        for (size_t j = 0; an_has_grad(s, in) && j < s->in[in]->count; j++)
            an_put_grad(r, s, in, j, an_total(s, size, an_chunks(an_rows(s->out[0])), first[in] + j));
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const size_t n = streams(s), row = n * (n + 2), size = sums_per_chunk(s);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    double *sums = an_sums(s, size, p->index);
    memset(sums, 0, size * sizeof *sums);
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t a = 0; a < n; a++) {
            const an_real *dk = s->out[0]->grad + i * row, db = dk[n + n * n + a];
            sums[a] += (double)db;
            if (is_dynamic(s)) sums[size - 2] += through(r, s, ZB, SB, i * n + a, db);
            for (size_t j = 0; j <= n; j++) {
                const an_real d = dk[place(n, a, j)];
                sums[n + a * (n + 1) + j] += (double)d;
                if (is_dynamic(s)) sums[size - 1] += through(r, s, ZM, SM, (i * n + a) * (n + 1) + j, d);
            }
        }
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD ? an_sums_room(sums_per_chunk(s), an_chunks(an_rows(s->out[0]))) : 0;
}

static an_cost cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 3 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_hyper = { .name = "hyper", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .saves_in = 1u << ZB | 1u << ZM | 1u << SB | 1u << SM };
