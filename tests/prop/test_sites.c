/* Add & Norm settings per layer and sub-layer: an override changes the parameters of exactly its place, mixed models run
 * and decode, and a place that is not there is refused. */
#include "prop.h"

#include "net/design.h"

/* Parameter names of a and b as sets; every difference must start with one of the prefixes (separated by spaces). */
static int has_prefix(const char *name, const char *prefixes)
{
    char text[256];
    snprintf(text, sizeof text, "%s", prefixes);
    for (char *rest = text, *p; (p = strtok_r(rest, " ", &rest));)
        if (strncmp(name, p, strlen(p)) == 0) return 1;
    return 0;
}

static int differences(subject *a, subject *b, const char *prefixes, const char *settings)
{
    int n = 0;
    for (size_t i = 0; i < a->n_params; i++) {
        const char *name = a->param[i].name;
        if (prop_param(b, name)) continue;
        n++;
        prop_check(has_prefix(name, prefixes), "%s: %s changed although it is elsewhere", settings, name);
    }
    return n;
}

static void override(const char *settings, const char *prefixes, int gone, int come)
{
    subject base, s;
    prop_open(&base, 2, PROP_TRAIN, "n_layer=3 norm=layernorm design=pre-ln");
    prop_open(&s, 2, PROP_TRAIN, "n_layer=3 norm=layernorm design=pre-ln %s", settings);
    const int lost = differences(&base, &s, prefixes, settings), won = differences(&s, &base, prefixes, settings);
    prop_check(lost == gone && won == come, "%s: %d parameters went and %d came, expected %d and %d", settings, lost, won, gone, come);
    const double loss = an_model_forward_backward(s.model, &s.pass), other = an_model_forward_backward(base.model, &base.pass);
    prop_check(isfinite(loss) && loss != other, "%s: loss %.9g, without the override %.9g", settings, loss, other);
    size_t silent = 0;
    for (size_t i = 0; i < s.n_params; i++) {
        double sum = 0;
        for (size_t k = 0; k < s.param[i].count; k++) sum += fabs((double)s.param[i].grad[k]);
        silent += !(sum > 0 && isfinite(sum));
    }
    prop_check(silent == 0, "%s: %zu tensors have no finite gradient", settings, silent);
    prop_close(&base);
    prop_close(&s);
}

/* A setting that adds no parameter: only the eps of one place. The stream below it keeps its bits, so with everything
 * above masked by zero weights nothing changes; here simply: the loss moves, and moves back with the base value. */
static void value_at_one_site(void)
{
    subject a, b, c;
    prop_open(&a, 1, PROP_TRAIN, "n_layer=3");
    prop_open(&b, 1, PROP_TRAIN, "n_layer=3 norm_eps@1.mlp=0.5");
    prop_open(&c, 1, PROP_TRAIN, "n_layer=3 norm_eps=0.5 norm_eps@0,2=1e-5 norm_eps@1.attn=1e-5");
    const double x = an_model_forward(a.model, &a.pass), y = an_model_forward(b.model, &b.pass), z = an_model_forward(c.model, &c.pass);
    prop_check(x != y, "norm_eps@1.mlp changes nothing");
    prop_check(y != z, "norm_eps of the final norm changes nothing");
    prop_close(&a);
    prop_close(&b);
    prop_close(&c);
}

static void every_design_everywhere(const char *settings)
{
    static const char *const PLACE[] = { "0", "1.mlp", "2.attn", "0-2.attn" };
    char design[64] = "";
    sscanf(settings, "design=%63s", design);
    for (size_t i = 0; i < 4; i++) {
        subject s;
        const an_real *logits;
        an_decoder *d = NULL;
        if (an_design_find(design)->alone) {             /* a stream of its own: refused by name */
            const an_status status = prop_try(&s, 1, PROP_TRAIN, "n_layer=3 design@%s=%s", PLACE[i], design);
            prop_check(status == AN_ECONFIG && strstr(an_error_text(), design) && strstr(an_error_text(), "pre-ln"), "design@%s=%s: %s, expected a refusal by name", PLACE[i], design, an_status_name(status));
            if (status == AN_OK) prop_close(&s);
            continue;
        }
        prop_open(&s, 1, PROP_TRAIN, "n_layer=3 design@%s=%s dropout=0.1", PLACE[i], design);
        const double loss = an_model_forward_backward(s.model, &s.pass);
        prop_check(isfinite(loss), "design@%s=%s: loss %g", PLACE[i], design, loss);
        prop_check(an_decoder_create(&d, s.model, 4) == AN_OK && an_decoder_step(d, 1, &logits) == AN_OK && isfinite(logits[0]), "design@%s=%s: cannot decode: %s", PLACE[i], design, an_error_text());
        an_decoder_destroy(&d);
        prop_close(&s);
    }
}

static void refused(void)
{
    static const struct { const char *settings, *words; } ROW[] = {
        { "n_layer=3 norm@3=rmsnorm", "3" }, { "n_layer=3 design@2-5=plain", "5" }, { "norm@0.ffn=rmsnorm", "ffn" }, { "norm@0=no-such-norm", "no-such-norm" },
        { "design@0=pre-lm", "pre-ln" }, { "n_layer@0=3", "n_layer" }, { "norm@x=rmsnorm", "norm@x" }, { "norm@-1=rmsnorm", "norm@-1" },
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        subject s;
        const an_status status = prop_try(&s, 1, PROP_TRAIN, "%s", ROW[i].settings);
        prop_check((status == AN_ECONFIG || status == AN_EUSAGE) && strstr(an_error_text(), ROW[i].words), "%s: %s '%s', expected a refusal with '%s'", ROW[i].settings, an_status_name(status),
                   status == AN_OK ? "" : an_error_text(), ROW[i].words);
        if (status == AN_OK) prop_close(&s);
    }
}

int main(void)
{
    override("norm@0=rmsnorm", "layers.0.", 2, 0);                        /* two norms lose their bias */
    override("norm@1.mlp=rmsnorm", "layers.1.mlp.pre.", 1, 0);
    override("norm@*=rmsnorm", "layers. final.", 7, 0);                   /* the final norm too */
    override("norm@0-2=rmsnorm", "layers.", 6, 0);
    override("norm@0,2.attn=rmsnorm", "layers.0.attn. layers.2.attn.", 2, 0);
    override("design@1.mlp=post-ln", "layers.1.mlp.", 2, 2);              /* pre.gain, pre.bias to post.gain, post.bias */
    override("design@1=post-ln", "layers.1.", 4, 4);
    override("design@2=plain norm_affine@2=false", "layers.2.", 4, 0);
    override("norm_bias@0-1.attn=false", "layers.0.attn. layers.1.attn.", 2, 0);
    value_at_one_site();
    prop_product(0, every_design_everywhere);
    refused();
    return prop_finish("settings per site");
}
