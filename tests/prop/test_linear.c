/* Linear layers, op by op: tiles that share packed operands, and stretches of rows added up one after the other, give what the formula gives in
 * double, in whatever order the parts of a phase run; so does the output head, whose chunks of rows go the same way. */
#include "prop.h"

#include "op/linear.h"

enum { X, W, B };
enum { SEED = 17, BEHIND = 1 << 17 };

typedef struct bench {
    size_t n, in, out;
    an_value x, w, b, y;
    an_value *value[3];
    bool acc[3], shared[3];
    an_step step;
    an_run run;
    an_real *work;
    double *wide_x, *wide_w, *wide_dy;      /* what is stored, in double */
} bench;

/* The same numbers as they lie in memory, and in double as they are then. */
static an_real *stored(an_real *x, size_t n, an_store store, double *wide)
{
    if (store == AN_STORE_REAL) {
        for (size_t i = 0; i < n; i++) wide[i] = (double)x[i];
        return x;
    }
    an_bf16 *low = prop_room(n, sizeof *low);
    for (size_t i = 0; i < n; i++) wide[i] = an_bf16_widen(low[i] = an_bf16_round((float)x[i]));
    free(x);
    return (an_real *)(void *)low;
}

static double element(const an_real *x, an_store store, size_t i) { return store == AN_STORE_REAL ? (double)x[i] : (double)an_bf16_widen(((const an_bf16 *)(const void *)x)[i]); }

static an_value matrix(const char *name, size_t n, size_t c, an_store store, an_store grad_store, uint64_t what)
{
    return (an_value){ .name = name, .home = name[0] == 'w' ? AN_HOME_PARAM : AN_HOME_ACT, .dims = AN_MAT(n, c), .count = n * c, .store = store, .grad_store = grad_store, .data = prop_random(n * c, SEED, what), .grad = prop_random(n * c, SEED, what + 1) };
}

/* What a product makes of reals where its unit multiplies bfloat16. */
static void as_multiplied(size_t n, double *wide)
{
#ifndef AN_F64
    for (size_t i = 0; i < n && an_gemm_get()->low_unit; i++) wide[i] = an_bf16_widen(an_bf16_round((float)wide[i]));
#else
    (void)n, (void)wide;
#endif
}

/* low: x, y and dy lie as bfloat16, and dx is rounded; w stays real, as a master does that has no copy. */
static void bench_open(bench *b, size_t n, size_t in, size_t out, bool bias, bool add, bool low)
{
    const an_store store = low ? AN_STORE_BF16 : AN_STORE_REAL;
    *b = (bench){ .n = n, .in = in, .out = out, .acc = { add && !low, add, add } };      /* no op adds to a gradient that is stored rounded */
    b->x = matrix("x", n, in, store, store, 1);
    b->w = matrix("w", out, in, AN_STORE_REAL, AN_STORE_REAL, 3);
    b->b = (an_value){ .name = "b", .dims = AN_VEC(out), .count = out, .data = prop_random(out, SEED, 5), .grad = prop_random(out, SEED, 6) };
    b->y = matrix("y", n, out, store, store, 7);
    b->wide_x = prop_room(n * in, sizeof(double));
    b->wide_w = prop_room(out * in, sizeof(double));
    b->wide_dy = prop_room(n * out, sizeof(double));
    b->x.data = stored(b->x.data, b->x.count, store, b->wide_x);
    b->w.data = stored(b->w.data, b->w.count, AN_STORE_REAL, b->wide_w);
    if (low) as_multiplied(b->w.count, b->wide_w);
    b->y.grad = stored(b->y.grad, b->y.count, store, b->wide_dy);
    b->value[X] = &b->x, b->value[W] = &b->w, b->value[B] = bias ? &b->b : NULL;
    b->step = (an_step){ .op = &an_op_linear, .name = "linear", .in = b->value, .n_in = 3, .out = { &b->y }, .acc = b->acc, .shared = b->shared, .low = low, .mixed = low };
    const size_t forward = an_op_linear.work(&b->step, AN_FORWARD), backward = an_op_linear.work(&b->step, AN_BACKWARD);
    b->step.work = prop_random(forward > backward ? forward : backward, SEED, 9);
    b->work = prop_room(an_op_linear.thread_work(&b->step), sizeof(an_real));
    b->run = (an_run){ .k = an_kern_get(), .gemm = an_gemm_get(), .train = true, .thread_work = &b->work, .far_grads = bias, .far_saved = !bias };   /* hints change no bit */
}

