#!/usr/bin/python3
"""tests/parity/make_fixtures.py: the PyTorch float64 oracle of addnorm's decoder (Debian: python3-torch, python3-numpy).

Written from the formulas alone, so that agreement means two independent readings of them. Every parameter is random
(gains about 1, biases about 0.3, matrices N(0, 0.3^2)), rounded to f32 so that both engines start from the same numbers,
and stored as F32; everything compared is F64. One file per case:

    tokens, targets  I32 [B, T]        param.NAME  F32       logits  F64 [B*T, V]       loss  F64 [1]
    grad.NAME        F64               after.NAME  F64, the parameters after ten AdamW steps on the same batch
    __metadata__     the configuration under addnorm's option names, and the optimizer's

    make_fixtures.py [CASE ...]     writes fixtures/CASE.safetensors (all cases by default)
    make_fixtures.py --check        writes nothing; recomputes every case and compares it with its file

The inputs come from a frozen generator and are the same bits everywhere; results may differ in the last bits between
processors (BLAS), which --check allows for (1e-11 per tensor)."""
import json
import math
import os
import struct
import sys
import zlib

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
# The loss does not depend on the bias of the keys (softmax ignores a shift), so its gradient is rounding noise, ~1e-17.
# AdamW divides by |g| + eps: at eps 1e-8 the noise alone moves that bias by 1.6e-10, beyond the tolerance; at 1e-6 by 1e-12.
STEPS, ADAMW = 10, dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-6)
DECAY = 0.1                      # on tensors of rank >= 2, embeddings included

BASE = dict(arch="decoder", design="pre-ln", norm="layernorm", norm_eps=1e-5, norm_eps_place="inside",
            norm_variance="biased", vocab_size=17, d_model=16, n_head=2, d_ff=64, n_layer=2, seq_len=8, batch_size=3,
            activation="gelu_tanh", position="learned", tie_embeddings=True, bias=True, dropout=0.0)
NORMS = {
    "layernorm": dict(norm="layernorm"),
    "layernorm-outside": dict(norm="layernorm", norm_eps_place="outside", norm_variance="unbiased"),
    "rmsnorm": dict(norm="rmsnorm"),
}
EXTRA = {
    "swiglu": dict(activation="swiglu", d_ff=24),
    "gelu_erf": dict(activation="gelu_erf"),
    "relu": dict(activation="relu"),
    "rotary": dict(position="rotary"),
    "sinusoidal": dict(position="sinusoidal"),
    "untied": dict(tie_embeddings=False, d_ff=56),
    "nobias": dict(bias=False),
    "grouped": dict(n_head=4, n_kv_head=2, position="rotary"),
    "padding": dict(n_kv_head=1),
    "padding.rotary": dict(position="rotary", bias=False),
}
CASES = {f"{d}.{n}": dict(BASE, design=d, **over) for d in ("plain", "post-ln", "pre-ln") for n, over in NORMS.items()}
CASES.update({f"pre-ln.layernorm.{n}": dict(BASE, **over) for n, over in EXTRA.items()})


PADDED = [(0, slice(0, 3)), (1, slice(5, None)), (2, [1, 4])]   # in front, behind, in between


def kv_width(c):
    """Columns of the keys, and of the values: n_kv_head heads, n_head where it is not said."""
    return c["d_model"] // c["n_head"] * c.get("n_kv_head", c["n_head"])


# --- parameters -------------------------------------------------------------------------------------------------------

def parameters(c, rng):
    """NAME -> float64 tensor holding f32 values, in a fixed order."""
    V, C, T, D, out = c["vocab_size"], c["d_model"], c["seq_len"], c["d_ff"], {}

    def add(name, kind, *shape):
        z = rng.standard_normal(shape)
        z = {"gain": 1 + np.clip(0.3 * z, -0.6, 0.6), "bias": 0.3 * z, "matrix": 0.3 * z}[kind]
        out[name] = torch.tensor(z.astype(np.float32).astype(np.float64))

    def norm(place):
        add(f"{place}.gain", "gain", C)
        if c["norm"] == "layernorm" and c["bias"]:
            add(f"{place}.bias", "bias", C)

    def linear(place, o, i):
        add(f"{place}.weight", "matrix", o, i)
        if c["bias"]:
            add(f"{place}.bias", "bias", o)

    add("embed.tok.weight", "matrix", V, C)
    if c["position"] == "learned":
        add("embed.pos.weight", "matrix", T, C)
    slot = "post" if c["design"] == "post-ln" else "pre"
    for i in range(c["n_layer"]):
        norm(f"layers.{i}.attn.{slot}")
        linear(f"layers.{i}.attn.qkv", C + 2 * kv_width(c), C)
        linear(f"layers.{i}.attn.out", C, C)
        norm(f"layers.{i}.mlp.{slot}")
        linear(f"layers.{i}.mlp.up", (2 if c["activation"] == "swiglu" else 1) * D, C)
        linear(f"layers.{i}.mlp.down", C, D)
    if c["design"] != "post-ln":
        norm("final")
    if not c["tie_embeddings"]:
        add("head.weight", "matrix", V, C)
    return out


