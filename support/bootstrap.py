#!/usr/bin/env python3
"""Set up this project and run a target, as ``make train`` and ``make test`` do; also works without make.

    python3 support/bootstrap.py train [arguments of training/train_gpt2.py]
    python3 support/bootstrap.py test  [arguments of pytest]
    python3 support/bootstrap.py       (lists every target)

The first call makes ``.venv`` at the root of the repository and installs what the target needs; later calls find its stamp,
need no network and only run the target. Standard library only, and no syntax newer than Python 3.6 (hence the quoted
annotations), so that an old Python can print what to install.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = str(BIN / "python")
STAMP = VENV / "gpt_from_scratch.json"  # marked as unfinished at the start, and as finished at the end

OLDEST, NEWEST = (3, 11), (3, 14)  # the package needs 3.11; torch 2.13 has wheels up to 3.14
TORCH_RELEASE = "2.13.0"  # the version used for all benchmarks; pyproject.toml allows others
TORCH = f"torch=={TORCH_RELEASE}"
CONSTRAINTS = "constraints.txt"  # the versions of the other packages in the tests
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own index of builds without CUDA
SHELL_PATH = "GPT_SHELL_PATH"
BUILDS = ("cpu", "cuda", "default")
LOG = ROOT / ".cache" / "setup.log"  # what the steps of the last set-up printed
DOWNLOADS = ROOT / ".cache" / "pip"  # pip's folder for temporary files: its size tells how far the download is


class Target(NamedTuple):
    """A target: its description, the extras that it needs ("" for none, "test,bench"), and its command."""

    about: str
    extra: str
    command: "tuple[str, ...]" = ()


# On two cores, two workers need little more than half of the time. A single test file is faster with one process (-n 0),
# since each worker imports torch.
PYTEST = ("python", "-m", "pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")

TARGETS = {
    "train": Target(
        "train a small GPT: gpt train",
        "",
        ("gpt", "train"),
    ),
    "test": Target("run every test: python -m pytest, on several cores", "test", PYTEST),
    "check": Target("before a commit: ruff, ruff format, mypy, then every test", "test", PYTEST),
    "harness": Target(
        "lm-evaluation-harness and inspect on our checkpoints, a newcomer's first hour: python -m pytest -m harness",
        "test,harness",
        (*PYTEST[:-1], "loadfile", "-m", "harness"),  # a file's tests share what they set up
    ),
    "torture": Target(
        "fault-injection tests at full count (an hour): python -m pytest -m torture",
        "test",
        ("python", "-m", "pytest", "-m", "torture"),
    ),
    "bench": Target(
        "benchmarks of kernels and tokenizers: python -m pytest benchmarks --benchmark-only",
        "test,bench",
        ("python", "-m", "pytest", "benchmarks", "--benchmark-only"),
    ),
    "gallery": Target(
        "regenerate the README's pictures from real runs", "test", ("python", "benchmarks/pictures/gallery.py")
    ),
    "docs": Target(
        "build the documentation into site/, without a network: mkdocs build --strict",
        "docs",
        ("python", "-m", "mkdocs", "build", "--strict"),
    ),
    "setup": Target("only create .venv, including everything that the tests need", "test"),
    "run": Target("any command inside .venv: run -- python -m gpt_from_scratch.kernels", ""),
    "clean": Target("remove .venv and every cache; runs/ and data/ stay", ""),
}
CHECKS = ("ruff check .", "ruff format --check .", "mypy")  # commands that `check` runs before the tests


def main(argv: "Sequence[str]") -> None:
    """Run a target; at the end this process is replaced by the target's command."""
    options = parse(argv)
    if os.name == "nt" or sys.platform in ("cygwin", "msys"):
        stop("Windows is served through WSL2: run `wsl --install`, open Ubuntu, and give the same command there.")
    if options.target == "clean":
        with lock():
            clean()
        return
    target = TARGETS[options.target]
    command = command_of(target, options.arguments)
    if options.print:
        print(" ".join(map(shlex.quote, command)))
        return
    if not is_ready(target.extra, options.torch):
        python = find_python()
        if Path(python).resolve() != Path(sys.executable).resolve():
            os.execv(python, [python, str(Path(__file__).resolve()), *argv])
        with lock() as held:
            if not is_ready(target.extra, options.torch):  # no other process did it while we waited
                set_up(python, target.extra, options.torch, held)
    if "test" in target.extra:
        link_types()
    if options.target != "run":
        os.chdir(str(ROOT))
    if options.target == "check":
        failed = [check for check in CHECKS if subprocess.call([PYTHON, "-m", *check.split()]) != 0]
        if failed:
            stop(f"failed: {', '.join(failed)}")
    if command:
        become(command)
    say(".venv is ready.")


