#!/usr/bin/python3
"""tests/parity/make_design_fixtures.py: the PyTorch float64 oracle of every residual design and every norm kind.

Written from the formulas of the papers and the project's table of names alone, without a look at the C that it judges.
One forward pass and its gradients per case; every parameter, statistic and learned scale is random, so that nothing hides at
the value it starts from. One file per case:

    tokens, targets  I32 [B, T]     param.NAME, buffer.NAME  F32 (before the pass)     logits  F64 [B*T, V]   loss  F64 [1]
    grad.NAME        F64            buffer_after.NAME  F64, after one forward and backward pass in training mode
    logits_eval      F64, where training and evaluation differ: evaluation mode with the buffers as they were before the pass
    penalty          F64 [1], norm rbn only: gradients are those of loss + penalty, `loss` is the cross-entropy alone
    __metadata__     the configuration under addnorm's option names

    make_design_fixtures.py [CASE ...]     writes fixtures/designs/CASE.safetensors (all cases by default)
    make_design_fixtures.py --check        writes nothing; recomputes every case and compares it with its file (1e-11 per tensor)
    make_design_fixtures.py --selfcheck    identities between designs, and norm kinds against PyTorch's own

A gradient that is zero by symmetry (see ZERO) is rounding noise in float64; it is stored as exact zeros, and only there.

Choices where the texts leave one open
 1  The slot "out" of a sub-layer is called out_norm here: layers.I.attn.out is already W_O, whose bias would have the same name
    and the same shape as the bias of that norm.
 2  QK norms are RMS norms whatever `norm` is, eps = norm_eps (inside the root); HybridNorm's three have eps 1e-5.
 3  Value residuals mix v (with its bias, before the head split) with the v of layer 0 as that layer computed it.
 4  ResiDual: the final norm has eps 1e-7, as the official code; the norms on the stream have norm_eps.
 5  keel, hybridnorm (other than q, k, v) and mix-ln use the configured norm kind, where their papers have RMSNorm.
 6  t-fixup: sqrt(d) on the token embedding only; positions are added unscaled, and the tied head is unscaled.
 7  denseformer: X_k is what block k returned, before its averaging; X_0 the sum of token and position embeddings.
 8  attention-residuals: RMSNorm_g has eps norm_eps inside the root; the first site has one source, so its query cannot learn.
 9  hyper-connections: one norm per site for the coefficients, shared by the streams, of the configured kind, with its bias.
    Without tanh the argument itself is scaled.
10  mhc: r = sqrt(mean + norm_eps) over the n C numbers of a token; Sinkhorn as in the paper, exp, then 20 times columns, rows,
    without an eps (every sum is positive). res[t][s], a column is one s.
11  ngpt: rotary positions, no biases, untied head; u is the first half of `up`, v (through silu) the second; s_qk and s_uv are
    indexed like the rows they multiply. h is not normalised before the step towards the branch.
12  batchnorm: eps inside the root; running_var takes the unbiased variance, normalisation the biased one. Evaluation uses the
    running values. No padding here, so masked and unmasked agree.
13  rbn: momentum 0.05; the penalty compares the batch (biased variance) with the running values *after* their update, which
    are constants to the gradient, and is summed over channels and norms. running_var is updated as by batchnorm.
14  powernorm: group scaling and 1/sqrt(v) share norm_eps; t is 1 in the first pass (`steps` counts finished passes); a pass is a
    forward and a backward, and running_grad moves in the backward.
15  groupnorm: eps inside the root, groups are neighbouring channels; one gain and bias per channel.
16  scalenorm, l2norm: max(||x||, norm_eps). prmsnorm: sqrt(mean of the first channels + eps), inside unless norm_eps_place says.
17  normformer's mlp skip scale multiplies x, not the branch. layernorm-scaling divides the norm's output, bias included.

Published code that differs from its paper, or from the above
    nGPT        model.py normalises h again before the step; the same for unit h, not for arbitrary embeddings.
    nGPT        model.py rotates neighbouring pairs; here rotate-half, as everywhere in addnorm.
    RBN         mask_batchnorm3d.py divides by sqrt(max(var, eps)), keeps the *biased* variance as running value, and compares
                the batch with the running values it has just updated (the paper: with the population).
    PowerNorm   mask_powernorm.py: batch v instead of running phi in dx and, for 10,000 passes, in z; group scaling in front,
                4 groups by default there; phi is updated twice per pass during warm-up; E adds up instead of decaying by itself.
    NormFormer  fairseq applies the head scales after W_O, to groups of channels; here to heads, as the paper.
    ReZero      rztx.py has one alpha per layer, the paper one per sub-layer (rezero_share layer, site).
    HC          several ports use RMSNorm for the coefficients; the paper a norm with learned weight, LayerNorm.
    mHC         the DeepSeek-V4 kernels hold the transpose, begin with a softmax + 1e-6 and divide by sums + 1e-6.
    ResiDual    the repository multiplies u by a configurable alpha (1) before the sum."""
import math
import os
import sys
import zlib

import numpy as np
import torch
import torch.nn.functional as F

from make_fixtures import decode, encode, loss_of, rotate, sinusoid

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "designs")
BASE = dict(arch="decoder", design="pre-ln", norm="layernorm", norm_eps=1e-5, vocab_size=11, d_model=8, n_head=2, d_ff=16,
            n_layer=3, seq_len=6, batch_size=2, activation="gelu_tanh", position="learned", tie_embeddings=True, bias=True,
            dropout=0.0)
PLAIN_DESIGNS = ("plain", "post-ln", "pre-ln", "deepnorm", "admin", "b2t", "sandwich-ln", "peri-ln", "reordered", "sub-ln",
                 "normformer", "hybridnorm", "keel", "layernorm-scaling", "rezero", "skipinit", "layerscale", "t-fixup",
                 "residual-dual", "parallel", "value-residual", "qk-norm", "hyper-connections", "mhc", "denseformer",
                 "attention-residuals")
