/* Decoding one token at a time gives the logits of the full forward pass, at every position, for every design, norm and
 * kind of position. Both paths share their emitters, but not attention (cached against tiled), the row count of each
 * product, nor the place where positions come from. */
#include "prop.h"

static const double TOLERANCE = sizeof(an_real) == 4 ? 1e-5 : 1e-12;   /* of the largest logit */

static double largest(size_t n, const an_real *x)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

/* The decoder fed with seq tokens against rows [seq, V] of full logits; returns the worst error. */
static double follow(an_decoder *d, const int32_t *tokens, size_t seq, size_t vocab, const an_real *full, double scale)
{
    double worst = 0;
    for (size_t t = 0; t < seq; t++) {
        const an_real *step = NULL;
        if (an_decoder_step(d, tokens[t], &step) != AN_OK) return INFINITY;
        for (size_t v = 0; v < vocab; v++) {
            const double e = fabs((double)step[v] - (double)full[t * vocab + v]) / scale;
            if (!(e <= worst)) worst = e;
        }
    }
    return worst;
}

static void compare(subject *s, const char *settings)
{
    an_decoder *d = NULL;
    an_pass pass = s->pass;
    pass.train = false;                              /* dropout may be configured: it is off */
    an_model_forward(s->model, &pass);
    const an_real *full = an_model_get_logits(s->model);
    const double scale = largest(s->rows * s->vocab, full);
    prop_check(an_decoder_create(&d, s->model, s->seq) == AN_OK, "%s: no decoder: %s", settings, an_error_text());
    if (!d) return;
    for (size_t b = 0; b < s->batch; b++) {          /* from the second on: after a reset, over a full cache */
        const double e = follow(d, s->tokens + b * s->seq, s->seq, s->vocab, full + b * s->seq * s->vocab, scale);
        prop_check(e <= TOLERANCE, "%s: sequence %zu decoded is off by %.1e of the largest logit, %.0e allowed", settings, b, e, TOLERANCE);
        const an_real *step;
        prop_check(an_decoder_position(d) == s->seq && an_decoder_step(d, 0, &step) == AN_EUSAGE, "%s: a token past the end was taken", settings);
        an_decoder_reset(d);
    }
    follow(d, s->tokens, s->seq / 2, s->vocab, full, scale);
    an_decoder_reset(d);                             /* in the middle of a sequence */
    const double e = follow(d, s->tokens + s->rows - s->seq, s->seq, s->vocab, full + (s->rows - s->seq) * s->vocab, scale);
    prop_check(e <= TOLERANCE, "%s: after a reset in the middle, off by %.1e", settings, e);
    an_decoder_destroy(&d);
}

static void decode_equals_forward(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_LOGITS, "%s dropout=0.3", settings);
    compare(&s, settings);
    prop_close(&s);
}

/* Longer than attention's tiles, odd shapes, gated activation; and past seq_len where positions are a formula. */
static void long_sequences(void)
{
    static const char *const LONG[] = {
        "position=rotary n_head=3 d_model=30 seq_len=203", "position=learned n_head=1 d_model=72 seq_len=150 norm=rmsnorm", "position=sinusoidal n_head=4 d_model=36 seq_len=131 activation=swiglu design=post-ln",
        "position=rotary n_head=4 n_kv_head=2 d_model=40 seq_len=140 design=ngpt", "position=learned n_head=6 n_kv_head=1 d_model=30 seq_len=77 qk_norm=full value_residual=learned",
        "position=sinusoidal n_head=4 n_kv_head=2 d_model=24 seq_len=67 qk_norm=head value_residual=half design=post-ln", "position=rotary n_head=2 d_model=132 seq_len=129 activation=gelu_erf bias=false design=plain", "position=learned seq_len=70 activation=relu tie_embeddings=false n_layer=1 fuse=false",
    };
    for (size_t i = 0; i < sizeof LONG / sizeof *LONG; i++) {
        subject s;
        prop_open(&s, 2, PROP_LOGITS, "%s", LONG[i]);
        compare(&s, LONG[i]);
        prop_close(&s);
    }
}

static void beyond_seq_len(void)
{
    static const char *const OPEN_ENDED[] = { "position=rotary seq_len=16", "position=sinusoidal seq_len=16" };
    for (size_t i = 0; i < 2; i++) {
        subject s;
        an_model *wide = NULL;
        an_decoder *d = NULL;
        int32_t tokens[40];
        prop_open(&s, 1, PROP_LOGITS, "%s", OPEN_ENDED[i]);
        prop_tokens(tokens, 40, s.vocab, 9);
        const an_model_shape shape = { .batch = 1, .seq = 40, .logits = true };
        const int made = an_model_share(&wide, s.model, &shape) == AN_OK && an_decoder_create(&d, s.model, 40) == AN_OK;
        if (prop_check(made, "%s: 40 tokens: %s", OPEN_ENDED[i], an_error_text())) {
            const an_pass pass = { .tokens = tokens };
            an_model_forward(wide, &pass);
            const an_real *full = an_model_get_logits(wide);
            const double e = follow(d, tokens, 40, s.vocab, full, largest(40 * s.vocab, full));
            prop_check(e <= TOLERANCE, "%s: 40 tokens decoded are off by %.1e", OPEN_ENDED[i], e);
        }
        an_decoder_destroy(&d);
        an_model_destroy(&wide);
        prop_close(&s);
    }
    subject s;
    an_decoder *d = NULL;
    prop_open(&s, 1, PROP_LOGITS, "position=learned seq_len=16");
    prop_check(an_decoder_create(&d, s.model, 17) == AN_ECONFIG, "17 tokens were taken by a learned table of 16");
    prop_close(&s);
}

int main(void)
{
    prop_product(1, decode_equals_forward);
    long_sequences();
    beyond_seq_len();
    return prop_finish("decode = full forward");
}
