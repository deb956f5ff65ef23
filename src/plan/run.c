/* plan/run.c
 * The executor: two loops and a parallel-for; on observed passes the ledger looks on around each instruction, a meter takes
 * its time where a pass has one, and passes that cut (plan/intervene.h) run some of them otherwise. */
#include "plan/intervene.h"
#include "plan/ledger.h"
#include "plan/meter.h"

#include "core/clock.h"
#include "core/threads.h"

typedef struct an_phase { const an_run *run; const an_step *step; an_direction dir; int phase; size_t count; } an_phase;

static void run_part(void *context, size_t index, int thread)
{
    const an_phase *f = context;
    const an_part part = { f->phase, index, f->count, thread };
    const double began = f->run->meter ? an_clock() : 0;
    if (f->dir == AN_FORWARD) f->step->op->forward(f->run, f->step, &part);
    else f->step->op->backward(f->run, f->step, &part);
    if (f->run->meter) an_meter_part(f->run->meter, f->step, f->dir, &part, an_clock() - began);
}

static void run_instr(const an_plan *plan, const an_run *run, an_instr in)
{
    if (run->late && in.dir == AN_FORWARD && in.step->op->late) return;
    for (int i = 0; i < in.step->n_in; i++)              /* no targets in this pass: no loss */
        if (in.step->in[i] && in.step->in[i]->home == AN_HOME_INPUT && !in.step->in[i]->tokens) return;
    for (int phase = 0;; phase++) {
        an_phase f = { run, in.step, in.dir, phase, in.step->op->parts(in.step, in.dir, phase) };
        if (f.count == 0) break;
        if (f.count != AN_SKIP_PHASE) an_parallel_for(plan->threads, f.count, run_part, &f);
    }
}

static void enter(const an_plan *plan, an_run *run)
{
    run->thread_work = plan->thread_work;
    run->far_grads = an_past_cache(plan->params->grad.count);
    run->far_saved = an_past_cache(plan->activations.count);
}

static void run_range(const an_plan *plan, an_run *run, size_t begin, size_t end)
{
    an_ledger *ledger = run->observe ? plan->ledger : NULL;
    enter(plan, run);
    for (size_t i = begin; i < end; i++) {
        const an_instr in = plan->code[i];
        if (ledger) an_ledger_visit(ledger, run, i, false);
        const double began = run->meter ? an_clock() : 0;
        run_instr(plan, run, run->cut ? an_intervene(plan, run, in) : in);
        if (run->meter) an_meter_instr(run->meter, run, in.step, in.dir, an_clock() - began);
        if (run->cut) an_intervene_after(plan, run, in);
        if (ledger) an_ledger_visit(ledger, run, i, true);
    }
}

void an_plan_forward(const an_plan *plan, an_run *run)
{
    if (run->observe && plan->ledger) an_ledger_begin(plan->ledger);
    run_range(plan, run, 0, plan->n_forward);
    if (run->observe && plan->ledger && !plan->train) an_ledger_finish(plan->ledger);
}

void an_plan_forward_part(const an_plan *plan, an_run *run, size_t begin, size_t end)
{
    run->observe = false;
    run_range(plan, run, begin, end);
}

void an_plan_backward(const an_plan *plan, an_run *run)
{
    run_range(plan, run, plan->n_forward, plan->n_code);
    if (run->observe && plan->ledger) an_ledger_finish(plan->ledger);
}

void an_plan_rest(const an_plan *plan, an_run *run, const an_value *from)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->n_forward; i++)
        if (plan->code[i].step == from->producer) at = i + 1;
    an_plan_forward_part(plan, run, at, plan->n_forward);
}

static bool all_finite(an_cells x, size_t n)
{
    const an_bf16 *low = (const an_bf16 *)(const void *)x.p;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x.store == AN_STORE_REAL ? x.p[i] : an_bf16_widen(low[i]))) return false;
    return true;
}

static const char *bad_parameter(const an_plan *plan)
{
    for (size_t i = 0; i < plan->params->n; i++)
        if (!all_finite((an_cells){ plan->params->list[i].data, AN_STORE_REAL }, plan->params->list[i].count)) return plan->params->list[i].name;
    return NULL;
}

const char *an_plan_find_nonfinite(const an_plan *plan, an_run *run, bool *gradient)
{
    const char *bad = bad_parameter(plan);
    enter(plan, run);
    run->late = false;
    run->frozen = true;
    *gradient = false;
    for (size_t i = 0; i < plan->n_code && !bad; i++) {
        const an_instr in = plan->code[i];
        const an_step *s = in.step;
        run_instr(plan, run, in);
        *gradient = in.dir == AN_BACKWARD;
        if (!*gradient)
            for (int k = 0; k < s->n_out && !bad; k++)
                if (!all_finite(an_data_of(s->out[k]), s->out[k]->count)) bad = s->out[k]->name;
        if (*gradient)
            for (int k = 0; k < s->n_in && !bad; k++)
                if (s->in[k] && s->in[k]->grad && !all_finite(an_grad_of(s->in[k]), s->in[k]->count)) bad = s->in[k]->name;
    }
    return bad;
}
