/* AdamW over tensors: against the formula in double, groups, clipping, the same bits for any number of threads. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "train/optimizer.h"

enum { BIG = 40000, SMALL = 7 };

typedef struct pair { an_real data[BIG + SMALL], grad[BIG + SMALL]; an_param param[2]; } pair;

static void make(pair *p)
{
    for (size_t i = 0; i < BIG + SMALL; i++) {
        p->data[i] = AN_R(sin((double)i));
        p->grad[i] = AN_R(0.01 * cos(3.0 * (double)i));
    }
    p->param[0] = (an_param){ .name = "big", .rank = 1, .dim = { BIG }, .count = BIG, .data = p->data, .grad = p->grad, .rule = { .lr = 1, .decay = 1, .eps = 1 } };
    p->param[1] = (an_param){ .name = "small", .rank = 1, .dim = { SMALL }, .count = SMALL, .data = p->data + BIG, .grad = p->grad + BIG, .rule = { .lr = 0.25, .decay = 0, .eps = 1 } };
}

static double norm_of(const pair *p)
{
    double sum = 0;
    for (size_t i = 0; i < BIG + SMALL; i++) sum += (double)p->grad[i] * (double)p->grad[i];
    return sqrt(sum);
}

static void follows_the_formula(void **state)
{
    (void)state;
    static pair p;
    static double want[BIG + SMALL], m[BIG + SMALL], v[BIG + SMALL];
    const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .grad_clip = 0.5 };
    an_optimizer *o;
    make(&p);
    for (size_t i = 0; i < BIG + SMALL; i++) want[i] = (double)p.data[i], m[i] = v[i] = 0;
    assert_ok(an_optimizer_create(&o, p.param, 2, &c));
    for (uint64_t t = 1; t <= 5; t++) {
        const double lr = 0.01 * (double)t, norm = an_optimizer_grad_norm(o, 2), scale = 0.5 / (norm + 1e-6);
        assert_true(fabs(norm - norm_of(&p)) < 1e-5 * norm);
        assert_true(norm > 0.5);
        const double clipped = an_optimizer_apply(o, lr, t, norm, 2);
        assert_true(fabs(clipped - 0.5) < 1e-5);
        for (size_t i = 0; i < BIG + SMALL; i++) {
            const double g = (double)p.grad[i] * scale, rate = i < BIG ? lr : lr * 0.25;
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.99 * v[i] + 0.01 * g * g;
            if (i < BIG) want[i] -= rate * 0.1 * want[i];
            want[i] -= rate * (m[i] / (1 - pow(0.9, (double)t))) / (sqrt(v[i] / (1 - pow(0.99, (double)t))) + 1e-8);
        }
    }
    for (size_t i = 0; i < BIG + SMALL; i++) assert_true(fabs((double)p.data[i] - want[i]) < 2e-5);
    assert_true(fabs((double)an_optimizer_get_m(o, 1)[3] - m[BIG + 3]) < 1e-7);
    assert_true(fabs((double)an_optimizer_get_v(o, 0)[BIG - 1] - v[BIG - 1]) < 1e-9);
    an_optimizer_destroy(&o);
}

/* One step from the same start, with and without groups: the rate of a matched tensor is the factor's share. */
static void groups_scale_the_rate(void **state)
{
    (void)state;
    static pair plain, scaled;
    an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8 };
    an_optimizer *o;
    make(&plain);
    assert_ok(an_optimizer_create(&o, plain.param, 2, &c));
    (void)an_optimizer_apply(o, 0.01, 1, an_optimizer_grad_norm(o, 1), 1);
    an_optimizer_destroy(&o);
    make(&scaled);
    c.lr_scale = "*=9, sm*=2 big=0.5";                 /* the last match counts */
    assert_ok(an_optimizer_create(&o, scaled.param, 2, &c));
    (void)an_optimizer_apply(o, 0.01, 1, an_optimizer_grad_norm(o, 1), 1);
    an_optimizer_destroy(&o);
    const double moved[2] = { sin(5) - (double)plain.data[5], sin(BIG + 2) - (double)plain.data[BIG + 2] };
    assert_true(fabs(sin(5) - (double)scaled.data[5] - 0.5 * moved[0]) < 1e-6 && fabs(moved[0]) > 1e-3);
    assert_true(fabs(sin(BIG + 2) - (double)scaled.data[BIG + 2] - 2 * moved[1]) < 1e-6 && fabs(moved[1]) > 1e-3);
    const char *const bad[] = { "big", "=2", "big=", "big=x", "big=-1", "big=nan", "layers.*=2" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        c.lr_scale = bad[i];
        assert_int_equal(an_optimizer_create(&o, scaled.param, 2, &c), AN_ECONFIG);
        assert_non_null(strstr(an_error_text(), "lr_scale"));
    }
}

static void no_clipping_below_the_limit(void **state)
{
    (void)state;
    static pair p;
    an_optimizer *o;
    const double limit[] = { 0, 1e9 };
    for (size_t i = 0; i < COUNT(limit); i++) {
        const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .grad_clip = limit[i] };
        make(&p);
        assert_ok(an_optimizer_create(&o, p.param, 2, &c));
        const double norm = an_optimizer_grad_norm(o, 1);
        assert_true(an_optimizer_apply(o, 0.01, 1, norm, 1) == norm);
        an_optimizer_destroy(&o);
    }
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    static pair a, b;
    const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .grad_clip = 1 };
    for (int threads = 2; threads <= 4; threads++) {
        an_optimizer *one, *many;
        make(&a);
        make(&b);
        assert_ok(an_optimizer_create(&one, a.param, 2, &c));
        assert_ok(an_optimizer_create(&many, b.param, 2, &c));
        for (uint64_t t = 1; t <= 3; t++) {
            const double x = an_optimizer_grad_norm(one, 1), y = an_optimizer_grad_norm(many, threads);
            assert_memory_equal(&x, &y, sizeof x);
            an_optimizer_apply(one, 0.01, t, x, 1);
            an_optimizer_apply(many, 0.01, t, y, threads);
        }
        assert_memory_equal(a.data, b.data, sizeof a.data);
        an_optimizer_destroy(&one);
        an_optimizer_destroy(&many);
    }
}

