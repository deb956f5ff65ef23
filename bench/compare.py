#!/usr/bin/env python3
"""Whole training steps of addnorm and PyTorch in one interleaved run: A B A B ..., a ratio per pass.

    bench/compare.py [--shape char-cpu|char|gpt2|gpt2-long] [--precision f32|bf16] [--attention math|fused] [--passes N]
                     [--peer PYTHON ...] [--threads N]

Precisions: f32 of both, or bf16 mixed precision of both (addnorm's `precision: bf16`, PyTorch's autocast); both without the option.

Each PYTHON (default: /usr/bin/python3, Debian's python3-torch) is started once as a server of bench/pytorch_step.py and told
when to run a pass; addnorm trains for a few steps with its own data, logging and checkpoint and its log gives the step
times. A pass is the median of its steps; of addnorm, where every tenth step is observed and the last one always, nine tenths of the median of the
others and a tenth of an observed one. Ratio > 1: addnorm is faster. Times of one run compare; do not compare runs.
PyTorch is at its best beside an OpenMP BLAS: on Debian, libopenblas0-openmp chosen by update-alternatives.
"""
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = {
    "char-cpu": dict(layers=4, heads=4, width=128, seq=64, batch=12, vocab=256, steps=60),
    "char": dict(layers=6, heads=6, width=384, seq=256, batch=8, vocab=256, steps=8),
    "gpt2": dict(layers=12, heads=12, width=768, seq=256, batch=4, vocab=50257, steps=5),
    "gpt2-long": dict(layers=12, heads=12, width=768, seq=1024, batch=1, vocab=50257, steps=5),
}


def ours(program, s, precision, threads, text, folder):
    run = pathlib.Path(folder) / "run"
    shutil.rmtree(run, ignore_errors=True)
    command = [program, "train", "-q", "--data", text, "--out", run, "--n_layer", s["layers"], "--n_head", s["heads"], "--d_model", s["width"], "--seq_len", s["seq"],
               "--batch_size", s["batch"], "--vocab_size", s["vocab"], "--steps", s["steps"], "--warmup", 0, "--lr", 1e-4, "--beta2", 0.95, "--threads", threads, "--precision", precision,
               "--log_every", 1, "--telemetry_every", 10, "--eval_every", 0, "--eval_batches", 1, "--save_every", 0]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    events = [json.loads(line) for line in open(run / "log.jsonl")]
    observed = {e["step"] for e in events if e["event"] == "ledger"}
    times = {e["step"]: e["dt_ms"] for e in events if e["event"] == "step" and e["step"] > 1}
    return 0.9 * statistics.median(t for i, t in times.items() if i not in observed) + 0.1 * statistics.median(t for i, t in times.items() if i in observed)


class Peer:
    def __init__(self, python, s, precision, attention, threads, seconds):
        shape = [f"--{k}={s[k]}" for k in ("layers", "heads", "width", "seq", "batch", "vocab")]
        self.process = subprocess.Popen([python, str(ROOT / "bench/pytorch_step.py"), "--serve", f"--threads={threads}", f"--seconds={seconds}",
                                         f"--precision={precision}", f"--attention={attention}", *shape],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(a, name, precision, python, text, folder):
    s = SHAPES[name]
    peer = Peer(python, s, precision, a.attention, a.threads, a.seconds)
    pairs = [(ours(a.program, s, precision, a.threads, text, folder), peer.run()) for _ in range(a.passes)]
    peer.close()
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    tokens, mine, theirs = s["batch"] * s["seq"] * 1e3, min(m for m, _ in pairs), min(t for _, t in pairs)
    print(f"{name:9} {precision:4} addnorm {mine:9.1f} ms {tokens / mine:9.0f} tok/s   torch {peer.about['torch']} {a.attention} {theirs:9.1f} ms {tokens / theirs:9.0f} tok/s   "
          f"ratio median {statistics.median(ratios):.2f} [{ratios[0]:.2f} .. {ratios[-1]:.2f}], {len(pairs)} passes", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--shape", choices=SHAPES, action="append")
    p.add_argument("--precision", choices=("f32", "bf16"), action="append")
    p.add_argument("--attention", choices=("math", "fused"), default="math", help="of PyTorch; fused needs version 2")
    p.add_argument("--passes", type=int, default=7)
    p.add_argument("--seconds", type=float, default=2, help="of PyTorch per pass")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--peer", action="append", help="a Python that has torch")
    p.add_argument("--program", default=str(ROOT / "build/addnorm"))
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text"
        text.write_bytes(bytes((i * 2654435761 >> 13) % 96 + 32 for i in range(1 << 20)))
        print(subprocess.run([a.program, "--version"], capture_output=True, text=True, check=True).stdout.strip(), f"({a.program}),", a.threads, "threads", flush=True)
        for name in a.shape or SHAPES:
            for precision in a.precision or ("f32", "bf16"):
                for python in a.peer or ["/usr/bin/python3"]:
                    compare(a, name, precision, python, text, folder)


sys.exit(main())
