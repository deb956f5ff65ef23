#!/usr/bin/env python3
"""One training step of the GPT that addnorm trains, in PyTorch on the CPU: the peer of `addnorm bench --what steps`.

Same model (pre-norm decoder, learned positions, tanh GELU, tied head, biases), same batch, AdamW with decay on matrices,
gradient clipping at 1. Attention and products are PyTorch's own: `--attention math` writes softmax(q k') v out, as the
usual small GPT codes do for CPUs without a fused kernel; `--attention fused` uses scaled_dot_product_attention where
this PyTorch has it. `--precision bf16` runs forward and loss under torch.autocast("cpu", bfloat16), weights, gradients
and AdamW in f32. Prints one JSON object: versions, milliseconds per step (each pass), tokens per second (best pass).
"""
import argparse, contextlib, json, math, time
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, c, h, fused):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.qkv, self.out = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.h, self.fused = h, fused

    def attend(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.h, c // self.h).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            s = (q @ k.transpose(-2, -1)) / math.sqrt(c // self.h)
            s = s.masked_fill(self.mask[:t, :t], float("-inf"))
            y = F.softmax(s, dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(b, t, c))

    def gelu(self, z):
        try:
            return F.gelu(z, approximate="tanh")
        except TypeError:
            return 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z ** 3)))

    def forward(self, x):
        x = x + self.attend(self.n1(x))
        return x + self.down(self.gelu(self.up(self.n2(x))))


class GPT(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.tok, self.pos = nn.Embedding(a.vocab, a.width), nn.Embedding(a.seq, a.width)
        self.blocks = nn.ModuleList(Block(a.width, a.heads, a.attention == "fused") for _ in range(a.layers))
        self.norm = nn.LayerNorm(a.width)
        mask = torch.ones(a.seq, a.seq).triu(1).bool()
        for b in self.blocks:
            b.mask = mask
        self.apply(lambda m: [nn.init.normal_(p, 0, 0.02) for p in m.parameters(recurse=False) if p.dim() > 1])

    def forward(self, x, y):
        h = self.tok(x) + self.pos(torch.arange(x.shape[1]))
        for b in self.blocks:
            h = b(h)
        logits = F.linear(self.norm(h), self.tok.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


def main():
    p = argparse.ArgumentParser()
    for name, value in (("layers", 4), ("heads", 4), ("width", 128), ("seq", 64), ("batch", 12), ("vocab", 256), ("threads", 2), ("passes", 5)):
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--seconds", type=float, default=3, help="per pass")
    p.add_argument("--attention", choices=("math", "fused"), default="math")
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--serve", action="store_true", help="one pass per line read from standard input, for interleaved runs")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    model = GPT(a)
    groups = [{"params": [q for q in model.parameters() if q.dim() >= 2], "weight_decay": 0.1}, {"params": [q for q in model.parameters() if q.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95))
    x, y = (torch.randint(a.vocab, (a.batch, a.seq)) for _ in range(2))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if a.precision == "bf16" else contextlib.nullcontext():
            loss = model(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    def run_pass():
        times, until = [], time.perf_counter() + a.seconds
        while not times or time.perf_counter() < until:
            t = time.perf_counter()
            step()
            times.append(time.perf_counter() - t)
        return sorted(times)[len(times) // 2] * 1e3

    step()
    if a.serve:
        print(json.dumps({"torch": torch.__version__, "parallel": torch.__config__.parallel_info().split("\n")[0]}), flush=True)
        while True:
            try:
                input()
            except EOFError:
                return
            print(run_pass(), flush=True)
    passes = [run_pass() for _ in range(a.passes)]
    print(json.dumps({"torch": torch.__version__, "ms": passes, "tokens_per_s": a.batch * a.seq / min(passes) * 1e3}))


main()
