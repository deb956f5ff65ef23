/* op/sums.c
 * Sums over rows: partial sums per fixed chunk, added up in chunk order. For gains and biases in the engine's own numbers, by
 * kernel; else in double, laid over the step's work, which is aligned for it. */
#include "op/op.h"

an_real *an_affine_sums(const an_step *s, bool wanted, size_t chunk, size_t c)
{
    if (!wanted) return NULL;
    an_real *sums = s->work + chunk * 2 * c;
    memset(sums, 0, 2 * c * sizeof *sums);
    return sums;
}

void an_reduce_affine(const an_run *r, const an_step *s, int gain, int bias, size_t chunks, size_t c)
{
    const int in[2] = { gain, bias };
    for (size_t which = 0; which < 2; which++)
        if (in[which] >= 0 && an_has_grad(s, in[which]))
            r->k->col_sum(chunks, c, s->work + which * c, 2 * c, s->in[in[which]]->grad, an_add(r, s, in[which]));
}

double *an_sums(const an_step *s, size_t width, size_t chunk) { return (double *)(void *)s->work + chunk * width; }

double an_total(const an_step *s, size_t width, size_t chunks, size_t column)
{
    double sum = 0;
    for (size_t i = 0; i < chunks; i++) sum += an_sums(s, width, i)[column];
    return sum;
}

void an_put_grad(const an_run *r, const an_step *s, int in, size_t j, double sum)
{
    if (in >= s->n_in || !an_has_grad(s, in)) return;
    an_real *grad = s->in[in]->grad;
    grad[j] = AN_R(sum) + (an_add(r, s, in) ? grad[j] : 0);
}

double an_inner(const an_run *r, size_t n, const an_real *a, const an_real *b)
{
    double sums[5];
    r->k->products(n, a, b, sums);
    return sums[4];
}
