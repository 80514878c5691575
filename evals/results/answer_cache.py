"""Cache of answers: a folder of JSON files, named by a hash of everything that determines the answer."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import pydantic

from gpt_from_scratch.evals.protocol.messages import Call
from gpt_from_scratch.support.storage import files


@dataclasses.dataclass(frozen=True)
class CachedAnswer:
    """A model's answer with its account."""

    output: str
    call: Call


_ANSWER = pydantic.TypeAdapter(CachedAnswer)


def content_hash(value: Any) -> str:
    """SHA-256 of a value's JSON, keys sorted: 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=dataclasses.asdict)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Cache:
    """Answers by the hash of what was asked. Several runs may share a folder: files are written whole or not at all.

    Raises:
        NotADirectoryError: `folder` is something else.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is no folder: the cache is one, of a file for each answer; name another"
            )
        self.folder = folder

    def get(self, key: str) -> CachedAnswer | None:
        path = self._path(key)
        try:
            return _ANSWER.validate_python(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError, OSError) as error:  # pydantic's errors are ValueErrors
            why = "; ".join(str(error).splitlines()[:3]) or type(error).__name__
            warnings.warn(f"the cached answer {path} is damaged ({why}) and asked for again", stacklevel=2)
            return None

    def __contains__(self, key: str) -> bool:
        return self._path(key).exists()

    def put(self, key: str, answer: CachedAnswer) -> None:
        """Keep an answer. One that cannot be written is warned of: the run has it, and goes on."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(path, json.dumps(dataclasses.asdict(answer), ensure_ascii=True, default=str))
        except OSError as error:
            warnings.warn(f"an answer is not kept in the cache: {error}", stacklevel=2)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
