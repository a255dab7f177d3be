"""A real browser without a window, told what to do through a pair of pipes: Chromium, by its DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
INSTALL = "no Chromium here; on Debian or Ubuntu: apt-get install --no-install-recommends chromium"
PATIENCE = 60
"""Seconds without a word after which the browser is taken to hang."""


def path():
    """Where Chromium is; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser with one page.

    Attributes:
        complaints: what console, program and network have complained of since the page was opened, and what
            it asked of others than the server that it may ask.
    """

    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix="fairlane-chromium-")
        ours_in, theirs_out = _pipe()
        theirs_in, ours_out = _pipe()
        quiet = os.open(os.devnull, os.O_WRONLY)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={self._folder}", "--hide-scrollbars"]
        # DevTools reads from descriptor 3 and writes to 4. These come last, since `quiet` may be one of them.
        actions = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        command = [path(), *flags, "about:blank"]
        self._process = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
        for descriptor in (theirs_in, theirs_out, quiet):
            os.close(descriptor)
        self._in, self._out, self._rest = ours_in, ours_out, b""
        self._number, self._session, self._server, self.complaints = 0, None, "file:", []
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, page, width=1200, height=900, dark=False, server="file:"):
        """Show a file or an address, in a window of this size; ``server`` is all that the page may ask."""
        self.complaints, self._server = [], server
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        while self._message().get("method") != "Page.loadEventFired":
            pass

    def run(self, code):
        """The value of an expression of JavaScript in the page."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def framed(self, code):
        """The value of an expression in the page's frame of another origin, which has a process of its own."""
        ours, self._session = self._session, None
        try:
            found = self.call("Target.getTargets")["targetInfos"]
            frame = next(target for target in found if target["type"] == "iframe")
            attached = self.call("Target.attachToTarget", targetId=frame["targetId"], flatten=True)
            self._session = attached["sessionId"]
            return self.run(code)
        finally:
            self._session = ours

    def press(self, key):
        """Press a key, and let it go."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            code = {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def move(self, x, y):
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def accessible(self):
        """What a screen reader is told: pairs of a role and a name."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (n["role"]["value"], n.get("name", {}).get("value", ""))
            for n in nodes
            if not n["ignored"] and "role" in n
        ]

    def picture(self):
        """A PNG of the whole page."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def paper(self):
        """A PDF of the page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])

    def call(self, method, **parameters):
        """One command of the DevTools protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _message(self):
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], PATIENCE)[0], "Chromium does not answer"
            read = os.read(self._in, 1 << 16)
            assert read, "Chromium has ended"
            self._rest += read
        first, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(first)
        self._listen(message.get("method"), message.get("params", {}))
        return message

    def _listen(self, method, told):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(told["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(told["args"])
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"])
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(
            (self._server, "blob:")
        ):
            self.complaints.append(told["request"]["url"])


# What a page shows


def texts(page, selector):
    """The texts of all elements that a selector of CSS finds."""
    return page.run(f"[...document.querySelectorAll({selector!r})].map((e) => e.textContent)")


def count(page, selector):
    """How many elements a selector of CSS finds."""
    return page.run(f"document.querySelectorAll({selector!r}).length")


def click(page, label):
    """Click the box, button or link with this label."""
    found = f"[...document.querySelectorAll('label, button, a')].find((e) => e.textContent === {label!r})"
    page.run(f"{found}.click()")


def rows(page, section, column):
    """A column of the table of a section, as it is shown."""
    return page.run(
        f"""(() => {{
            const table = document.querySelector("#s-{section}").parentNode.querySelector("table");
            const heads = [...table.querySelectorAll("th")].map((e) => e.textContent);
            return [...table.querySelectorAll("tbody tr")].map((r) => r.cells[heads.indexOf({column!r})].textContent);
        }})()"""
    )


def _pipe():
    """Both ends of a pipe, with numbers that are in nobody's way."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 32) for end in ends]
    for end in ends:
        os.close(end)
    return moved
