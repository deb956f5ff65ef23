/* tests/parity/tiny_gpt.c: see tiny_gpt.h. The textbook way on purpose: all T x T probabilities are kept, every gradient
 * buffer starts at zero and is only ever added to, nothing is fused and nothing is reused.
 * Letters: N = B*T rows, C channels, H heads, D = C/H, F feed-forward, V vocabulary; d before a name: gradient of it. */
#include "tiny_gpt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct weight { const double *w; double *d; } weight;         /* one parameter and its gradient */
typedef struct buffer { double *v, *d; } buffer;                      /* one activation and its gradient */

typedef struct layer {
    weight n1g, n1b, qkvw, qkvb, outw, outb, n2g, n2b, upw, upb, downw, downb;
    buffer u1, qkv, prob, mix, a, x1, u2, z, h, m, x2;                /* in order of the forward pass */
} layer;

typedef struct gpt {
    tiny_gpt_config c;
    size_t N;
    weight tok, pos, fg, fb;
    buffer x0, uf, logit;
    layer *at;
    double *memory, *free;
} gpt;

/* --- token-wise pieces --------------------------------------------------------------------------------------------- */

/* y = g (x - mean) / sqrt(var + eps) + b */
static void norm_forward(size_t N, size_t C, double eps, const double *x, weight g, weight b, double *y)
{
    for (size_t n = 0; n < N; n++, x += C, y += C) {
        double mean = 0, var = 0;
        for (size_t i = 0; i < C; i++) mean += x[i] / (double)C;
        for (size_t i = 0; i < C; i++) var += (x[i] - mean) * (x[i] - mean) / (double)C;
        for (size_t i = 0; i < C; i++) y[i] = g.w[i] * (x[i] - mean) / sqrt(var + eps) + b.w[i];
    }
}

/* Through the three scalars of a row one after the other: xhat, then the variance, then the mean. */
static void norm_backward(size_t N, size_t C, double eps, const double *x, weight g, weight b, const double *dy, double *dx)
{
    for (size_t n = 0; n < N; n++, x += C, dx += C, dy += C) {
        double mean = 0, var = 0, dvar = 0, dmean = 0;
        for (size_t i = 0; i < C; i++) mean += x[i] / (double)C;
        for (size_t i = 0; i < C; i++) var += (x[i] - mean) * (x[i] - mean) / (double)C;
        const double s = 1 / sqrt(var + eps);
        for (size_t i = 0; i < C; i++) {
            const double dxhat = dy[i] * g.w[i];
            g.d[i] += dy[i] * (x[i] - mean) * s;
            b.d[i] += dy[i];
            dvar += dxhat * (x[i] - mean) * -0.5 * s * s * s;
            dmean -= dxhat * s;                       /* d var / d mean = 0 */
        }
        for (size_t i = 0; i < C; i++) dx[i] += dy[i] * g.w[i] * s + dvar * 2 * (x[i] - mean) / (double)C + dmean / (double)C;
    }
}

/* y [N,O] = x [N,I] W^T + b, W [O,I] */
static void linear_forward(size_t N, size_t I, size_t O, const double *x, weight W, weight b, double *y)
{
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < O; o++) {
            double sum = b.w ? b.w[o] : 0;
            for (size_t i = 0; i < I; i++) sum += x[n * I + i] * W.w[o * I + i];
            y[n * O + o] = sum;
        }
    }
}

static void linear_backward(size_t N, size_t I, size_t O, const double *x, weight W, weight b, const double *dy, double *dx)
{
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < O; o++) {
            const double d = dy[n * O + o];
            if (b.w) b.d[o] += d;
            for (size_t i = 0; i < I; i++) {
                W.d[o * I + i] += d * x[n * I + i];
                dx[n * I + i] += d * W.w[o * I + i];
            }
        }
    }
}

static const double GELU_K = 0.044715;
static double gelu_rate(void) { return sqrt(2 / acos(-1.0)); }

static void gelu_forward(size_t n, const double *z, double *h)
{
    const double r = gelu_rate();
    for (size_t i = 0; i < n; i++) h[i] = z[i] / 2 * (1 + tanh(r * (z[i] + GELU_K * pow(z[i], 3))));
}

