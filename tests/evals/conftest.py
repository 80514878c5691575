"""A scripted server in a process of its own, the real SDKs pointed at it, and no way out of this machine."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class ScriptedServer:
    """The control side of scripted_server.py."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def script(self, *replies: dict[str, Any], **settings: Any) -> None:
        """Forget everything; answer with `replies` in turn, then by repeating the question."""
        self._post("/_script", {"replies": replies, **settings})

    def open_gate(self) -> None:
        self._post("/_open", {})

    @property
    def log(self) -> list[dict[str, Any]]:
        return self.state()["log"]

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/_log") as reply:
            return json.load(reply)

    def _post(self, path: str, body: Any) -> None:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request).close()


@pytest.fixture(scope="session")
def _server() -> Iterator[ScriptedServer]:
    script = Path(__file__).with_name("scripted_server.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield ScriptedServer(int(process.stdout.readline()))
        process.kill()


@pytest.fixture
def server(_server: ScriptedServer) -> ScriptedServer:
    _server.script()
    return _server


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback only, no proxies, no keys of the person who runs the tests."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test tried to reach {address}")
        real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def openai_url(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """OpenAI's SDK as a user has it, by its own environment variables, pointed at the scripted server."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-openai-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    return f"{server.url}/v1"


@pytest.fixture
def anthropic_url(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-secret")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    return server.url
