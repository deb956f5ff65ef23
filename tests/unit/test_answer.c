/* The answer: every sentence holds on the numbers that theory promises, fails when its own number is planted wrong and no other does, and
 * stays open when its runs are missing; the norms on their own are what the sentences say; the page has every section. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "study/answer.h"

static an_answer_runs runs(double loss, double accuracy)
{
    return (an_answer_runs){ .label = "24", .runs = 2, .over = 2, .loss = { .n = 2, .mean = loss, .half = 0.01 }, .accuracy = { .n = 2, .mean = accuracy, .half = NAN }, .entropy = 3.2, .cell = AN_NO_CELL };
}

static an_answer_norm norm(double others, bool batchwise)
{
    an_answer_norm n = { .shift = 1e-7, .scale = 1e-7, .others = others, .pair = 1e-5 };
    for (size_t i = 0; i < AN_ANSWER_SIZES; i++) n.batch[i] = n.length[i] = others * (double)i;
    if (batchwise) snprintf(n.refusal, sizeof n.refusal, "no statistics");
    return n;
}

/* What theory promises. */
static an_answer promised(void)
{
    an_answer a = { .residual = { .sites = 48, .shortcuts = 48, .kept = 1, .reach = 2, .reach_first = 2 }, .plain = { .sites = 48, .reach = 1e-9, .reach_first = 2 },
                    .layer = norm(0, false), .batch = norm(0.1, true), .tid_mean = 0.2, .tid_dev = 0.2, .decode = { .tokens = 32, .layers = 24, .largest = 1e-6, .scale = 10, .shorter = 1e-6 } };
    for (int i = 0; i < AN_ANSWER_DEPTHS; i++) {
        a.depth[0][i] = a.image[0][i] = runs(i ? 3.2 : 2.5, i ? 0.1 : 0.6);
        a.depth[1][i] = a.image[1][i] = runs(2.4, 0.8);
    }
    for (size_t r = 0; r < AN_ANSWER_RATES; r++) {
        a.placement[r][0][0] = runs(3.2, NAN);
        a.placement[r][0][0].failed = 2;
        a.placement[r][0][1] = a.placement[r][1][0] = a.placement[r][1][1] = runs(2.3, NAN);
    }
    return a;
}

/* The verdicts as letters, "PPF...". */
static void letters(const an_answer *a, char out[32])
{
    an_findings f = { 0 };
    an_answer_judge_all(a, &f);
    assert_true(!f.failed && f.n < 32);
    for (size_t i = 0; i < f.n; i++) out[i] = an_finding_name(f.finding[i].kind)[0];
    out[f.n] = '\0';
    an_findings_fini(&f);
}

static const char ALL[] = "PPPPPPPPPPPPPPPPPP";

static void what_is_promised_holds(void **state)
{
    char said[32];
    (void)state;
    const an_answer a = promised();
    letters(&a, said);
    assert_string_equal(said, ALL);
}

