"""Commands that a user can paste into the current shell in the current folder, with quoted arguments."""

import os
import shlex
import shutil
import sys
from pathlib import Path

DISTRIBUTION = "provengpt"
"""The package's name on PyPI; it is imported as gpt_from_scratch."""
SHELL_PATH = "GPT_SHELL_PATH"
"""Variable with the PATH of the user's shell, set if `make` has changed PATH."""
ROOT = Path(__file__).resolve().parents[2]


def gpt(*words: str | Path) -> str:
    """A command line that calls this environment's `gpt` with these arguments.

    It is `gpt …` if the environment is active, else the shortest path of its executable.
    """
    return " ".join([shlex.join(_executable()), *(quoted(word) for word in words)])


def quoted(word: str | Path) -> str:
    """An argument for a shell; a path that begins with "-" gets "./" before it, as it would be read as an option."""
    return shlex.quote(f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word))


def _executable() -> list[str]:
    own = Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin") / "gpt"
    found = shutil.which("gpt", path=os.environ.get(SHELL_PATH))
    if found is not None and own.exists() and Path(found).exists() and Path(found).samefile(own):
        return ["gpt"]
    if own.exists():
        return [_short(own)]
    return [_short(Path(sys.executable)), "-m", "gpt_from_scratch"]


def _short(path: Path) -> str:
    """The path relative to the current folder if it is inside, else the absolute path."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def how_to_install(*extras: str) -> str:
    """A command line that installs extras into this environment, for a clone or an installed package."""
    python = shlex.quote(_short(Path(sys.executable)))
    wanted = ",".join(extras)
    if (ROOT / "pyproject.toml").is_file():
        place = "." if Path.cwd().resolve() == ROOT else _short(ROOT)
        return f"{python} -m pip install -e {shlex.quote(f'{place}[{wanted}]')}"
    return f"{python} -m pip install {shlex.quote(f'{DISTRIBUTION}[{wanted}]')}"


def extras() -> dict[str, list[str]]:
    """Each extra of the installed package with its requirements; empty without metadata."""
    import importlib.metadata  # imported here, since it is slow and rarely needed

    try:
        metadata = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {name: [] for name in metadata.get_all("Provides-Extra") or []}
    for requirement in metadata.get_all("Requires-Dist") or []:
        name, _, marker = requirement.partition(";")
        for extra in found:
            if f'extra == "{extra}"' in marker.replace("'", '"'):
                found[extra].append(name.strip())
    return found
