/* tests/kern/vec_probe.h
 * The functions of vec_math.h and the errors they promise, in ulp of the result; low: what is below the smallest normal number may be 0. */
#ifndef AN_TESTS_KERN_VEC_PROBE_H
#define AN_TESTS_KERN_VEC_PROBE_H

#include <stddef.h>

/*  name      function      ulp  low */
#define AN_PROBES(X)                 \
    X(exp,     v_exp,        1.1, 0) \
    X(exp2,    exp2_ends,    1.1, 1) \
    X(exp_mid, v_exp_mid,    1.1, 1) \
    X(log,     v_log,        1.1, 0) \
    X(tanh,    v_tanh,       1.5, 0) \
    X(erf,     v_erf,        2.6, 0) \
    X(cdf,     cdf,          6.0, 1) \
    X(density, density,      1.6, 1) \
    X(sigmoid, sigmoid,      2.6, 1) \
    X(rest,    sigmoid_rest, 2.6, 1) \
    X(bf16,    bf16,         0.0, 0)

enum {
#define PROBE(name, function, ulps, low) AN_PROBE_##name,
    AN_PROBES(PROBE)
#undef PROBE
    AN_PROBE_COUNT
};

#define LEVEL(isa) void an_##isa##_vec_probe(int which, size_t n, const float *x, float *y);
#include "kern/simd/levels.def"
#undef LEVEL
void an_avx512_emulated_vec_probe(int which, size_t n, const float *x, float *y);

#endif
