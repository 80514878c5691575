"""Files at addresses, from a server of this machine: each kind, a checksum, and what changed, broke off or is not there."""

import gzip
import hashlib
import json
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training.data.preparing.opening import open_source
from gpt_from_scratch.training.data.reading import hub
from gpt_from_scratch.training.data.reading.hub import HubName, HubSource, hub_name
from gpt_from_scratch.training.data.shards import read_index
from gpt_from_scratch.training.data.source import Document, Source, SourceRequest
from gpt_from_scratch.training.prepare import PrepareConfig
from gpt_from_scratch.training.prepare import main as command

TEXTS = [f"document {i} of many" for i in range(30)]


def lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"content": text}) + "\n" for text in texts).encode()


def found(source: Source) -> list[str]:
    source = pickle.loads(pickle.dumps(source))  # noqa: S301  (as a worker has it)
    rows = [row for piece in range(source.n_pieces) for row in source.documents(piece)]
    return [row.text for row in rows if isinstance(row, Document)]


class Server:
    """What a web server has, and whether it breaks off in the middle."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks_off = False
        self.address = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            content = state.files.get(self.path.partition("?")[0])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: len(content) // 2] if state.breaks_off else content)
                self.close_connection = state.breaks_off

        def log_message(self, *_: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{served.server_address[1]}"
    yield state
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_file_of_a_web_server(server: Server, name: str) -> None:
    content = gzip.compress(lines(TEXTS)) if name.endswith("gz") else lines(TEXTS)
    server.files[f"/data/{name}"] = content
    address = f"{server.address}/data/{name}"
    assert found(open_source(SourceRequest(address))) == TEXTS
    assert found(open_source(SourceRequest(f"{address}#sha256={hashlib.sha256(content).hexdigest()}"))) == TEXTS
    with pytest.raises(ValueError, match=rf"{name} has the SHA-256 .*, expected {'0' * 64}: it is a different file"):
        found(open_source(SourceRequest(f"{address}#sha256={'0' * 64}")))
    with pytest.raises(ValueError, match="a SHA-256 is 64 digits"):
        open_source(SourceRequest(f"{address}#sha256=12"))
    with pytest.raises(FileNotFoundError, match=r"there is no file at http://127.*/nothing.jsonl"):
        open_source(SourceRequest(f"{server.address}/nothing.jsonl"))


def test_what_changes_or_breaks_off_is_named_and_nothing_is_lost(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/a.jsonl"] = lines(TEXTS)
    source = open_source(SourceRequest(f"{server.address}/a.jsonl"))
    server.files["/a.jsonl"] = lines(TEXTS[:-1])
    with pytest.raises(ValueError, match=r"/a.jsonl has changed since the work began \(.*ETag"):
        found(source)
    server.breaks_off = True
    words = [f"{server.address}/a.jsonl", "--out", str(tmp_path / "out"), "--workers", "1"]
    words += ["--tokenizer", "character", "--validation-fraction", "0.3"]
    assert status_of("prepare", lambda: command(words)) == 2
    said = capsys.readouterr().err
    assert "/a.jsonl" in said and "finished work is kept" in said
    server.breaks_off = False
    assert status_of("prepare", lambda: command(words)) == 0
    index = read_index(tmp_path / "out")
    text = load_tokenizer(tmp_path / "out").decode(
        [i for s in index.splits for part in index.open(s) for i in part.tolist()]
    )
    assert sorted(text.split("<|endoftext|>")[1:]) == sorted(TEXTS[:-1])


def test_a_damaged_remote_file_is_named_by_its_address(server: Server) -> None:
    server.files["/a.jsonl.gz"] = gzip.compress(lines(TEXTS))[:-9]
    with pytest.raises(ValueError, match=rf"^{server.address}/a.jsonl.gz is damaged or cut off"):
        found(open_source(SourceRequest(f"{server.address}/a.jsonl.gz")))


def test_folders_and_patterns_of_another_file_system() -> None:
    system = fsspec.filesystem("memory")
    for name in ("b/2.jsonl", "a/1.jsonl", "a/.hidden.jsonl"):
        system.pipe(f"/texts/{name}", lines([name]))
    system.pipe("/texts/README.md", b"about")
    assert found(open_source(SourceRequest("memory://texts"))) == ["a/1.jsonl", "b/2.jsonl"]
    assert found(open_source(SourceRequest("memory://texts/*/2.jsonl"))) == ["b/2.jsonl"]
    with pytest.raises(FileNotFoundError, match="there is no file at memory://nowhere"):
        open_source(SourceRequest("memory://nowhere"))


def test_an_address_that_nothing_reads_says_so() -> None:
    with pytest.raises(RuntimeError, match="nosuch://bucket/a.jsonl cannot be read: .*nosuch"):
        open_source(SourceRequest("nosuch://bucket/a.jsonl"))


def test_the_folder_of_an_address_has_a_plain_name() -> None:
    names = {
        "https://host/a/b c.jsonl?x=1#sha256=00": "b_c.jsonl",
        "s3://bucket/crawl/": "crawl",
        "someone/texts@v1": "texts",
        "https://host/": "host",
    }
    assert {word: PrepareConfig(word).folder.name for word in names} == names


def test_any_name_of_the_hub_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    assert hub_name("someone/texts@v1.0") == HubName("someone/texts", revision="v1.0")
    assert hub_name("texts") is None and hub_name("a/b/c") is None and hub_name("../texts") is None
    (tmp_path / "train.jsonl").write_bytes(lines(TEXTS))
    opened: list[HubName] = []

    def local(name: HubName, asked: SourceRequest) -> HubSource:
        """`datasets` reads a file of this machine in the hub's place, which a test cannot reach."""
        opened.append(name)
        stand_in = HubName("json", revision=name.revision)
        return HubSource(stand_in, asked, data_files={"train": [str(tmp_path / "train.jsonl")]})

    monkeypatch.setattr(hub, "HubSource", local)
    monkeypatch.setattr(hub, "pinned", lambda name: f"commit of {name.revision}")
    source = open_source(SourceRequest("someone/texts@v1.0", subset="en"))
    assert opened == [HubName("someone/texts", "en", revision="commit of v1.0")]
    assert source.describe()["revision"] == "commit of v1.0"
    assert [row.text for row in source.documents(0) if isinstance(row, Document)] == TEXTS
