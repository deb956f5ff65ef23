"""Small runs to look at, and a trainer that serves its page."""
import json, os, re, shutil, subprocess, tempfile

SMALL = ["--n_layer", "2", "--n_head", "2", "--d_model", "16", "--seq_len", "16", "--batch_size", "2", "--eval_batches", "1", "--threads", "1"]


class Folder:
    """An empty folder with a text, and the program at work in it."""

    def __init__(self, program):
        self.program, self.path = os.path.abspath(program), tempfile.mkdtemp(prefix="addnorm-pages-")
        with open(os.path.join(self.path, "text"), "w") as f:
            f.writelines(f"line {i} of a small text\n" for i in range(300))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ADDNORM_")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], cwd=self.path, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def train(self, out, *more):
        return self.run("train", "--data", "text", "--out", out, "-q", *SMALL, *more)

    def serve(self, out, *more):
        """(process, url) of a training run that shows itself."""
        process = subprocess.Popen([self.program, "train", "--data", "text", "--out", out, *SMALL, *more], cwd=self.path, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if found:
                break
        else:
            raise AssertionError("no address was told")
        return process, found.group()

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def study(self, name, source, n, rates):
        """A study of n runs made of one: four designs, rates and seeds, and losses that differ."""
        config, log = open(self.file(source, "config.yaml")).read(), [json.loads(line) for line in open(self.file(source, "log.jsonl"))]
        for i in range(n):
            design, lr, seed = ("pre-ln", "post-ln", "deepnorm", "plain")[i % 4], rates[i // 4 % len(rates)], i // (4 * len(rates))
            cell = self.file(name, "cells", f"{design}-{lr}-{seed}")
            os.makedirs(cell)
            with open(os.path.join(cell, "config.yaml"), "w") as f:
                f.write(re.sub(r"seed: .*", f"seed: {seed}", re.sub(r"\n  lr: .*", f"\n  lr: {lr}", re.sub(r"design: .*", f"design: {design}", config))))
            with open(os.path.join(cell, "log.jsonl"), "w") as f:
                for event in log:
                    more = {key: event[key] * (1 + i / n) for key in ("loss", "val_loss") if key in event}
                    f.write(json.dumps({**event, **more}, separators=(",", ":")) + "\n")
        with open(self.file(name, "study.json"), "w") as f:
            json.dump({"study": "a study", "groups": [{"settings": {"lr": "1e-3"}, "runs": 2, "loss": {"n": 2, "mean": 2.5, "half": 0.125}}, {"settings": {"lr": "4e-3"}, "runs": 2, "loss": {"n": 2, "mean": None, "half": None}}],
                       "verdicts": [{"verdict": "pass", "claim": "it <b>holds</b>", "expected": None, "measured": "yes"}, {"verdict": "fail", "claim": "it does not", "expected": "no", "measured": "yes"}]}, f)
