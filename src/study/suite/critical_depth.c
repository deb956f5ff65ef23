/* study/suite/critical_depth.c
 * How deep may it be? Whole runs at nine depths.
 * Rule      the critical depth is the least at which a run fails (study/statistics.h: loss not 0.3 nats below the unigram entropy, or not finite) and at which all
 *           deeper ones have a failed run as well; depths that fail below ones that do not are told */
#include <stdio.h>
#include <string.h>

#include "study/suite.h"

static const char TEXT[] = "name: critical-depth\ngrid:\n  n_layer: [1, 2, 4, 6, 8, 12, 16, 24, 32]\n";

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "Critical depth", RULE[] = "the least from which on runs fail";
    size_t over = 0, first = s->n_groups, holes = 0;
    for (size_t i = 0; i < s->n_cells; i++) over += an_cell_is_over(&s->cell[i]);
    while (first > 0 && an_group_count(s, &s->group[first - 1], AN_OUTCOME_FAILED)) first--;
    for (size_t i = 0; i < first; i++) holes += an_group_count(s, &s->group[i], AN_OUTCOME_FAILED) > 0;
    const char *depth = first < s->n_groups ? an_cell_value(&s->cell[s->group[first].first], "n_layer") : "", *last = an_cell_value(&s->cell[s->group[s->n_groups - 1].first], "n_layer");
    char note[64] = "";
    if (holes) snprintf(note, sizeof note, "; %zu shallower depth%s failed too", holes, holes == 1 ? "" : "s");
    if (over < s->n_cells) an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, "%zu of %zu runs are there", over, s->n_cells);
    else if (first == s->n_groups) an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "none up to %s layers%s", last, note);
    else an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "%s layer%s; %s%s%s", depth, strcmp(depth, "1") == 0 ? "" : "s", first ? "trains at " : "no depth trains", first ? an_cell_value(&s->cell[s->group[first - 1].first], "n_layer") : "", note);
}

const an_named_study an_named_critical_depth = { .name = "critical-depth", .help = "from which depth on does it fail?", .tier = AN_TIER_NIGHTLY,
    .arguments = "[CONFIG.yaml]", .most = 1, .group = "base", .text = TEXT, .judge = judge };
