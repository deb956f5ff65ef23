/* train/schedule.c
 * One function per schedule and one row each; warm-up is applied once for all of them.
 * Sources: cosine, Loshchilov & Hutter arXiv:1608.03983; inverse square root, Vaswani et al. arXiv:1706.03762. */
#include "train/schedule.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

struct an_schedule_kind { const char *name; double (*lr)(const an_schedule *s, uint64_t step); };

/* Share of the decay that is behind us, 0 at the end of warm-up, 1 from decay_steps on. */
static double progress(const an_schedule *s, uint64_t step)
{
    if (step >= s->decay_steps) return 1;
    return (double)(step - s->warmup) / (double)(s->decay_steps - s->warmup);
}

static double cosine(const an_schedule *s, uint64_t step)
{
    return s->min_lr + (s->lr - s->min_lr) * 0.5 * (1 + cos(PI * progress(s, step)));
}

static double linear(const an_schedule *s, uint64_t step)
{
    return s->lr + (s->min_lr - s->lr) * progress(s, step);
}

static double inverse_sqrt(const an_schedule *s, uint64_t step)
{
    const double lr = s->lr * sqrt((double)(s->warmup + 1) / (double)(step + 1));
    return lr > s->min_lr ? lr : s->min_lr;
}

static double constant(const an_schedule *s, uint64_t step)
{
    (void)step;
    return s->lr;
}

static const struct an_schedule_kind KINDS[] = {
#define ROW(function, name, meaning) { name, function },
    AN_SCHEDULE_LIST(ROW)
#undef ROW
};

an_status an_schedule_init(an_schedule *schedule, const char *name, double lr, double min_lr, uint64_t warmup, uint64_t decay_steps)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].name, name) != 0) continue;
        *schedule = (an_schedule){ &KINDS[i], lr, min_lr, warmup, decay_steps };
        return AN_OK;
    }
    return an_fail(AN_ECONFIG, "schedule: unknown name '%s'; choose cosine, linear, inverse-sqrt or constant", name);
}

double an_schedule_lr(const an_schedule *schedule, uint64_t step)
{
    if (step < schedule->warmup) return schedule->lr * (double)(step + 1) / (double)(schedule->warmup + 1);
    return schedule->kind->lr(schedule, step);
}