def parse(argv: "Sequence[str]") -> argparse.Namespace:
    """Parse the options before the target; everything after it is passed to the target."""
    parser = argparse.ArgumentParser(
        prog="python3 support/bootstrap.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Each target creates .venv if needed (once), then runs:\n"
        + "\n".join(f"  {name:<8}{target.about}" for name, target in TARGETS.items()),
        epilog='With make: `make train ARGS="--help"` shows the options of training;\n'
        "`GPT_TORCH=cpu make train` selects PyTorch's CPU build without asking.",
    )
    parser.add_argument(
        "--torch",
        metavar="BUILD",
        default=os.environ.get("GPT_TORCH") or None,
        help="PyTorch's build: cpu, cuda, or default for the package index's own (also: GPT_TORCH)",
    )
    parser.add_argument("--print", action="store_true", help="print the command that would run, and exit")
    parser.add_argument("target", nargs="?", help=f"one of: {', '.join(TARGETS)}")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments for the target")
    options = parser.parse_args(argv)
    if options.target in (None, "help"):
        parser.print_help()
        sys.exit(0)
    if options.target not in TARGETS:
        parser.error(f"there is no target {options.target!r}; there are: {', '.join(TARGETS)}")
    if options.torch is not None and options.torch not in BUILDS:
        parser.error(f"--torch (or GPT_TORCH) is {options.torch!r}; it can be: {', '.join(BUILDS)}")
    if options.torch == "cuda" and sys.platform == "darwin":
        parser.error("there is no CUDA on macOS: choose default, which also runs on Apple's GPUs")
    if options.arguments[:1] == ["--"]:
        del options.arguments[0]
    if options.target == "run" and not options.arguments:
        parser.error("run needs a command: run -- python -m gpt_from_scratch.kernels")
    return options


def command_of(target: Target, arguments: "Sequence[str]") -> "list[str]":
    """The command to run, with full paths of the venv's programs."""
    words = [*target.command, *arguments]
    if words[:1] == ["python"]:
        words[:1] = [PYTHON]
    elif words[:1] == ["gpt"]:  # through the interpreter: the length of a script's first line is limited
        words[:1] = [PYTHON, str(BIN / "gpt")]
    return words


def become(command: "Sequence[str]") -> NoReturn:
    """Replace this process, so that signals reach the target itself and its exit status is ours.

    The target prints commands for the user's shell, whose PATH it cannot see any more: SHELL_PATH keeps it.
    """
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = dict(os.environ, VIRTUAL_ENV=str(VENV), PATH=path)
    environment[SHELL_PATH] = os.environ.get("PATH", os.defpath)
    environment.setdefault("NO_MKDOCS_2_WARNING", "1")  # a screen of text about another program's plans
    environment.pop("PYTHONHOME", None)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would hand that on
    sys.stdout.flush()
    try:
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        say(f"cannot run {command[0]}: {error.strerror}")
        sys.exit(127)


# Is the venv there, whole, and made of what this checkout asks for?


def read_stamp() -> "dict[str, object]":
    """The content of the stamp; empty if it is missing or damaged."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except ValueError:
        stamp = None
    return stamp if isinstance(stamp, dict) else {"finished": False}


def write_stamp(fields: "Mapping[str, object]") -> None:
    temporary = STAMP.with_suffix(".tmp")
    temporary.write_text(json.dumps(dict(fields)), encoding="utf-8")
    temporary.replace(STAMP)


def fingerprint() -> str:
    """Changes with whatever decides what is installed."""
    digest = hashlib.sha256(TORCH.encode())
    for name in ("pyproject.toml", "setup.py", CONSTRAINTS):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_ready(extra: str, torch: "str | None") -> bool:
    stamp = read_stamp()
    there = names(extra) <= names(str(stamp.get("extra", "")))
    return stamp.get("fingerprint") == fingerprint() and there and is_sound(stamp, torch)


def names(extras: str) -> "set[str]":
    """The extras in "test,bench"."""
    return set(filter(None, extras.split(",")))


def is_sound(stamp: "Mapping[str, object]", torch: "str | None") -> bool:
    """Finished, of the build asked for, not moved since (a venv holds absolute paths), and its Python still the same."""
    there = stamp.get("finished") is True and stamp.get("root") == str(ROOT) and torch in (None, stamp.get("torch"))
    return there and venv_python() == stamp.get("python")


def venv_python() -> "str | None":
    """The version of the venv's Python, "3.11", or None where it does not run, is too old, or lacks pip or torch."""
    return output_of(
        [PYTHON, "-I", "-c"],
        "import sys, importlib.util as u; all(map(u.find_spec, ('pip', 'torch'))) or sys.exit(1); "
        f"sys.version_info >= {OLDEST} or sys.exit(1); print('%d.%d' % sys.version_info[:2])",
    )


