"""A headless Chromium driven through its debugging pipe (JSON messages that end in NUL on descriptors 3 and 4), so that the tests of pages
need nothing but Python and a browser."""
import base64, json, os, shutil, subprocess, tempfile, time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page. `console` holds what it complained about, `requests` every URL that it asked for."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="addnorm-browser-")
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def place():   # in the child: our ends become 3 and 4, by a detour so that neither is overwritten
            a, b = os.dup(to_read), os.dup(from_write)
            a, b = os.dup2(a, 50), os.dup2(b, 51)
            os.dup2(a, 3)
            os.dup2(b, 4)
        self.process = subprocess.Popen([program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
                                         "--disable-component-update", "--disable-sync", f"--user-data-dir={self.profile}", "--remote-debugging-pipe", "about:blank"],
                                        close_fds=False, preexec_fn=place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.out, self.back = to_write, from_read
        self.held, self.number, self.session = b"", 0, None
        self.console, self.requests, self.loaded = [], [], False
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.held:
            piece = os.read(self.back, 1 << 16)
            if not piece:
                raise RuntimeError("the browser has gone")
            self.held += piece
        line, self.held = self.held.split(b"\0", 1)
        return json.loads(line)

    def note(self, event):
        kind, p = event.get("method"), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif kind == "Runtime.exceptionThrown":
            self.console.append(p["exceptionDetails"].get("exception", {}).get("description") or p["exceptionDetails"]["text"])
        elif kind == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.console.append(" ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif kind == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.console.append(p["entry"]["text"])
        elif kind == "Page.loadEventFired":
            self.loaded = True

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def open(self, url, width=1280, height=900, dark=False):
        """Loads a page and returns the seconds that took until it has been drawn."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.dark(dark)
        self.console.clear(), self.requests.clear()
        self.loaded, began = False, time.monotonic()
        self.call("Page.navigate", url=url)
        while not self.loaded:
            self.note(self.message())
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return time.monotonic() - began

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def run(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", str(answer)))
        return answer["result"].get("value")

    def point(self, x, y, click=False):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path, clip=None):
        """Of the window, or of [x, y, width, height] of the whole page."""
        more = {"clip": dict(zip(("x", "y", "width", "height"), clip), scale=1), "captureBeyondViewport": True} if clip else {}
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"]))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
