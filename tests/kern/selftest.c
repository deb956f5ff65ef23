/* tests/kern/selftest.c
 * A test that cannot fail proves nothing. For every row and level six faults are planted after the runs: a value off by
 * 0.2 %, the same in the last element, a byte past the end, a byte before the start, a changed input, a second run that
 * differs. Then whole kernels are replaced by subtly wrong copies. Each must be found, or the row is MISTRUSTED. */
#include "selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIED = 24, ENOUGH = 5 };   /* cases per fault, and in how many at least it could be planted */

static const char *const FAULTS[] = { "none", "value", "last element", "write past the end", "write before the start", "changed input", "unstable" };

void an_selftest_row(const char *row, void (*check)(an_check *k), an_level ref, an_level level, int *passed, int *failed)
{
    int bad = 0, total = 0;
    for (int f = 1; f < AN_FAULT_COUNT; f++) {
        int planted = 0, found = 0;
        for (uint64_t i = 0; i < TRIED; i++) {   /* the first cases: normal numbers, small sizes */
            an_check k;
            an_check_init(&k, row, ref, level, i);
            k.fault = (an_fault)f;
            check(&k);
            planted += k.planted;
            found += k.planted && k.failed;
            an_check_fini(&k);
        }
        total += planted;
        if (planted < ENOUGH || found < planted) {
            printf("MISTRUSTED  %s %s: %s planted %d times, found %d times\n", row, level.name, FAULTS[f], planted, found);
            bad++;
        }
    }
    if (!bad) printf("pass  %-14s %-16s %d planted faults found\n", row, level.name, total);
    *(bad ? failed : passed) += 1;
}

/* Wrong copies. */
static void axpby_forgets_last(size_t n, an_real a, const an_real *x, an_real b, const an_real *f, an_real *y)
{
    an_kern_level("ref")->axpby(n ? n - 1 : 0, a, x, b, f, y);
}

static void norm_forgets_eps(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_real *y, an_real *mean, an_real *rstd)
{
    an_norm_spec other = *s;
    other.eps = AN_R(0);
    an_kern_level("ref")->norm_fwd(n, c, &other, x, g, b, y, mean, rstd);
}

static void norm_divides_by_c(size_t n, size_t c, const an_norm_spec *s, const an_real *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    an_norm_spec other = *s;
    other.unbiased = 0;
    an_kern_level("ref")->norm_bwd(n, c, &other, dy, x, g, mean, rstd, dx, add, dg, db);
}

static void dropout_from_zero(size_t n, an_rng_key key, uint64_t base, an_real p, const an_real *x, an_real *y, int add)
{
    an_kern_level("ref")->dropout(n, key, base & ~(uint64_t)3, p, x, y, add);
}

static void adamw_couples_decay(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, double *moved)
{
    an_adamw_spec other = *s;
    other.decay = AN_R(0.5) * s->decay;
    an_kern_level("ref")->adamw(n, &other, p, g, m, v, low, moved);
}

/* To bfloat16 without rounding. */
static an_bf16 cut(an_real x)
{
    const float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (an_bf16)(bits >> 16);
}

static void adamw_truncates(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, double *moved)
{
    an_kern_level("ref")->adamw(n, s, p, g, m, v, low, moved);
    for (size_t i = 0; low && i < n; i++) low[i] = cut(p[i]);
}

static void adamw_forgets_a_move(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, double *moved)
{
    const double old = n ? (double)p[n - 1] : 0;
    an_kern_level("ref")->adamw(n, s, p, g, m, v, low, moved);
    if (moved && n) *moved -= ((double)p[n - 1] - old) * ((double)p[n - 1] - old);
}

static void add_norm_drops_from_zero(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, const an_real *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    an_drop other = drop ? *drop : (an_drop){ { { 0, 0 } }, 0, AN_R(0) };
    other.base = 0;
    an_kern_level("ref")->add_norm_bwd(n, c, s, a, bf, drop ? &other : NULL, dy, dskip, h, g, mean, rstd, dx, add_x, df, add_f, dg, db);
}

static void norm_truncates(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_bf16 *y, an_real *mean, an_real *rstd)
{
    an_real *wide = malloc((n * c + 1) * sizeof *wide);
    if (!wide) abort();
    an_kern_level("ref")->norm_fwd(n, c, s, x, g, b, wide, mean, rstd);
    for (size_t i = 0; i < n * c; i++) y[i] = cut(wide[i]);
    free(wide);
}