CASES = {d: dict(BASE, design=d) for d in PLAIN_DESIGNS}
CASES.update({
    "mix-ln": dict(BASE, design="mix-ln", n_layer=4),
    "ngpt": dict(BASE, design="ngpt", norm="none", activation="swiglu", position="rotary", bias=False, tie_embeddings=False),
    "normformer.resscale": dict(BASE, design="normformer", normformer_resscale=True),
    "hybridnorm.first": dict(BASE, design="hybridnorm", hybridnorm_first=True),
    "hybridnorm.rotary": dict(BASE, design="hybridnorm", position="rotary", n_layer=2),
    "rezero.site": dict(BASE, design="rezero", rezero_share="site", n_layer=2),
    "residual-dual.scaled": dict(BASE, design="residual-dual", residual_dual_scale=0.25, n_layer=2),
    "parallel.separate": dict(BASE, design="parallel", parallel_norms="separate", n_layer=2),
    "peri-ln.bare": dict(BASE, design="peri-ln", peri_embed_norm=False, n_layer=2),
    "sub-ln.swiglu": dict(BASE, design="sub-ln", activation="swiglu", n_layer=2),
    "hyper-connections.static": dict(BASE, design="hyper-connections", hyper_dynamic=False, hyper_streams=3),
    "hyper-connections.linear": dict(BASE, design="hyper-connections", hyper_tanh=False, hyper_streams=2),
    "mhc.two": dict(BASE, design="mhc", hyper_streams=2, mhc_iterations=3),
    "custom.vector": dict(BASE, design="custom", custom_pre=True, custom_out=True, custom_post=True, custom_pre_scale=0.5,
                          custom_skip=1.0, custom_skip_kind="vector", custom_branch=1.0, custom_branch_kind="vector",
                          custom_final_norm=True, custom_embed_norm=True, n_layer=2),
    "custom.const": dict(BASE, design="custom", custom_pre=True, custom_skip=0.8, custom_skip_kind="const", custom_branch=0.6,
                         custom_branch_kind="const", custom_final_norm=True, n_layer=2),
    "custom.scalar": dict(BASE, design="custom", custom_post=True, custom_pre=False, custom_branch=0.5,
                          custom_branch_kind="scalar", custom_final_norm=False, n_layer=2),
})
TWO = dict(BASE, n_layer=2)
SWITCHES = {
    "qk_norm-head": dict(qk_norm="head"), "qk_norm-full": dict(qk_norm="full"),
    "qk_norm-head.rotary": dict(qk_norm="head", position="rotary"), "qk_norm-full.rotary": dict(qk_norm="full", position="rotary"),
    "value_residual-half": dict(value_residual="half", n_layer=3), "value_residual-learned": dict(value_residual="learned", n_layer=3),
}
CASES.update({f"switch.{n}": dict(TWO, **over) for n, over in SWITCHES.items()})
NORMS = {
    "layernorm": {}, "layernorm-outside": dict(norm="layernorm", norm_eps_place="outside", norm_variance="unbiased"),
    "rmsnorm": {}, "rmsnorm-offset": dict(norm="rmsnorm", norm_gain_offset=1), "rmsnorm-outside": dict(norm="rmsnorm", norm_eps_place="outside"),
    "prmsnorm": {}, "prmsnorm-half": dict(norm="prmsnorm", prmsnorm_p=0.5), "scalenorm": {}, "l2norm": {},
    "groupnorm": dict(norm_groups=2), "batchnorm": {}, "batchnorm-slow": dict(norm="batchnorm", batchnorm_momentum=0.01),
    "rbn": dict(rbn_mean=0.3, rbn_var=0.2), "rbn-plain": dict(norm="rbn"),
    "powernorm": {}, "powernorm-late": dict(norm="powernorm", powernorm_warmup=3),
    "powernorm-groups": dict(norm="powernorm", powernorm_warmup=2, powernorm_groups=2),
    "powernorm-bare": dict(norm="powernorm", powernorm_warmup=6, powernorm_groups=0),
    "dyt": {}, "derf": {}, "none": {},
}
CASES.update({f"norm.{n}": dict(TWO, **dict(dict(norm=n), **over)) for n, over in NORMS.items()})
STEPS_DONE = 5                    # passes that powernorm has behind it: warmup 10000, 6, 3 and 2 are four different moments

# Parameters without influence on the loss, by symmetry. A norm over tokens removes what is the same for all of them.
ZERO = {
    "attention-residuals": ("layers.0.attn.depth.query", "layers.0.attn.depth.gain"),
    "norm.batchnorm": ("attn.out.bias", "mlp.down.bias"), "norm.batchnorm-slow": ("attn.out.bias", "mlp.down.bias"),
    "norm.rbn-plain": ("attn.out.bias", "mlp.down.bias"),
}


# --- one model: names, sub-layers, norms ------------------------------------------------------------------------------

DRAW = {"gain": (1.0, 0.3), "bias": (0.0, 0.3), "matrix": (0.0, 0.3), "scale": (0.6, 0.2), "signed": (0.0, 0.35), "half": (0.0, 0.5)}


