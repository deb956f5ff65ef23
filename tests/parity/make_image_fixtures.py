#!/usr/bin/python3
"""tests/parity/make_image_fixtures.py: the PyTorch float64 oracle of arch resnet (Debian: python3-torch, python3-numpy).

PyTorch's own convolution and batch norm on maps [B, C, H, W], written from He et al. 2015 and 2016. Parameters are random, rounded to f32,
and stored as in make_fixtures.py: pixels "tokens" I32, "targets" I32 [B], param.NAME F32, logits, loss, grad.NAME F64, and what one training
pass makes of running statistics as after.NAME F64.

    make_image_fixtures.py              writes fixtures/images/CASE.safetensors
    make_image_fixtures.py --check      writes nothing; recomputes each case and compares it with its file"""
import os
import sys
import zlib

import numpy as np
import torch
import torch.nn.functional as F

from make_fixtures import HERE, decode, encode

FOLDER = os.path.join(HERE, "images")
BASE = dict(arch="resnet", norm="batchnorm", n_layer=8, width=3, image_size=7, image_channels=2, classes=5, batch_size=3)
V1 = dict(BASE, design="custom", custom_pre=False, custom_out=True, custom_final_norm=False, custom_allow_future=True)
CASES = {"pre-ln": dict(BASE, design="pre-ln"), "plain": dict(BASE, design="plain"), "v1": V1}


def parameters(c, rng):
    out, W = {}, c["width"]

    def add(name, z):
        out[name] = torch.tensor(z.astype(np.float32).astype(np.float64))

    def conv(name, o, i):
        add(f"{name}.weight", rng.standard_normal((o, 9 * i)) / np.sqrt(4.5 * i))

    def norm(name, n):
        add(f"{name}.gain", 1 + np.clip(0.3 * rng.standard_normal(n), -0.6, 0.6))
        add(f"{name}.bias", 0.3 * rng.standard_normal(n))
        add(f"{name}.running_mean", 0.1 * rng.standard_normal(n))
        add(f"{name}.running_var", 0.5 + rng.random_sample(n))

    v1 = c["design"] == "custom"
    conv("stem.conv", W, c["image_channels"])
    if v1:
        norm("stem.norm", W)
    for i in range(3):
        a, b = W << max(i - 1, 0), W << i
        if not v1:
            norm(f"layers.{i}.conv.pre", a)
        conv(f"layers.{i}.conv.conv1", b, a)
        norm(f"layers.{i}.conv.inner", b)
        conv(f"layers.{i}.conv.conv2", b, b)
        if v1:
            norm(f"layers.{i}.conv.out_norm", b)
    if not v1:
        norm("final", 4 * W)
    add("head.weight", 0.3 * rng.standard_normal((c["classes"], 4 * W)))
    add("head.bias", 0.3 * rng.standard_normal(c["classes"]))
    return out


def logits_of(c, p, after, images):
    def conv(name, x, stride=1):
        w = p[f"{name}.weight"]
        return F.conv2d(x, w.reshape(w.shape[0], 3, 3, -1).permute(0, 3, 1, 2), stride=stride, padding=1)

    def norm(name, x):
        mean, var = p[f"{name}.running_mean"].detach().clone(), p[f"{name}.running_var"].detach().clone()
        y = F.batch_norm(x, mean, var, p[f"{name}.gain"], p[f"{name}.bias"], training=True, momentum=0.1, eps=1e-5)
        after[f"{name}.running_mean"], after[f"{name}.running_var"] = mean, var
        return y

    def shrunk(x, like):
        if x.shape == like.shape:
            return x
        x = x[:, :, ::2, ::2]
        return torch.cat([x, x.new_zeros(x.shape[0], like.shape[1] - x.shape[1], *x.shape[2:])], 1)

    x, v1 = conv("stem.conv", images), c["design"] == "custom"
    if v1:
        x = F.relu(norm("stem.norm", x))
    for i in range(3):
        place, stride = f"layers.{i}.conv", 2 if i else 1
        u = x if v1 else F.relu(norm(f"{place}.pre", x))
        f = conv(f"{place}.conv2", F.relu(norm(f"{place}.inner", conv(f"{place}.conv1", u, stride))))
        if v1:
            f = norm(f"{place}.out_norm", f)
        x = f if c["design"] == "plain" else shrunk(x, f) + f
        if v1:
            x = F.relu(x)
    if not v1:
        x = F.relu(norm("final", x))
    return x.mean((2, 3)) @ p["head.weight"].T + p["head.bias"]


def compute(name):
    c, after = CASES[name], {}
    rng = np.random.RandomState(zlib.crc32(("image " + name).encode()))
    S, C, B = c["image_size"], c["image_channels"], c["batch_size"]
    pixels, targets = torch.tensor(rng.randint(0, 256, (B, S, S, C))), torch.tensor(rng.randint(0, c["classes"], B))
    p = parameters(c, rng)
    out = {"tokens": pixels.numpy().astype("<i4"), "targets": targets.numpy().astype("<i4")}
    out.update({f"param.{k}": v.numpy().astype("<f4") for k, v in p.items()})
    for k, v in p.items():
        v.requires_grad_("running" not in k)
    logits = logits_of(c, p, after, (pixels.double() / 127.5 - 1).permute(0, 3, 1, 2))
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    out["logits"], out["loss"] = logits.detach().numpy().copy(), np.array([loss.item()])
    out.update({f"grad.{k}": v.grad.numpy().copy() for k, v in p.items() if v.grad is not None})
    out.update({f"after.{k}": v.numpy().copy() for k, v in after.items()})
    return c, out


def main():
    bad = 0
    os.makedirs(FOLDER, exist_ok=True)
    for name in CASES:
        path = os.path.join(FOLDER, f"{name}.safetensors")
        c, out = compute(name)
        if "--check" not in sys.argv:
            with open(path, "wb") as f:
                f.write(encode(c, out, {}))
            continue
        with open(path, "rb") as f:
            stored = decode(f.read())[1]
        far = max(np.abs(stored[k] - v).max() / max(np.abs(v).max(), 1e-300) for k, v in out.items())
        bad += stored.keys() != out.keys() or far > 1e-11
        print(f"{name}: {far:.1e}")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
