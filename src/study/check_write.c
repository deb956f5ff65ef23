/* study/check_write.c
 * The report as JSON and as a page. */
#include "study/check.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "study/page.h"

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *numbers_json(const an_check_numbers *n)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "stream", number(n->stream), "branch", number(n->branch), "attenuation", number(n->attenuation),
                     "branch_gradient", number(n->branch_gradient), "cosine", number(n->cosine), "gradient", number(n->gradient));
}

static json_t *signs_json(const an_check_signs *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "unigram_entropy", number(s->entropy), "loss_first", number(s->loss_first), "loss", number(s->loss),
                     "attenuation_product_first", number(s->product_first), "attenuation_product", number(s->product), "token_cosine_first", number(s->tokens_first), "token_cosine", number(s->tokens),
                     "gradient_reach_first", number(s->reach_first), "gradient_reach", number(s->reach), "grad_norm_first", number(s->grad_norm_first), "grad_norm_most", number(s->grad_norm_most),
                     "lr_sum", number(s->lr_sum), "finite", s->finite);
}

json_t *an_check_json(const an_check *k)
{
    json_t *sites = json_array(), *steps = json_array(), *tried = json_array();
    int failed = !sites || !steps || !tried;
    for (size_t i = 0; i < k->n_sites && !failed; i++) {
        json_t *site = json_pack("{s:s, s:o, s:o}", "name", k->site[i].name, "measured", numbers_json(&k->site[i].measured), "after", numbers_json(&k->site[i].after));
        if (k->has_theory) failed |= json_object_set_new(site, "predicted", numbers_json(&k->site[i].predicted)) != 0;
        failed |= json_array_append_new(sites, site) != 0;
    }
    for (size_t i = 0; i < k->n_steps && !failed; i++)
        failed |= json_array_append_new(steps, json_pack("{s:I, s:o, s:o, s:o}", "step", (json_int_t)k->step[i].step, "loss", number(k->step[i].loss), "lr", number(k->step[i].lr),
                                                         "grad_norm", number(k->step[i].grad_norm))) != 0;
    for (size_t i = 0; i < k->n_suggestions && !failed; i++)
        failed |= json_array_append_new(tried, json_pack("{s:s, s:s, s:o}", "change", k->suggestion[i].change, "verdict", an_verdict_name(k->suggestion[i].verdict), "loss", number(k->suggestion[i].loss))) != 0;
    json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "verdict", an_verdict_name(k->verdict), "because", k->because, "rule", k->rule ? k->rule : "", "warmup", (json_int_t)k->warmup,
                            "signs", signs_json(&k->signs), "sites", sites, "steps", steps, "tried", tried);
    if (doc && !k->has_theory) failed |= json_object_set_new(doc, "no_theory", json_string(k->no_theory)) != 0;
    if (doc && k->has_theory) failed |= json_object_set_new(doc, "predicted_attenuation_product", number(k->theory_product)) != 0;
    if (!failed) return doc;
    json_decref(doc);
    return NULL;
}

an_status an_check_page(const an_check *k, const an_options *options, an_text *out) { (void)k; (void)options; return an_text_status(out); }