/* One wrong number each: the place of the verdict that must fall, in the order of the page. */
static void each_sentence_can_fail(void **state)
{
    static const size_t LAST = AN_ANSWER_SIZES - 1;
    char said[32], wanted[32];
    (void)state;
    for (int i = 0; ; i++) {
        an_answer a = promised();
        size_t falls, falls_too = 99;
        switch (i) {
        case 0: a.residual.kept = 0.5; falls = 0; break;
        case 1: a.residual.shortcuts = 47; falls = 0; falls_too = 1; break;
        case 2: a.plain.shortcuts = 1; falls = 0; break;
        case 3: a.residual.reach = 1e-3; falls = 1; break;
        case 4: a.plain.reach = 0.5; falls = 1; break;
        case 5: a.depth[1][2].loss.mean = 3.1; falls = 2; break;
        case 6: a.depth[1][2].loss.n = 1; falls = 2; break;
        case 7: a.depth[0][0].loss.mean = 3.15; falls = 3; break;
        case 8: a.image[0][0].loss.mean = 3.15; falls = 4; break;
        case 9: a.image[1][2].loss.mean = 3; falls = 5; break;
        case 10: a.layer.shift = 0.1; falls = 6; break;
        case 11: a.layer.scale = 0.1; falls = 6; break;
        case 12: a.layer.batch[LAST] = 0.1; falls = 7; break;
        case 13: snprintf(a.layer.refusal, sizeof a.layer.refusal, "no"); falls = 7; break;
        case 14: a.layer.length[3] = 0.1; falls = 8; break;
        case 15: a.batch.others = 0; falls = 9; break;
        case 16: a.batch.pair = 0.3; falls = 10; break;
        case 29: a.batch.batch[3] = a.batch.batch[2]; falls = 10; break;
        case 30: a.decode.largest = NAN; falls = 13; break;
        case 17: a.batch.refusal[0] = '\0'; falls = 10; break;
        case 18: a.batch.length[LAST] = 0; falls = 11; break;
        case 19: a.batch.inference = 0.1; falls = 12; break;
        case 20: a.tid_mean = a.tid_dev = 0; falls = 12; break;
        case 21: a.decode.largest = 0.1; falls = 13; break;
        case 22: a.decode.shorter = 0.1; falls = 13; break;
        case 23: a.placement[0][0][0].failed = 1; falls = 14; break;
        case 24: a.placement[0][1][0].loss.mean = 2.6; falls = 15; break;
        case 25: a.placement[0][1][0].loss.n = 1; falls = 15; break;
        case 26: a.placement[1][0][0].failed = 0; falls = 16; break;
        case 27: a.placement[1][0][1].failed = 1; falls = 16; break;
        case 28: a.placement[1][1][0].loss.mean = 2.6; falls = 17; break;
        default: return;
        }
        memcpy(wanted, ALL, sizeof ALL);
        wanted[falls] = 'F';
        if (falls_too < sizeof ALL - 1) wanted[falls_too] = 'F';
        letters(&a, said);
        if (strcmp(said, wanted) != 0) fail_msg("wrong number %d: %s, not %s", i, said, wanted);
    }
}

/* A plain run that diverges is the worst of results, not a missing one. */
static void divergence_is_a_result(void **state)
{
    char said[32];
    (void)state;
    an_answer a = promised();
    a.depth[0][2].loss = a.image[0][2].loss = a.placement[0][0][0].loss = (an_mean){ .n = 0, .mean = NAN, .half = NAN };
    letters(&a, said);
    assert_string_equal(said, ALL);
}

static void without_runs_it_is_open(void **state)
{
    char said[32];
    (void)state;
    const an_answer full = promised();
    const an_answer a = { .layer = full.layer, .batch = full.batch, .tid_mean = NAN, .tid_dev = NAN };
    letters(&a, said);
    assert_string_equal(said, "OOOOOOPPPPPPOOOOOO");
}

static void norms_on_their_own(void **state)
{
    an_answer_norm layer, batch;
    (void)state;
    assert_ok(an_answer_try_norm("layernorm", &layer));
    assert_ok(an_answer_try_norm("batchnorm", &batch));
    an_answer a = promised();
    char said[32];
    a.layer = layer;
    a.batch = batch;
    letters(&a, said);
    assert_string_equal(said, ALL);
    assert_true(layer.others == 0 && layer.batch[3] == 0 && layer.length[3] == 0 && batch.batch[0] == 0 && isnan(batch.batch[AN_ANSWER_SIZES - 1]));
    assert_true(batch.others > 0.3 && batch.batch[5] > batch.batch[3] && batch.batch[3] > batch.batch[1]);
    assert_non_null(strstr(batch.refusal, "1 token"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_promised_holds), cmocka_unit_test(each_sentence_can_fail), cmocka_unit_test(divergence_is_a_result), cmocka_unit_test(without_runs_it_is_open),
        cmocka_unit_test(norms_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
