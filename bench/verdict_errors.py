#!/usr/bin/env python3
"""How often is `addnorm study compare` wrong? Runs with many seeds, dealt into sets of five: the verdict of each set.

    bench/verdict_errors.py TEXT [--program build/addnorm] [--sets 40] [--out FOLDER]

The verdict is the command's own rule: the 95 % interval (Student's t) of the paired differences of the validation loss leaves out 0. Where
nothing differs, one configuration is compared with itself under other seeds: set i is five pairs of runs. Where something does, sets
are seeds 5 i + 1 .. 5 i + 5 of both configurations, and the truth is what all of them say together."""
import argparse, csv, math, pathlib, statistics, subprocess, tempfile

BASE = "n_layer: 2\nn_head: 2\nd_model: 32\nseq_len: 32\nbatch_size: 8\nsteps: 150\nwarmup: 0\nschedule: constant\ninit: xavier\neval_every: 0\neval_batches: 8\ntelemetry: \"off\"\nlr: 1e-3\n"
PAIRS = {"two and three layers": ("n_layer: 2", "n_layer: 3"), "learning rates 1e-3 and 1.1e-3": ("lr: 1e-3", "lr: 1.1e-3"), "Xavier's law, normal and uniform": ("init: xavier", "init: xavier-uniform")}
SEEDS, T4 = 5, 2.7764451052          # of a set; the 97.5 % quantile of Student's t with 4 degrees of freedom


def interval(differences, t):
    return statistics.mean(differences), t * statistics.stdev(differences) / math.sqrt(len(differences))


def losses(folder):
    """{configuration: {seed: validation loss}} of a finished study."""
    loss = {}
    for row in csv.DictReader(open(folder / "table.tsv"), delimiter="\t"):
        loss.setdefault(row.get("config", ""), {})[int(row["seed"])] = float(row["val_loss"])
    return loss


def study(a, *arguments):
    subprocess.run([a.program, "study", *arguments, "--data", a.text, "-q"], stdout=subprocess.DEVNULL)


def tell(name, differences, quantile):
    mean, half = interval(differences, quantile)
    verdicts = [interval(differences[i:i + SEEDS], T4) for i in range(0, len(differences), SEEDS)]
    real = sum(abs(m) > h for m, h in verdicts)
    wrong = sum(abs(m) > h and m * mean < 0 for m, h in verdicts)
    print(f"{name}: {mean:+.4f} +- {half:.4f} nats in {len(differences)} pairs; {real} of {len(verdicts)} sets of {SEEDS} say real, {wrong} with the sign that the others have not", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("text")
    p.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parent.parent / "build/addnorm"))
    p.add_argument("--sets", type=int, default=40)
    p.add_argument("--out")
    a = p.parse_args()
    root = pathlib.Path(a.out or tempfile.mkdtemp(prefix="addnorm-verdicts-"))
    root.mkdir(parents=True, exist_ok=True)
    half = SEEDS * a.sets
    indented = "".join("  " + line + "\n" for line in BASE.splitlines() if not line.startswith("lr:"))
    (root / "same.yaml").write_text(f"base:\n{indented}grid:\n  lr: [1e-3]\nseeds: {2 * half}\n")
    study(a, root / "same.yaml", "--out", root / "same")
    of, = losses(root / "same").values()
    tell("the same twice", [of[seed + half] - of[seed] for seed in range(1, half + 1)], 1.98)
    for number, (name, (one, other)) in enumerate(PAIRS.items()):
        folder = root / str(number)
        folder.mkdir(exist_ok=True)
        key = one.split(":")[0]
        rest = "".join(line + "\n" for line in BASE.splitlines() if not line.startswith(key + ":"))
        for letter, line in (("a", one), ("b", other)):
            (folder / f"{letter}.yaml").write_text(rest + line + "\n")
        study(a, "compare", folder / "a.yaml", folder / "b.yaml", "--seeds", str(half // 2), "--out", folder / "study")
        loss = losses(folder / "study")
        first, second = (next(of for name, of in loss.items() if name.endswith(end)) for end in ("a.yaml", "b.yaml"))
        tell(name, [second[seed] - first[seed] for seed in sorted(first)], 1.98)


main()
