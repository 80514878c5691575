"""A headless Chromium, driven by the DevTools protocol over a pipe, so that clicks, keys and widths are a browser's own."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60
LAUNCH = """import fcntl, os, sys
ends = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Puts the protocol's pipes where the browser looks for them: it reads file 3 and writes file 4."""


def find_chromium() -> str | None:
    """A browser's program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page of the browser. Every message of the browser's that is no answer is kept in `heard`."""

    def __init__(self, reading: Any, writing: Any, process: subprocess.Popen[bytes]) -> None:
        self._reading, self._writing, self._process = reading, writing, process
        self._number, self._session = 0, None
        self.heard: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        hung = threading.Timer(SECONDS, self._process.kill)  # a browser that says nothing ends the test in words
        hung.start()
        try:
            self._writing.write(json.dumps(message).encode() + b"\0")
            self._writing.flush()
            while (answer := self._message()).get("id") != self._number:
                self.heard.append(answer)
        finally:
            hung.cancel()
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _message(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._reading.read(1)) != b"\0":
            assert byte, "the browser has ended"
            data += byte
        message: dict[str, Any] = json.loads(data)
        return message

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait, frame by frame, until an expression is true in the page."""
        self.run(
            f"new Promise((yes, no) => {{ const end = performance.now() + {SECONDS * 500}; const look = () => ({condition}) "
            f"? yes() : performance.now() > end ? no(new Error('never true')) : setTimeout(look, 20); look(); }})"
        )

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def show(self, width: int, scheme: str = "light", height: int = 900) -> None:
        """A window of this width, on a system of this colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def key(self, key: str, modifiers: int = 0) -> None:
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "End": 35, "Home": 36, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                modifiers=modifiers,
            )

    def hover(self, selector: str) -> tuple[float, float]:
        """Move the pointer onto an element."""
        x, y = self.run(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
            f"const box = one.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def click(self, selector: str) -> None:
        x, y = self.hover(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def browsing(program: str, profile: Path) -> Iterator[Tab]:
    """A tab in a browser of its own, which ends with the block."""
    to_read, to_browser = os.pipe()
    from_browser, to_write = os.pipe()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command = [program, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"]

    started = [sys.executable, "-c", LAUNCH, str(to_read), str(to_write), *command]
    with subprocess.Popen(started, pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL) as process:
        os.close(to_read)
        os.close(to_write)
        try:
            with os.fdopen(from_browser, "rb") as reading, os.fdopen(to_browser, "wb") as writing:
                yield Tab(reading, writing, process)
        finally:
            process.kill()