class Model:
    """Tensors are drawn when they are first asked for, so that every name and shape stands once, where it is used."""

    def __init__(self, c, rng=None, param=None, buffer=None, train=True):
        self.c, self.rng, self.train = c, rng, train
        self.param, self.buffer = ({} if param is None else param), ({} if buffer is None else buffer)
        self.after, self.penalty, self.trace, self.first_v = {}, 0.0, [], None

    def draw(self, kind, shape, centre):
        z = self.rng.standard_normal(shape)
        at, spread = DRAW[kind]
        z = (at if centre is None else centre) + spread * (np.clip(z, -2, 2) if at else z)
        return torch.tensor(z.astype(np.float32).astype(np.float64))

    def p(self, name, kind, *shape, centre=None):
        if name not in self.param:
            self.param[name] = self.draw(kind, shape, centre)
        assert self.param[name].shape == shape, name
        return self.param[name]

    def b(self, name, kind, *shape, centre=None):
        if name not in self.buffer:
            self.buffer[name] = self.draw(kind, shape, centre) if kind else torch.tensor([float(centre)], dtype=torch.float64)
        return self.buffer[name]

    def has(self, key, default):
        return self.c.get(key, default)

    def linear(self, place, x, out):
        y = x @ self.p(f"{place}.weight", "matrix", out, x.shape[-1]).T
        return y + self.p(f"{place}.bias", "bias", out) if self.c["bias"] else y

    def norm(self, place, x, **over):
        c = dict(self.c, **over)
        return NORM[c["norm"]](self, c, place, x)

    def rms(self, place, x, eps):
        return self.p(f"{place}.gain", "gain", x.shape[-1]) * x / ((x * x).mean(-1, keepdim=True) + eps).sqrt()

    # F: the two sub-layers

    def attention(self, place, u, layer, qk=None, v_norm=False, inner=False, head_scale=False, residual=None, sphere=False):
        c = self.c
        (B, T, C), H = u.shape, c["n_head"]
        D, eps = C // H, 1e-5 if v_norm else c["norm_eps"]
        qk, residual = c.get("qk_norm") or qk, c.get("value_residual") or residual
        q, k, v = self.linear(f"{place}.qkv", u, 3 * C).split(C, -1)
        if residual:
            if layer == 0:
                self.first_v = v
            elif residual == "half":
                v = 0.5 * self.first_v + 0.5 * v
            else:
                mix = self.p(f"{place}.value_mix", "scale", 2)
                v = mix[0] * self.first_v + mix[1] * v
        if qk == "full":
            q, k = self.rms(f"{place}.q_norm", q, eps), self.rms(f"{place}.k_norm", k, eps)
        q, k, v = (z.reshape(B, T, H, D) for z in (q, k, v))
        if qk == "head":
            q, k = self.rms(f"{place}.q_norm", q, eps), self.rms(f"{place}.k_norm", k, eps)
        if v_norm:
            v = self.rms(f"{place}.v_norm", v, eps)
        q, k, v = (z.transpose(1, 2) for z in (q, k, v))
        if c["position"] == "rotary":
            q, k = rotate(q), rotate(k)
        scale = 1 / math.sqrt(D)
        if sphere:
            s = (self.p(f"{place}.s_qk", "gain", C, centre=1 / math.sqrt(C)) * math.sqrt(C)).reshape(H, 1, D)
            q, k, scale = s * unit(q), s * unit(k), math.sqrt(D)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        y = (scale * (q @ k.transpose(-1, -2))).masked_fill(future, -math.inf).softmax(-1) @ v
        if head_scale:
            y = self.p(f"{place}.head_scale", "gain", H).reshape(H, 1, 1) * y
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.linear(f"{place}.out", self.norm(f"{place}.inner", y) if inner else y, C)

    def feed_forward(self, place, u, inner=False, sphere=False):
        c, C = self.c, self.c["d_model"]
        act, width = c["activation"], c["d_ff"]
        z = self.linear(f"{place}.up", u, 2 * width if act == "swiglu" else width)
        if sphere:
            z = self.p(f"{place}.s_uv", "gain", 2 * width) * math.sqrt(C) * z
            a, b = z.split(width, -1)
            h = a * b / (1 + torch.exp(-b))
        elif act == "swiglu":
            gate, up = z.split(width, -1)
            h = gate / (1 + torch.exp(-gate)) * up
        else:
            assert act == "gelu_tanh"
            h = 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z ** 3)))
        return self.linear(f"{place}.down", self.norm(f"{place}.inner", h) if inner else h, C)

    def sublayer(self, place, u, attn=None, mlp=None):
        """F of this place; attn, mlp: what the design asks of the inside."""
        _, layer, site = place.split(".")
        if site == "attn":
            return self.attention(place, u, int(layer), **(attn or {}))
        return self.feed_forward(place, u, **(mlp or {}))

    def places(self):
        return [f"layers.{i}.{site}" for i in range(self.c["n_layer"]) for site in ("attn", "mlp")]

    def logits(self, tokens):
        c, C = self.c, self.c["d_model"]
        E = self.p("embed.tok.weight", "matrix", c["vocab_size"], C)
        x = E[tokens] * (math.sqrt(C) if c["design"] == "t-fixup" else 1.0)
        if c["position"] == "learned":
            x = x + self.p("embed.pos.weight", "matrix", c["seq_len"], C)
        elif c["position"] == "sinusoidal":
            x = x + sinusoid(c["seq_len"], C)
        self.x0 = x
        x = DESIGN[c["design"]](self, x)
        self.hidden = x
        z = x @ (E if c["tie_embeddings"] else self.p("head.weight", "matrix", c["vocab_size"], C)).T
        if c["design"] == "ngpt":
            z = self.p("s_z", "gain", c["vocab_size"], centre=1 / math.sqrt(C)) * math.sqrt(C) * z
        return z.reshape(-1, c["vocab_size"])


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


# --- norm kinds -------------------------------------------------------------------------------------------------------

def affine(m, place, h, bias=True):
    y = m.p(f"{place}.gain", "gain", h.shape[-1]) * h
    return y + m.p(f"{place}.bias", "bias", h.shape[-1]) if bias and m.c["bias"] else y


def root(c, square):
    return square.sqrt() + c["norm_eps"] if c.get("norm_eps_place") == "outside" else (square + c["norm_eps"]).sqrt()


def layernorm(m, c, place, x):
    e = x - x.mean(-1, keepdim=True)
    return affine(m, place, e / root(c, (e * e).sum(-1, keepdim=True) / (x.shape[-1] - (c.get("norm_variance") == "unbiased"))))