static void gelu_backward(size_t n, const double *z, const double *dh, double *dz)
{
    const double r = gelu_rate();
    for (size_t i = 0; i < n; i++) {
        const double t = tanh(r * (z[i] + GELU_K * pow(z[i], 3)));
        dz[i] += dh[i] * ((1 + t) / 2 + z[i] / 2 * (1 - t * t) * r * (1 + 3 * GELU_K * z[i] * z[i]));
    }
}

static void add_into(size_t n, const double *x, double *y)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

/* --- attention ----------------------------------------------------------------------------------------------------- */

/* Row t of batch b: q | k | v, each C wide, heads side by side inside. */
static size_t qkv_at(const tiny_gpt_config *c, size_t b, size_t t, size_t part, size_t head)
{
    return (b * c->T + t) * 3 * c->C + part * c->C + head * (c->C / c->H);
}

static void attention_forward(const tiny_gpt_config *c, const double *qkv, double *prob, double *mix)
{
    const size_t T = c->T, D = c->C / c->H;
    for (size_t b = 0; b < c->B; b++) for (size_t h = 0; h < c->H; h++) for (size_t t = 0; t < T; t++) {
        double *p = prob + ((b * c->H + h) * T + t) * T, *out = mix + (b * T + t) * c->C + h * D, top = -INFINITY, sum = 0;
        const double *q = qkv + qkv_at(c, b, t, 0, h);
        for (size_t s = 0; s <= t; s++) {
            const double *k = qkv + qkv_at(c, b, s, 1, h);
            double dot = 0;
            for (size_t i = 0; i < D; i++) dot += q[i] * k[i];
            p[s] = dot / sqrt((double)D);
            if (p[s] > top) top = p[s];
        }
        for (size_t s = 0; s <= t; s++) sum += p[s] = exp(p[s] - top);
        for (size_t s = 0; s <= t; s++) {
            const double *v = qkv + qkv_at(c, b, s, 2, h);
            p[s] /= sum;
            for (size_t i = 0; i < D; i++) out[i] += p[s] * v[i];
        }
    }
}

static void attention_backward(const tiny_gpt_config *c, const double *qkv, const double *prob, double *dprob, const double *dmix, double *dqkv)
{
    const size_t T = c->T, D = c->C / c->H;
    for (size_t b = 0; b < c->B; b++) for (size_t h = 0; h < c->H; h++) for (size_t t = 0; t < T; t++) {
        const size_t row = ((b * c->H + h) * T + t) * T, at_q = qkv_at(c, b, t, 0, h);
        const double *p = prob + row, *dout = dmix + (b * T + t) * c->C + h * D;
        double *dp = dprob + row, carried = 0;
        for (size_t s = 0; s <= t; s++) {
            const size_t at_v = qkv_at(c, b, s, 2, h);
            for (size_t i = 0; i < D; i++) {
                dp[s] += dout[i] * qkv[at_v + i];
                dqkv[at_v + i] += dout[i] * p[s];
            }
            carried += p[s] * dp[s];
        }
        for (size_t s = 0; s <= t; s++) {
            const size_t at_k = qkv_at(c, b, s, 1, h);
            const double dscore = p[s] * (dp[s] - carried) / sqrt((double)D);
            for (size_t i = 0; i < D; i++) {
                dqkv[at_q + i] += dscore * qkv[at_k + i];
                dqkv[at_k + i] += dscore * qkv[at_q + i];
            }
        }
    }
}

/* --- the model ----------------------------------------------------------------------------------------------------- */

static void embed(const gpt *m, const int32_t *tokens, int backward)
{
    const size_t C = m->c.C;
    for (size_t n = 0; n < m->N; n++) for (size_t i = 0; i < C; i++) {
        const size_t e = (size_t)tokens[n] * C + i, p = n % m->c.T * C + i;
        if (!backward) m->x0.v[n * C + i] = m->tok.w[e] + m->pos.w[p];
        else { m->tok.d[e] += m->x0.d[n * C + i]; m->pos.d[p] += m->x0.d[n * C + i]; }
    }
}