def output_of(python: "Sequence[str]", code: str) -> "str | None":
    """The stripped output of a piece of code in some Python; None if it fails."""
    try:
        printed = subprocess.check_output([*python, code], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    return printed.decode().strip()


def find_python() -> str:
    """A Python of the right age that can make a venv: this one if it will do, else the first such on PATH.

    A venv's Python stands for the one it was made from, since `.venv` itself may be about to be removed.
    """
    this = sys.executable if sys.prefix == sys.base_prefix else getattr(sys, "_base_executable", None)
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)] + ["python3", "python"]
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != str(BIN)]
    code = (
        "import sys, importlib.util as u; "
        "print(*sys.version_info[:2]); print(all(map(u.find_spec, ('venv', 'ensurepip')))); print(sys.executable)"
    )
    bare = ""
    for candidate in [this] + [shutil.which(name, path=os.pathsep.join(folders)) for name in names]:
        version, whole, path = ((candidate and output_of([candidate, "-c"], code)) or "0 0\n\n").split("\n")
        if OLDEST <= tuple(map(int, version.split())) <= NEWEST:
            if whole == "True":
                return path
            bare = bare or version.replace(" ", ".")
    raise SystemExit(
        f"Python {bare} is here, but not its modules venv and ensurepip. Install them, then run this again:\n"
        f"  Debian, Ubuntu:  sudo apt install python{bare}-venv\n"
        "  elsewhere:       install the whole of Python, from your system or from python.org"
        if bare
        else f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed (this is {sys.version.split()[0]}). "
        "Install one, then run this again:\n"
        "  Debian, Ubuntu:  sudo apt install python3 python3-venv   (older releases: python3.11 python3.11-venv)\n"
        "  Fedora:          sudo dnf install python3.12\n"
        "  macOS:           brew install python@3.12                (or the installer from python.org)"
    )


# Setting up


@contextlib.contextmanager
def lock() -> "Iterator[int]":
    """One set-up at a time; gives the lock's descriptor, which pip inherits: a pip that outlives us still holds it."""
    import fcntl  # not on Windows, and this file must load there

    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "bootstrap.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of .venv is under way: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def set_up(python: str, extra: str, torch: "str | None", held: int) -> None:
    """Make `.venv` or bring it up to date. An interruption leaves an unfinished stamp: the next call starts afresh.

    A whole venv that someone made without this script has no stamp; it is completed, never removed.
    """
    stamp = read_stamp()
    sound = is_sound(stamp, torch)
    if os.path.lexists(str(VENV)) and not sound and (stamp or not venv_python()):
        say("removing the half-made or outdated .venv.")
        remove(VENV)
    extra = ",".join(sorted(names(extra) | names(str(stamp.get("extra", "")))))
    torch = torch or str(stamp.get("torch", "")) or choose_torch()
    progress = Progress(announce(extra, torch), held)
    begun = {"finished": False, "root": str(ROOT), "extra": extra, "torch": torch}
    try:
        if not VENV.exists():
            VENV.mkdir()
            write_stamp(begun)
            progress.run([python, "-m", "venv", str(VENV)], "making .venv")
        elif stamp:
            write_stamp(begun)
        if torch == "cpu":
            install_cpu_torch(progress)
        progress.pip(["--constraint", CONSTRAINTS, TORCH, "--editable", f".[{extra}]" if extra else "."])
    except subprocess.CalledProcessError:
        if sound:
            write_stamp(stamp)  # pip gave up in good order (no network, say): what was there is as good as before
        raise
    write_stamp({**begun, "finished": True, "python": venv_python(), "fingerprint": fingerprint()})
    say("done: .venv is ready, and no network is needed from here on.")