def rmsnorm(m, c, place, x):
    offset = c.get("norm_gain_offset", 0)
    gain = m.p(f"{place}.gain", "gain", x.shape[-1], centre=1.0 - offset)
    return (offset + gain) * x / root(c, (x * x).mean(-1, keepdim=True))


def prmsnorm(m, c, place, x):
    k = max(1, int(c.get("prmsnorm_p", 0.0625) * x.shape[-1]))
    return affine(m, place, x / root(c, (x[..., :k] ** 2).mean(-1, keepdim=True)), bias=False)


def scalenorm(m, c, place, x):
    return m.p(f"{place}.gain", "gain", 1, centre=math.sqrt(x.shape[-1])) * x / x.norm(dim=-1, keepdim=True).clamp(min=c["norm_eps"])


def l2norm(m, c, place, x):
    return math.sqrt(x.shape[-1]) * x / x.norm(dim=-1, keepdim=True).clamp(min=c["norm_eps"])


def groupnorm(m, c, place, x):
    g = x.reshape(*x.shape[:-1], c.get("norm_groups", 4), -1)
    e = g - g.mean(-1, keepdim=True)
    return affine(m, place, (e / root(c, (e * e).mean(-1, keepdim=True))).reshape(x.shape))


def batchnorm(m, c, place, x, momentum=None):
    C, momentum = x.shape[-1], c.get("batchnorm_momentum", 0.1) if momentum is None else momentum
    mean, var = m.b(f"{place}.running_mean", "bias", C), m.b(f"{place}.running_var", "gain", C)
    if m.train:
        rows = x.reshape(-1, C)
        n, old = rows.shape[0], (mean, var)
        mean = rows.mean(0)
        var = ((rows - mean) ** 2).mean(0)
        m.after[f"{place}.running_mean"] = (1 - momentum) * old[0] + momentum * mean.detach()
        m.after[f"{place}.running_var"] = (1 - momentum) * old[1] + momentum * var.detach() * n / (n - 1)
        m.batch = mean, var
    return affine(m, place, (x - mean) / (var + c["norm_eps"]).sqrt())


def rbn(m, c, place, x):
    y = batchnorm(m, c, place, x, momentum=0.05)
    if m.train:
        m.penalty = m.penalty + c.get("rbn_mean", 0) * ((m.after[f"{place}.running_mean"] - m.batch[0]) ** 2).sum()
        m.penalty = m.penalty + c.get("rbn_var", 0) * (m.after[f"{place}.running_var"] - m.batch[1]).abs().sum()
    return y


class Power(torch.autograd.Function):
    """y = gain z + bias, z = x / sqrt(used + eps), with the published backward; `after` receives the moved running_grad."""

    @staticmethod
    def forward(ctx, x, gain, bias, v, used, running_grad, eps, after, name):
        z = x / (used + eps).sqrt()
        ctx.save_for_backward(z, gain, v, running_grad)
        ctx.rest = eps, after, name
        return gain * z + bias

    @staticmethod
    def backward(ctx, dy):
        (z, gain, v, E), (eps, after, name) = ctx.saved_tensors, ctx.rest
        g = gain * dy - 0.1 * E * z
        after[name] = E + (g * z).mean(0)
        return g / (v + eps).sqrt(), (dy * z).sum(0), dy.sum(0), None, None, None, None, None, None


