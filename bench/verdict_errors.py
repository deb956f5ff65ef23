#!/usr/bin/env python3
"""How often are the verdicts of `addnorm study` wrong? Each question asked many times, with other seeds.

    bench/verdict_errors.py TEXT [--program build/addnorm] [--only QUESTION ...] [--sets 40] [--askings 30] [--out FOLDER]

`compare`: runs with many seeds are dealt into sets of five, and each set gets the command's own rule: the 95 % interval (Student's t) of the paired
differences of the validation loss leaves out 0. Where nothing differs, one configuration is compared with itself under other seeds: set i is five
pairs of runs. Where something does, sets are seeds 5 i + 1 .. 5 i + 5 of both, and the truth is what all of them say together.

The others answer from one run a value unless told otherwise, so the command is asked once a seed and its answers are counted. Beside them stands
what the means over all askings say. With --out, runs that are there are kept."""
import argparse, collections, csv, itertools, json, math, pathlib, re, statistics, subprocess, tempfile

BASE = dict(n_layer=2, n_head=2, d_model=32, seq_len=32, batch_size=8, steps=150, warmup=0, schedule="constant", init="xavier", eval_every=0, eval_batches=8, telemetry='"off"', lr="1e-3")
PAIRS = {"two and three layers": ("n_layer", 2, 3), "learning rates 1e-3 and 1.1e-3": ("lr", "1e-3", "1.1e-3"), "Xavier's law, normal and uniform": ("init", "xavier", "xavier-uniform")}
SEEDS, T4 = 5, 2.7764451052          # of a set; the 97.5 % quantile of Student's t with 4 degrees of freedom

# Models that come to their outcome in seconds; without warm-up Post-LN fails at 6 layers and this rate, trains at 4, and is slow at 8 and a third of it.
SMALL = dict(n_layer=4, n_head=2, d_model=48, seq_len=32, batch_size=16, steps=300, warmup=50, init="xavier", eval_every=0, eval_batches=8, telemetry='"off"', lr="3e-3")
PRE, POST, QK = {"design": "pre-ln"}, {"design": "post-ln"}, {"design": "pre-ln", "qk_norm": "head"}
CASES = {
    "needs-warmup": {"Pre-LN, 6 layers": PRE | {"n_layer": 6}, "Post-LN, 6 layers": POST | {"n_layer": 6}, "Post-LN, 4 layers": POST, "Post-LN, 8 layers, lr 1e-3": POST | {"n_layer": 8, "lr": "1e-3"}},
    "critical-depth": {"Post-LN without warm-up": POST | {"warmup": 0}},
    "find-lr": {"Pre-LN": PRE, "Post-LN": POST},
    "lr-sensitivity": {"Pre-LN": PRE, "Pre-LN with QK-norm": QK, "Post-LN": POST},
}
ANSWER = {"needs-warmup": r"(yes|no|not told)", "critical-depth": r"(\d+ layers?|none)", "find-lr": r"lr ([^,]+),", "lr-sensitivity": r"(\S+) nats"}
AXIS = {"needs-warmup": "warmup", "find-lr": "lr"}     # where the means along an axis are told too


def yaml(settings, indent=""):
    return "".join(f"{indent}{key}: {value}\n" for key, value in settings.items())


def study(a, folder, *arguments):
    """The verdict and the rows of the table of a study, run to its end."""
    subprocess.run([a.program, "study", *map(str, arguments), "--data", a.text, "--out", str(folder), "-q"], stdout=subprocess.DEVNULL)
    return json.loads((folder / "study.json").read_text())["verdicts"], list(csv.DictReader(open(folder / "table.tsv"), delimiter="\t"))


# ---- compare ----

def interval(differences, t):
    return statistics.mean(differences), t * statistics.stdev(differences) / math.sqrt(len(differences))


def losses(rows):
    """{configuration: {seed: validation loss}}"""
    loss = {}
    for row in rows:
        loss.setdefault(row.get("config", ""), {})[int(row["seed"])] = float(row["val_loss"])
    return loss


def tell_sets(name, differences, quantile):
    mean, half = interval(differences, quantile)
    verdicts = [interval(differences[i:i + SEEDS], T4) for i in range(0, len(differences), SEEDS)]
    real = sum(abs(m) > h for m, h in verdicts)
    wrong = sum(abs(m) > h and m * mean < 0 for m, h in verdicts)
    print(f"compare, {name}: {mean:+.4f} +- {half:.4f} nats in {len(differences)} pairs; {real} of {len(verdicts)} sets of {SEEDS} say real, {wrong} with the sign that the others have not", flush=True)


