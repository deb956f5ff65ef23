"""test_serve.py PROGRAM: the server of a live page as strangers call it, and a run that knows nothing of it: same bits, whatever they send."""
import filecmp, json, os, re, socket, subprocess, sys, threading, time
from runs import SMALL, Folder


def expect(what, truth):
    if not truth:
        raise AssertionError(what)


def call(port, request, limit=1 << 16, patience=20):
    """The status that raw bytes are answered with, and the answer; 0: there was none, since the server waits for more or has closed."""
    with socket.create_connection(("127.0.0.1", port), patience) as s:
        answer = b""
        try:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
            while len(answer) < limit and (piece := s.recv(1 << 16)):
                answer += piece
        except (ConnectionError, TimeoutError):
            pass
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found.group(1)) if found else 0, answer


def get(path, host="127.0.0.1", method="GET", more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


def strangers(port, secret):
    fine = [("/", 200), ("/body", 200), ("/log.jsonl", 200), ("/config.yaml", 200)]
    for path, code in fine:
        status, answer = call(port, get(path))
        expect(f"{path}: {status}", status == code and b"nosniff" in answer)
    for path in ("/x", "/checkpoints/latest/state.json", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/log.jsonl/../../secret", "//secret", "/LOG.JSONL", "/body/", "/" + secret,
                 "/" + "a" * 20000, "http://evil.example/secret", "*", "secret", ""):
        status, answer = call(port, get(path))
        expect(f"{path[:40]}: {status}", (400 <= status < 500 or status == 0) and b"TOP" not in answer)
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "localhost:80x", "localhost:", "", "127.0.0.2", "0.0.0.0"):
        expect(f"host {host}", call(port, get("/body", host))[0] in (400, 403))
    for host in ("localhost", f"localhost:{port}", "LOCALHOST:1", "[::1]:80"):
        expect(f"host {host}", call(port, get("/body", host))[0] == 200)
    expect("no host", call(port, b"GET / HTTP/1.0\r\n\r\n")[0] == 403)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        expect(method, call(port, get("/", method=method, more="Content-Length: 3\r\n") + b"abc")[0] in (400, 405, 501))
    for junk in (b"\r\n\r\n", b"GARBAGE\r\n\r\n", b"\0" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", os.urandom(3000) + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9000 + b"\r\n",
                 b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        status, _ = call(port, junk, patience=1)
        expect(f"{junk[:30]}: {status}", status == 0 or 400 <= status < 600)
    held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(12)]   # that say nothing
    tag = re.search(rb"ETag: (\S+)", call(port, get("/body"))[1]).group(1).decode()
    expect("still there", call(port, get("/log.jsonl"))[0] == 200 and tag.startswith('"'))
    for s in held:
        s.close()


def main():
    with Folder(sys.argv[1]) as folder:
        built = folder.run("train", "--help")
        expect("the option is there", "--serve [N]" in built)
        with open(folder.file("secret"), "w") as f:
            f.write("TOP")
        try:
            process, url = folder.serve("endless", "--serve", "--steps", "100000000", "--eval_every", "0", "--log_every", "1000", "--telemetry", "off")
        except AssertionError:
            print("SKIPPED: built without libmicrohttpd")
            return 77
        port = int(url.rsplit(":", 1)[1].strip("/"))
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        try:
            second = subprocess.run([folder.program, "train", "--data", "text", "--out", "second", "-q", *SMALL, "--steps", "1", "--serve", str(port)], cwd=folder.path, env=folder.environment, capture_output=True, text=True)
            expect(f"a port in use is told and no reason not to train: {second.stderr}", second.returncode == 0 and second.stderr.count("\n") == 1 and f"port {port} of 127.0.0.1: in use" in second.stderr)
            strangers(port, folder.file("secret"))
            expect("the run goes on", process.poll() is None)
            process.terminate()
            expect("and ends as ever", process.wait(60) == 75)
        finally:
            process.kill()
            process.wait()
            drain.join()
            process.stdout.close()

        steps = ["--steps", "3000", "--log_every", "20", "--telemetry", "full", "--telemetry_every", "100", "--eval_every", "1000", "--save_every", "1500"]
        process, url = folder.serve("served", "--serve", *steps)
        port, asked = int(url.rsplit(":", 1)[1].strip("/")), 0
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        while process.poll() is None:
            try:
                asked += call(port, get("/body"), 1 << 24)[0] == 200
            except OSError:
                time.sleep(0.01)                     # the end
        drain.join()
        process.stdout.close()
        expect(f"the run was done, after {asked} pages", process.returncode == 0 and asked > 0)
        folder.train("alone", "--no-report", *steps)
        for name in ("model.safetensors", "optimizer.safetensors"):
            expect(f"same bits in {name}", filecmp.cmp(folder.file("served", "checkpoints", "latest", name), folder.file("alone", "checkpoints", "latest", name), shallow=False))
        numbers = [[(e["event"], e.get("step"), e.get("loss"), e.get("val_loss"), e.get("g_in")) for e in map(json.loads, open(folder.file(run, "log.jsonl")))] for run in ("served", "alone")]
        expect("same numbers in the log", numbers[0] == numbers[1])
        print(f"PASS: {asked} pages while training, same bits")
    return 0


sys.exit(main())