static void add_norm_low_forgets_skip(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, const an_bf16 *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    an_kern_level("ref")->add_norm_bwd_low(n, c, s, a, bf, drop, dy, c == 1 ? NULL : dskip, h, g, mean, rstd, dx, add_x, df, add_f, dg, db);
}

static void embed_forgets_old(size_t n, size_t c, size_t width, an_real scale, const int32_t *row, const an_real *dy, an_real *de, int add)
{
    an_kern_level("ref")->embed_bwd(n, c, width, scale, row, dy, de, n == 1 ? 0 : add);
}

static void squash_without_shift(size_t n, int erf_kind, an_real a, an_real shift, const an_real *x, const an_real *dy, an_real *dx, int add, double *sums)
{
    an_kern_level("ref")->squash_bwd(n, erf_kind, a, 0 * shift, x, dy, dx, add, sums);
}

static void xent_without_shift(size_t n, size_t v, const an_real *z, size_t ldz, const int32_t *target, an_real weight, an_real *loss)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < v; j++) sum += (double)an_exp(z[i * ldz + j]);
        loss[i] = target[i] < 0 ? AN_R(0) : (an_real)(log(sum) - (double)z[i * ldz + (size_t)target[i]] + (double)weight * log(sum) * log(sum));
    }
}

static void xent_part_cuts(size_t n, size_t c, const an_real *z, size_t ldz, an_bf16 *e, size_t lde, int past, an_real *top, an_real *sum, size_t ldp)
{
    an_kern_level("ref")->xent_part(n, c, z, ldz, e, lde, past, top, sum, ldp);
    for (size_t i = 0; e && i < n; i++)
        for (size_t j = 0; j < c; j++) e[i * lde + j] = cut(AN_R(exp((double)z[i * ldz + j] - (double)top[i * ldp])));
}

static void xent_join_takes_one_top(size_t n, size_t v, size_t width, an_bf16 *e, size_t lde, const an_real *top, const an_real *sum, size_t ldp, const an_real *hit, const int32_t *target, an_real scale, an_real weight, an_real *loss)
{
    an_real *one = malloc((n * ldp + 1) * sizeof *one);
    if (!one) return;
    for (size_t i = 0; i < n * ldp; i++) one[i] = top[i / ldp * ldp];
    an_kern_level("ref")->xent_join(n, v, width, e, lde, one, sum, ldp, hit, target, scale, weight, loss);
    free(one);
}

static void try_copy(const char *row, const char *what, void (*check)(an_check *k), const an_kernels *wrong, int *passed, int *failed)
{
    int found = 0;
    const an_level ref = { "ref", an_kern_level("ref") }, level = { "wrong copy", wrong };
    for (uint64_t i = 0; i < AN_CASES; i++) {
        an_check k;
        an_check_init(&k, row, ref, level, i);
        check(&k);
        found += k.failed > 0;
        an_check_fini(&k);
    }
    printf("%s  %-14s %-16s %s: found in %d of %d cases\n", found ? "pass" : "MISTRUSTED", row, "wrong copy", what, found, AN_CASES);
    *(found ? passed : failed) += 1;
}

void an_selftest_copies(int *passed, int *failed)
{
#define COPY(row, function, what) do { an_kernels wrong = *an_kern_level("ref"); wrong.row = function; try_copy(#row, what, an_check_##row, &wrong, passed, failed); } while (0)
    COPY(axpby, axpby_forgets_last, "forgets the last element");
    COPY(norm_fwd, norm_forgets_eps, "forgets eps");
    COPY(norm_bwd, norm_divides_by_c, "divides by c, not c - 1");
    COPY(dropout, dropout_from_zero, "starts at a multiple of four");
    COPY(adamw, adamw_couples_decay, "half the decay");
    COPY(adamw, adamw_truncates, "bf16 cut off, not rounded");
    COPY(adamw, adamw_forgets_a_move, "the last move left out");
    COPY(add_norm_bwd, add_norm_drops_from_zero, "drops as from element 0");
    COPY(norm_fwd_low, norm_truncates, "y cut off, not rounded");
    COPY(add_norm_bwd_low, add_norm_low_forgets_skip, "rows of one number forget the skip");
    COPY(embed_bwd, embed_forgets_old, "sets what it should add to");
    COPY(squash_bwd, squash_without_shift, "forgets the shift");
    COPY(xent_fwd, xent_without_shift, "exponentials without a shift");
    COPY(xent_part, xent_part_cuts, "exponentials cut off, not rounded");
    COPY(xent_join, xent_join_takes_one_top, "the first part's largest for all");
#undef COPY
}