static void bench_close(bench *b)
{
    void *const mine[] = { b->x.data, b->x.grad, b->w.data, b->w.grad, b->b.data, b->b.grad, b->y.data, b->y.grad, b->step.work, b->work, b->wide_x, b->wide_w, b->wide_dy };
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) free(mine[i]);
}

/* The parts of all phases; how many phases there are. */
static size_t run_parts(bench *b, an_direction dir, bool backwards)
{
    const an_op *op = b->step.op;
    size_t n, phases = 0;
    for (int phase = 0; (n = op->parts(&b->step, dir, phase)) != 0; phase++) {
        if (n == AN_SKIP_PHASE) continue;
        phases++;
        for (size_t i = 0; i < n; i++) {
            const an_part p = { phase, backwards ? n - 1 - i : i, n, 0 };
            (dir == AN_FORWARD ? op->forward : op->backward)(&b->run, &b->step, &p);
        }
    }
    return phases;
}

/* One number held against the formula: `terms` products in any order, each rounded, and one rounding more where it is stored so. */
static void hold(const char *what, const char *of, size_t at, double got, double want, double mag, size_t terms, an_store store)
{
    const double bound = ((double)terms + 2) / 2 * AN_REAL_EPS * mag + (store == AN_STORE_REAL ? 0 : 0x1p-8 * fabs(want));
    prop_check(fabs(got - want) <= bound, "%s: %s[%zu] is %.9g, by the formula %.9g (bound %.1e)", what, of, at, got, want, bound);
}

static void hold_all(const bench *b, const char *what, const an_real *dx0, const an_real *dw0, const an_real *db0)
{
    const size_t n = b->n, in = b->in, out = b->out, step = n * in * out > 8000000 ? 7 : 1;      /* of large ones a seventh */
    for (size_t e = 0; e < n * out; e += step) {
        double sum = b->value[B] ? (double)b->b.data[e % out] : 0, mag = fabs(sum);
        for (size_t k = 0; k < in; k++) {
            const double t = b->wide_x[e / out * in + k] * b->wide_w[e % out * in + k];
            sum += t, mag += fabs(t);
        }
        hold(what, "y", e, element(b->y.data, b->y.store, e), sum, mag, in + 1, b->y.store);
    }
    for (size_t e = 0; e < n * in; e += step) {
        double sum = b->acc[X] ? (double)dx0[e] : 0, mag = fabs(sum);
        for (size_t k = 0; k < out; k++) {
            const double t = b->wide_dy[e / in * out + k] * b->wide_w[k * in + e % in];
            sum += t, mag += fabs(t);
        }
        hold(what, "dx", e, element(b->x.grad, b->x.grad_store, e), sum, mag, out + 1, b->x.grad_store);
    }
    for (size_t e = 0; e < out * in; e += step) {
        double sum = b->acc[W] ? (double)dw0[e] : 0, mag = fabs(sum);
        for (size_t k = 0; k < n; k++) {
            const double t = b->wide_dy[k * out + e / in] * b->wide_x[k * in + e % in];
            sum += t, mag += fabs(t);
        }
        hold(what, "dw", e, (double)b->w.grad[e], sum, mag, n + 1, AN_STORE_REAL);
    }
    for (size_t e = 0; e < out && b->value[B]; e++) {
        double sum = b->acc[B] ? (double)db0[e] : 0, mag = fabs(sum);
        for (size_t k = 0; k < n; k++) sum += b->wide_dy[k * out + e], mag += fabs(b->wide_dy[k * out + e]);
        hold(what, "db", e, (double)b->b.grad[e], sum, mag, n + 1, AN_STORE_REAL);
    }
}

