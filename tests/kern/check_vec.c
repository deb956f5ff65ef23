/* tests/kern/check_vec.c
 * The vector functions against libm in double, in ulp of the result, over bit patterns spread evenly through all floats:
 * every exponent, both signs, denormals, infinities, NaN. One case takes one function and one residue class of patterns. */
#include "check.h"

#include <string.h>

#include "core/cpu.h"
#include "vec_probe.h"

enum { POINTS = 4099 };

const char *an_levels_vec(size_t i)
{
    const char *name[8] = { "ref" };
    size_t count = 1;
#ifdef AN_HAVE_simd
#define LEVEL(isa) if (an_cpu()->isa) name[count++] = #isa;
#include "kern/simd/levels.def"
#undef LEVEL
#endif
#ifdef AN_HAVE_avx512_emulated
    name[count++] = "avx512-emulated";
#endif
    return i < count ? name[i] : NULL;
}

static double exact(int which, double x)
{
    switch (which) {
    case AN_PROBE_exp:
    case AN_PROBE_exp_mid: return exp(x);
    case AN_PROBE_exp2: return exp2(x);
    case AN_PROBE_log: return log(x);
    case AN_PROBE_tanh: return tanh(x);
    case AN_PROBE_erf: return erf(x);
    case AN_PROBE_cdf: return 0.5 * erfc(-x * 0.70710678118654752440);
    case AN_PROBE_density: return exp(-0.5 * x * x);
    case AN_PROBE_bf16: return (double)an_bf16_widen(an_bf16_round((an_real)x));
    case AN_PROBE_sigmoid: return 1 / (1 + exp(-x));
    default: return 1 / (1 + exp(x));
    }
}

static void compute(const char *level, int which, size_t n, const an_real *x, an_real *y)
{
#ifndef AN_F64
#ifdef AN_HAVE_simd
#define LEVEL(isa) if (strcmp(level, #isa) == 0) an_##isa##_vec_probe(which, n, x, y);
#include "kern/simd/levels.def"
#undef LEVEL
#endif
#ifdef AN_HAVE_avx512_emulated
    if (strcmp(level, "avx512-emulated") == 0) an_avx512_emulated_vec_probe(which, n, x, y);
#endif
#endif
    if (strcmp(level, "ref") == 0)
        for (size_t i = 0; i < n; i++) y[i] = (an_real)exact(which, (double)x[i]);
}

void an_check_vec(an_check *k)
{
    static const struct { double ulps; int low; } PROMISE[] = {
#define PROBE(name, function, u, low) { u, low },
        AN_PROBES(PROBE)
#undef PROBE
    };
    const size_t n = an_checking(k) ? POINTS : an_pick_rows(k) * an_pick_size(k);
    const int which = (int)an_pick(k, AN_PROBE_COUNT);
    an_real *x = an_in_edit(k, "x", n, AN_FILL_NORMAL);
    if (an_checking(k)) {
        const uint32_t start = (uint32_t)an_pick(k, 1u << 20);
        for (size_t i = 0; i < n; i++) {
            const uint32_t bits = start + (uint32_t)i * (1u << 20);
            float f;
            memcpy(&f, &bits, sizeof f);
            if (i >= 4096) f = i == 4096 ? INFINITY : i == 4097 ? -INFINITY : 0.0f;
            x[i] = (an_real)f;
        }
    }
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n), 0);
    while (an_next_run(k)) compute(an_run_level(k), which, n, x, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const double v = exact(which, (double)x[i]);
        int e = 0;
        (void)frexp(v, &e);
        const long double ulp = fabs(v) <= (double)FLT_MAX ? ldexpl(1, e - 1) : fabsl((long double)v);   /* over eps */
        const int top = (which == AN_PROBE_exp2 || which == AN_PROBE_exp_mid) && v > 0x1p127;             /* may be infinite */
        an_want(y, i, (long double)v, top ? (long double)INFINITY : ulp + (PROMISE[which].low ? (long double)(FLT_MIN / FLT_EPSILON) : 0));
    }
    an_judge(k, y, PROMISE[which].ulps + 0.5);
}
