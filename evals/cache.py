"""Answers that were paid for once: a folder of JSON files, each named by the hash of all that decides the answer."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.messages import Call, Usage
from gpt_from_scratch.support import files


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model replied, and the account of it."""

    output: str
    call: Call


def content_hash(value: Any) -> str:
    """SHA-256 of a value's JSON, keys sorted: 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=dataclasses.asdict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Cache:
    """Answers by the hash of what was asked. Several runs may share a folder: files are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Answer | None:
        path = self._path(key)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            call = Call(**{**stored["call"], "usage": Usage(**stored["call"]["usage"])})
            return Answer(stored["output"], call)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            warnings.warn(f"the cached answer {path} is damaged ({error}) and asked for again", stacklevel=2)
            return None

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def put(self, key: str, answer: Answer) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(dataclasses.asdict(answer), ensure_ascii=True, default=str))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