# --- the model, from the formulas -------------------------------------------------------------------------------------

def normalise(c, p, place, x):
    eps, g, b = c["norm_eps"], p[f"{place}.gain"], p.get(f"{place}.bias")
    mean = x.mean(-1, keepdim=True) if c["norm"] == "layernorm" else 0.0
    e = x - mean
    variance = (e * e).sum(-1, keepdim=True) / (x.shape[-1] - (1 if c["norm_variance"] == "unbiased" else 0))
    root = variance.sqrt() + eps if c["norm_eps_place"] == "outside" else (variance + eps).sqrt()
    y = g * (e / root)
    return y if b is None else y + b


def linear(p, place, x):
    y = x @ p[f"{place}.weight"].T
    b = p.get(f"{place}.bias")
    return y if b is None else y + b


def places(tokens):
    """Position of each token [B, T]: how many tokens, not counting padding, stand before it."""
    return ((tokens >= 0).cumsum(-1) - 1).clamp(min=0)


def rotate(x, position):
    """Rotary positions on x [B, H, T, D], rotate-half layout: pairs (j, j + D/2), angle pos * 10000^(-2j/D)."""
    D = x.shape[-1]
    angle = position[:, None, :, None].to(x.dtype) * 10000.0 ** (-2 * torch.arange(D // 2, dtype=x.dtype) / D)
    u, w = x[..., : D // 2], x[..., D // 2:]
    return torch.cat([u * angle.cos() - w * angle.sin(), w * angle.cos() + u * angle.sin()], -1)


def attention(c, p, place, x, tokens):
    B, T, C = x.shape
    H, D = c["n_head"], C // c["n_head"]
    q, k, v = (z.reshape(B, T, -1, D).transpose(1, 2) for z in linear(p, f"{place}.qkv", x).split([C, kv_width(c), kv_width(c)], -1))
    if c["position"] == "rotary":
        q, k = rotate(q, places(tokens)), rotate(k, places(tokens))
    k, v = (z.repeat_interleave(H // z.shape[1], 1) for z in (k, v))        # query head h reads head h * KV // H
    score = q @ k.transpose(-1, -2) / math.sqrt(D)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    hidden = future | (tokens < 0)[:, None, None, :]
    weight = score.masked_fill(hidden, -1e300).softmax(-1).masked_fill((tokens < 0)[:, None, :, None], 0.0)
    return linear(p, f"{place}.out", (weight @ v).transpose(1, 2).reshape(B, T, C))


def feed_forward(c, p, place, x, tokens=None):
    z, act = linear(p, f"{place}.up", x), c["activation"]
    if act == "swiglu":
        gate, up = z.split(c["d_ff"], -1)
        h = gate / (1 + torch.exp(-gate)) * up
    elif act == "gelu_tanh":
        h = 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z ** 3)))
    elif act == "gelu_erf":
        h = 0.5 * z * (1 + torch.erf(z / math.sqrt(2)))
    else:
        h = z.clamp(min=0)
    return linear(p, f"{place}.down", h)


def sinusoid(T, C):
    angle = torch.arange(T, dtype=torch.float64)[:, None] / 10000.0 ** (torch.arange(0, C, 2, dtype=torch.float64) / C)
    return torch.stack([angle.sin(), angle.cos()], -1).reshape(T, C)


def logits_of(c, p, tokens):
    x = p["embed.tok.weight"][tokens.clamp(min=0)]
    if c["position"] == "learned":
        x = x + p["embed.pos.weight"][places(tokens)]
    elif c["position"] == "sinusoidal":
        x = x + sinusoid(c["seq_len"], c["d_model"])[places(tokens)]
    x = x * (tokens >= 0)[..., None]
    for i in range(c["n_layer"]):
        for sub, f in (("attn", attention), ("mlp", feed_forward)):
            place = f"layers.{i}.{sub}"
            if c["design"] == "plain":
                x = f(c, p, place, normalise(c, p, f"{place}.pre", x), tokens)
            elif c["design"] == "pre-ln":
                x = x + f(c, p, place, normalise(c, p, f"{place}.pre", x), tokens)
            else:
                x = normalise(c, p, f"{place}.post", x + f(c, p, place, x, tokens))
    if c["design"] != "post-ln":
        x = normalise(c, p, "final", x)
    return (x @ p.get("head.weight", p["embed.tok.weight"]).T).reshape(-1, c["vocab_size"])


def loss_of(logits, targets):
    counts = targets.reshape(-1) >= 0
    logits, targets = logits[counts], targets.reshape(-1)[counts]
    return (logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]).mean()


def compute(name):
    c = CASES[name]
    rng = np.random.RandomState(zlib.crc32(name.encode()))      # this generator's stream is frozen
    tokens = torch.tensor(rng.randint(0, c["vocab_size"], (c["batch_size"], c["seq_len"])))
    targets = torch.tensor(rng.randint(0, c["vocab_size"], (c["batch_size"], c["seq_len"])))
    for row, columns in PADDED if "padding" in name else []:
        tokens[row, columns] = targets[row, columns] = -1
    p = parameters(c, rng)
    out = {"tokens": tokens.numpy().astype("<i4"), "targets": targets.numpy().astype("<i4")}
    out.update({f"param.{k}": v.numpy().astype("<f4") for k, v in p.items()})
    for v in p.values():
        v.requires_grad_(True)
    optimizer = torch.optim.AdamW([dict(params=[v for v in p.values() if v.dim() >= 2], weight_decay=DECAY),
                                   dict(params=[v for v in p.values() if v.dim() < 2], weight_decay=0.0)], **ADAMW)
    for step in range(STEPS):
        optimizer.zero_grad()
        logits = logits_of(c, p, tokens)
        loss = loss_of(logits, targets)
        loss.backward()
        if step == 0:
            out["logits"], out["loss"] = logits.detach().numpy().copy(), np.array([loss.item()])
            out.update({f"grad.{k}": v.grad.numpy().copy() for k, v in p.items()})
        optimizer.step()
    out.update({f"after.{k}": v.detach().numpy().copy() for k, v in p.items()})
    return c, out


# --- safetensors, by hand ---------------------------------------------------------------------------------------------

DTYPE = {"<i4": "I32", "<f4": "F32", "<f8": "F64"}


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


RUN = dict(optimizer="adamw", steps=STEPS, lr=ADAMW["lr"], beta1=ADAMW["betas"][0], beta2=ADAMW["betas"][1],
           adam_eps=ADAMW["eps"], weight_decay=DECAY)


def encode(c, tensors, run=RUN):
    meta = {k: text(v) for k, v in dict(c, **run).items()}
    header, at = {"__metadata__": meta}, 0
    order = sorted(tensors, key=lambda k: -tensors[k].dtype.itemsize)      # F64 first: everything stays aligned
    for k in order:
        t = tensors[k]
        header[k] = {"dtype": DTYPE[t.dtype.newbyteorder("<").str], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + b"".join(np.ascontiguousarray(tensors[k]).tobytes() for k in order)


def decode(data):
    n = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + n])
    meta = header.pop("__metadata__")
    kind = {v: k for k, v in DTYPE.items()}
    return meta, {k: np.frombuffer(data[8 + n + e["data_offsets"][0]:8 + n + e["data_offsets"][1]], kind[e["dtype"]])
                  .reshape(e["shape"]) for k, e in header.items()}


