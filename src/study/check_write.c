/* study/check_write.c
 * The report as JSON and as a page. */
#include "study/check.h"

#include <math.h>
#include <stdio.h>

#include "study/page.h"

static const char TOO_SHORT[] = " (too short to tell)";

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *numbers_json(const an_check_numbers *n)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "stream", number(n->stream), "branch", number(n->branch), "attenuation", number(n->attenuation),
                     "branch_gradient", number(n->branch_gradient), "cosine", number(n->cosine), "gradient", number(n->gradient));
}

static json_t *signs_json(const an_check_signs *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "unigram_entropy", number(s->entropy), "loss_first", number(s->loss_first),
                     "loss", number(s->loss), "pre_ln_loss", number(s->pre_ln), "behind_pre_ln", number(s->behind),
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
        failed |= json_array_append_new(steps, json_pack("{s:I, s:o, s:o, s:o, s:o}", "step", (json_int_t)k->step[i].step, "loss", number(k->step[i].loss), "lr", number(k->step[i].lr),
                                                         "grad_norm", number(k->step[i].grad_norm), "pre_ln_loss", number(k->step[i].pre_ln))) != 0;
    for (size_t i = 0; i < k->n_suggestions && !failed; i++)
        failed |= json_array_append_new(tried, json_pack("{s:s, s:s, s:b, s:o}", "change", k->suggestion[i].change, "verdict", an_verdict_name(k->suggestion[i].verdict), "too_short", k->suggestion[i].too_short, "loss", number(k->suggestion[i].loss))) != 0;
    json_t *doc = json_pack("{s:s, s:b, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "verdict", an_verdict_name(k->verdict), "too_short", k->too_short, "because", k->because, "rule", k->rule ? k->rule : "", "warmup", (json_int_t)k->warmup,
                            "signs", signs_json(&k->signs), "sites", sites, "steps", steps, "tried", tried);
    json_t *notes = k->n_notes ? json_array() : NULL;
    for (size_t i = 0; i < k->n_notes && !failed; i++) failed |= json_array_append_new(notes, json_string(k->note[i])) != 0;
    if (doc && notes) failed |= json_object_set_new(doc, "notes", notes) != 0;
    if (doc && !k->has_theory) failed |= json_object_set_new(doc, "no_theory", json_string(k->no_theory)) != 0;
    if (doc && k->has_theory) failed |= json_object_set_new(doc, "predicted_attenuation_product", number(k->theory_product)) != 0;
    if (!failed) return doc;
    json_decref(doc);
    return NULL;
}

/* Columns of the per-layer table; the page's charts have the same numbers. */
typedef double pick(const an_check_numbers *n);
static double stream(const an_check_numbers *n) { return n->stream; }
static double branch(const an_check_numbers *n) { return n->branch; }
static double attenuation(const an_check_numbers *n) { return n->attenuation; }
static double branch_gradient(const an_check_numbers *n) { return n->branch_gradient; }
static double gradient(const an_check_numbers *n) { return n->gradient; }

static const struct { const char *title, *column; pick *of; bool logarithmic; } CHARTS[] = {
    { "Stream: mean square after each sub-layer", "stream", stream, true },
    { "Branch: mean square of what each sub-layer adds", "branch", branch, true },
    { "Identity path: |g through the skip| / |g behind the sub-layer|", "identity", attenuation, false },
    { "Branch: |g through the branch| / |g behind the sub-layer|", "branch g", branch_gradient, false },
    { "Gradient at the input of each sub-layer, over that at the end of the stack", "gradient", gradient, true },
};
enum { CHART_COUNT = sizeof CHARTS / sizeof *CHARTS };

static an_status put_charts(an_page *page, const an_check *k)
{
    an_sheet s;
    const an_status status = an_sheet_open(&s, k->n_sites, 3);
    for (size_t c = 0; status == AN_OK && c < CHART_COUNT; c++) {
        an_series series[3];
        double *y = s.y;
        size_t n = 0;
        for (size_t i = 0; i < k->n_sites; i++) {
            s.label[i] = k->site[i].name + sizeof "layers." - 1;
            y[i] = CHARTS[c].of(&k->site[i].measured);
            y[k->n_sites + i] = CHARTS[c].of(&k->site[i].after);
            y[2 * k->n_sites + i] = k->has_theory ? CHARTS[c].of(&k->site[i].predicted) : NAN;
        }
        series[n++] = (an_series){ "at initialisation", y, false };
        if (k->signs.finite) series[n++] = (an_series){ "after the probe", y + k->n_sites, false };
        if (k->has_theory) series[n++] = (an_series){ "predicted", y + 2 * k->n_sites, true };
        an_page_chart(page, CHARTS[c].title, "sub-layer", s.label, s.n, series, n, CHARTS[c].logarithmic);
    }
    an_sheet_close(&s);
    return status;
}

