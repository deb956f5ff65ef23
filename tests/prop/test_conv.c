/* Ops over feature maps against their definitions in plain loops: convolution of both strides, the shortcut that shrinks, and the mean, for
 * sides of 1 and up, odd and even, one channel and many; outputs and gradients; then that the bits are the same for any number of threads. */
#include "prop.h"

#include "core/rng.h"
#include "stack.h"

typedef struct shape { size_t maps, side, in, out, stride; } shape;
static const shape SHAPES[] = { { 1, 1, 1, 1, 1 }, { 3, 1, 2, 3, 2 }, { 2, 2, 3, 5, 2 }, { 2, 3, 1, 4, 1 }, { 2, 3, 4, 2, 2 }, { 1, 7, 5, 3, 1 }, { 5, 7, 3, 8, 2 }, { 3, 8, 16, 16, 1 }, { 9, 12, 16, 32, 2 }, { 2, 16, 130, 20, 1 } };

static size_t strided(const shape *s) { return (s->side + s->stride - 1) / s->stride; }

/* One op between parameters x (and w) and a probe, so that the gradient of its output is known. */
typedef struct bench { an_params params; an_plan *plan; an_value *x, *w, *y; } bench;
enum { SEED = 5 };

static void need(an_status status)
{
    if (status == AN_OK) return;
    printf("FAIL %s\n", an_error_text());
    exit(1);
}

static void open_bench(bench *t, const an_op *op, const an_map_attr *attr, an_dims x, const an_dims *w, int threads)
{
    const an_init init = { AN_LAW_NORMAL, 1, 0 };
    const stack_probe_attr probe = { SEED };
    *t = (bench){ 0 };
    need(an_plan_create(&t->plan, &t->params, true));
    an_build b = { .plan = t->plan, .block = -1, .branch = -1, .train = true };
    t->x = an_param_make(&b, "x", x, &init, 1, AN_RULE_BARE);
    t->w = w ? an_param_make(&b, "w", *w, &init, 1, AN_RULE_BARE) : NULL;
    t->y = w ? AN_EMIT(&b, op, "op", attr, t->x, t->w) : AN_EMIT(&b, op, "op", attr, t->x);
    t->plan->loss = AN_EMIT(&b, &stack_probe, "probe", &probe, t->y);
    need(b.status);
    t->y->keep = true;
    need(an_plan_freeze(t->plan, true));
    need(an_params_freeze(&t->params, true));
    need(an_plan_bind(t->plan, threads));
    an_params_draw(&t->params, 3, 1);
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .train = true, .loss_scale = 1, .n_target = 1 };
    an_plan_forward(t->plan, &run);
    an_plan_backward(t->plan, &run);
}

static void close_bench(bench *t)
{
    an_plan_destroy(&t->plan);
    an_params_fini(&t->params);
}

static double *zeros(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    if (!x) exit(1);
    return x;
}

static void near(const char *what, const shape *s, size_t n, const an_real *mine, const double *want)
{
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)mine[i] - want[i]));
        size = fmax(size, fabs(want[i]));
    }
    prop_check(worst <= 1000 * (double)AN_REAL_EPS * size, "%s of %zu maps of %zu, %zu to %zu channels, stride %zu: off by %.2e of %.2e", what, s->maps, s->side, s->in, s->out, s->stride, worst, size);
}

/* Calls visit with the place in x, in w and in y of every product. */
typedef struct sums { double *y, *dx, *dw; } sums;
static void convolve(const shape *s, const bench *t, sums *r)
{
    const long side = (long)s->side, to = (long)strided(s), z = (long)s->stride;
    for (long m = 0; m < (long)s->maps; m++)
        for (long i = 0; i < to * to; i++)
            for (long tap = 0; tap < 9; tap++) {
                const long row = i / to * z + tap / 3 - 1, col = i % to * z + tap % 3 - 1;
                if (row < 0 || row >= side || col < 0 || col >= side) continue;
                const size_t from = (size_t)(m * side * side + row * side + col) * s->in, at = (size_t)(m * to * to + i) * s->out;
                for (size_t o = 0; o < s->out; o++)
                    for (size_t c = 0; c < s->in; c++) {
                        const size_t w = (o * 9 + (size_t)tap) * s->in + c;
                        const double dy = stack_probe_weight(SEED, at + o);
                        r->y[at + o] += (double)t->x->data[from + c] * (double)t->w->data[w];
                        r->dx[from + c] += dy * (double)t->w->data[w];
                        r->dw[w] += dy * (double)t->x->data[from + c];
                    }
            }
}

