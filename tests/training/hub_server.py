"""A Hugging Face hub on this machine, as far as a push and an import ask of it. Run as a process of its own.

    python hub_server.py FOLDER [--stalls N]        # the first line printed is its address

FOLDER keeps what it has: objects/ by SHA-256, and repositories/OWNER/NAME/ with the files of the last commit. Requests are
noted in FOLDER/requests.log. With --stalls N the Nth upload of an object is never read to its end, and "stalled" noted.
"""

import base64
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "hf_test"


class Hub(BaseHTTPRequestHandler):
    """The requests, by the paths that huggingface_hub uses."""

    protocol_version = "HTTP/1.1"
    store: Path
    stalls = 0
    uploads = 0

    def do_GET(self) -> None:
        """Files of a repository, and what is known of it."""
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            folder = self.store / "repositories" / "/".join(parts[2:4])
            if not folder.is_dir():
                return self.answer({"error": "no such repository"}, 404, {"X-Error-Code": "RepoNotFound"})
            names = sorted(path.name for path in folder.iterdir())
            return self.answer(
                {
                    "id": "/".join(parts[2:4]),
                    "sha": "0" * 40,
                    "private": False,
                    "siblings": [{"rfilename": name} for name in names],
                }
                if "tree" not in parts
                else [
                    {"type": "file", "path": name, "size": (folder / name).stat().st_size, "oid": "0" * 40}
                    for name in names
                ]
            )
        file = self.store / "repositories" / "/".join(parts[:2]) / parts[-1]
        if parts[2:3] != ["resolve"] or not file.is_file():
            return self.answer({"error": "no such entry"}, 404, {"X-Error-Code": "EntryNotFound"})
        data = file.read_bytes()
        self.send_response(200)
        for name, value in (
            ("Content-Length", str(len(data))),
            ("ETag", f'"{hashlib.sha256(data).hexdigest()}"'),
            ("X-Repo-Commit", "0" * 40),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
        return None

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Whatever changes something; only with the token."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer({"error": "who are you?"}, 401)
        self.note(f"POST {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            folder = self.store / "repositories" / name
            existed = folder.is_dir()
            folder.mkdir(parents=True, exist_ok=True)
            if not existed:
                (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n", encoding="utf-8")
            return self.answer({"url": f"{self.address}/{name}", "name": name, "id": name}, 409 if existed else 200)
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "preupload" in parts:
            modes = {True: "lfs", False: "regular"}
            return self.answer(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": modes[file["path"].endswith(".safetensors")],
                            "shouldIgnore": False,
                        }
                        for file in json.loads(body)["files"]
                    ]
                }
            )
        if parts[-1] == "batch":
            objects: list[dict[str, Any]] = []
            for one in json.loads(body)["objects"]:
                known = (self.store / "objects" / one["oid"]).is_file()
                upload = {"upload": {"href": f"{self.address}/objects/{one['oid']}"}}
                objects.append({**one, **({} if known else {"actions": upload})})
            return self.answer({"transfer": "basic", "objects": objects})
        if "commit" in parts:
            return self.commit(self.store / "repositories" / "/".join(parts[2:4]), body)
        return self.answer({"error": self.path}, 404)

    def commit(self, folder: Path, body: bytes) -> None:
        """Take a commit as a whole, or refuse it as a whole."""
        lines = [json.loads(line) for line in body.splitlines()]
        wanted = [line["value"] for line in lines if line["key"] == "lfsFile"]
        if missing := [one for one in wanted if not (self.store / "objects" / one["oid"]).is_file()]:
            return self.answer({"error": f"object {missing[0]['oid']} was not uploaded"}, 400)
        for one in wanted:
            (folder / one["path"]).write_bytes((self.store / "objects" / one["oid"]).read_bytes())
        for line in lines:
            if line["key"] == "file":
                (folder / line["value"]["path"]).write_bytes(base64.b64decode(line["value"]["content"]))
            if line["key"] == "deletedFile":
                (folder / line["value"]["path"]).unlink()
        return self.answer(
            {
                "commitUrl": f"{self.address}/{folder.parent.name}/{folder.name}/commit/{'1' * 40}",
                "commitOid": "1" * 40,
                "success": True,
            }
        )

    def do_PUT(self) -> None:
        """The bytes of an object, which are kept only if they are what their name says."""
        self.note(f"PUT {self.path}")
        Hub.uploads += 1
        size = int(self.headers["Content-Length"])
        if Hub.uploads == Hub.stalls:
            self.rfile.read(size // 2)
            self.note("stalled")
            time.sleep(3600)
        data = self.rfile.read(size)
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(data).hexdigest() != oid:
            return self.answer({"error": "other bytes than announced"}, 400)
        (self.store / "objects").mkdir(exist_ok=True)
        (self.store / "objects" / oid).write_bytes(data)
        return self.answer({})

    @property
    def address(self) -> str:
        """Where this server is."""
        return f"http://{self.headers['Host']}"

    def note(self, line: str) -> None:
        """Write down what was asked."""
        with (self.store / "requests.log").open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def answer(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """A reply in JSON."""
        data = json.dumps(value).encode("utf-8")
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    Hub.store = Path(sys.argv[1])
    Hub.store.mkdir(parents=True, exist_ok=True)
    Hub.stalls = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
