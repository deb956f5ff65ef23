/* plan/cut.h
 * What a pass may leave out of one sub-layer, see plan/intervene.h. */
#ifndef AN_PLAN_CUT_H
#define AN_PLAN_CUT_H

enum {
    AN_CUT_BRANCH = 1,             /* forward: the branch adds nothing; where there is no skip the sub-layer is the identity */
    AN_CUT_BRANCH_GRADIENT = 2,    /* backward: no gradient flows into the branch */
    AN_CUT_SKIP_GRADIENT = 4       /* backward: none flows down the skip */
};

#endif