# --- checks -----------------------------------------------------------------------------------------------------------

def check_formulas():
    """The hand-written pieces against the library's own, where it has them."""
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(5, 16, dtype=torch.float64, generator=rng)
    g, b = torch.randn(16, dtype=torch.float64, generator=rng), torch.randn(16, dtype=torch.float64, generator=rng)
    eye = {"m.up.weight": torch.eye(16, dtype=torch.float64), "m.down.weight": torch.eye(16, dtype=torch.float64)}
    pairs = [
        (normalise(BASE, {"n.gain": g, "n.bias": b}, "n", x), F.layer_norm(x, (16,), g, b, 1e-5)),
        (feed_forward(dict(BASE, activation="gelu_tanh"), eye, "m", x), F.gelu(x, approximate="tanh")),
        (feed_forward(dict(BASE, activation="gelu_erf"), eye, "m", x), F.gelu(x)),
        (feed_forward(dict(BASE, activation="relu"), eye, "m", x), F.relu(x)),
        (loss_of(x, torch.arange(5)), F.cross_entropy(x, torch.arange(5))),
    ]
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-13, atol=1e-13)


def check_file(name, c, tensors, data):
    meta, stored = decode(data)
    assert meta == decode(encode(c, tensors))[0], f"{name}: the configuration differs"
    assert stored.keys() == tensors.keys(), f"{name}: the tensors differ"
    worst = 0.0
    for k, t in tensors.items():
        assert stored[k].shape == t.shape, f"{name}: {k}: the shape differs"
        if t.dtype != np.float64:
            assert (stored[k] == t).all(), f"{name}: {k}: an input differs"
        else:
            worst = max(worst, np.abs(stored[k] - t).max() / np.abs(t).max())
    assert worst < 1e-11, f"{name}: {worst:.1e} relative"
    return worst


def main(args):
    torch.set_num_threads(1)
    check_formulas()
    check = "--check" in args
    for name in [a for a in args if a != "--check"] or CASES:
        c, tensors = compute(name)
        path = os.path.join(HERE, name + ".safetensors")
        if check:
            with open(path, "rb") as f:
                print(f"{name:32s} {check_file(name, c, tensors, f.read()):.1e}")
            continue
        data = encode(c, tensors)
        with open(path, "wb") as f:
            f.write(data)
        print(f"{name:32s} {len(data):7d} bytes  loss {tensors['loss'][0]:.6f}")


if __name__ == "__main__":
    main(sys.argv[1:])
