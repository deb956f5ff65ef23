/* op/affine.c
 * Sums over rows for gains and biases: partial sums per fixed chunk, added up in chunk order. */
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
