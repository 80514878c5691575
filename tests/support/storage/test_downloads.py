"""Downloads against a real HTTP server in this process, which can be told to misbehave."""

import hashlib
import http.client
import http.server
import io
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage import downloads
from gpt_from_scratch.support.storage.downloads import DownloadError, download

DATA = bytes(range(256)) * 4000  # several chunks
DIGEST = hashlib.sha256(DATA).hexdigest()
LIMIT = 2 * len(DATA)


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA at /file; `requests` notes each path and its Range header."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        match self.path:
            case "/file":
                self.answer(asked)
            case "/breaks":  # 400,000 bytes a connection
                self.answer(asked, stop=400_000)
            case "/breaks-at-once":
                self.answer(asked, stop=0)
            case "/breaks-without-ranges":
                self.answer(None, stop=400_000)
            case "/wrong-range":
                self.answer("bytes=1-")
            case "/unsized":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(DATA)
            case "/redirect":
                self.redirect("/file")
            case "/loop":
                self.redirect("/loop")
            case "/to-a-file":
                self.redirect("file:///etc/hostname")
            case _:
                self.send_error(404, "Not Found")

    def answer(self, asked: str | None, stop: int | None = None) -> None:
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start:] if stop is None else DATA[start : start + stop])

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(url: str, path: Path, digest: str = DIGEST, size_limit: int = LIMIT) -> Path:
    return download(url, path, digest=digest, size_limit=size_limit, timeout=10.0)


def assert_nothing_is_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("page", ["/file", "/redirect", "/unsized"])
def test_the_file_arrives_and_is_not_fetched_twice(server: Server, tmp_path: Path, page: str) -> None:
    path = tmp_path / "new folder" / "file"
    assert fetch(server.url + page, path) == path
    assert path.read_bytes() == DATA
    assert list(path.parent.iterdir()) == [path]
    asked = len(server.requests)
    fetch(server.url + page, path, digest=DIGEST.upper())
    assert len(server.requests) == asked


def test_progress_is_told_with_the_whole_size(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    note = lambda received, total: seen.append((received, total))  # noqa: E731
    download(f"{server.url}/file", tmp_path / "file", digest=DIGEST, size_limit=LIMIT, progress=note)
    assert seen[0] == (0, len(DATA)) and seen[-1] == (len(DATA), len(DATA))
    assert [received for received, _ in seen] == sorted({received for received, _ in seen}) and len(seen) > 3
    seen.clear()
    download(f"{server.url}/unsized", tmp_path / "again", digest=DIGEST, size_limit=LIMIT, progress=note)
    assert seen[-1] == (len(DATA), None)


def test_a_broken_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    assert fetch(f"{server.url}/breaks", tmp_path / "file").read_bytes() == DATA
    assert server.ranges == [None, "bytes=400000-", "bytes=800000-"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(DownloadError, match="broke after 400,000 of 1,024,000 bytes"):
        fetch(f"{server.url}/breaks-without-ranges", path)
    assert not path.exists()
    assert fetch(f"{server.url}/file", path).read_bytes() == DATA
    assert server.ranges[-1] == "bytes=400000-"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("piece", [b"of another file", DATA + b"and more", DATA])
def test_a_piece_of_another_file_costs_one_more_transfer(server: Server, tmp_path: Path, piece: bytes) -> None:
    (tmp_path / ".file.part").write_bytes(piece)
    assert fetch(f"{server.url}/file", tmp_path / "file").read_bytes() == DATA
    assert server.ranges == [f"bytes={len(piece)}-"] + ([] if piece == DATA else [None])


def test_another_file_is_refused_and_the_old_one_stays(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"older version")
    with pytest.raises(DownloadError, match=f"its SHA-256 is {DIGEST}") as caught:
        fetch(f"{server.url}/file", path, digest="0" * 64)
    assert str(path) in str(caught.value) and "0" * 64 in str(caught.value)
    assert path.read_bytes() == b"older version"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("page, message", [("/file", "1,024,000 bytes long; at most 1,000"), ("/unsized", "more than")])
def test_a_file_over_the_limit_is_refused(server: Server, tmp_path: Path, page: str, message: str) -> None:
    with pytest.raises(DownloadError, match=message):
        fetch(server.url + page, tmp_path / "file", size_limit=1000)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    "page, message",
    [
        ("/nothing", "answered 404 Not Found"),
        ("/loop", "infinite loop"),
        ("/to-a-file", "not allowed"),
        ("/breaks-at-once", "broke after 0 of"),
    ],
)
def test_errors_of_the_server_are_told_and_leave_nothing(
    server: Server, tmp_path: Path, page: str, message: str
) -> None:
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(server.url + page, tmp_path / "file")
    assert str(caught.value).startswith(f"cannot download {server.url}{page}: ")
    assert_nothing_is_left(tmp_path)


def test_a_range_that_was_not_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".file.part").write_bytes(DATA[:1000])
    with pytest.raises(DownloadError, match=re.escape("asked for the bytes from 1000 on and sent 'bytes 1-")):
        fetch(f"{server.url}/wrong-range", tmp_path / "file")
    assert_nothing_is_left(tmp_path)


def test_connection_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(DownloadError, match="refused"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/file", tmp_path / "file")
    assert_nothing_is_left(tmp_path)


def test_a_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DownloadError, match="timed out"):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        download(url, tmp_path / "file", digest=DIGEST, size_limit=LIMIT, timeout=0.2)
    assert_nothing_is_left(tmp_path)


def test_a_redirect_never_leaves_https() -> None:
    handler = downloads._KeepHttps()
    request = urllib.request.Request("https://example.org/file")
    headers = http.client.HTTPMessage()
    with pytest.raises(downloads._Refused, match="not https"):
        handler.redirect_request(request, io.BytesIO(), 302, "Found", headers, "http://example.org/file")
    kept = handler.redirect_request(request, io.BytesIO(), 302, "Found", headers, "https://example.org/b")
    assert kept is not None and kept.full_url == "https://example.org/b"


def test_processes_that_want_the_same_file_take_turns(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gpt_from_scratch.support.storage.downloads import download; "
        f"download(sys.argv[1], Path(sys.argv[2]), digest={DIGEST!r}, size_limit={LIMIT})"
    )
    command = [sys.executable, "-c", code, f"{server.url}/breaks", tmp_path / "file"]
    for process in [subprocess.Popen(command) for _ in range(4)]:
        assert process.wait() == 0
    assert (tmp_path / "file").read_bytes() == DATA
    assert server.ranges == [None, "bytes=400000-", "bytes=800000-"]  # one of them fetched it, once
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/file", "/a/path"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        fetch(url, tmp_path / "file")


@pytest.mark.parametrize("digest", ["", "abc", "z" * 64])
def test_a_digest_must_be_one(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        fetch("https://example.org/file", tmp_path / "file", digest=digest)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_the_place_of_the_part_keeps_its_target(
    server: Server, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "thesis").write_bytes(b"years of work")
    (tmp_path / "folder").mkdir()
    link(tmp_path / "folder" / ".file.part", tmp_path / "thesis")
    with pytest.raises(DownloadError):
        fetch(f"{server.url}/file", tmp_path / "folder" / "file")
    assert (tmp_path / "thesis").read_bytes() == b"years of work"
