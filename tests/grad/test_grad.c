/* tests/grad/test_grad.c
 * Is every model the derivative of its forward? The whole product norms x designs x positions x activations x
 * architectures in double; then with dropout, recomputation and without fusion; then 1 % planted into single gains, biases
 * and scales, which every affected case must notice.
 *     test_grad            all of it
 *     test_grad STRIDE     one case of STRIDE (under sanitizers, where each costs ten times as much) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/threads.h"
#include "net/design.h"
#include "net/gradcheck.h"
#include "net/norm.h"

/* What every pair is tried with besides; a pair may refuse one with a reason, but no setting may be refused by all. */
static const char *const EXTRA[] = { "dropout=0.3", "recompute=block", "recompute=block dropout=0.3", "fuse=false z_loss=0.2", "fuse=false recompute=block", "tie_embeddings=false z_loss=0.2",
                                     "bias=false", "n_head=4 n_kv_head=2 qk_norm=full value_residual=learned position=rotary", "tie_embeddings=false recompute=block dropout=0.2 position=rotary activation=swiglu" };

/* One model to test; a planted error must be seen. Of the product: skipped with a reason is a good answer, too. */
typedef struct job {
    char settings[1024], plant[128];
    int product;
    an_gradcheck_result result;
} job;

typedef struct jobs { job *list; size_t n, room, done; } jobs;

static void add(jobs *all, const char *settings, const char *plant, int product)
{
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 1024;
        all->list = realloc(all->list, all->room * sizeof *all->list);
        if (!all->list) exit(1);
    }
    job *j = &all->list[all->n++];
    if (strlen(settings) >= sizeof j->settings) exit(1);
    strcpy(j->settings, settings);
    snprintf(j->plant, sizeof j->plant, "%s", plant ? plant : "");
    j->product = product;
}

static void run_one(void *context, size_t i, int thread)
{
    jobs *all = context;
    job *j = &all->list[all->done + i];
    (void)thread;
    an_f64_gradcheck(j->settings, j->plant[0] ? j->plant : NULL, j->plant[0] ? 1.01 : 1, &j->result);
}

static void run_new(jobs *all)
{
    an_parallel_for(an_threads_available(), all->n - all->done, run_one, all);
    all->done = all->n;
}

static int skipped_with_reason(const job *j) { return j->product && j->result.status == AN_GRADCHECK_SKIPPED && j->result.message[0]; }

static int is_good(const job *j)
{
    return skipped_with_reason(j) || j->result.status == (j->plant[0] ? AN_GRADCHECK_FAIL : AN_GRADCHECK_PASS);
}

/* Models of images, where each case costs more: those that are tried further. */
static const char *const IMAGES[] = { "arch=resnet design=plain norm=batchnorm", "arch=resnet design=pre-ln norm=batchnorm", "arch=resnet design=post-ln norm=layernorm" };

/* The settings without position and activation, of cases that are tried further; 0: this one is not. */
static int tried_further(const job *j, char *settings)
{
    strcpy(settings, j->settings);
    if (j->result.status == AN_GRADCHECK_SKIPPED) return 0;
    for (size_t i = 0; i < sizeof IMAGES / sizeof *IMAGES; i++)
        if (strcmp(settings, IMAGES[i]) == 0) return 1;
    if (!strstr(settings, "position=learned activation=gelu_tanh")) return 0;
    *strstr(settings, " position=") = '\0';
    return 1;
}

/* Every gain, bias and scale of norms and designs and every tensor of a convolution, one at a time; the last tensor of a model that has none of them. */
static void plant_all(jobs *all, const char *settings)
{
    static const char *const PARTS[] = { "gain", "norm", "scale", "alpha", "shift", "conv" };
    char name[128];
    int planted = 0;
    for (size_t i = 0; an_f64_gradcheck_tensor(settings, i, name, sizeof name); i++) {
        size_t k = 0;
        while (k < sizeof PARTS / sizeof *PARTS && !strstr(name, PARTS[k])) k++;
        if (k == sizeof PARTS / sizeof *PARTS) continue;
        add(all, settings, name, 0);
        planted++;
    }
    if (planted == 0) add(all, settings, name, 0);
}

/* Does a case with this word among its settings pass? */
static int covered(const jobs *all, size_t product, const char *key, const char *name)
{
    char word[128];
    snprintf(word, sizeof word, " %s=%s ", key, name);
    for (size_t i = 0; i < product; i++)
        if (strstr(all->list[i].settings, word) && all->list[i].result.status == AN_GRADCHECK_PASS) return 1;
    printf("FAIL %s %s: no case of it passes\n", key, name);
    return 0;
}

static int extra_covered(const jobs *all, size_t product, const char *extra)
{
    for (size_t i = product; i < all->n; i++) {
        const job *j = &all->list[i];
        const size_t n = strlen(j->settings), m = strlen(extra);
        if (!j->plant[0] && n > m && strcmp(j->settings + n - m, extra) == 0 && j->result.status == AN_GRADCHECK_PASS) return 1;
    }
    printf("FAIL %s: no case with it passes\n", extra);
    return 0;
}

static int report(const jobs *all, size_t product, size_t stride)
{
    size_t bad = 0, skipped = 0;
    for (size_t i = 0; i < all->n; i++) {
        const job *j = &all->list[i];
        const an_gradcheck_result *r = &j->result;
        skipped += (size_t)skipped_with_reason(j);
        if (is_good(j)) continue;
        bad++;
        printf("FAIL %s%s%s: %s, expected %s; worst %s %.2e (%.12g, by differences %.12g) %s\n", j->settings, j->plant[0] ? " with 1 % planted in " : "", j->plant,
               an_gradcheck_status_name(r->status), j->plant[0] ? "FAIL" : "PASS", r->tensor, r->worst, r->analytic, r->numeric, r->message);
    }
    for (size_t i = 0; stride == 1 && an_design_at(i); i++) bad += !covered(all, product, "design", an_design_name(i));
    for (size_t i = 0; stride == 1 && an_norm_at(i); i++) bad += !an_norm_at(i)->surrogate && !covered(all, product, "norm", an_norm_name(i));
    for (size_t i = 0; i < sizeof EXTRA / sizeof *EXTRA; i++) bad += !extra_covered(all, product, EXTRA[i]);
    printf("%zu cases of the product, %zu in all, %zu skipped with a reason\n%zu passed, %zu failed\n", product, all->n, skipped, all->n - bad, bad);
    return bad != 0 || product < 100;
}

int main(int argc, char **argv)
{
    const size_t stride = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    char settings[sizeof((job *)0)->settings], more[2 * sizeof settings];
    jobs all = { 0 };
    if (stride == 0) return 2;
    for (size_t i = 0; an_gradcheck_case(i, NULL, NULL, NULL, settings, sizeof settings); i += stride) add(&all, settings, NULL, 1);
    const size_t product = all.n;
    run_new(&all);
    for (size_t i = 0; i < product; i++) {
        if (!tried_further(&all.list[i], settings)) continue;
        plant_all(&all, settings);
        for (size_t k = 0; k < sizeof EXTRA / sizeof *EXTRA; k++) {
            snprintf(more, sizeof more, "%s %s", settings, EXTRA[k]);
            add(&all, more, NULL, 1);
        }
    }
    run_new(&all);
    const int failed = report(&all, product, stride);
    free(all.list);
    return failed;
}
