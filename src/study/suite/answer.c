/* study/suite/answer.c
 * What do residual connections and layer normalisation do in the training of transformers? The smallest set of runs that measures each
 * sentence of the answer: text models of 1, 24, 104 layers and image classifiers of 20, 56, 110, plain and residual; Post-LN and Pre-LN
 * without and with warm-up at two learning rates. What needs no training is measured beside them (study/answer_try.c). docs/answer.md
 * Source    He et al. 2015, arXiv:1512.03385 and 2016, arXiv:1603.05027; Ioffe & Szegedy 2015, arXiv:1502.03167; Ba et al. 2016,
 *           arXiv:1607.06450; Xiong et al. 2020, arXiv:2002.04745
 * The quick form does the same once, with fewer images and steps: about 11 Tflop */
#include "study/answer.h"

#define BASE "base: { init: xavier, dropout: 0, bias: false, schedule: constant, eval_every: 0, eval_batches: 4, save_every: 100, lr: 1e-3 }\n"
#define DEPTH "grid_depth:\n  design: [plain, pre-ln]\n  n_layer: [1, 24, 104]\n  steps|n_head|d_model|seq_len|batch_size: "
#define IMAGES "grid_images:\n  arch|norm|width|lr: [resnet|batchnorm|8|3e-3]\n  design: [plain, pre-ln]\n  n_layer: [20, 56, 110]\n  data: [\"\"]\n  steps|batch_size: "
#define PLACE "grid_placement:\n  design: [post-ln, pre-ln]\n  warmup: [0, 100]\n  lr: [1e-3, 3e-3]\n  steps|n_layer|n_head|d_model|seq_len|batch_size|grad_clip: "

static const char TEXT[] = "name: answer\n" BASE DEPTH "[600|2|32|32|16]\n" IMAGES "[600|64]\n" PLACE "[600|8|4|64|64|16|0]\n" "seeds: 3\n";
static const char QUICK[] = "name: answer-quick\n" BASE DEPTH "[200|2|32|32|16]\n" IMAGES "[150|32]\n" PLACE "[300|8|4|64|64|16|0]\n";

static void judge(const an_study *s, an_findings *f)
{
    an_answer a;
    if (an_answer_measure(s, &a) == AN_OK) an_answer_judge_all(&a, f);
    else an_findings_add(f, AN_FINDING_OPEN, "The answer", NULL, "%s", an_error_text());
}

static an_status page(const an_study *s, const an_findings *f, an_text *out)
{
    an_answer a;
    (void)f;                       /* the same numbers give the same verdicts, section by section */
    AN_TRY(an_answer_measure(s, &a));
    return an_answer_page(s, &a, out);
}

const an_named_study an_named_answer = { .name = "answer", .help = "what do residual connections and layer normalisation do? each sentence measured, and a page of it", .source = "arXiv:1512.03385", .tier = AN_TIER_CI,
    .arguments = "", .text = TEXT, .quick = QUICK, .folder = "/usr/share/common-licenses", .judge = judge, .page = page };