static void forward(const gpt *m)
{
    const tiny_gpt_config *c = &m->c;
    const size_t N = m->N, C = c->C, F = c->F;
    const double *x = m->x0.v;
    for (layer *l = m->at; l < m->at + c->L; x = l->x2.v, l++) {
        norm_forward(N, C, c->eps, x, l->n1g, l->n1b, l->u1.v);
        linear_forward(N, C, 3 * C, l->u1.v, l->qkvw, l->qkvb, l->qkv.v);
        attention_forward(c, l->qkv.v, l->prob.v, l->mix.v);
        linear_forward(N, C, C, l->mix.v, l->outw, l->outb, l->a.v);
        add_into(N * C, x, l->x1.v);
        add_into(N * C, l->a.v, l->x1.v);
        norm_forward(N, C, c->eps, l->x1.v, l->n2g, l->n2b, l->u2.v);
        linear_forward(N, C, F, l->u2.v, l->upw, l->upb, l->z.v);
        gelu_forward(N * F, l->z.v, l->h.v);
        linear_forward(N, F, C, l->h.v, l->downw, l->downb, l->m.v);
        add_into(N * C, l->x1.v, l->x2.v);
        add_into(N * C, l->m.v, l->x2.v);
    }
    norm_forward(N, C, c->eps, x, m->fg, m->fb, m->uf.v);
    linear_forward(N, C, c->V, m->uf.v, m->tok, (weight){ 0 }, m->logit.v);
}

/* Mean cross-entropy, and its gradient into logit.d. */
static double loss_and_gradient(const gpt *m, const int32_t *targets)
{
    double loss = 0;
    for (size_t n = 0; n < m->N; n++) {
        const double *z = m->logit.v + n * m->c.V;
        double *dz = m->logit.d + n * m->c.V, top = z[0], sum = 0;
        for (size_t v = 0; v < m->c.V; v++) if (z[v] > top) top = z[v];
        for (size_t v = 0; v < m->c.V; v++) sum += exp(z[v] - top);
        for (size_t v = 0; v < m->c.V; v++) dz[v] += (exp(z[v] - top) / sum - (v == (size_t)targets[n])) / (double)m->N;
        loss += (top + log(sum) - z[targets[n]]) / (double)m->N;
    }
    return loss;
}

static void backward(const gpt *m)
{
    const tiny_gpt_config *c = &m->c;
    const size_t N = m->N, C = c->C, F = c->F;
    linear_backward(N, C, c->V, m->uf.v, m->tok, (weight){ 0 }, m->logit.d, m->uf.d);
    const buffer *last = c->L ? &m->at[c->L - 1].x2 : &m->x0;
    norm_backward(N, C, c->eps, last->v, m->fg, m->fb, m->uf.d, last->d);
    for (size_t i = c->L; i-- > 0;) {
        layer *l = &m->at[i];
        const buffer *x = i ? &m->at[i - 1].x2 : &m->x0;
        add_into(N * C, l->x2.d, l->x1.d);
        add_into(N * C, l->x2.d, l->m.d);
        linear_backward(N, F, C, l->h.v, l->downw, l->downb, l->m.d, l->h.d);
        gelu_backward(N * F, l->z.v, l->h.d, l->z.d);
        linear_backward(N, C, F, l->u2.v, l->upw, l->upb, l->z.d, l->u2.d);
        norm_backward(N, C, c->eps, l->x1.v, l->n2g, l->n2b, l->u2.d, l->x1.d);
        add_into(N * C, l->x1.d, x->d);
        add_into(N * C, l->x1.d, l->a.d);
        linear_backward(N, C, C, l->mix.v, l->outw, l->outb, l->a.d, l->mix.d);
        attention_backward(c, l->qkv.v, l->prob.v, l->prob.d, l->mix.d, l->qkv.d);
        linear_backward(N, C, 3 * C, l->u1.v, l->qkvw, l->qkvb, l->qkv.d, l->u1.d);
        norm_backward(N, C, c->eps, x->v, l->n1g, l->n1b, l->u1.d, x->d);
    }
}

/* --- binding names and memory -------------------------------------------------------------------------------------- */

typedef struct names { const tiny_gpt_param *param; size_t params, used; const char *missing; } names;

