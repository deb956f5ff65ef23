/* tests/grad/test_grad.c
 * Is every model the derivative of its forward? The whole product norms x designs x positions x activations x
 * architectures in double; then with dropout, recomputation and without fusion; then 1 % planted into single gains,
 * which every affected case must notice. */
#include <stdio.h>
#include <string.h>

#include "net/design.h"
#include "net/gradcheck.h"
#include "net/norm.h"

static int bad, seen;

static void expect(const char *settings, const char *plant, an_gradcheck_status want)
{
    an_gradcheck_result r;
    an_f64_gradcheck(settings, plant, plant ? 1.01 : 1, &r);
    seen++;
    if (r.status == want) return;
    bad++;
    printf("FAIL %s%s%s: %s, expected %s; worst %s %.2e (%.12g, by differences %.12g) %s\n", settings, plant ? " with 1 % planted in " : "", plant ? plant : "",
           an_gradcheck_status_name(r.status), an_gradcheck_status_name(want), r.tensor, r.worst, r.analytic, r.numeric, r.message);
}

/* A case of the product passes, or says why it cannot be built. */
static int skipped;
static int expect_product(const char *settings)
{
    an_gradcheck_result r;
    an_f64_gradcheck(settings, NULL, 1, &r);
    if (r.status != AN_GRADCHECK_SKIPPED || !r.message[0]) {
        expect(settings, NULL, AN_GRADCHECK_PASS);
        return r.status == AN_GRADCHECK_PASS;
    }
    skipped++;
    return 0;
}

/* Every design passes with some norm and every norm with some design: what is skipped everywhere is not covered at all. */
static void all_covered(void)
{
    char settings[512];
    for (size_t d = 0; an_design_at(d); d++) {
        int passed = 0;
        for (size_t i = 0; !passed && an_gradcheck_case(i, NULL, an_design_name(d), NULL, settings, sizeof settings); i++) passed = expect_product(settings);
        if (!passed) bad++, printf("FAIL design %s: no case of it passes\n", an_design_name(d));
    }
    for (size_t k = 0; an_norm_at(k); k++) {
        int passed = 0;
        for (size_t i = 0; !passed && an_gradcheck_case(i, an_norm_name(k), NULL, NULL, settings, sizeof settings); i++) passed = expect_product(settings);
        if (!passed && !an_norm_at(k)->surrogate) bad++, printf("FAIL norm %s: no case of it passes\n", an_norm_name(k));
    }
}

/* Every norm gain and bias of the model, one at a time; where there is none, the first tensor. */
static void plant_all(const char *settings)
{
    char name[128];
    int planted = 0;
    for (size_t i = 0; an_f64_gradcheck_tensor(settings, i, name, sizeof name); i++) {
        if (!strstr(name, "gain") && !strstr(name, "norm")) continue;
        expect(settings, name, AN_GRADCHECK_FAIL);
        planted++;
    }
    if (planted == 0 && an_f64_gradcheck_tensor(settings, 0, name, sizeof name)) {   /* designs without norms, norms without parameters */
        expect(settings, name, AN_GRADCHECK_FAIL);
        planted++;
    }
    if (planted == 0) bad++, printf("FAIL %s: no tensor to plant an error in\n", settings);
}

int main(void)
{
    static const char *const EXTRA[] = { "dropout=0.3", "recompute=block", "recompute=block dropout=0.3", "fuse=false", "fuse=false recompute=block", "tie_embeddings=false",
                                         "bias=false", "tie_embeddings=false recompute=block dropout=0.2 position=rotary activation=swiglu" };
    char settings[512], more[640];
    for (size_t i = 0; an_gradcheck_case(i, NULL, NULL, NULL, settings, sizeof settings); i++) expect_product(settings);
    const int product = seen;
    for (size_t i = 0; an_gradcheck_case(i, NULL, NULL, NULL, settings, sizeof settings); i++) {
        an_gradcheck_result r;
        if (!strstr(settings, "position=learned activation=gelu_tanh")) continue;
        an_f64_gradcheck(settings, NULL, 1, &r);
        if (r.status == AN_GRADCHECK_SKIPPED) continue;
        *strstr(settings, " position=") = '\0';
        plant_all(settings);
        for (size_t k = 0; k < sizeof EXTRA / sizeof *EXTRA; k++) {
            snprintf(more, sizeof more, "%s %s", settings, EXTRA[k]);
            expect(more, NULL, AN_GRADCHECK_PASS);
        }
    }
    all_covered();
    expect("design=no-such-design", NULL, AN_GRADCHECK_SKIPPED);
    printf("%d cases of the product, %d in all, %d skipped with a reason\n%d passed, %d failed\n", product, seen, skipped, seen - bad, bad);
    return bad != 0 || product < 100;
}