def choose_torch() -> str:
    """On Linux without an NVIDIA GPU the CPU build, a fraction of the download; asked for where someone can answer."""
    signs = ("/proc/driver/nvidia", "/usr/lib/wsl/lib/nvidia-smi")
    if not sys.platform.startswith("linux") or shutil.which("nvidia-smi") or any(Path(sign).exists() for sign in signs):
        return "default"
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return "cpu"
    say("no NVIDIA GPU was found. Install PyTorch's CPU build (200 MB, in place of 3 GB with CUDA)? [Y/n] ", end="")
    return "default" if sys.stdin.readline().strip().lower() in ("n", "no") else "cpu"


def announce(extra: str, torch: str) -> int:
    """Say what comes and how large it is: the wheels' and a finished .venv's sizes, added up and rounded.

    Returns:
        What is to be downloaded, in MB.
    """
    linux = sys.platform.startswith("linux")
    cuda = linux and torch != "cpu"
    megabytes = (3300 if cuda else 600 if linux else 250) + (120 if extra else 0)
    gigabytes = (9.0 if cuda else 2.3 if linux else 1.0) + (0.6 if extra else 0.0)
    build = "with CUDA" if cuda else "CPU build" if linux else "for macOS"
    say(
        f"setting up {VENV} (once):\n"
        f"  {TORCH} ({build}), {'triton, ' if linux else ''}numpy, numba, matplotlib, rich, tyro and what they need"
        + (";\n  for the tests: pytest, hypothesis, transformers, scipy, pandas, mypy, ruff" if extra else "")
        + f"\n  to download: about {megabytes} MB, less what pip has in its cache;  on disk: about {gigabytes:.1f} GB"
    )
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < gigabytes and not VENV.exists():
        stop(f"only {free:.1f} GB are free on this disk. Make room, or clone the repository to another disk.")
    return megabytes


def install_cpu_torch(progress: "Progress") -> None:
    """torch alone from PyTorch's CPU index (what it needs comes from the ordinary one), or say why not and go on."""
    there = output_of([PYTHON, "-I", "-c"], "from importlib.metadata import version; print(version('torch'))")
    if there and there.split("+")[0] == TORCH_RELEASE:
        return
    if is_reachable(f"{CPU_INDEX}/torch/"):
        with contextlib.suppress(subprocess.CalledProcessError):
            progress.pip(["--no-deps", "--index-url", CPU_INDEX, TORCH])
            return
    say(f"PyTorch's CPU index cannot be used from here: taking the ordinary index's build of {TORCH}.")


def is_reachable(url: str, seconds: float = 3.0) -> bool:
    """Whether a URL answers in time: pip itself would retry for minutes. The proxy settings are honoured.

    In a thread, since looking a name up has no time limit of its own.
    """
    answered = threading.Event()

    def probe() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=seconds):
            answered.set()

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