static void check_conv(const shape *s)
{
    bench t;
    const an_map_attr attr = { .side = s->side, .stride = s->stride };
    const an_dims w = AN_MAT(s->out, 9 * s->in);
    open_bench(&t, &an_op_conv, &attr, AN_MAT(s->maps * s->side * s->side, s->in), &w, 1);
    sums r = { zeros(t.y->count), zeros(t.x->count), zeros(t.w->count) };
    prop_check(t.y->count == s->maps * strided(s) * strided(s) * s->out, "%zu numbers out of a map of %zu, stride %zu", t.y->count, s->side, s->stride);
    convolve(s, &t, &r);
    near("convolution", s, t.y->count, t.y->data, r.y);
    near("its gradient by x", s, t.x->count, t.x->grad, r.dx);
    near("its gradient by w", s, t.w->count, t.w->grad, r.dw);
    for (int threads = 2; threads <= 5; threads += 3) {
        bench u;
        open_bench(&u, &an_op_conv, &attr, AN_MAT(s->maps * s->side * s->side, s->in), &w, threads);
        const int same = prop_equal(t.y->count, t.y->data, u.y->data) && prop_equal(t.x->count, t.x->grad, u.x->grad) && prop_equal(t.w->count, t.w->grad, u.w->grad);
        prop_check(same, "convolution of %zu maps of %zu: other bits on %d threads", s->maps, s->side, threads);
        close_bench(&u);
    }
    free(r.y);
    free(r.dx);
    free(r.dw);
    close_bench(&t);
}

static void check_shrink(const shape *s)
{
    if (s->out < s->in) return;
    bench t;
    const an_map_attr attr = { .side = s->side, .stride = s->stride, .channels = s->out };
    open_bench(&t, &an_op_shrink, &attr, AN_MAT(s->maps * s->side * s->side, s->in), NULL, 2);
    double *y = zeros(t.y->count), *dx = zeros(t.x->count);
    const size_t to = strided(s);
    for (size_t k = 0; k < s->maps * to * to; k++)
        for (size_t c = 0; c < s->in; c++) {
            const size_t from = ((k / (to * to) * s->side + k / to % to * s->stride) * s->side + k % to * s->stride) * s->in + c;
            y[k * s->out + c] = (double)t.x->data[from];
            dx[from] = stack_probe_weight(SEED, k * s->out + c);
        }
    near("shortcut", s, t.y->count, t.y->data, y);
    near("gradient of the shortcut", s, t.x->count, t.x->grad, dx);
    free(y);
    free(dx);
    close_bench(&t);
}

static void check_pool(const shape *s)
{
    bench t;
    const an_map_attr attr = { .side = s->side };
    const size_t area = s->side * s->side;
    open_bench(&t, &an_op_pool, &attr, AN_MAT(s->maps * area, s->in), NULL, 2);
    double *y = zeros(t.y->count), *dx = zeros(t.x->count);
    for (size_t i = 0; i < t.x->count; i++) {
        const size_t at = i / s->in / area * s->in + i % s->in;
        y[at] += (double)t.x->data[i] / (double)area;
        dx[i] = stack_probe_weight(SEED, at) / (double)area;
    }
    near("mean", s, t.y->count, t.y->data, y);
    near("gradient of the mean", s, t.x->count, t.x->grad, dx);
    free(y);
    free(dx);
    close_bench(&t);
}

/* What infer refuses, each with the step's name. */
static void refusals(void)
{
    static const struct { const an_op *op; an_map_attr attr; size_t rows, in, w; const char *says; } BAD[] = {
        { &an_op_conv, { 3, 1, 0 }, 10, 2, 18, "10 rows are no maps of 3 x 3" }, { &an_op_conv, { 0, 1, 0 }, 9, 2, 18, "no maps of 0 x 0" }, { &an_op_conv, { 3, 0, 0 }, 9, 2, 18, "a stride of 0" },
        { &an_op_conv, { 3, 1, 0 }, 9, 2, 17, "18" }, { &an_op_shrink, { 3, 2, 1 }, 9, 2, 0, "it can only add channels" }, { &an_op_pool, { 2, 0, 0 }, 9, 2, 0, "no maps of 2 x 2" } };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        const an_init init = { AN_LAW_NORMAL, 1, 0 };
        an_params params = { 0 };
        an_plan *plan = NULL;
        need(an_plan_create(&plan, &params, true));
        an_build b = { .plan = plan, .block = -1, .branch = -1, .train = true };
        an_value *x = an_param_make(&b, "x", AN_MAT(BAD[i].rows, BAD[i].in), &init, 1, AN_RULE_BARE);
        if (BAD[i].w) AN_EMIT(&b, BAD[i].op, "here", &BAD[i].attr, x, an_param_make(&b, "w", AN_MAT(4, BAD[i].w), &init, 1, AN_RULE_BARE));
        else AN_EMIT(&b, BAD[i].op, "here", &BAD[i].attr, x);
        prop_check(b.status == AN_ESHAPE && strstr(an_error_text(), "here") && strstr(an_error_text(), BAD[i].says), "refusal %zu: %s", i, b.status == AN_OK ? "none" : an_error_text());
        an_plan_destroy(&plan);
        an_params_fini(&params);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        check_conv(&SHAPES[i]);
        check_shrink(&SHAPES[i]);
        check_pool(&SHAPES[i]);
    }
    refusals();
    return prop_finish("feature maps");
}
