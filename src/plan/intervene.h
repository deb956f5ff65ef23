/* plan/intervene.h
 * Passes that cut. Each sub-layer's branch joins the stream at a step that adds the two; a pass may leave the branch out going
 * up, or stop the gradient going down at either of the two edges, the forward pass being what it always is. A plan is made for
 * it (an_plan.apart): unfused, every gradient in a buffer of its own, streams, their gradients and branches readable after it. Other
 * plans do not know of it and pass by it with one test of a pointer per instruction.
 *
 *   going up     after the branch f is made it is overwritten with zeros; where there is no skip, the sub-layer's output with its input
 *   going down   in place of the sum y = a x + b f a copy of the step runs that writes nothing to the edges that are cut
 *
 * Every path from the stream before the first sub-layer to the loss chooses one edge at each sum. So where no path goes around
 * a sum, the gradients over all 2^S choices of edges add up to the whole gradient, which is what path lengths rest on. */
#ifndef AN_PLAN_INTERVENE_H
#define AN_PLAN_INTERVENE_H

#include "plan/cut.h"
#include "plan/plan.h"

typedef struct an_joint {
    const an_step *sum;            /* the one reader of the branch, y = a x + b f; NULL: there is none of that kind */
    an_step *stand_in;             /* its copy */
    an_value *patch;               /* what a pass without the branch overwrites: f, or y; NULL: not known */
    const an_value *source;        /* with this; NULL: with zeros */
} an_joint;

/* Errors: AN_ECONFIG naming the sub-layer and what stands in the way. */
an_status an_plan_need_lesions(const an_plan *plan) AN_MUST_USE;
an_status an_plan_need_paths(const an_plan *plan) AN_MUST_USE;
an_status an_plan_need_rest(const an_plan *plan) AN_MUST_USE;       /* all that stands behind the stack reads one stream, the last */

an_instr an_intervene(const an_plan *plan, const an_run *run, an_instr in);         /* what runs in its place */
void an_intervene_after(const an_plan *plan, const an_run *run, an_instr in);

#endif
