/* study/verdict.c: from signs to a verdict. */
#include "study/check.h"

const char *an_verdict_name(an_verdict verdict)
{
    static const char *const NAMES[] = { "trains", "needs warm-up", "will degrade", "will not train" };
    return NAMES[verdict];
}

void an_check_judge(an_check *k, const an_train_config *config) { (void)config; k->verdict = AN_VERDICT_TRAINS; k->rule = ""; }
