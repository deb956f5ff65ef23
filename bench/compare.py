#!/usr/bin/env python3
"""Whole training steps of addnorm and PyTorch in one interleaved run: A B A B ..., a ratio per pass.

    bench/compare.py [--shape char-cpu|char|gpt2] [--passes N] [--peer PYTHON ...] [--threads N]

Each PYTHON (default: /usr/bin/python3, Debian's python3-torch) is started once as a server of bench/pytorch_step.py and told
when to run a pass; addnorm trains for a few steps with its own data, logging and checkpoint and its log gives the step
times. A pass is the median of its steps. Ratio > 1: addnorm is faster. Times of one run compare; do not compare runs.
PyTorch is at its best beside an OpenMP BLAS: on Debian, libopenblas0-openmp chosen by update-alternatives.
"""
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = {
    "char-cpu": dict(layers=4, heads=4, width=128, seq=64, batch=12, vocab=256, steps=60),
    "char": dict(layers=6, heads=6, width=384, seq=256, batch=8, vocab=256, steps=4),
    "gpt2": dict(layers=12, heads=12, width=768, seq=256, batch=4, vocab=50257, steps=3),
}


def ours(program, s, threads, text, folder):
    run = pathlib.Path(folder) / "run"
    shutil.rmtree(run, ignore_errors=True)
    command = [program, "train", "-q", "--data", text, "--out", run, "--n_layer", s["layers"], "--n_head", s["heads"], "--d_model", s["width"], "--seq_len", s["seq"],
               "--batch_size", s["batch"], "--vocab_size", s["vocab"], "--steps", s["steps"], "--warmup", 0, "--lr", 1e-4, "--beta2", 0.95, "--threads", threads,
               "--log_every", 1, "--eval_every", 0, "--eval_batches", 1, "--save_every", 0]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    events = [json.loads(line) for line in open(run / "log.jsonl")]
    times = [e["dt_ms"] for e in events if e["event"] == "step" and e["step"] > 1]
    return statistics.median(times)


class Peer:
    def __init__(self, python, s, threads, seconds):
        shape = [f"--{k}={s[k]}" for k in ("layers", "heads", "width", "seq", "batch", "vocab")]
        self.process = subprocess.Popen([python, str(ROOT / "bench/pytorch_step.py"), "--serve", f"--threads={threads}", f"--seconds={seconds}", *shape],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--shape", choices=SHAPES, action="append")
    p.add_argument("--passes", type=int, default=7)
    p.add_argument("--seconds", type=float, default=2, help="of PyTorch per pass")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--peer", action="append", help="a Python that has torch")
    p.add_argument("--program", default=str(ROOT / "build/addnorm"))
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text"
        text.write_bytes(bytes((i * 2654435761 >> 13) % 96 + 32 for i in range(1 << 20)))
        for name in a.shape or SHAPES:
            s = SHAPES[name]
            for python in a.peer or ["/usr/bin/python3"]:
                peer = Peer(python, s, a.threads, a.seconds)
                pairs = [(ours(a.program, s, a.threads, text, folder), peer.run()) for _ in range(a.passes)]
                peer.close()
                ratios = sorted(theirs / mine for mine, theirs in pairs)
                tokens = s["batch"] * s["seq"] * 1e3
                print(f"{name:9} addnorm {min(m for m, _ in pairs):9.1f} ms {tokens / min(m for m, _ in pairs):9.0f} tok/s   torch {peer.about['torch']} "
                      f"{min(t for _, t in pairs):9.1f} ms {tokens / min(t for _, t in pairs):9.0f} tok/s   ratio median {statistics.median(ratios):.2f} "
                      f"[{ratios[0]:.2f} .. {ratios[-1]:.2f}], {a.threads} threads, {len(pairs)} passes", flush=True)


sys.exit(main())
