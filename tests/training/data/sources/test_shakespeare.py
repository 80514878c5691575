"""Tiny Shakespeare, from a server in this process that serves the real file."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.downloads import DownloadError
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.data.reading.texts import read_texts, split_texts
from gpt_from_scratch.training.data.sources import shakespeare
from gpt_from_scratch.training.data.sources.shakespeare import tiny_shakespeare

SHARED = Path(__file__).parents[5] / "shared" / "data" / "tinyshakespeare.txt"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = SHARED.read_bytes() if self.path == "/input.txt" else b"something else"
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


@pytest.mark.skipif(not SHARED.is_file(), reason="no ../shared")
def test_it_is_downloaded_once_with_progress(server: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    text = tiny_shakespeare(tmp_path, progress=lambda *state: told.append(state), url=f"{server}/input.txt")
    assert told[-1] == (shakespeare.SIZE, shakespeare.SIZE)
    assert len(text) == shakespeare.SIZE and len(set(text)) == 65 and text.startswith("First Citizen:")
    assert tiny_shakespeare(tmp_path, url=f"{server}/gone") == text
    assert read_texts(SHARED) == [text]


@pytest.mark.skipif(not SHARED.is_file(), reason="no ../shared")
def test_the_split_is_the_usual_one() -> None:
    train, validation = split_texts(read_texts(SHARED))
    assert (len(train[0]), len(validation[0])) == (1_003_854, 111_540)


def test_another_file_is_refused_and_the_error_says_where_to_put_the_right_one(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"{tmp_path / 'tinyshakespeare.txt'} .*{shakespeare.SHA256}"):
        tiny_shakespeare(tmp_path, url=f"{server}/other.txt")
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPT_DATA_DIR", raising=False)
    assert data_folder() == Path("data")
    monkeypatch.setenv("GPT_DATA_DIR", "/somewhere")
    assert data_folder() == Path("/somewhere")