class Progress:
    """How far a set-up is, in one line that moves at a terminal, and in a line for every tenth elsewhere.

    What is downloaded counts once, and once more when it is installed. The steps print into `LOG`, which is read here for
    what is being done; `DOWNLOADS` tells how much has come. Both hold for any pip since 2020.
    """

    DOING = re.compile(
        r"\s*(?:Collecting (?P<wanted>[\w.-]+)|(?:Downloading|Using cached) (?:\S*/)?(?P<file>[A-Za-z0-9_.]+?)-\d\S*"
        r"(?P<size> \(.+\))?|Installing collected packages: (?P<all>.*))"
    )

    def __init__(self, megabytes: int, held: int) -> None:
        self.total, self.held = 2 * megabytes * 1e6, held
        self.done = self.shown = 0.0  # the bytes of the steps that have ended; the share that was last shown
        self.what, self.wanted = "", 0  # what this step is at, and how many packages it installs
        self.begun = time.time()
        self.moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def pip(self, arguments: "Sequence[str]") -> None:
        words = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
        self.run([*words, *arguments], "looking for what is needed")

    def run(self, command: "Sequence[str]", what: str) -> None:
        """Run one step to its end; a signal that ends us ends the step first.

        Raises:
            CalledProcessError: it failed; what it printed last has been shown.
        """
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        DOWNLOADS.mkdir(parents=True, exist_ok=True)
        environment = dict(kept, TMPDIR=str(DOWNLOADS), PYTHONUNBUFFERED="1")
        self.what, self.wanted = what, 0
        downloaded, before = 0, self.installed()
        with LOG.open("w+b") as log:
            child = subprocess.Popen(
                list(command),
                cwd=str(ROOT),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log.fileno(),
                stderr=subprocess.STDOUT,
                pass_fds=(self.held,),
            )
            try:
                with LOG.open(encoding="utf-8", errors="replace") as lines:
                    while child.poll() is None:
                        for line in lines:
                            self.heed(line)
                        downloaded = max(downloaded, size_of(DOWNLOADS))
                        share = min(1.0, (self.installed() - before) / self.wanted) if self.wanted else 0.0
                        self.show(self.done + downloaded * (1 + share))
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            child.wait(0.2)
            finally:
                child.terminate()  # nothing to do where it has ended
                child.wait()
                shutil.rmtree(str(DOWNLOADS), ignore_errors=True)  # what a pip that was stopped has left
                self.wipe()
        self.done += 2 * downloaded
        if child.returncode != 0:
            printed = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
            print(
                "\n".join(([line for line in map(str.strip, printed) if line.startswith("ERROR:")] or printed)[-3:]),
                file=sys.stderr,
            )
            raise subprocess.CalledProcessError(child.returncode, list(command))

    def heed(self, line: str) -> None:
        """Take from a line of pip what it is at."""
        match = self.DOING.match(line)
        if match and match["all"]:
            self.wanted = match["all"].count(",") + 1
            self.what = f"installing {self.wanted} packages" if self.wanted > 1 else f"installing {match['all']}"
        elif match:
            self.what = (
                f"downloading {match['file']}{match['size'] or ''}"
                if match["file"]
                else f"looking for {match['wanted']}"
            )

    def installed(self) -> int:
        """Number of packages in the environment."""
        return len(list(VENV.glob("lib/python*/site-packages/*.dist-info")))

    def show(self, done: float) -> None:
        """Say how far it is, what is being done, and how long the rest takes if it goes on like this."""
        share, seconds = min(0.99, done / self.total), time.time() - self.begun
        left = seconds / share * (1 - share) if share > 0.02 and seconds > 3 else 0.0
        rest = f", about {left / 60:.0f} min left" if left >= 120 else f", about {left:.0f} s left" if left >= 1 else ""
        if self.moves:
            bar = ("#" * int(30 * share)).ljust(30, ".")
            line = f"  [{bar}] {share:4.0%}  {self.what}{rest}"
            print("\r\033[K" + line[: shutil.get_terminal_size().columns - 1], end="", file=sys.stderr, flush=True)
        elif int(10 * share) > int(10 * self.shown):
            say(f"{share:.0%}, {self.what}{rest}")
        self.shown = max(share, self.shown)

    def wipe(self) -> None:
        """Take the line that moves away."""
        if self.moves:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def size_of(folder: Path) -> int:
    """The bytes of a folder's files; those that go while it is read do not count."""
    total = 0
    for place, _, files in os.walk(str(folder)):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(place, name))  # noqa: PTH118, PTH202 (thousands of files)
    return total


def link_types() -> None:
    """.types/gpt_from_scratch -> .. : the flat folders as mypy and pyright must see them."""
    link = ROOT / ".types" / "gpt_from_scratch"
    link.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to("..")


def clean() -> None:
    """Remove what can be made again. runs/ and data/ hold what cannot, and .cache/bootstrap.lock is held right now."""
    patterns = [".venv", ".types", "build", "dist", "*.egg-info", ".cache/*", ".pytest_cache", ".ruff_cache"]
    patterns += [".hypothesis", ".benchmarks"]
    code = [folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").exists() or folder.name == "tests"]
    for pattern in patterns + [f"{folder}/**/__pycache__" for folder in code]:
        for path in list(ROOT.glob(pattern)):
            if path.name != "bootstrap.lock":
                remove(path)
    say("clean. runs/ and data/ were kept.")


def remove(path: Path) -> None:
    """Remove a file, a link (not what it points to) or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    else:
        path.unlink()


def say(text: str, end: str = "\n") -> None:
    """To stderr: stdout is the target's."""
    print(f"gpt_from_scratch: {text}", end=end, file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    say(text)
    sys.exit(1)


def on_terminate(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_terminate)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        say("interrupted. The same command sets up what is missing.")
        sys.exit(130)
    except subprocess.CalledProcessError as failure:
        say(f"this step failed: {' '.join(map(shlex.quote, failure.cmd))}")
        say(f"all that it printed is in {LOG}. Once the cause is gone, the same command tries again.")
        sys.exit(1)
