/* train/groups.h
 * Parameter groups by name: "PATTERN=FACTOR PATTERN=FACTOR ...", shell patterns over tensor names, the last match counts.
 *     embed.*=0.5 *.gain=2        half the rate for the embeddings, twice for all gains */
#ifndef AN_TRAIN_GROUPS_H
#define AN_TRAIN_GROUPS_H

#include "net/model.h"

/* Multiplies factor[i] by the factor of the last pattern that matches params[i]; text NULL or "": nothing.
 * Errors: AN_ECONFIG naming `key` and the rule: no '=', a factor that is no number >= 0, a pattern that matches no tensor. */
an_status an_groups_apply(const char *key, const char *text, const an_param *params, size_t count, double *factor) AN_MUST_USE;

#endif