/* Shapes on both sides of every choice: one tile or several, one stretch of rows or several, the last one short, widths that are no multiple
 * of a unit. phases: of the backward pass, where operands are packed ahead. */
static const struct { size_t n, in, out, phases; } SHAPES[] = {
    { 1, 5, 3, 1 }, { 24, 16, 40, 1 }, { 300, 96, 80, 2 }, { 385, 130, 53, 3 }, { 777, 52, 131, 4 }, { 1030, 64, 200, 4 }, { 600, 17, 400, 3 }, { 530, 400, 19, 3 }, { 256, 384, 384, 2 },
};

static void a_layer(size_t shape, bool bias, bool add, bool low)
{
    bench b, c;
    char what[120];
    const size_t n = SHAPES[shape].n, in = SHAPES[shape].in, out = SHAPES[shape].out;
    snprintf(what, sizeof what, "%zu rows, %zu to %zu%s%s%s", n, in, out, bias ? ", bias" : "", add ? ", added" : "", low ? ", bf16" : "");
    bench_open(&b, n, in, out, bias, add, low);
    bench_open(&c, n, in, out, bias, add, low);
    an_real *dx0 = prop_random(n * in, SEED, 2), *dw0 = prop_random(out * in, SEED, 4), *db0 = prop_random(out, SEED, 6);
    run_parts(&b, AN_FORWARD, false);
    run_parts(&c, AN_FORWARD, true);
    const size_t phases = run_parts(&b, AN_BACKWARD, false);
    run_parts(&c, AN_BACKWARD, true);
    hold_all(&b, what, dx0, dw0, db0);
    const an_gemm_packing *ahead = low ? an_gemm_get()->ahead_low : an_gemm_get()->ahead;
    const size_t fewer = low ? (n + 383) / 384 - (n + 1023) / 1024 : 0;      /* longer stretches */
    prop_check(!ahead || phases == SHAPES[shape].phases - fewer, "%s: %zu phases backwards, expected %zu", what, phases, SHAPES[shape].phases - fewer);
    prop_check(memcmp(b.y.data, c.y.data, b.y.count * (low ? sizeof(an_bf16) : sizeof(an_real))) == 0, "%s: the order of parts changes y", what);
    prop_check(memcmp(b.x.grad, c.x.grad, b.x.count * (low ? sizeof(an_bf16) : sizeof(an_real))) == 0, "%s: the order of parts changes dx", what);
    prop_check(prop_equal(b.w.count, b.w.grad, c.w.grad) && prop_equal(out, b.b.grad, c.b.grad), "%s: the order of parts changes dw or db", what);
    free(dx0);
    free(dw0);
    free(db0);
    bench_close(&b);
    bench_close(&c);
}

/* Without the gradient of x, or that of w, the other one keeps its bits. */
static void one_gradient(size_t shape)
{
    bench all, some;
    for (int wanted = X; wanted <= W; wanted++) {
        bench_open(&all, SHAPES[shape].n, SHAPES[shape].in, SHAPES[shape].out, true, false, false);
        bench_open(&some, SHAPES[shape].n, SHAPES[shape].in, SHAPES[shape].out, true, false, false);
        an_value *other = some.value[wanted == X ? W : X], *mine = some.value[wanted], *same = all.value[wanted];
        an_real *kept = other->grad;
        other->grad = NULL;
        run_parts(&all, AN_BACKWARD, false);
        run_parts(&some, AN_BACKWARD, false);
        prop_check(prop_equal(mine->count, mine->grad, same->grad), "%zu rows: the gradient of %s alone is another", SHAPES[shape].n, mine->name);
        other->grad = kept;
        bench_close(&all);
        bench_close(&some);
    }
}

