"""The registry of data sources, built from the declarations in the files of `training/data/sources`."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.training.data import sources
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.data.mixing.weights import from_file, is_mixture
from gpt_from_scratch.training.data.reading.hub import hub_name
from gpt_from_scratch.training.data.reading.remote import is_remote
from gpt_from_scratch.training.data.shards import INDEX_FILE
from gpt_from_scratch.training.data.source import LiveSource, PreparedSource

MIXTURE = "mixture"
"""Name of the live source that combines others."""
OF_PATHS = "text"
"""Name of the source, live and prepared, for paths that no other source claims."""


def found_in(folders: Iterable[str], package: str) -> tuple[dict[str, LiveSource], dict[str, PreparedSource]]:
    """The live and the prepared sources, by name, that the modules of `package` in `folders` declare.

    Raises:
        TypeError, ValueError: a file declares none, or a name that is taken.
    """
    live: dict[str, LiveSource] = {}
    prepared: dict[str, PreparedSource] = {}
    for module_info in sorted(pkgutil.iter_modules(folders), key=lambda module: module.name):
        module = importlib.import_module(f"{package}.{module_info.name}")
        one, other = getattr(module, "LIVE", None), getattr(module, "PREPARED", None)
        if one is None and other is None:
            raise TypeError(f"{module.__file__} declares no data source: expected LIVE, PREPARED or both")
        if one is not None:
            if not isinstance(one, LiveSource):
                raise TypeError(f"{module.__file__}: LIVE is {one!r}, expected an instance of LiveSource")
            if one.name in live:
                raise ValueError(f"{module.__file__}: another source has the name {one.name!r}")
            live[one.name] = one
        if other is not None:
            if not isinstance(other, PreparedSource):
                raise TypeError(f"{module.__file__}: PREPARED is {other!r}, expected an instance of PreparedSource")
            if other.name in prepared:
                raise ValueError(f"{module.__file__}: another source has the name {other.name!r}")
            prepared[other.name] = other
    return live, prepared


LIVE, PREPARED = found_in(sources.__path__, sources.__name__)
NAMED = tuple(name for name, source in PREPARED.items() if not source.suffixes)
"""Prepared sources that are selected by name."""


def prepared_sources() -> str:
    """The sources that `prepare` accepts, for messages and --help."""
    files = [source.about for source in PREPARED.values() if source.suffixes]
    others = "an address of such files (https://, s3://, hf://), OWNER/NAME of the Hugging Face hub"
    return f"{', '.join(files)}, {others}, or {', '.join(NAMED)}"


def live_sources() -> str:
    """The live sources of a run, for --help."""
    return "; ".join(f'"{name}": {source.about}' for name, source in LIVE.items()) + "."


def named_by(word: str) -> dict[str, str]:
    """Settings for `--data WORD`: a live source, prepared shards, or a path."""
    if word in LIVE:
        return {"source": word}
    if word in NAMED:
        return {"source": "shards", "path": str(data_folder() / word)}
    for folder in (Path(word), data_folder() / word):  # what `prepare` made
        if (folder / INDEX_FILE).is_file():
            return {"source": "shards", "path": str(folder)}
    path = Path(word)
    if not path.exists() and not path.parent.exists() and hub_name(word) is not None:
        folder = data_folder() / folder_name(word)
        if (folder / INDEX_FILE).is_file():
            return {"source": "shards", "path": str(folder)}
        raise FileNotFoundError(
            f"no file or folder {word}. A data set of the Hugging Face hub must be prepared first:\n  "
            f"{gpt('prepare', word)}"
        )
    return {"path": word}


def settings_of(words: Sequence[str]) -> dict[str, list[str]]:
    """Settings for `--data WORD …`: a mixture, a mixture's TOML file, or a single source.

    Raises:
        ValueError, FileNotFoundError: the file does not describe a mixture; the words name no source.
    """
    if is_mixture(words):
        return {"source": [MIXTURE], "mixture": list(words)}
    if words[0].endswith(".toml") and Path(words[0]).is_file():
        mixture, schedule = from_file(Path(words[0]))
        settings = {"source": [MIXTURE], "mixture": mixture}
        return {**settings, "schedule": schedule} if schedule else settings
    return {setting: [meant] for setting, meant in named_by(words[0]).items()}


def folder_name(word: str) -> str:
    """Default name of the folder that a source is prepared in."""
    if word in NAMED:
        return word
    if is_remote(word):
        name = word.partition("#")[0].partition("?")[0].rstrip("/*").rpartition("/")[2]
    elif not Path(word).exists() and hub_name(word) is not None:
        name = word.partition("@")[0].rpartition("/")[2]
    else:
        name = Path(word.rstrip("/*")).resolve().stem
    return re.sub(r"[^\w.-]", "_", name) or "data"


def how_to_prepare(folder: Path) -> str | None:
    """Command that makes the shards of a preset's folder; None for any other folder."""
    source = PREPARED.get(folder.name)
    if source is None or source.recipe is None:
        return None
    elsewhere = () if folder.parent == data_folder() else ("--out", folder)
    return gpt("prepare", source.name, *source.recipe.options.split(), *elsewhere)