static weight bind(names *s, const char *name, size_t count)
{
    for (size_t i = 0; i < s->params; i++) {
        const tiny_gpt_param *p = &s->param[i];
        if (strcmp(p->name, name) != 0 || p->count != count) continue;
        memset(p->dw, 0, count * sizeof *p->dw);
        s->used++;
        return (weight){ p->w, p->dw };
    }
    s->missing = "a parameter is missing or has another size";
    return (weight){ 0 };
}

static weight bind_in(names *s, size_t i, const char *rest, size_t count)
{
    char name[64];
    snprintf(name, sizeof name, "layers.%zu.%s", i, rest);
    return bind(s, name, count);
}

static void bind_all(gpt *m, names *s)
{
    const size_t C = m->c.C, F = m->c.F;
    m->tok = bind(s, "embed.tok.weight", m->c.V * C);
    m->pos = bind(s, "embed.pos.weight", m->c.T * C);
    m->fg = bind(s, "final.gain", C);
    m->fb = bind(s, "final.bias", C);
    for (size_t i = 0; i < m->c.L; i++) {
        layer *l = &m->at[i];
        l->n1g = bind_in(s, i, "attn.pre.gain", C);            l->n1b = bind_in(s, i, "attn.pre.bias", C);
        l->qkvw = bind_in(s, i, "attn.qkv.weight", 3 * C * C); l->qkvb = bind_in(s, i, "attn.qkv.bias", 3 * C);
        l->outw = bind_in(s, i, "attn.out.weight", C * C);     l->outb = bind_in(s, i, "attn.out.bias", C);
        l->n2g = bind_in(s, i, "mlp.pre.gain", C);             l->n2b = bind_in(s, i, "mlp.pre.bias", C);
        l->upw = bind_in(s, i, "mlp.up.weight", F * C);        l->upb = bind_in(s, i, "mlp.up.bias", F);
        l->downw = bind_in(s, i, "mlp.down.weight", C * F);    l->downb = bind_in(s, i, "mlp.down.bias", C);
    }
}

static buffer take(gpt *m, size_t count)
{
    const buffer b = { m->free, m->free + count };
    m->free += 2 * count;
    return b;
}

static int allocate(gpt *m)
{
    const size_t NC = m->N * m->c.C, NF = m->N * m->c.F, P = m->c.B * m->c.H * m->c.T * m->c.T;
    m->memory = m->free = calloc(2 * (2 * NC + m->N * m->c.V + m->c.L * (10 * NC + 2 * NF + P)), sizeof *m->memory);
    m->at = calloc(m->c.L ? m->c.L : 1, sizeof *m->at);
    if (!m->memory || !m->at) return 0;
    m->x0 = take(m, NC);
    m->uf = take(m, NC);
    m->logit = take(m, m->N * m->c.V);
    for (layer *l = m->at; l < m->at + m->c.L; l++) {
        l->u1 = take(m, NC);  l->qkv = take(m, 3 * NC);  l->prob = take(m, P);  l->mix = take(m, NC);  l->a = take(m, NC);
        l->x1 = take(m, NC);  l->u2 = take(m, NC);  l->z = take(m, NF);  l->h = take(m, NF);  l->m = take(m, NC);  l->x2 = take(m, NC);
    }
    return 1;
}

const char *tiny_gpt_run(const tiny_gpt_config *c, const tiny_gpt_param *param, size_t params, const int32_t *tokens, const int32_t *targets, double *logits, double *loss)
{
    gpt m = { .c = *c, .N = c->B * c->T };
    names s = { .param = param, .params = params };
    const char *wrong = allocate(&m) ? NULL : "out of memory";
    if (!wrong) {
        bind_all(&m, &s);
        wrong = s.missing ? s.missing : s.used != params ? "a parameter that this model does not have" : NULL;
    }
    if (!wrong) {
        embed(&m, tokens, 0);
        forward(&m);
        *loss = loss_and_gradient(&m, targets);
        backward(&m);
        embed(&m, tokens, 1);
        memcpy(logits, m.logit.v, m.N * c->V * sizeof *logits);
    }
    free(m.memory);
    free(m.at);
    return wrong;
}