static an_status put_loss(an_page *page, const an_check *k)
{
    an_sheet s;
    const an_status status = an_sheet_open(&s, k->n_steps, 3);
    if (status == AN_OK) {
        for (size_t i = 0; i < s.n; i++) {
            an_sheet_number(&s, i, k->step[i].step);
            s.y[i] = k->step[i].loss;
            s.y[s.n + i] = k->step[i].pre_ln;
            s.y[2 * s.n + i] = k->signs.entropy;
        }
        an_series series[3] = { { "loss", s.y, false } };
        size_t n = 1;
        if (isfinite(k->signs.pre_ln)) series[n++] = (an_series){ "Pre-LN, everything else alike", s.y + s.n, false };
        series[n++] = (an_series){ "unigram entropy", s.y + 2 * s.n, true };
        an_page_chart(page, "Loss of the probe steps, nats", "step", s.label, s.n, series, n, false);
    }
    an_sheet_close(&s);
    return status;
}

static void put_sites(an_page *page, const an_check *k)
{
    static const char *const COLUMNS[] = { "sub-layer", "stream", "predicted", "after", "branch", "predicted", "after", "identity", "predicted", "after", "branch g", "predicted", "after", "gradient", "predicted", "after" };
    enum { N = sizeof COLUMNS / sizeof *COLUMNS };
    an_page_table_begin(page, COLUMNS, N);
    for (size_t i = 0; i < k->n_sites; i++) {
        char text[N][24];
        const char *cells[N] = { k->site[i].name };
        for (size_t c = 0; c < CHART_COUNT; c++) {
            const double v[3] = { CHARTS[c].of(&k->site[i].measured), k->has_theory ? CHARTS[c].of(&k->site[i].predicted) : NAN, CHARTS[c].of(&k->site[i].after) };
            for (size_t j = 0; j < 3; j++) {
                if (isfinite(v[j])) snprintf(text[1 + 3 * c + j], sizeof text[0], "%.3g", v[j]);
                else text[1 + 3 * c + j][0] = '\0';
                cells[1 + 3 * c + j] = text[1 + 3 * c + j];
            }
        }
        an_page_row(page, cells, N);
    }
    an_page_table_end(page);
}

static void put_suggestions(an_page *page, const an_check *k)
{
    static const char *const COLUMNS[] = { "change", "verdict", "loss" };
    if (!k->n_suggestions) return;
    an_page_heading(page, "Tried instead");
    an_page_table_begin(page, COLUMNS, 3);
    for (size_t i = 0; i < k->n_suggestions; i++) {
        char loss[24];
        snprintf(loss, sizeof loss, isfinite(k->suggestion[i].loss) ? "%.3f" : "not finite", k->suggestion[i].loss);
        char verdict[64];
        snprintf(verdict, sizeof verdict, "%s%s", an_verdict_name(k->suggestion[i].verdict), k->suggestion[i].too_short ? TOO_SHORT : "");
        const char *cells[] = { k->suggestion[i].change, verdict, loss };
        an_page_row(page, cells, 3);
    }
    an_page_table_end(page);
}

an_status an_check_page(const an_check *k, const an_options *options, an_text *out)
{
    an_page page;
    char text[sizeof k->because + 32];
    snprintf(text, sizeof text, "Trainability: design %s, norm %s", an_options_text(options, "design"), an_options_text(options, "norm"));
    an_page_begin(&page, out, text, 0);
    if (k->warmup) snprintf(text, sizeof text, "Verdict: %s, about %llu steps", an_verdict_name(k->verdict), (unsigned long long)k->warmup);
    else snprintf(text, sizeof text, "Verdict: %s%s", an_verdict_name(k->verdict), k->too_short ? TOO_SHORT : "");
    an_page_heading(&page, text);
    snprintf(text, sizeof text, "Because %s.", k->because);
    an_page_paragraph(&page, text);
    snprintf(text, sizeof text, "Rule: %s. What it can and cannot see, and how often it is right: docs/check.md.", k->rule);
    an_page_paragraph(&page, text);
    for (size_t i = 0; i < k->n_notes; i++) an_page_paragraph(&page, k->note[i]);
    put_suggestions(&page, k);
    an_page_heading(&page, "Probe");
    an_status status = put_loss(&page, k);
    an_page_heading(&page, "Per sub-layer");
    if (k->has_theory) snprintf(text, sizeof text, "Product of the identity path's factors: %.3g measured at initialisation, %.3g predicted, %.3g after the probe.",
                               k->signs.product_first, k->theory_product, k->signs.product);
    an_page_paragraph(&page, k->has_theory ? text : k->no_theory);
    if (status == AN_OK) status = put_charts(&page, k);
    put_sites(&page, k);
    return status == AN_OK ? an_page_end(&page, options) : status;
}
