"""Hostile and unlucky clients, and the server that survives them: a health check is answered within a second."""

import contextlib
import http.client
import json
import resource
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator

import openai
import pytest
import uvicorn

from gpt_from_scratch.evals.serve.app import Server
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.protection import PatientConnection
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel

CONNECTIONS = 1000


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(url).port or 0), timeout=10)


def request(body: bytes, length: int | None = None) -> bytes:
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) if length is None else length}"
    )
    return head.encode() + b"\r\n\r\n" + body


def answer(connection: socket.socket) -> tuple[int, bytes]:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    return reply.status, reply.read()


@contextlib.contextmanager
def healthy_throughout(url: str) -> Iterator[None]:
    """Asks for the health over and over while the block runs."""
    over, slowest = threading.Event(), [0.0]

    def watch() -> None:
        while True:
            started = time.monotonic()
            with connect(url) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert answer(connection)[0] == 200
            slowest[0] = max(slowest[0], time.monotonic() - started)
            if over.wait(0.05):
                return

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            watch()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failures, failures
    assert slowest[0] < 1


def test_a_body_of_64_mib(url: str) -> None:
    with healthy_throughout(url), connect(url) as connection:
        connection.sendall(request(b" ", length=64 << 20))
        assert answer(connection) == (413, answer_of("a request may have 2097152 bytes"))
    with healthy_throughout(url), connect(url) as connection:  # in chunks, so that no length is announced
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with contextlib.suppress(ConnectionError):  # it may hang up before all is sent
            for _ in range(64 << 4):
                connection.sendall(piece)
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if connection.recv(1, socket.MSG_PEEK):
                        break
                connection.settimeout(10)
        connection.settimeout(10)
        assert answer(connection)[0] == 413


def answer_of(message: str) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "request_too_large"}
    return json.dumps({"error": error}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "tiny", "prompt": "a", "max_tokens": 1000000000}',
        b'{"model": "tiny", "prompt": "a", "n": 1000000000}',
        b'{"model": "tiny", "prompt": "' + b"a" * 1_000_000 + b'"}',
        b'{"model": "tiny", "prompt": [' + b"1," * 500_000 + b"1]}",
        b"[" * 1_000_000,
        b"\x00\xff" * 1000,
        b"",
    ],
    ids=["max_tokens", "n", "long-text", "long-tokens", "deep", "binary", "empty"],
)
def test_garbage_and_greed_are_refused(url: str, body: bytes) -> None:
    with healthy_throughout(url), connect(url) as connection:
        connection.sendall(request(body))
        status, text = answer(connection)
    assert status == 400
    assert json.loads(text)["error"]["message"]


def test_what_is_not_even_http(url: str) -> None:
    with healthy_throughout(url), connect(url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert answer(connection)[0] == 400


def test_a_thousand_connections(url: str, client: openai.OpenAI) -> None:
    """Half of them begin a request and say no more; a real one is answered beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with contextlib.ExitStack() as stack:
        for index in range(CONNECTIONS):
            connection = stack.enter_context(connect(url))
            if index % 2:
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: local")
        with healthy_throughout(url):
            assert client.completions.create(model="tiny", prompt="a", max_tokens=3, seed=1).choices[0].text


def test_clients_that_hang_up_leave_nothing_behind(url: str) -> None:
    body = b'{"model": "tiny", "prompt": "a", "max_tokens": 4096, "n": 4, "stream": %s}'
    with healthy_throughout(url):
        for index in range(20):
            with connect(url) as connection:
                connection.sendall(request(body % (b"true" if index % 2 else b"false")))
                if index % 2:
                    connection.recv(100)
        with connect(url) as connection:
            deadline, active = time.monotonic() + 10, 1
            while active and time.monotonic() < deadline:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                active = json.loads(answer(connection)[1])["active"]
    assert active == 0


@pytest.fixture
def impatient(checkpoint: OpenedModel) -> Iterator[str]:
    """The server in this process, with clocks that run out soon."""

    class Impatient(PatientConnection):
        seconds = 0.3

    limits = ServerLimits(body_seconds=0.3, max_tokens=200_000)
    app = Server(checkpoint, Worker(checkpoint), limits).app()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server = uvicorn.Server(uvicorn.Config(app, http=Impatient, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("sent", [b"", b"POST /v1/compl", request(b"", length=5) + b"{"])
def test_slow_senders_are_not_waited_for(impatient: str, sent: bytes) -> None:
    started = time.monotonic()
    with connect(impatient) as connection:
        connection.sendall(sent)
        if b"\r\n\r\n" in sent:
            status, body = answer(connection)
            assert (status, json.loads(body)["error"]["message"]) == (408, "sending the request took longer than 0.3 s")
        else:
            assert connection.recv(1) == b""  # closed
    assert time.monotonic() - started < 5


def test_slow_readers_are_not_waited_for(impatient: str) -> None:
    with connect(impatient) as health, connect(impatient) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request(b'{"model": "tiny", "prompt": "a", "max_tokens": 200000, "n": 8, "stream": true}'))
        connection.recv(10)  # and no more
        deadline, active = time.monotonic() + 20, 8
        while active and time.monotonic() < deadline:
            time.sleep(0.05)
            health.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            active = json.loads(answer(health)[1])["active"]
        assert active == 0