/* The head: logits and their softmax in double, row by row. */
static void a_head(size_t n, size_t c, size_t v, bool mixed)
{
    char what[80];
    snprintf(what, sizeof what, "head of %zu rows, %zu to %zu%s", n, c, v, mixed ? ", mixed precision" : "");
    an_value x = matrix("x", n, c, AN_STORE_REAL, AN_STORE_REAL, 1), w = matrix("w", v, c, AN_STORE_REAL, AN_STORE_REAL, 3);
    for (size_t i = 0; i < v * c; i++) w.data[i] *= AN_R(0.1);
    for (size_t i = 0; mixed && i < v * c; i++) w.data[i] = an_bf16_widen(an_bf16_round((float)w.data[i]));   /* so that only dz is rounded */
    for (size_t i = 0; mixed && i < n * c; i++) x.data[i] = an_bf16_widen(an_bf16_round((float)x.data[i]));
    int32_t *target = prop_room(n, sizeof *target);
    for (size_t i = 0; i < n; i++) target[i] = i % 5 == 4 ? -1 : (int32_t)(i * 31 % v);
    size_t counted = 0;
    for (size_t i = 0; i < n; i++) counted += target[i] >= 0;
    an_value t = { .name = "target", .dims = AN_VEC(n), .count = n, .home = AN_HOME_INPUT, .tokens = target }, loss = { .name = "loss", .dims = AN_VEC(1), .count = 1, .data = prop_random(1, SEED, 5), .grad = prop_random(1, SEED, 6) };
    an_value *in[] = { &x, &w, &t };
    bool acc[3] = { false }, shared[3] = { false };
    const an_xent_attr attr = { 0 };
    an_step s = { .op = &an_op_head_xent, .name = "head", .attr = &attr, .in = in, .n_in = 3, .out = { &loss }, .n_out = 1, .acc = acc, .shared = shared, .mixed = mixed };
    s.work = prop_random(an_op_head_xent.work(&s, AN_BACKWARD), SEED, 9);
    const size_t room = an_op_head_xent.thread_work(&s);
    an_real *work = prop_room(room + BEHIND, sizeof *work);
    for (size_t i = 0; i < BEHIND; i++) work[room + i] = AN_R(7.5);
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .train = true, .late = true, .loss_scale = 1, .n_target = counted, .thread_work = &work, .far_grads = n % 2 == 0 };
    bench b = { .step = s, .run = run };
    run_parts(&b, AN_BACKWARD, true);
    size_t strayed = 0;
    for (size_t i = 0; i < BEHIND; i++) strayed += work[room + i] != AN_R(7.5);
    prop_check(strayed == 0, "%s: a part wrote behind the %zu reals that it has on its thread", what, room);

    double *dx = prop_room(n * c, sizeof *dx), *dw = prop_room(v * c, sizeof *dw), *mag_dw = prop_room(v * c, sizeof *mag_dw), *mag_dx = prop_room(n * c, sizeof *mag_dx), *z = prop_room(v, sizeof *z), sum_loss = 0;
    for (size_t i = 0; i < n; i++) {
        double most = -INFINITY, sum = 0;
        for (size_t j = 0; j < v; j++) {
            z[j] = 0;
            for (size_t k = 0; k < c; k++) z[j] += (double)x.data[i * c + k] * (double)w.data[j * c + k];
            most = fmax(most, z[j]);
        }
        for (size_t j = 0; j < v; j++) sum += exp(z[j] - most);
        if (target[i] < 0) continue;
        sum_loss += (most + log(sum) - z[target[i]]) / (double)counted;
        for (size_t j = 0; j < v; j++) {
            const double dz = (exp(z[j] - most) / sum - (j == (size_t)target[i])) / (double)counted;
            for (size_t k = 0; k < c; k++) {
                dx[i * c + k] += dz * (double)w.data[j * c + k];
                dw[j * c + k] += dz * (double)x.data[i * c + k];
                mag_dw[j * c + k] += fabs(dz * (double)x.data[i * c + k]);
                mag_dx[i * c + k] += fabs(dz * (double)w.data[j * c + k]);
            }
        }
    }
    /* A probability is off by the roundings of its logit (c terms of about one) and of the exponential: a share of 4 (sqrt(c) + 4) eps of each term is ample. */
    const double share = 4 * (sqrt((double)c) + 4) * AN_REAL_EPS, rounded = mixed ? 0x1.01p-7 : 0;   /* of the exponential to bfloat16, and of dz */
    prop_check(fabs((double)loss.data[0] - sum_loss) <= share * sum_loss, "%s: loss %.9g, by the formula %.9g", what, (double)loss.data[0], sum_loss);
    for (size_t e = 0; e < n * c; e++) prop_check(fabs((double)x.grad[e] - dx[e]) <= share * 4 / (double)counted + rounded * mag_dx[e], "%s: dx[%zu] is %.9g, by the formula %.9g", what, e, (double)x.grad[e], dx[e]);
    for (size_t e = 0; e < v * c; e++)
        prop_check(fabs((double)w.grad[e] - dw[e]) <= (share + rounded + (double)n / 2 * AN_REAL_EPS) * mag_dw[e], "%s: dw[%zu] is %.9g, by the formula %.9g", what, e, (double)w.grad[e], dw[e]);
    void *const mine[] = { x.data, x.grad, w.data, w.grad, loss.data, loss.grad, b.step.work, work, target, dx, dw, mag_dw, mag_dx, z };
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) free(mine[i]);
}

