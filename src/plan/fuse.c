/* plan/fuse.c
 * Fusion: a peephole pass over the steps, driven by the table at the end. A pair joins when the second step reads the
 * first one's output where the row says and the row's condition holds; the joined step takes over the outputs of both. Each row is held to
 * the same plan with fusion off by a test (tests/prop). */
#include "plan/plan.h"

#include <stdlib.h>

typedef struct an_fusion {
    const char *name;
    const an_op *first, *second, *fused;
    int at;                      /* the input of second that first makes */
    bool at_second;              /* run where the second stood; else where the first stood */
    bool (*fits)(const an_plan *plan, const an_step *a, const an_step *b);
    bool (*join)(an_plan *plan, const an_step *a, const an_step *b, an_step *f);   /* false: out of memory */
} an_fusion;

static bool only_reader(const an_plan *plan, const an_step *a, const an_step *b) { (void)plan; (void)b; return a->out[0]->n_use == 1 && !a->out[0]->keep; }

static bool join_linear_act(an_plan *plan, const an_step *a, const an_step *b, an_step *f)
{
    (void)plan;
    f->name = a->name;
    f->attr = b->attr;
    f->n_out = 2;
    f->out[0] = b->out[0];
    f->out[1] = a->out[0];                              /* z stays as a saved value, without a gradient of its own */
    f->out[1]->aux = true;
    return true;
}

/* A branch that is measured before the first step (net/profile.c) is measured as the sum takes it. */
static bool fits_drop_add(const an_plan *plan, const an_step *a, const an_step *b)
{
    return only_reader(plan, a, b) && (a->branch < 0 || !plan->sites[a->branch].profile);
}

/* The coins stay those of the dropout step; what the ledger calls the branch is now f before them (an_tossed_seen). */
static bool join_drop_add(an_plan *plan, const an_step *a, const an_step *b, an_step *f)
{
    an_residual_attr *at = an_arena_alloc(&plan->arena, sizeof *at);
    if (!at) return false;
    *at = *(const an_residual_attr *)b->attr;
    at->drop = (an_toss){ ((const an_dropout_attr *)a->attr)->p, a->id };
    f->attr = at;
    f->name = b->name;
    f->id = b->id;
    f->branch = b->branch;
    f->n_in = 2;
    f->in[0] = b->in[0];
    f->in[1] = a->in[0];
    f->out[0] = b->out[0];
    if (a->branch >= 0 && plan->sites[a->branch].branch_out == a->out[0]) plan->sites[a->branch].branch_out = a->in[0];
    return true;
}

/* A norm that nobody reads has no gradient and stays a step of its own, which the backward pass leaves out. */
static bool fits_add_norm(const an_plan *plan, const an_step *a, const an_step *b) { (void)plan; return b->in[0] == a->out[0] && !a->out[0]->keep && b->out[0]->n_use > 0; }

static bool join_add_norm(an_plan *plan, const an_step *a, const an_step *b, an_step *f)
{
    an_add_norm_attr *at = an_arena_alloc(&plan->arena, sizeof *at);
    if (!at) return false;
    const an_residual_attr *res = a->attr;
    *at = (an_add_norm_attr){ ((const an_norm_attr *)b->attr)->spec, res->a, res->b, res->drop };
    f->attr = at;
    f->name = b->name;
    f->own_branch = b->branch;
    f->n_in = 4;
    f->in[2] = b->n_in > 1 ? b->in[1] : NULL;
    f->in[3] = b->n_in > 2 ? b->in[2] : NULL;
    f->n_out = 4;
    f->out[0] = b->out[0];
    f->out[1] = a->out[0];
    f->out[2] = b->out[1];
    f->out[3] = b->out[2];
    return true;
}

static bool fits_head(const an_plan *plan, const an_step *a, const an_step *b) { return only_reader(plan, a, b) && !a->in[2]; }

static bool join_head(an_plan *plan, const an_step *a, const an_step *b, an_step *f)
{
    (void)plan;
    f->name = a->name;
    f->n_in = 3;
    f->in[2] = b->in[1];                                /* targets take the place of the absent bias */
    f->attr = b->attr;
    f->n_out = 1;
    f->out[0] = b->out[0];
    return true;
}

static const an_fusion TABLE[] = {
    { "bias + activation", &an_op_linear, &an_op_activation, &an_op_linear_act, 0, true, only_reader, join_linear_act },
    { "bias + activation, decoding", &an_op_linear_few, &an_op_activation, &an_op_linear_few, 0, true, only_reader, join_linear_act },
    { "dropout + add", &an_op_dropout, &an_op_residual, &an_op_residual, 1, true, fits_drop_add, join_drop_add },
    { "add + norm", &an_op_residual, &an_op_norm, &an_op_add_norm, 0, false, fits_add_norm, join_add_norm },
    { "head + softmax + cross-entropy", &an_op_linear, &an_op_xent, &an_op_head_xent, 0, true, fits_head, join_head },
};

/* The step that made this input of b, when it may be joined with b under this row. */
static an_step *partner(const an_plan *plan, const an_fusion *row, const an_step *b)
{
    an_step *a = b->op == row->second && b->in[row->at] ? b->in[row->at]->producer : NULL;
    if (!a || a->op != row->first || !row->fits(plan, a, b)) return NULL;
    return an_plan_region(plan, a->block).group != an_plan_region(plan, b->block).group ? NULL : a;   /* what is run again apart stays apart */
}

/* at: emission number -> position. The place that is given up becomes a hole. */
static an_status join(an_plan *plan, const an_fusion *row, an_step *a, size_t at_b, size_t *at)
{
    an_step *b = plan->steps[at_b], *f = an_step_copy(plan, a);
    if (!f || !row->join(plan, a, b, f)) return an_fail(AN_ENOMEM, "out of memory while fusing %s", b->name);
    f->op = row->fused;
    f->block = b->block;
    a->out[0]->n_use--;                                  /* the read that went away */
    for (int i = 0; i < f->n_out; i++) f->out[i]->producer = f;
    const size_t at_a = at[a->id], stays = row->at_second ? at_b : at_a;
    plan->steps[at_a] = plan->steps[at_b] = NULL;
    plan->steps[stays] = f;
    at[f->id] = stays;
    return AN_OK;
}

static an_status fuse_all(an_plan *plan, size_t *at)
{
    size_t kept = 0;
    for (size_t i = 0; i < plan->n_steps; i++) at[plan->steps[i]->id] = i;
    for (size_t i = 0; i < plan->n_steps; i++)
        for (size_t k = 0; k < sizeof TABLE / sizeof *TABLE; k++) {
            an_step *a = partner(plan, &TABLE[k], plan->steps[i]);
            if (!a) continue;
            AN_TRY(join(plan, &TABLE[k], a, i, at));
            break;
        }
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i]) plan->steps[kept++] = plan->steps[i];
    plan->n_steps = kept;
    return AN_OK;
}

an_status an_plan_fuse(an_plan *plan)
{
    size_t *at = an_alloc(plan->n_steps * sizeof *at);   /* emission numbers are below n_steps here */
    if (!at) return an_fail(AN_ENOMEM, "out of memory while fusing");
    const an_status status = fuse_all(plan, at);
    free(at);
    return status;
}
