/* study/price.c
 * What a cell will cost, asked of its plan: the model that training would build, without data and without a step. */
#include <stdio.h>

#include "core/clock.h"
#include "net/model.h"
#include "study/study_impl.h"
#include "train/memory.h"
#include "train/trial.h"

static an_status plan(const an_study *s, an_study_cell *cell, an_options *o, const an_train_config *c)
{
    an_model_config config;
    an_model *model = NULL;
    AN_TRY(an_model_config_read(&config, o));
    const size_t batch = (size_t)c->batch_size;
    const an_model_shape shape = { .batch = batch, .seq = config.seq_len, .train = true, .observe = an_train_config_observe(c), .threads = s->threads };
    an_memory_budget(&config, s->threads);
    an_status status = an_memory_explain(an_model_create(&model, &config, o, &shape));
    if (status == AN_OK) status = an_model_set_threads(model, s->threads);
    if (status == AN_OK) {
        const an_model_cost cost = an_model_get_cost(model);
        cell->flops_step = (cost.flops_forward + cost.flops_backward) * (double)c->grad_accum;
        cell->flops = cell->flops_step * (double)c->steps;
        cell->memory = an_memory_predict(model, 1, s->threads) + 2 * batch * config.seq_len * sizeof(int32_t);
        cell->result.params = an_model_param_count(model);
    }
    an_model_destroy(&model);
    return status;
}

an_status an_study_price(an_study *s, an_study_cell *cell)
{
    an_options *o = NULL;
    an_train_config config;
    if (cell->priced || cell->state == AN_CELL_SKIPPED) return AN_OK;
    an_status status = an_study_configure(s, cell, NULL, &o, &config);
    if (status == AN_OK) status = plan(s, cell, o, &config);
    an_options_destroy(&o);
    cell->priced = true;
    if (status == AN_OK) return AN_OK;
    cell->state = AN_CELL_SKIPPED;
    cell->reason = an_arena_printf(&s->arena, "%s", an_error_text());
    return cell->reason ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", s->place);
}

/* The first step pays for what later ones find ready. */
an_status an_study_measure(const an_study *s, const an_study_cell *cell, double *flops_per_s)
{
    enum { MOST = 20 };
    static const double LONG_ENOUGH = 0.5;
    an_options *o;
    an_train_config config;
    an_trial *trial = NULL;
    an_trial_step step;
    char threads[16];
    AN_TRY(an_study_configure(s, cell, NULL, &o, &config));
    snprintf(threads, sizeof threads, "%d", s->threads);
    an_status status = an_options_set(o, "threads", threads, AN_FROM_FLAG, "the study");
    if (status == AN_OK) status = an_options_resolve(o);
    if (status == AN_OK) status = an_trial_create(&trial, o, &config, AN_OBSERVE_OFF);
    if (status == AN_OK) {
        an_trial_advance(trial, false, &step);
        const double began = an_clock();
        int steps = 0;
        do an_trial_advance(trial, false, &step);
        while (++steps < MOST && an_clock() - began < LONG_ENOUGH);
        *flops_per_s = cell->flops_step * steps / (an_clock() - began);
    }
    an_trial_destroy(&trial);
    an_options_destroy(&o);
    return status;
}