/* A grid moved down to whole units still covers every element once, and begins at units inside. */
static void units(void)
{
    static const size_t UNITS[] = { 1, 6, 14, 16, 32 }, SIDES[] = { 1, 15, 17, 130, 512, 1001, 50257 };
    enum { N_UNITS = sizeof UNITS / sizeof *UNITS, N_SIDES = sizeof SIDES / sizeof *SIDES };
    for (size_t a = 0; a < N_SIDES; a++)
        for (size_t b = 0; b < N_SIDES; b++)
            for (size_t u = 0; u < 2 * N_UNITS * N_UNITS; u++) {
                const size_t m = SIDES[a], n = SIDES[b], um = UNITS[u / 2 / N_UNITS], un = UNITS[u / 2 % N_UNITS];
                const an_tiles t = an_tiles_make(m, n, 777, u % 2 == 1);
                size_t area = 0, i = 0, j = 0, wrong = 0;
                for (size_t k = 0; k < an_tiles_count(&t); k++) {
                    const an_tile at = an_tiles_at_units(&t, k, um, un);
                    if (k % t.grid_m == 0) i = 0;
                    wrong += at.j != j || at.i != i || at.i % um || at.j % un;
                    i += at.m;
                    if (k % t.grid_m + 1 == t.grid_m) j += at.n;
                    area += at.m * at.n;
                }
                prop_check(wrong == 0 && area == m * n, "%zu x %zu in units of %zu x %zu: %zu tiles out of place, %zu elements", m, n, um, un, wrong, area);
            }
}

int main(void)
{
    units();
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        for (int k = 0; k < 4; k++) a_layer(i, k & 1, k >> 1, false);
        one_gradient(i);
        if (sizeof(an_real) == 4) a_layer(i, true, i % 2, true);
    }
    for (int mixed = 0; mixed <= (sizeof(an_real) == 4); mixed++) {
        a_head(40, 16, 30, mixed);
        a_head(1030, 48, 300, mixed);      /* two chunks and a rest */
        a_head(513, 400, 401, mixed);      /* several tiles each way */
        a_head(70, 200, 4100, mixed);      /* a large vocabulary */
        a_head(1524, 48, 512, mixed);      /* the rest is cut into higher tiles than the chunk before it */
    }
    return prop_finish("linear layers in parts");
}
