/* tests/kern/vec_probe.h
 * The functions of vec_math.h and the errors they promise, in ulp of the result. */
#ifndef AN_TESTS_KERN_VEC_PROBE_H
#define AN_TESTS_KERN_VEC_PROBE_H

#include <stddef.h>

/*  name      function      ulp */
#define AN_PROBES(X)              \
    X(exp,     v_exp,        1.1) \
    X(log,     v_log,        1.1) \
    X(tanh,    v_tanh,       1.5) \
    X(erf,     v_erf,        2.6) \
    X(cdf,     cdf,          6.0) \
    X(density, density,      1.6) \
    X(sigmoid, sigmoid,      2.6) \
    X(rest,    sigmoid_rest, 2.6) \
    X(bf16,    bf16,         0.0)

enum {
#define PROBE(name, function, ulps) AN_PROBE_##name,
    AN_PROBES(PROBE)
#undef PROBE
    AN_PROBE_COUNT
};

void an_avx2_vec_probe(int which, size_t n, const float *x, float *y);
void an_avx512_vec_probe(int which, size_t n, const float *x, float *y);
void an_avx512_emulated_vec_probe(int which, size_t n, const float *x, float *y);

#endif