def compare(a, root):
    half = SEEDS * a.sets
    (root / "same.yaml").write_text(f"base:\n{yaml(BASE, '  ')}grid:\n  lr: [{BASE['lr']}]\nseeds: {2 * half}\n")
    of, = losses(study(a, root / "same", root / "same.yaml")[1]).values()
    tell_sets("the same twice", [of[seed + half] - of[seed] for seed in range(1, half + 1)], 1.98)
    for number, (name, (key, one, other)) in enumerate(PAIRS.items()):
        folder = root / str(number)
        folder.mkdir(exist_ok=True)
        for letter, value in (("a", one), ("b", other)):
            (folder / f"{letter}.yaml").write_text(yaml(BASE | {key: value}))
        loss = losses(study(a, folder / "study", "compare", folder / "a.yaml", folder / "b.yaml", "--seeds", half // 2)[1])
        first, second = (next(of for name, of in loss.items() if name.endswith(end)) for end in ("a.yaml", "b.yaml"))
        tell_sets(name, [second[seed] - first[seed] for seed in sorted(first)], 1.98)


# ---- the others ----

def ask(a, root, question, settings):
    """(answer, {value: training loss}) of each asking; a run that diverged has an infinite loss."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "config.yaml").write_text(yaml(SMALL | settings))
    told = []
    for seed in range(1, a.askings + 1):
        verdicts, rows = study(a, root / f"seed-{seed}", question, root / "config.yaml", "--seed", seed)
        loss = {row[AXIS[question]]: float(row["loss"]) if row["state"] == "finished" else math.inf for row in rows} if question in AXIS else {}
        told.append((re.match(ANSWER[question], verdicts[0]["measured"]).group(1), loss))
    return told


def tell_answers(question, name, told):
    answers = collections.Counter(answer for answer, _ in told)
    line = ", ".join(f"{n} {answer}" for answer, n in answers.most_common())
    if question in AXIS:
        mean = {value: statistics.mean(loss[value] for _, loss in told) for value in told[0][1]}
        best = min(mean, key=mean.get)
        line += f"; by means {AXIS[question]} {best} is best, {mean[best]:.3f} nats"
    if question == "find-lr":
        cost = [mean[answer] - mean[best] for answer, _ in told]
        line += f", and the rates told cost {statistics.mean(cost):.3f} nats in the mean, {max(cost):.3f} at most"
    if question == "needs-warmup":
        line += f", without {mean['0'] - mean[best]:+.3f}"
    print(f"{question}, {name}: of {len(told)} {line}", flush=True)


def tell_sensitivities(told):
    value = {name: [float(answer) for answer, _ in answers] for name, answers in told.items()}
    for name, x in value.items():
        print(f"lr-sensitivity, {name}: {statistics.mean(x):.3f} nats, standard deviation {statistics.stdev(x):.3f} over {len(x)} askings", flush=True)
    for one, other in itertools.combinations(value, 2):
        sign = statistics.mean(value[other]) - statistics.mean(value[one])
        pairs = [(y - x) * sign > 0 for x in value[one] for y in value[other]]
        print(f"lr-sensitivity, {other} against {one}: {100 * sum(pairs) / len(pairs):.0f} % of {len(pairs)} pairs of askings in the order of the means", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("text")
    p.add_argument("--program", default=str(pathlib.Path(__file__).resolve().parent.parent / "build/addnorm"))
    p.add_argument("--only", nargs="+", choices=["compare", *CASES], default=["compare", *CASES])
    p.add_argument("--sets", type=int, default=40)
    p.add_argument("--askings", type=int, default=30)
    p.add_argument("--out")
    a = p.parse_args()
    root = pathlib.Path(a.out or tempfile.mkdtemp(prefix="addnorm-verdicts-"))
    root.mkdir(parents=True, exist_ok=True)
    if "compare" in a.only:
        compare(a, root)
    for question, cases in CASES.items():
        if question not in a.only:
            continue
        told = {name: ask(a, root / question / re.sub(r"\W+", "-", name), question, settings) for name, settings in cases.items()}
        if question == "lr-sensitivity":
            tell_sensitivities(told)
        else:
            for name, answers in told.items():
                tell_answers(question, name, answers)


main()