/* Measuring the update changes no bit of it, and what it measures is the difference of the parameters. */
static void measures_the_update(void **state)
{
    (void)state;
    static pair a, b;
    static an_real old[BIG + SMALL];
    const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .grad_clip = 0.5 };
    an_optimizer *quiet, *loud;
    make(&a);
    make(&b);
    assert_ok(an_optimizer_create(&quiet, a.param, 2, &c));
    assert_ok(an_optimizer_create(&loud, b.param, 2, &c));
    for (uint64_t t = 1; t <= 3; t++) {
        double moved[2] = { 0, 0 }, grad[2] = { 0, 0 }, weight[2] = { 0, 0 };
        memcpy(old, b.data, sizeof old);
        an_optimizer_measure(loud, true, t > 1);
        an_optimizer_apply(quiet, 0.01, t, an_optimizer_grad_norm(quiet, 1), 1);
        an_optimizer_apply(loud, 0.01, t, an_optimizer_grad_norm(loud, 3), 3);
        assert_memory_equal(a.data, b.data, sizeof a.data);
        for (size_t i = 0; i < BIG + SMALL; i++) {
            moved[i >= BIG] += ((double)b.data[i] - (double)old[i]) * ((double)b.data[i] - (double)old[i]);
            grad[i >= BIG] += (double)b.grad[i] * (double)b.grad[i];
            weight[i >= BIG] += (double)b.data[i] * (double)b.data[i];
        }
        assert_true(fabs(an_optimizer_update_norm(loud) / sqrt(moved[0] + moved[1]) - 1) < 1e-6);
        assert_true(an_optimizer_update_norm(quiet) == 0);
        const an_tensor_norms *n = an_optimizer_tensor_norms(loud);
        for (size_t p = 0; p < 2; p++) {
            if (t == 1) assert_true(n[p].update == 0);
            else assert_true(fabs(n[p].update / sqrt(moved[p]) - 1) < 1e-6 && fabs(n[p].grad / sqrt(grad[p]) - 1) < 1e-6 && fabs(n[p].weight / sqrt(weight[p]) - 1) < 1e-6);
        }
    }
    an_optimizer_destroy(&quiet);
    an_optimizer_destroy(&loud);
}

/* Lines of length 1, over shapes around the sizes of the parts; zeros stay, and what is free is not touched. */
static void lengths_of_lines(void **state)
{
    (void)state;
    static const size_t SHAPE[][2] = { { 1, 1 }, { 32, 64 }, { 33, 65 }, { 64, 31 }, { 31, 129 }, { 1, 70 }, { 70, 1 } };
    static an_real w[70 * 130];
    for (size_t k = 0; k < sizeof SHAPE / sizeof *SHAPE; k++)
        for (int unit = AN_UNIT_FREE; unit <= AN_UNIT_COLS; unit++) {
            const size_t rows = SHAPE[k][0], cols = SHAPE[k][1], lines = unit == AN_UNIT_COLS ? cols : rows, dead = lines > 1 ? lines / 2 : lines;
            for (size_t i = 0; i < rows * cols; i++) w[i] = AN_R((unit == AN_UNIT_COLS ? i % cols : i / cols) == dead ? 0 : 3 * sin(1 + (double)i));
            for (size_t part = 0; part < an_unit_parts((an_unit)unit, rows, cols); part++) an_unit_scale((an_unit)unit, rows, cols, w, part);
            for (size_t line = 0; line < lines; line++) {
                double square = 0;
                for (size_t j = 0; j < rows * cols / lines; j++) {
                    const size_t i = unit == AN_UNIT_COLS ? j * cols + line : line * cols + j;
                    square += (double)w[i] * (double)w[i];
                    if (unit == AN_UNIT_FREE && line != dead) assert_true(w[i] == AN_R(3 * sin(1 + (double)i)));
                }
                if (line == dead) assert_true(square == 0);
                else if (unit != AN_UNIT_FREE) assert_true(fabs(sqrt(square) - 1) < 2e-7);
            }
        }
}

static void one_bad_element_shows(void **state)
{
    (void)state;
    static pair p;
    an_optimizer *o;
    const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8 };
    make(&p);
    assert_ok(an_optimizer_create(&o, p.param, 2, &c));
    p.grad[BIG + 3] = AN_R(NAN);
    assert_true(isnan(an_optimizer_grad_norm(o, 1)));
    p.grad[BIG + 3] = AN_R(INFINITY);
    assert_true(isinf(an_optimizer_grad_norm(o, 1)));
    an_optimizer_destroy(&o);
    assert_null(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(follows_the_formula), cmocka_unit_test(groups_scale_the_rate), cmocka_unit_test(no_clipping_below_the_limit), cmocka_unit_test(same_bits_for_any_threads),
                                        cmocka_unit_test(measures_the_update), cmocka_unit_test(lengths_of_lines), cmocka_unit_test(one_bad_element_shows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
