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
 7  denseformer: X_k is what block k returned, before its averaging; X_0 the sum of token and position embeddings. With dilation
    the average behind block i takes X_i, X_(i - dilation), ...; with a period it stands behind every period-th block only.
 8  attention-residuals: RMSNorm_g has eps norm_eps inside the root; the first site has one source, so its query cannot learn.
    In block form layer l belongs to block floor(l blocks / n_layer), and the head reads the last block's sum as a source too.
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
    pRMSNorm    rmsnorm_torch.py adds its eps (1e-8) outside the root.
    NormFormer  fairseq applies the head scales after W_O, to groups of channels; here to heads, as the paper.
    ReZero      rztx.py has one alpha per layer, the paper one per sub-layer (rezero_share layer, site).
    HC          several ports use RMSNorm for the coefficients; the paper a norm with learned weight, LayerNorm.
    mHC         the DeepSeek-V4 kernels hold the transpose, begin with a softmax + 1e-6 and divide by sums + 1e-6.
    ResiDual    the repository multiplies u by a configurable alpha (1) before the sum."""
import os
import sys
import zlib

import numpy as np
import torch
import torch.nn.functional as F

from design_oracle import Model, sinkhorn
from make_fixtures import decode, encode, loss_of

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "designs")
BASE = dict(arch="decoder", design="pre-ln", norm="layernorm", norm_eps=1e-5, vocab_size=11, d_model=8, n_head=2, d_ff=16,
            n_layer=3, seq_len=6, batch_size=2, activation="gelu_tanh", position="learned", tie_embeddings=True, bias=True,
            dropout=0.0)
PLAIN_DESIGNS = ("plain", "post-ln", "pre-ln", "deepnorm", "admin", "b2t", "sandwich-ln", "peri-ln", "reordered", "sub-ln",
                 "normformer", "hybridnorm", "keel", "layernorm-scaling", "rezero", "skipinit", "layerscale", "t-fixup",
                 "residual-dual", "parallel", "value-residual", "qk-norm", "hyper-connections", "mhc", "denseformer",
                 "attention-residuals")
CASES = {d: dict(BASE, design=d) for d in PLAIN_DESIGNS}
UNTIED = dict(tie_embeddings=False)      # where the design prescribes Xavier, whose embeddings are too large for a tied head
for d in ("deepnorm", "admin", "b2t", "rezero", "skipinit", "sub-ln"):
    CASES[d].update(UNTIED)
CASES.update({
    "mix-ln": dict(BASE, design="mix-ln", n_layer=4),
    "ngpt": dict(BASE, design="ngpt", norm="none", activation="swiglu", position="rotary", bias=False, tie_embeddings=False),
    "normformer.resscale": dict(BASE, design="normformer", normformer_resscale=True),
    "hybridnorm.first": dict(BASE, design="hybridnorm", hybridnorm_first=True),
    "hybridnorm.rotary": dict(BASE, design="hybridnorm", position="rotary", n_layer=2),
    "rezero.site": dict(BASE, design="rezero", rezero_share="site", n_layer=2, **UNTIED),
    "residual-dual.scaled": dict(BASE, design="residual-dual", residual_dual_scale=0.25, n_layer=2),
    "parallel.separate": dict(BASE, design="parallel", parallel_norms="separate", n_layer=2),
    "peri-ln.bare": dict(BASE, design="peri-ln", peri_embed_norm=False, n_layer=2),
    "sub-ln.swiglu": dict(BASE, design="sub-ln", activation="swiglu", n_layer=2, **UNTIED),
    "hyper-connections.static": dict(BASE, design="hyper-connections", hyper_dynamic=False, hyper_streams=3),
    "hyper-connections.linear": dict(BASE, design="hyper-connections", hyper_tanh=False, hyper_streams=2),
    "mhc.two": dict(BASE, design="mhc", hyper_streams=2, mhc_iterations=3),
    "denseformer.sparse": dict(BASE, design="denseformer", denseformer_dilation=2, denseformer_period=3, n_layer=7),
    "attention-residuals.blocks": dict(BASE, design="attention-residuals", attention_residuals_blocks=3, n_layer=4),
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

# Parameters without influence on the loss, by symmetry. A norm over tokens removes what is the same for all of them.
ZERO = {
    "attention-residuals": ("layers.0.attn.depth.query", "layers.0.attn.depth.gain"),
    "attention-residuals.blocks": ("layers.0.attn.depth.query", "layers.0.attn.depth.gain"),
    "norm.batchnorm": ("attn.out.bias", "mlp.down.bias"), "norm.batchnorm-slow": ("attn.out.bias", "mlp.down.bias"),
    "norm.rbn-plain": ("attn.out.bias", "mlp.down.bias"),
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
