#!/usr/bin/env python3
"""check_tensorboard.py RUN | --probe PROGRAM

Reads RUN/tb with TensorBoard's own readers and compares: every scalar with RUN/log.jsonl, in both directions; every
histogram with itself, and with the raw values where RUN/known.json has them, counted anew here. Both readers are asked, the
one in Python and the data server that a plain `tensorboard --logdir` starts, if it is installed. --probe first lets PROGRAM
write a run (tests/parity/tensorboard_probe.c), and afterwards plants faults that must be found.

A scalar's tag must name its key in the log as one of its parts between slashes. Exit code: 0 equal, 1 not, 77 no TensorBoard."""

import bisect
import glob
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError as error:
    print(f"SKIPPED: TensorBoard is not installed for {sys.executable} ({error}); pip install tensorboard")
    sys.exit(SKIPPED)


def read_by_accumulator(run):
    """{tag: [(step, value)]} and {tag: [(step, histogram)]}, in the order of the files."""
    accumulator = event_accumulator.EventAccumulator(os.path.join(run, "tb"), size_guidance={k: 0 for k in event_accumulator.DEFAULT_SIZE_GUIDANCE})
    accumulator.Reload()
    tags = accumulator.Tags()
    return ({t: [(e.step, e.value) for e in accumulator.Scalars(t)] for t in tags["scalars"]},
            {t: [(e.step, e.histogram_value) for e in accumulator.Histograms(t)] for t in tags["histograms"]})


def read_by_server(run):
    """The same by the data server, its histograms as rows of left edge, right edge, count; None where there is no server."""
    try:
        from tensorboard import context
        from tensorboard.data import server_ingester
        from tensorboard.util import grpc_util
    except ImportError:
        return None
    try:
        binary = server_ingester.get_server_binary()
    except server_ingester.NoDataServerError:
        return None
    ingester = server_ingester.SubprocessServerDataIngester(binary, os.path.join(run, "tb"), reload_interval=0, channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
                                                            samples_per_plugin={"scalars": 0, "histograms": 0})
    ingester.start()
    provider, where = ingester.data_provider, {"ctx": context.RequestContext(), "experiment_id": ""}
    scalars = provider.read_scalars(**where, plugin_name="scalars", downsample=10 ** 6)
    histograms = provider.read_tensors(**where, plugin_name="histograms", downsample=10 ** 6)
    return ({t: [(d.step, float(d.value)) for d in data] for tags in scalars.values() for t, data in tags.items()},
            {t: [(d.step, d.numpy.tolist()) for d in data] for tags in histograms.values() for t, data in tags.items()})


def close(a, b, relative=1.3e-7):
    """Equal after rounding to float, and to the nine digits of the log."""
    a, b = float(a), float(b)
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= relative * abs(b) or abs(a - b) < 1.5e-45


def numbers_of(value, path, beside):
    """(key, strings beside it, number) of all numbers within one event of the log."""
    if isinstance(value, dict):
        beside = beside + tuple(v for k, v in value.items() if isinstance(v, str) and k not in ("time", "event") and not is_odd(v))
        for key, inner in value.items():
            yield from numbers_of(inner, path + (key,), beside)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_of(inner, path, beside)
    elif path and not isinstance(value, bool) and (isinstance(value, (int, float)) or is_odd(value)):
        yield path[-1], path + beside, float(value)


def is_odd(value):
    return value in ("nan", "inf", "-inf")


def read_log(run):
    """{(event, key, what stands beside): {step: [numbers]}}"""
    series = {}
    with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            if "step" not in event:
                continue
            for key, beside, number in numbers_of(event, (), ()):
                series.setdefault((event["event"], key, beside), {}).setdefault(event["step"], []).append(number)
    return series


def check_scalars(scalars, log):
    """Each tag is one series of the log: the same steps, the same numbers."""
    bad = []
    for tag, points in sorted(scalars.items()):
        steps = [s for s, _ in points]
        if sorted(set(steps)) != steps:
            bad.append(f"{tag}: steps are not ascending: {steps}")
            continue
        named = {name: series for name, series in log.items() if name[1] in tag.split("/")}
        equal = [n for n, series in named.items() if sorted(series) == steps and all(any(close(v, x) for x in series[s]) for s, v in points)]
        if not equal:
            near = max(named, key=lambda n: sum(any(close(v, x) for x in named[n].get(s, [])) for s, v in points), default=None)
            off = [(s, v, named[near].get(s)) for s, v in points if not any(close(v, x) for x in named[near].get(s, []))] if near else []
            lost = sorted(set(named[near]) - set(steps)) if near else []
            bad.append(f"{tag}: not in the log as it is; nearest {near}, differing (step, value, logged) {off[:3]}, not in TensorBoard: steps {lost[:8]}")
    return bad


