#!/usr/bin/env python3
"""Decoding GPT-2 124M shapes, one token at a time with a cache, in PyTorch on the CPU: the peer of `addnorm bench --what decode`.

    bench/decode_pytorch.py [--program build/addnorm] [--precision f32|bf16] [--context 128] [--batch 1] [--rounds 5] [--peer PYTHON ...]

Each PYTHON (default: this one) is started once as a server and decodes for a while when told; `addnorm bench --what decode` takes
turns with it. The cache is allocated once and written in place, logits are of the last token only, weights are drawn at random, no
gradients are kept. bf16: weights, cache and arithmetic in bfloat16 (addnorm: weights in bf16, cache and sums in f32).
Prints tokens per second of both, medians and the range of the rounds' ratios; > 1: addnorm is faster.
"""
import argparse, json, pathlib, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS, HEADS, WIDTH, VOCAB, ROOM = 12, 12, 768, 50257, 1024


def serve(a):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(a.threads)
    torch.set_grad_enabled(False)
    kind = torch.bfloat16 if a.precision == "bf16" else torch.float32
    draw = lambda *shape: (torch.randn(*shape) * 0.02).to(kind)
    gain, zero = torch.ones(WIDTH, dtype=kind), torch.zeros(WIDTH, dtype=kind)
    blocks = [dict(qkv=draw(3 * WIDTH, WIDTH), out=draw(WIDTH, WIDTH), up=draw(4 * WIDTH, WIDTH), down=draw(WIDTH, 4 * WIDTH), bqkv=draw(3 * WIDTH), bup=draw(4 * WIDTH),
                   k=draw(a.batch, HEADS, ROOM, WIDTH // HEADS), v=draw(a.batch, HEADS, ROOM, WIDTH // HEADS)) for _ in range(LAYERS)]
    tokens, places = draw(VOCAB, WIDTH), draw(ROOM, WIDTH)

    def step(token, p):
        x = tokens[token] + places[p]
        for b in blocks:
            q, k, v = F.linear(F.layer_norm(x, (WIDTH,), gain, zero), b["qkv"], b["bqkv"]).view(a.batch, 3, HEADS, WIDTH // HEADS).unbind(1)
            b["k"][:, :, p], b["v"][:, :, p] = k, v
            keys, values = b["k"][:, :, :p + 1], b["v"][:, :, :p + 1]
            scores = (keys @ q.unsqueeze(-1)).squeeze(-1) * (WIDTH // HEADS) ** -0.5
            y = (F.softmax(scores, -1).unsqueeze(2) @ values).reshape(a.batch, WIDTH)
            x = x + F.linear(y, b["out"], zero)
            x = x + F.linear(F.gelu(F.linear(F.layer_norm(x, (WIDTH,), gain, zero), b["up"], b["bup"])), b["down"], zero)
        return F.linear(F.layer_norm(x, (WIDTH,), gain, zero), tokens).argmax(-1)

    token = torch.zeros(a.batch, dtype=torch.long)
    step(token, a.context)
    print(json.dumps(dict(torch=torch.__version__)), flush=True)
    for _ in sys.stdin:
        best, end = float("inf"), time.perf_counter() + a.seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            token = step(token, a.context)
            best = min(best, time.perf_counter() - start)
        print(a.batch / best, flush=True)


def ours(a):
    out = subprocess.run([a.program, "bench", "--what", "decode", "--json", "-q", "--threads", str(a.threads), "--seconds", "0.3"], check=True, capture_output=True, text=True).stdout
    shape, name = f"batch {a.batch}, context {a.context}", f"GPT-2 124M, weights {a.precision}"
    for row in json.loads(out)["rows"]:
        if row["shape"] == shape and row["name"] == name:
            return a.batch / row["seconds"]
    sys.exit(f"addnorm bench has no row {name!r}, {shape!r}: batches 1 and 8, contexts 128 and 1000")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--program", default=ROOT / "build/addnorm")
    p.add_argument("--peer", action="append")
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--context", type=int, default=128)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0, help="of PyTorch per round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.serve:
        return serve(a)
    for python in a.peer or [sys.executable]:
        peer = subprocess.Popen([python, __file__, "--serve", *(f"--{k}={getattr(a, k)}" for k in ("precision", "context", "batch", "seconds", "threads"))],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        about = json.loads(peer.stdout.readline())
        pairs = []
        for _ in range(a.rounds):
            mine = ours(a)
            peer.stdin.write("\n")
            peer.stdin.flush()
            pairs.append((mine, float(peer.stdout.readline())))
        peer.stdin.close()
        peer.wait()
        ratios = sorted(m / t for m, t in pairs)
        print(f"GPT-2 124M, {a.precision}, batch {a.batch}, context {a.context}: addnorm {statistics.median(m for m, _ in pairs):.1f} tokens/s, torch {about['torch']} "
              f"{statistics.median(t for _, t in pairs):.1f}, ratio {statistics.median(ratios):.2f} [{ratios[0]:.2f} .. {ratios[-1]:.2f}], {a.rounds} rounds")


if __name__ == "__main__":
    main()
