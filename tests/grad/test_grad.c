/* tests/grad/test_grad.c
 * Is every model the derivative of its forward? The whole product norms x designs x positions x activations x
 * architectures in double; then with dropout, recomputation and without fusion; then 1 % planted into single gains,
 * which every affected case must notice. */
#include <stdio.h>
#include <string.h>

#include "net/gradcheck.h"

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

/* Every norm gain and bias of the model, one at a time. */
static void plant_all(const char *settings)
{
    char name[128];
    int planted = 0;
    for (size_t i = 0; an_f64_gradcheck_tensor(settings, i, name, sizeof name); i++) {
        if (!strstr(name, "gain") && !strstr(name, "norm")) continue;
        expect(settings, name, AN_GRADCHECK_FAIL);
        planted++;
    }
    if (planted == 0 && !strstr(settings, "norm_affine=false")) {
        bad++;
        printf("FAIL %s: no gain to plant an error in\n", settings);
    }
}

int main(void)
{
    static const char *const EXTRA[] = { "dropout=0.3", "recompute=block", "recompute=block dropout=0.3", "fuse=false", "fuse=false recompute=block", "tie_embeddings=false",
                                         "bias=false", "tie_embeddings=false recompute=block dropout=0.2 position=rotary activation=swiglu" };
    char settings[512], more[640];
    for (size_t i = 0; an_gradcheck_case(i, NULL, NULL, NULL, settings, sizeof settings); i++) expect(settings, NULL, AN_GRADCHECK_PASS);
    const int product = seen;
    for (size_t i = 0; an_gradcheck_case(i, NULL, NULL, NULL, settings, sizeof settings); i++) {
        if (!strstr(settings, "position=learned activation=gelu_tanh")) continue;
        *strstr(settings, " position=") = '\0';
        plant_all(settings);
        for (size_t k = 0; k < sizeof EXTRA / sizeof *EXTRA; k++) {
            snprintf(more, sizeof more, "%s %s", settings, EXTRA[k]);
            expect(more, NULL, AN_GRADCHECK_PASS);
        }
    }
    expect("design=no-such-design", NULL, AN_GRADCHECK_SKIPPED);
    printf("%d cases of the product, %d in all\n%d passed, %d failed\n", product, seen, seen - bad, bad);
    return bad != 0 || product < 100;
}