def check_histograms(histograms, known):
    bad = []
    for tag, points in sorted(histograms.items()):
        for step, h in points:
            limits, counts = list(h.bucket_limit), list(h.bucket)
            if len(limits) != len(counts) or sorted(set(limits)) != limits or sum(counts) != h.num or not h.min <= h.max:
                bad.append(f"{tag} at {step}: not a histogram")
    if known is None:
        return bad
    edges = [-2 ** (k / 2) for k in range(40, -81, -1)] + [2 ** (k / 2) for k in range(-80, 41)]
    wanted = {tag: {} for tag in histograms}
    for k in known:                                             # a later session replaces an earlier one
        wanted.setdefault(k["tag"], {})[k["step"]] = k["values"]
    for tag, by_step in wanted.items():
        got = dict(histograms.get(tag, []))
        if sorted(got) != sorted(by_step):
            bad.append(f"{tag}: histograms at {sorted(got)}, expected at {sorted(by_step)}")
            continue
        for step, values in by_step.items():
            counts = [0] * (len(edges) + 1)
            for v in values:
                counts[bisect.bisect_right(edges, v)] += 1
            mine = {i: n for i, n in enumerate(counts) if n}
            h = got[step]
            upper = edges + [sys.float_info.max]
            theirs = {min(range(len(upper)), key=lambda i: abs(upper[i] - limit)): n for limit, n in zip(h.bucket_limit, h.bucket) if n}
            sums = (min(values), max(values), len(values), math.fsum(values), math.fsum(v * v for v in values))
            scale = (0, 0, 0, 1e-12 * sum(map(abs, values)), 1e-12 * sums[4])
            if mine != theirs or any(abs(a - b) > s for a, b, s in zip((h.min, h.max, h.num, h.sum, h.sum_squares), sums, scale)):
                bad.append(f"{tag} at {step}: {theirs} {(h.min, h.max, h.num, h.sum, h.sum_squares)}, counted {mine} {sums}")
    return bad


def check_server(scalars, histograms, server):
    """The data server must have read the same; of a histogram it keeps rows between the least and the largest value."""
    bad = []
    if sorted(server[0]) != sorted(scalars) or sorted(server[1]) != sorted(histograms):
        bad.append(f"tags differ: {sorted(server[0])} {sorted(server[1])}")
        return bad
    for tag, points in scalars.items():
        if [s for s, _ in points] != [s for s, _ in server[0][tag]] or not all(close(a, b) for (_, a), (_, b) in zip(points, server[0][tag])):
            bad.append(f"data server: {tag}: {server[0][tag][:5]}..., expected {points[:5]}...")
    for tag, points in histograms.items():
        theirs = dict(server[1][tag])
        for step, h in points:
            rows = theirs.get(step, [])
            counts = list(h.bucket)
            if [r[2] for r in rows] != counts or not close(rows[0][0], h.min) or not close(rows[-1][1], h.max):
                bad.append(f"data server: {tag} at {step}: {rows[:3]}")
    return bad


def check(run, quiet=False):
    known = None
    if os.path.exists(os.path.join(run, "known.json")):
        with open(os.path.join(run, "known.json"), encoding="utf-8") as f:
            known = json.load(f)
    scalars, histograms = read_by_accumulator(run)
    bad = check_scalars(scalars, read_log(run)) + check_histograms(histograms, known)
    if not scalars:
        bad.append("no scalars at all")
    server = read_by_server(run)
    if server is not None:
        bad += check_server(scalars, histograms, server)
    if not quiet:
        for line in bad:
            print(f"FAIL: {line}")
        print(f"{run}: {len(scalars)} scalar tags with {sum(map(len, scalars.values()))} values, {len(histograms)} histogram tags with "
              f"{sum(map(len, histograms.values()))}, {'by both readers' if server is not None else 'no data server to ask'}: {len(bad)} differences")
    return bad


def plant(run, name, edit):
    """A copy of the run with one fault; it must be found."""
    copy = run + "." + name
    shutil.copytree(run, copy)
    edit(copy)
    found = check(copy, quiet=True)
    print(f"{'found' if found else 'FAIL: not found'}: {name}")
    return bool(found)


def edit_file(run, pattern, change):
    path = sorted(glob.glob(os.path.join(run, pattern)))[-1]
    with open(path, "rb") as f:
        data = f.read()
    changed = change(data)
    assert changed != data, path
    with open(path, "wb") as f:
        f.write(changed)


def flip(data):
    at = data.index(b"train/loss") + 14                         # within the number behind the first tag
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def without_start(data):
    first = 16 + int.from_bytes(data[:8], "little")             # the session's start is the second record
    second = 16 + int.from_bytes(data[first:first + 8], "little")
    return data[:first] + data[first + second:]


def probe(program):
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        subprocess.run([program, run], check=True)
        ok = not check(run)
        ok &= plant(run, "a flipped bit", lambda r: edit_file(r, "tb/events.*", flip))
        ok &= plant(run, "a resumed file that does not say so", lambda r: edit_file(r, "tb/events.*", without_start))
        ok &= plant(run, "a lost tail", lambda r: edit_file(r, "tb/events.*", lambda d: d[:-9]))
        ok &= plant(run, "another number in the log", lambda r: edit_file(r, "log.jsonl", lambda d: re.sub(rb'"lr":2(.0+)?e', b'"lr":2.00001e', d)))
        ok &= plant(run, "another value behind a histogram", lambda r: edit_file(r, "known.json", lambda d: d.replace(b"[0,", b"[1,", 1)))
        return 0 if ok else 1


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--probe":
        return probe(sys.argv[2])
    if len(sys.argv) == 2:
        return 1 if check(sys.argv[1]) else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
