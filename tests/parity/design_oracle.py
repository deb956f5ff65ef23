"""tests/parity/design_oracle.py: the model of make_design_fixtures.py in PyTorch float64: sub-layers, norm kinds, designs.

From the formulas; the choices that they leave open are numbered at the top of make_design_fixtures.py. A `place` is the
scope that parameters are named in, "layers.0.attn"; a configuration is a dict under addnorm's option names."""
import math

import numpy as np
import torch

from make_fixtures import rotate, sinusoid

STEPS_DONE = 5                    # passes that powernorm has behind it: warm-ups of 10000, 6, 3 and 2 are four different moments


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
                v = self.p(f"{place}.value_first", "scale", 1) * self.first_v + self.p(f"{place}.value_own", "scale", 1) * v
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
    X, dilation, period = [x], m.has("denseformer_dilation", 1), m.has("denseformer_period", 1)
    for i in range(m.c["n_layer"]):
        for site in ("attn", "mlp"):
            s = f"layers.{i}.{site}"
            x = x + m.sublayer(s, m.norm(f"{s}.pre", x))
        X.append(x)
        if (i + 1) % period == 0:
            chosen = X[::-1][::dilation][::-1]
            w = m.p(f"layers.{i}.dense.weight", "signed", len(chosen))
            x = sum(w[k] * chosen[k] for k in range(len(chosen)))
    return final(m, x)


def over_depth(m, place, v):
    C = v[0].shape[-1]
    q, g = m.p(f"{place}depth.query", "half", C), m.p(f"{place}depth.gain", "gain", C)
    V = torch.stack(v)                                                                        # [k,B,T,C]
    score = ((g * V / ((V * V).mean(-1, keepdim=True) + m.c["norm_eps"]).sqrt()) * q).sum(-1)
    return (score.softmax(0)[..., None] * V).sum(0)


def attention_residuals(m, x):
    v, blocks, L = [x], m.has("attention_residuals_blocks", "full"), m.c["n_layer"]
    if blocks != "full":
        return over_blocks(m, x, [l * blocks // L for l in range(L)])
    for s in m.places():
        h = over_depth(m, f"{s}.", v)
        m.trace.append(h)
        v.append(m.sublayer(s, m.norm(f"{s}.pre", h)))
    m.sources = v
    h = over_depth(m, "", v)
    m.trace.append(h)
    return final(m, h)


def over_blocks(m, x, block):
    """block[l]: which block layer l belongs to."""
    total = {}
    for s in m.places():
        b = block[int(s.split(".")[1])]
        f = m.sublayer(s, m.norm(f"{s}.pre", over_depth(m, f"{s}.", [x] + [total[k] for k in sorted(total)])))
        total[b] = total[b] + f if b in total else f
    return final(m, over_depth(m, "", [x] + [total[k] for k in sorted(total)]))


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
