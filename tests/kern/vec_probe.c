/* tests/kern/vec_probe.c
 * The vector functions of vec_math.h behind plain calls; compiled once per instruction set like the kernels. */
#include "kern/simd/simd.h"
#include "kern/simd/vec_math.h"
#include "vec_probe.h"

V_FN vf cdf(vf x)
{
    vf c;
    (void)v_normal(x, &c);
    return c;
}

V_FN vf density(vf x)
{
    vf c;
    return v_normal(x, &c);
}

V_FN vf sigmoid(vf x)
{
    vf rest;
    return v_sigmoid(x, &rest);
}

V_FN vf sigmoid_rest(vf x)
{
    vf rest;
    (void)v_sigmoid(x, &rest);
    return rest;
}

V_FN vf bf16(vf x)   /* to memory and back */
{
    uint16_t word[VL];
    v_put_bf16(word, VL, x);
    return v_get_bf16(word, VL);
}

V_FN vf call(int which, vf x)
{
    switch (which) {
#define PROBE(name, function, ulps) case AN_PROBE_##name: return function(x);
        AN_PROBES(PROBE)
#undef PROBE
    default: return x;
    }
}

void AN_SIMD(vec_probe)(int which, size_t n, const float *x, float *y)
{
    V_EACH(n, i, left, { v_put(y + i, left, call(which, v_get(x + i, left))); });
}
