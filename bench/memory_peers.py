#!/usr/bin/env python3
"""AdamW, and add + layer_norm, against PyTorch: what memory binds, over the same tensors, in one interleaved run.

Both sides take turns pass by pass (bench/memory_rounds.c does addnorm's), so that other work on the machine meets both alike. Prints the best and
the median pass of each, the ratio of the medians, and GB/s of the bytes that must move. AdamW: GPT-2's 124M parameters in 148
tensors, with the norm of all gradients and clipping; PyTorch in every form this version has (one tensor after the other, foreach,
fused). Add + norm: 12.6M elements per tensor; forward x + f and its layer_norm, backward all gradients (x, f, gain, bias) given those of
both outputs. Usage: bench/memory_peers.py PROGRAM [--threads N] [--rounds N] [--widths 768,3072]
"""
import argparse, statistics, subprocess, time
import torch
import torch.nn.functional as F

LAYER = [(768,), (768,), (2304, 768), (2304,), (768, 768), (768,), (768,), (768,), (3072, 768), (3072,), (768, 3072), (768,)]
SHAPES = [(50257, 768), (1024, 768), (768,), (768,)] + 12 * LAYER
ELEMENTS = 16384 * 768


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Native:
    def __init__(self, program, threads):
        self.run = subprocess.Popen([program, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, line):
        self.run.stdin.write(line + "\n")
        self.run.stdin.flush()
        return float(self.run.stdout.readline())


def compete(name, contenders, rounds, gigabytes):
    seconds = {who: [] for who in contenders}
    for i in range(rounds + 1):
        for who, work in contenders.items():
            took = work()
            if i:                                       # the first pass touches pages
                seconds[who].append(took)
    own = statistics.median(seconds["addnorm"])
    for who, s in seconds.items():
        m = statistics.median(s)
        print(f"{name:28s} {who:22s} best {1e3 * min(s):8.1f} ms  median {1e3 * m:8.1f} ms  {gigabytes / m:6.1f} GB/s  {m / own:6.2f} x addnorm", flush=True)


def adamw(native, rounds):
    parameters = [torch.nn.Parameter(torch.rand(s) - 0.5) for s in SHAPES]
    for p in parameters:
        p.grad = torch.rand_like(p) - 0.5
    contenders = {"addnorm": lambda: native("adamw")}
    for form in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        try:
            optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, **form)
            optimizer.step()
        except (TypeError, RuntimeError, ValueError):
            continue

        def step(optimizer=optimizer):
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

        contenders["PyTorch " + ("foreach" if form.get("foreach") else "fused" if "fused" in form else "plain")] = lambda step=step: timed(step)
    compete("clip + AdamW, 124M", contenders, rounds, 32e-9 * sum(p.numel() for p in parameters))


def add_norm(native, rounds, c):
    x, f, dy, dh = (torch.rand(ELEMENTS // c, c) - 0.5 for _ in range(4))
    x.requires_grad_(), f.requires_grad_()
    g, b = torch.ones(c, requires_grad=True), torch.zeros(c, requires_grad=True)

    def forward():
        h = x + f
        return h, F.layer_norm(h, (c,), g, b)

    def alone():
        with torch.no_grad():
            forward()

    def backward():
        for t in (x, f, g, b):
            t.grad = None
        outputs = forward()
        return timed(lambda: torch.autograd.backward(outputs, (dh, dy)))

    gb = 4e-9 * ELEMENTS
    compete(f"add + norm forward {c}", {"addnorm": lambda: native(f"forward {c}"), "PyTorch": lambda: timed(alone)}, rounds, 4 * gb)
    compete(f"add + norm backward {c}", {"addnorm": lambda: native(f"backward {c}"), "addnorm, one gradient": lambda: native(f"shared {c}"), "PyTorch": backward}, rounds, 5 * gb)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("program")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--widths", default="128,256,768,1024,3072,8192")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    print(f"PyTorch {torch.__version__}, {a.threads} threads")
    native = Native(a.program, a.threads)
    for c in a.widths.split(","):
        add_norm(native, a.rounds, int(c))
    adamw(native, a.rounds)


main()