def powernorm(m, c, place, x):
    C, G, warmup, eps = x.shape[-1], c.get("powernorm_groups", 1), c.get("powernorm_warmup", 10000), c["norm_eps"]
    rows = x.reshape(-1, C)
    if G:
        g = rows.reshape(-1, G, C // G)
        rows = (g / ((g * g).mean(-1, keepdim=True) + eps).sqrt()).reshape(-1, C)
    phi = m.b(f"{place}.running_square", "gain", C)
    E, steps = m.b(f"{place}.running_grad", "bias", C), m.b(f"{place}.steps", None, 1, centre=STEPS_DONE)
    gain, bias = m.p(f"{place}.gain", "gain", C), m.p(f"{place}.bias", "bias", C)
    if not m.train:
        return (gain * rows / (phi + eps).sqrt() + bias).reshape(x.shape)
    t, v = steps.item() + 1, (rows.detach() ** 2).mean(0)
    y = Power.apply(rows, gain, bias, v, v if t <= warmup else phi, E, eps, m.after, f"{place}.running_grad")
    moved = phi * (t - 1) / t + v / t if t < warmup else phi
    m.after[f"{place}.running_square"], m.after[f"{place}.steps"] = 0.9 * moved + 0.1 * v, steps + 1
    return y.reshape(x.shape)


def dyt(m, c, place, x):
    return affine(m, place, torch.tanh(m.p(f"{place}.alpha", "scale", 1) * x))


def derf(m, c, place, x):
    return affine(m, place, torch.erf(m.p(f"{place}.alpha", "scale", 1) * x + m.p(f"{place}.shift", "bias", 1)))


NORM = dict(layernorm=layernorm, rmsnorm=rmsnorm, prmsnorm=prmsnorm, scalenorm=scalenorm, l2norm=l2norm, groupnorm=groupnorm,
            batchnorm=batchnorm, rbn=rbn, powernorm=powernorm, dyt=dyt, derf=derf, none=lambda m, c, place, x: x)


# --- designs: x0 [B,T,C] -> what the head reads -----------------------------------------------------------------------

def final(m, x):
    return m.norm("final", x)


def plain(m, x):
    for s in m.places():
        x = m.sublayer(s, m.norm(f"{s}.pre", x))
    return final(m, x)


def pre_ln(m, x, end=final, out=False, scale=None, **inside):
    """x <- x + scale * Nout(F(Npre(x))); `scale(place, f)` and `inside` are what the designs below add."""
    for s in m.places():
        f = m.sublayer(s, m.norm(f"{s}.pre", x), **inside)
        if out:
            f = m.norm(f"{s}.out_norm", f)
        x = x + (scale(s, f) if scale else f)
        m.trace.append(x)
    return end(m, x)


def post_ln(m, x, skip=lambda s, x: x):
    for s in m.places():
        x = m.norm(f"{s}.post", skip(s, x) + m.sublayer(s, x))
        m.trace.append(x)
    return x


def deepnorm(m, x):
    alpha = m.has("deepnorm_alpha", (2 * m.c["n_layer"]) ** 0.25)
    return post_ln(m, x, lambda s, x: alpha * x)


def admin(m, x):
    return post_ln(m, x, lambda s, x: m.p(f"{s}.skip.scale", "gain", x.shape[-1]) * x)


def b2t(m, x):
    for i in range(m.c["n_layer"]):
        a, f = f"layers.{i}.attn", f"layers.{i}.mlp"
        mid = m.norm(f"{a}.post", x + m.sublayer(a, x))
        x = m.norm(f"{f}.post", x + mid + m.sublayer(f, mid))
    return x


def peri_ln(m, x):
    return pre_ln(m, m.norm("embed.norm", x) if m.has("peri_embed_norm", True) else x, out=True)


def reordered(m, x):
    for s in m.places():
        x = x + m.norm(f"{s}.out_norm", m.sublayer(s, x, attn=dict(qk="full")))
    return final(m, x)


def normformer(m, x):
    for s in m.places():
        f = m.sublayer(s, m.norm(f"{s}.pre", x), attn=dict(head_scale=True), mlp=dict(inner=True))
        if s.endswith("attn"):
            x = x + m.norm(f"{s}.out_norm", f)
        else:
            x = (m.p(f"{s}.skip.scale", "gain", x.shape[-1]) * x if m.has("normformer_resscale", False) else x) + f
    return final(m, x)


def hybridnorm(m, x):
    for i in range(m.c["n_layer"]):
        a, f = f"layers.{i}.attn", f"layers.{i}.mlp"
        first = i == 0 and m.has("hybridnorm_first", False)
        h = x + m.sublayer(a, m.norm(f"{a}.pre", x) if first else x, attn=dict(qk="head", v_norm=True))
        z = m.norm(f"{f}.pre", h)
        x = (h if first else z) + m.sublayer(f, z)
    return final(m, x)


def keel(m, x):
    for i, s in enumerate(m.places()):
        alpha = 1.0 if i < 2 else float(m.has("keel_alpha", 2 * m.c["n_layer"]))
        y = alpha * x + m.sublayer(s, m.norm(f"{s}.pre", x))
        x = y if i == 0 else m.norm(f"{s}.post", y)
        m.trace.append(x)
    return x


def mix_ln(m, x):
    last = int(m.has("mix_ln_post", 0.25) * m.c["n_layer"])
    for i, s in enumerate(m.places()):
        if i // 2 < last:
            x = m.norm(f"{s}.post", x + m.sublayer(s, x))
        else:
            x = x + m.sublayer(s, m.norm(f"{s}.pre", x))
    return final(m, x)


def layernorm_scaling(m, x):
    for i, s in enumerate(m.places()):
        x = x + m.sublayer(s, m.norm(f"{s}.pre", x) / math.sqrt(i // 2 + 1))
        m.trace.append(x)
    return final(m, x)


def rezero(m, x):
    shared = m.has("rezero_share", "layer") == "layer"
    for s in m.places():
        x = x + m.p(f"{s.rsplit('.', 1)[0] if shared else s}.branch.scale", "scale", 1) * m.sublayer(s, x)
    return x


def skipinit(m, x):
    for s in m.places():
        x = x + m.p(f"{s}.branch.scale", "scale", 1) * m.sublayer(s, x)
    return x


def layerscale(m, x):
    return pre_ln(m, x, scale=lambda s, f: m.p(f"{s}.branch.scale", "scale", f.shape[-1]) * f)


def bare(m, x):
    for s in m.places():
        x = x + m.sublayer(s, x)
    return x


def residual_dual(m, x):
    s_dual = m.has("residual_dual_scale", 1.0)
    u, r = x, s_dual * x
    for s in m.places():
        f = m.sublayer(s, u)
        u, r = m.norm(f"{s}.post", u + f), r + s_dual * f
    return u + m.norm("final", r, norm_eps=1e-7)


def parallel(m, x):
    shared = m.has("parallel_norms", "shared") == "shared"
    for i in range(m.c["n_layer"]):
        a, f = f"layers.{i}.attn", f"layers.{i}.mlp"
        u = m.norm(f"layers.{i}.pre" if shared else f"{a}.pre", x)
        w = u if shared else m.norm(f"{f}.pre", x)
        x = x + m.sublayer(a, u) + m.sublayer(f, w)
    return final(m, x)


def hyper_connections(m, x):
    n, C = m.has("hyper_streams", 4), x.shape[-1]
    H = [x] * n
    squash = torch.tanh if m.has("hyper_tanh", True) else (lambda z: z)
    for i, s in enumerate(m.places()):
        B = m.p(f"{s}.hyper.static_beta", "gain", n)
        A0 = m.p(f"{s}.hyper.static_mix", "matrix", n, n + 1)
        beta, A = [B[a] for a in range(n)], [[A0[a, b] for b in range(n + 1)] for a in range(n)]
        if m.has("hyper_dynamic", True):
            wb, wm = m.p(f"{s}.hyper.beta.weight", "matrix", 1, C), m.p(f"{s}.hyper.mix.weight", "matrix", n + 1, C)
            sb, sm = m.p(f"{s}.hyper.scale_beta", "scale", 1), m.p(f"{s}.hyper.scale_mix", "scale", 1)
            for a in range(n):
                h = m.norm(f"{s}.hyper.norm", H[a])
                beta[a] = beta[a] + sb * squash(h @ wb.T)                                     # [B,T,1]
                d = sm * squash(h @ wm.T)                                                     # [B,T,n+1]
                A[a] = [A[a][b] + d[..., b:b + 1] for b in range(n + 1)]
        u = sum(A[a][0] * H[a] for a in range(n))
        f = m.sublayer(s, m.norm(f"{s}.pre", u))
        H = [sum(A[a][1 + t] * H[a] for a in range(n)) + beta[t] * f for t in range(n)]
    return final(m, sum(H))


def sinkhorn(R, times):
    """R [..., t, s]: columns (over t) first, rows (over s) last."""
    M = torch.exp(R - R.amax((-1, -2), keepdim=True))
    for _ in range(times):
        M = M / M.sum(-2, keepdim=True)
        M = M / M.sum(-1, keepdim=True)
    return M


def mhc(m, x):
    n, C = m.has("hyper_streams", 4), x.shape[-1]
    H = torch.stack([x] * n, -2)                                                              # [B,T,n,C]
    for s in m.places():
        phi = m.p(f"{s}.mhc.phi.weight", "matrix", n * n + 2 * n, n * C)
        bias, scale = m.p(f"{s}.mhc.bias", "half", n * n + 2 * n), m.p(f"{s}.mhc.scale", "scale", 3)
        flat = H.reshape(*x.shape[:-1], n * C)
        r = ((flat * flat).mean(-1, keepdim=True) + m.c["norm_eps"]).sqrt()
        pre, post, res = ((flat @ phi.T) / r).split([n, n, n * n], -1)
        b_pre, b_post, b_res = bias.split([n, n, n * n])
        pre, post = torch.sigmoid(scale[0] * pre + b_pre), 2 * torch.sigmoid(scale[1] * post + b_post)
        res = sinkhorn((scale[2] * res + b_res).reshape(*x.shape[:-1], n, n), m.has("mhc_iterations", 20))
        u = (pre[..., None] * H).sum(-2)
        f = m.sublayer(s, m.norm(f"{s}.pre", u))
        H = res @ H + post[..., None] * f[..., None, :]
    return final(m, H.sum(-2))


def denseformer(m, x):
    X = [x]
    for i in range(m.c["n_layer"]):
        for site in ("attn", "mlp"):
            s = f"layers.{i}.{site}"
            x = x + m.sublayer(s, m.norm(f"{s}.pre", x))
        X.append(x)
        w = m.p(f"layers.{i}.dense.weight", "signed", i + 2)
        x = sum(w[k] * X[k] for k in range(i + 2))
    return final(m, x)


def over_depth(m, place, v):
    C = v[0].shape[-1]
    q, g = m.p(f"{place}depth.query", "half", C), m.p(f"{place}depth.gain", "gain", C)
    V = torch.stack(v)                                                                        # [k,B,T,C]
    score = ((g * V / ((V * V).mean(-1, keepdim=True) + m.c["norm_eps"]).sqrt()) * q).sum(-1)
    return (score.softmax(0)[..., None] * V).sum(0)


def attention_residuals(m, x):
    v = [x]
    for s in m.places():
        h = over_depth(m, f"{s}.", v)
        m.trace.append(h)
        v.append(m.sublayer(s, m.norm(f"{s}.pre", h)))
    m.sources = v
    h = over_depth(m, "", v)
    m.trace.append(h)
    return final(m, h)


def ngpt(m, x):
    root_d = math.sqrt(m.c["d_model"])
    for s in m.places():
        alpha = (m.p(f"{s}.alpha", "signed", x.shape[-1]) * 0.05 * root_d).abs()
        f = unit(m.sublayer(s, x, attn=dict(sphere=True), mlp=dict(sphere=True)))
        x = unit(x + alpha * (f - x))
    return x


def custom(m, x):
    def scaled(key, s, z):
        kind, at = m.has(f"custom_{key}_kind", "const"), m.has(f"custom_{key}", 1.0)
        if kind == "const":
            return at * z
        return m.p(f"{s}.{key}.scale", "scale", z.shape[-1] if kind == "vector" else 1) * z

    if m.has("custom_embed_norm", False):
        x = m.norm("embed.norm", x)
    for s in m.places():
        u = m.norm(f"{s}.pre", x) if m.has("custom_pre", True) else x
        f = m.sublayer(s, m.has("custom_pre_scale", 1.0) * u)
        f = m.norm(f"{s}.out_norm", f) if m.has("custom_out", False) else f
        x = scaled("skip", s, x) + scaled("branch", s, f)
        x = m.norm(f"{s}.post", x) if m.has("custom_post", False) else x
    return final(m, x) if m.has("custom_final_norm", True) else x


DESIGN = {
    "plain": plain, "post-ln": post_ln, "pre-ln": pre_ln, "deepnorm": deepnorm, "admin": admin, "b2t": b2t,
    "sandwich-ln": lambda m, x: pre_ln(m, x, out=True), "peri-ln": peri_ln, "reordered": reordered,
    "sub-ln": lambda m, x: pre_ln(m, x, attn=dict(inner=True), mlp=dict(inner=True)), "normformer": normformer,
    "hybridnorm": hybridnorm, "keel": keel, "mix-ln": mix_ln, "layernorm-scaling": layernorm_scaling, "rezero": rezero,
    "skipinit": skipinit, "layerscale": layerscale, "t-fixup": bare, "residual-dual": residual_dual, "parallel": parallel,
    "value-residual": lambda m, x: pre_ln(m, x, attn=dict(residual="half")), "qk-norm": lambda m, x: pre_ln(m, x, attn=dict(qk="head")),
    "hyper-connections": hyper_connections, "mhc": mhc, "denseformer": denseformer, "attention-residuals": attention_residuals,
    "ngpt": ngpt, "custom": custom,
}


# --- one case ---------------------------------------------------------------------------------------------------------

def ids(c, rng):
    return (torch.tensor(rng.randint(0, c["vocab_size"], (c["batch_size"], c["seq_len"]))) for _ in range(2))


def store_gradients(name, m, out):
    largest = max(v.grad.abs().max().item() for v in m.param.values())
    for k, v in m.param.items():
        g = v.grad.numpy().copy()
        zero = any(k.endswith(z) for z in ZERO.get(name, ()))
        assert (np.abs(g).max() < 1e-13 * largest) == zero, f"{name}: {k}: gradient {np.abs(g).max():.1e} of {largest:.1e}"
        out[f"grad.{k}"] = np.zeros_like(g) if zero else g


def compute(name):
    c = CASES[name]
    rng = np.random.RandomState(zlib.crc32(name.encode()))      # this generator's stream is frozen
    tokens, targets = ids(c, rng)
    with torch.no_grad():
        first = Model(c, rng)
        first.logits(tokens)                                    # draws everything
    for v in first.param.values():
        v.requires_grad_(True)
    m = Model(c, None, first.param, first.buffer)
    logits = m.logits(tokens)
    loss = loss_of(logits, targets)
    (loss + m.penalty).backward()
    out = {"tokens": tokens.numpy().astype("<i4"), "targets": targets.numpy().astype("<i4"),
           "logits": logits.detach().numpy().copy(), "loss": np.array([loss.item()])}
    out.update({f"param.{k}": v.detach().numpy().astype("<f4") for k, v in m.param.items()})
    out.update({f"buffer.{k}": v.numpy().astype("<f4") for k, v in m.buffer.items()})
    store_gradients(name, m, out)
    if m.buffer:
        assert m.after.keys() == m.buffer.keys()
        out.update({f"buffer_after.{k}": v.numpy().copy() for k, v in m.after.items()})
        with torch.no_grad():
            out["logits_eval"] = Model(c, None, m.param, m.buffer, train=False).logits(tokens).numpy().copy()
    if c["norm"] == "rbn":
        out["penalty"] = np.array([float(m.penalty)])
    return c, out


# --- checks -----------------------------------------------------------------------------------------------------------

def same(what, a, b, tolerance=1e-13):
    worst = ((a - b).abs().max() / b.abs().max().clamp(min=1e-300)).item()
    assert worst <= tolerance, f"{what}: {worst:.1e} relative"
    print(f"  {what:60s} {worst:.1e}")


class Pair:
    """A design against the reference design with the same parameters; `special` sets what only the design has."""

    def __init__(self, config, reference, special, **over):
        c = dict(BASE, norm_eps=1e-5, **config)
        c.update(over)
        rng = np.random.RandomState(7)
        self.tokens, _ = ids(c, rng)
        self.m = Model(c, rng)
        self.m.logits(self.tokens)
        for k in self.m.param:
            for end, value in special.items():
                if k.endswith(end):
                    self.m.param[k] = value(self.m.param[k]) if callable(value) else torch.full_like(self.m.param[k], value)
        self.m = Model(c, None, self.m.param)
        self.mine = self.m.logits(self.tokens)
        self.r = Model(dict(c, design=reference), rng, dict(self.m.param))
        self.theirs = self.r.logits(self.tokens)


def check_designs():
    def equal(what, config, reference, special, tolerance=1e-13, **over):
        pair = Pair(config, reference, special, **over)
        same(f"{what} = {reference}", pair.mine, pair.theirs, tolerance)

    equal("deepnorm, alpha 1", dict(design="deepnorm", deepnorm_alpha=1), "post-ln", {}, 0)
    equal("admin, omega 1", dict(design="admin"), "post-ln", {"skip.scale": 1.0}, 0)
    equal("layerscale 1", dict(design="layerscale"), "pre-ln", {"branch.scale": 1.0}, 0)
    equal("denseformer at init", dict(design="denseformer"), "pre-ln", {"dense.weight": lambda w: torch.eye(len(w), dtype=w.dtype)[-1]}, 0)
    equal("learned value mix (0, 1)", dict(design="pre-ln", value_residual="learned"), "pre-ln",
          {"value_mix": lambda w: torch.tensor([0.0, 1.0], dtype=w.dtype)}, 0)
    equal("custom, all as pre-ln", dict(design="custom"), "pre-ln", {}, 0)
    equal("custom, all as post-ln", dict(design="custom", custom_pre=False, custom_post=True, custom_final_norm=False), "post-ln", {}, 0)
    equal("mix-ln, share 0", dict(design="mix-ln", mix_ln_post=0.0), "pre-ln", {}, 0)
    equal("residual-dual, s 0, final gain 0", dict(design="residual-dual", residual_dual_scale=0.0), "post-ln",
          {"final.gain": 0.0, "final.bias": 0.0}, 0)
    eye = {"static_beta": 1.0, "static_mix": None, "beta.weight": 0.0, "mix.weight": 0.0}
    for n in (1, 2, 3, 4):
        for dynamic in (False, True):

            def start(w, at=[0]):
                k, at[0] = at[0], at[0] + 1
                one = torch.zeros(n, 1, dtype=w.dtype)
                one[k % n] = 1
                return torch.cat([one, torch.eye(n, dtype=w.dtype)], 1)
            equal(f"hyper-connections at init, n {n}, {'dynamic' if dynamic else 'static'}",
                  dict(design="hyper-connections", hyper_streams=n, hyper_dynamic=dynamic), "pre-ln", dict(eye, static_mix=start), 1e-12, norm_eps=1e-30)
    equal("mhc, n 1, phi 0, post bias 0", dict(design="mhc", hyper_streams=1), "pre-ln",
          {"phi.weight": 0.0, "mhc.bias": lambda w: w * torch.tensor([1.0, 0.0, 1.0], dtype=w.dtype)}, 1e-12, norm_eps=1e-30)
    pair = Pair(dict(design="keel"), "pre-ln", {})
    same("keel, first attention = pre-ln", pair.m.trace[0], pair.r.trace[0], 0)
    pair = Pair(dict(design="layernorm-scaling"), "pre-ln", {})
    same("layernorm-scaling, first layer = pre-ln", pair.m.trace[1], pair.r.trace[1], 0)
    pair = Pair(dict(design="attention-residuals"), "pre-ln", {"depth.query": 0.0})
    for i, h in enumerate(pair.m.trace):
        same(f"attention-residuals at init, site {i}: mean of {i + 1}", h, sum(pair.m.sources[:i + 1]) / (i + 1))
    for d in ("rezero", "skipinit"):
        pair = Pair(dict(design=d), d, {"branch.scale": 0.0})
        same(f"{d}, alpha 0 = identity", pair.m.hidden, pair.m.x0, 0)
    R = torch.randn(5, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    same("sinkhorn: rows sum to 1", sinkhorn(R, 20).sum(-1), torch.ones(5, 4, dtype=torch.float64))
    same("sinkhorn: columns, after 200", sinkhorn(R, 200).sum(-2), torch.ones(5, 4, dtype=torch.float64), 1e-6)
    pair = Pair(dict(design="ngpt", **{k: CASES["ngpt"][k] for k in ("norm", "activation", "position", "bias", "tie_embeddings")}), "ngpt", {})
    same("ngpt: the stream has length 1", pair.m.hidden.norm(dim=-1), torch.ones(2, 6, dtype=torch.float64))


def check_norms():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(4, 5, 8, dtype=torch.float64, generator=g)
    rng = np.random.RandomState(2)

    def run(kind, train=True, **over):
        m = Model(dict(BASE, norm=kind, **over), rng, train=train)
        return m, m.norm("n", x), m.param.get("n.gain"), m.param.get("n.bias")
    _, y, w, b = run("layernorm")
    same("layernorm", y, F.layer_norm(x, (8,), w, b, 1e-5))
    _, y, w, b = run("groupnorm", norm_groups=2)
    same("groupnorm", y, F.group_norm(x.reshape(-1, 8), 2, w, b, 1e-5).reshape(x.shape))
    m, y, w, b = run("batchnorm")
    mean, var = m.buffer["n.running_mean"].clone(), m.buffer["n.running_var"].clone()
    same("batchnorm", y, F.batch_norm(x.reshape(-1, 8), mean, var, w, b, True, 0.1, 1e-5).reshape(x.shape))
    same("batchnorm: running mean", m.after["n.running_mean"], mean)
    same("batchnorm: running variance", m.after["n.running_var"], var)
    m, y, w, b = run("batchnorm", train=False)
    same("batchnorm, evaluation", y, F.batch_norm(x.reshape(-1, 8), m.buffer["n.running_mean"], m.buffer["n.running_var"], w, b, False, 0.1, 1e-5).reshape(x.shape))
    _, y, w, _ = run("rmsnorm", norm_gain_offset=1)
    _, z, v, _ = run("rmsnorm")
    same("rmsnorm, gain offset", y / (1 + w), z / v)
    _, y, w, _ = run("prmsnorm", prmsnorm_p=1.0)
    same("prmsnorm of all channels = rmsnorm", y / w, z / v)
    _, y, w, _ = run("scalenorm", norm_eps=1e-30)
    same("scalenorm: ||y|| = g", y.norm(dim=-1), w.expand(4, 5))
    same("l2norm: rms 1", (run("l2norm", norm_eps=1e-30)[1] ** 2).mean(-1), torch.ones(4, 5, dtype=torch.float64))
    # The published backward is the exact one of x / sqrt(v) held constant, less 0.1 E z, over the batch's root.
    m = Model(dict(BASE, norm="powernorm", powernorm_groups=0), rng)
    z = x.clone().requires_grad_(True)
    y = m.norm("n", z)
    dy = torch.randn(4, 5, 8, dtype=torch.float64, generator=g)
    y.backward(dy)
    v = (x.reshape(-1, 8) ** 2).mean(0)
    h = x / (v + 1e-5).sqrt()
    same("powernorm: z", y.detach(), m.param["n.gain"] * h + m.param["n.bias"])
    same("powernorm: dx", z.grad, (m.param["n.gain"] * dy - 0.1 * m.buffer["n.running_grad"] * h) / (v + 1e-5).sqrt())
    same("powernorm: running square, step 6", m.after["n.running_square"], 0.9 * (m.buffer["n.running_square"] * 5 / 6 + v / 6) + 0.1 * v)


def check_file(name, c, tensors, data):
    meta, stored = decode(data)
    assert meta == decode(encode(c, tensors, {}))[0], f"{name}: the configuration differs"
    assert stored.keys() == tensors.keys(), f"{name}: the tensors differ"
    worst = 0.0
    for k, t in tensors.items():
        assert stored[k].shape == t.shape, f"{name}: {k}: the shape differs"
        if t.dtype != np.float64 or not t.any():
            assert (stored[k] == t).all(), f"{name}: {k}: an input differs"
        else:
            worst = max(worst, np.abs(stored[k] - t).max() / np.abs(t).max())
    assert worst < 1e-11, f"{name}: {worst:.1e} relative"
    return worst


def main(args):
    torch.set_num_threads(1)
    if "--selfcheck" in args:
        check_designs()
        check_norms()
        return
    check = "--check" in args
    for name in [a for a in args if a != "--check"] or CASES:
        c, tensors = compute(name)
        path = os.path.join(HERE, name + ".safetensors")
        if check:
            with open(path, "rb") as f:
                print(f"{name:32s} {check_file(name, c, tensors, f.read()):.1e}")
            continue
        data = encode(c, tensors, {})
        with open(path, "wb") as f:
            f.write(data)
        print(f"{name:32s} {len(data):7d} bytes  loss {tensors['loss'][0]:.6f}")


if __name__ == "__main__":
    main(sys.argv[1:])
