"""The shape of the house: small folders and files, imports without circles, and docstrings that say what lives where.

Modules are the nodes of the import graph. Every import counts, also one inside a function or for type checkers only.
In a folder the nodes are its subfolders and its own modules: arrows between them may form no circle either.
"""

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "gpt_from_scratch"
ORDER = {
    "support": ("command_line", "storage", "pages"),
    "kernels": ("triton_tools", "ops", "proof", "outside"),
    "tokenizer": ("splitting", "numba_kernels", "bpe", "chat", "formats", "views"),
    "models": ("layers", "interchange", "generation", "checkpoints", "dictionary"),
    "evals": (
        *("protocol", "answers", "results", "scoring", "providers", "runs", "function_calling", "harness", "serve"),
        *("arithmetic", "tasks", "arithmetic_eval"),
    ),
    "training": (
        *("ranks", "data", "checkpoints", "optim", "parallel", "evaluation", "metrics", "report", "run"),
        *("bigram", "features", "commands", "sharing"),
    ),
    "benchmarks": ("common", "cpu", "gpu", "evals", "tokenizers", "learning", "pictures"),
}
"""The subfolders of each top folder, lowest first: each may import those before it. CONTRIBUTING.md draws the same."""
MOST_FILES = 14
MOST_LINES = 350

LONG_FILES = {
    "support/bootstrap.py": "runs before anything is installed: one file, started by its path",
}
"""Files of more than `MOST_LINES` lines, each with its reason."""
FEW = "a command loads only what it needs: start-up time"
HELP = "needs torch, and --help does not: start-up time"
LAZY = "a top package imports nothing before a name is asked for"
PROSE = "compiles the patterns of answers in prose: start-up time"
CHARACTERS = "a model of characters needs no other tokenizer: start-up time"
IMPORTED_IN_FUNCTIONS = {
    **{(top, "support.lazy"): LAZY for top in ("kernels", "tokenizer", "models", "evals", "training")},
    ("kernels.__main__", "kernels.proof.inspection"): "needs triton, which the machine may lack",
    ("kernels.__main__", "kernels.outside.modules"): HELP,
    ("kernels.__main__", "kernels.proof.check"): HELP,
    ("kernels.__main__", "kernels.proof.parity"): HELP,
    ("kernels.__main__", "kernels.registry"): HELP,
    ("kernels.__main__", "kernels.requirements"): HELP,
    ("kernels.__main__", "support.devices"): HELP,
    ("tokenizer.bpe.tokenizer", "tokenizer.tiktoken_package"): "encoding needs nothing of tiktoken's: start-up time",
    ("tokenizer.files", "tokenizer.bpe.tokenizer"): CHARACTERS,
    ("tokenizer.files", "tokenizer.character"): FEW,
    ("tokenizer.files", "tokenizer.hugging_face_wrapper"): CHARACTERS,
    ("tokenizer.files", "tokenizer.tiktoken_wrapper"): CHARACTERS,
    ("tokenizer.formats.hugging_face_folder", "tokenizer.bpe.tokenizer"): CHARACTERS,
    ("tokenizer.formats.hugging_face_folder", "tokenizer.formats.hugging_face"): CHARACTERS,
    ("tokenizer.formats.hugging_face_folder", "tokenizer.formats.tiktoken_ranks"): CHARACTERS,
    ("tokenizer.formats.hugging_face_folder", "tokenizer.tiktoken_wrapper"): CHARACTERS,
    ("models.checkpoints.opening", "tokenizer.tiktoken_wrapper"): CHARACTERS,
    ("models.gpt", "models.interchange.pretrained"): "needs safetensors, and making a model does not: start-up time",
    ("models.interchange.hugging_face", "tokenizer.formats.hugging_face_folder"): FEW,
    ("evals.__main__", "evals.text_command"): "needs pydantic, which scoring a checkpoint does not",
    ("evals.answers.scorers", "evals.answers.choices_in_text"): PROSE,
    ("evals.answers.scorers", "evals.answers.numbers_in_text"): PROSE,
    ("evals.answers.scorers", "evals.answers.text"): PROSE,
    ("evals.providers.local_checkpoint", "evals.providers.shared_engine"): "needs torch, which no other provider does",
    ("evals.providers.local_checkpoint", "models.checkpoints.opening"): "needs torch, which no other provider does",
    ("evals.providers.local_checkpoint", "models.generation.sampling"): "needs torch, which no other provider does",
    ("evals.results.results", "evals.protocol.stats"): "needs numpy, and a run's result does not: start-up time",
    ("evals.scoring.commands", "evals.scoring.records"): "needs pydantic, which may be missing",
    ("evals.serve.__main__", "evals.serve.app"): "needs starlette, an extra; and --help needs no torch",
    ("evals.serve.__main__", "evals.serve.protection"): "needs starlette and uvicorn, extras",
    ("evals.serve.__main__", "evals.serve.worker"): HELP,
    ("evals.serve.__main__", "models.checkpoints.opening"): HELP,
    ("evals.tasks.arithmetic", "evals.arithmetic.heatmap"): "needs numpy and pandas: start-up time",
    ("training.checkpoints.store", "training.checkpoints.parts"): "needs torch.distributed: start-up time",
    ("training.optim.sharded", "training.checkpoints.parts"): "needs torch.distributed: start-up time",
    ("training.data.corpus", "tokenizer.bpe.tokenizer"): CHARACTERS,
    (
        "training.data.sources.stories",
        "training.data.stories",
    ): "makes its tables, which other sources need not: start-up time",
    ("training.data.tokenizers", "tokenizer.bpe.tokenizer"): CHARACTERS,
    ("training.data.tokenizers", "tokenizer.character"): CHARACTERS,
    ("training.data.tokenizers", "tokenizer.tiktoken_wrapper"): CHARACTERS,
    ("training.launch", "support.command_line.invocation"): FEW,
    ("training.launch", "training.train_gpt2"): "needs torch, and a launcher of ranks does not: start-up time",
    ("training.parallel.choose", "training.parallel.ddp"): "needs torch.distributed: start-up time",
    ("training.parallel.choose", "training.parallel.deterministic"): "needs torch.distributed: start-up time",
    ("training.parallel.choose", "training.parallel.fsdp"): "needs torch.distributed: start-up time",
    ("training.run.command_line", "models.checkpoints.finding"): HELP,
    ("training.run.command_line", "models.interchange.hub"): HELP,
    ("training.run.command_line", "models.interchange.pretrained"): HELP,
    ("training.run.command_line", "models.weight_files"): HELP,
    ("training.run.folder", "kernels.requirements"): "needs torch, and reading a run's folder does not: start-up time",
    (
        "training.run.summary",
        "training.report.page",
    ): "needs matplotlib, which a run draws with at its end: start-up time",
}
"""(module, what it imports inside a function) -> why not at its top."""
NO_NOUN = re.compile(r"(What|How|Which|Where|From|When|Who|Whoever|Whether|Why|If|That|These|This|It) ")


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


HOUSE = python_files(*ORDER)
FOLDERS = sorted({path.parent for path in HOUSE})
ALL = [ROOT / "__main__.py", *HOUSE, *python_files("tests")]


def module_of(path: Path) -> str:
    return place(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(path): path for path in HOUSE}


def imported(node: ast.AST) -> Iterator[str]:
    """Our modules that an import statement names."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        own = name.removeprefix(f"{PACKAGE}.")
        if own != name:
            yield own if own in MODULES else own.rpartition(".")[0]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@functools.cache
def graph() -> dict[str, set[str]]:
    """Each module with those that it imports."""
    return {
        module: {name for node in ast.walk(tree(path)) for name in imported(node)} - {module}
        for module, path in MODULES.items()
    }


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Some circle of a graph, each node pointing to the next and the last to the first; empty if there is none.

    Nodes that point nowhere are taken away until every node left points to another of them: any walk among those closes.
    """
    left = {node: set(targets) for node, targets in arrows.items()}
    while ends := {node for node, targets in left.items() if not targets & left.keys()}:
        left = {node: targets for node, targets in left.items() if node not in ends}
    walk: list[str] = []
    node = min(left, default=None)
    while node is not None and node not in walk:
        walk.append(node)
        node = min(left[node] & left.keys())
    return walk[walk.index(node) :] if node is not None else []


def inside(folder: str) -> dict[str, set[str]]:
    """The arrows between the subfolders and own modules of a folder."""
    prefix = folder.replace("/", ".") + "."
    arrows: dict[str, set[str]] = {}
    for module, targets in graph().items():
        if module.startswith(prefix):
            node = module.removeprefix(prefix).partition(".")[0]
            others = {t.removeprefix(prefix).partition(".")[0] for t in targets if t.startswith(prefix)}
            arrows.setdefault(node, set()).update(others - {node})
    return arrows


def test_circle_finds_circles() -> None:
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == ["b", "c"]


def test_no_modules_import_one_another_in_a_circle() -> None:
    found = circle(graph())
    assert not found, f"a circle of imports: {' -> '.join([*found, found[0]])}"


@pytest.mark.parametrize("folder", sorted(map(place, FOLDERS)))
def test_no_circle_between_the_parts_of_a_folder(folder: str) -> None:
    found = circle(inside(folder))
    assert not found, f"a circle in {folder}/: {' -> '.join([*found, found[0]])}"


@pytest.mark.parametrize("top", ORDER)
def test_subfolders_import_only_those_below(top: str) -> None:
    folders = {path.name for path in FOLDERS if path.parent == ROOT / top} | {
        path.parent.name for path in FOLDERS if path.parent.parent == ROOT / top
    }
    assert folders == set(ORDER[top]), f"ORDER lists the subfolders of {top}/"
    arrows = inside(top)
    for number, folder in enumerate(ORDER[top]):
        upward = arrows.get(folder, set()) & set(ORDER[top][number + 1 :])
        assert not upward, f"{top}/{folder} may not import {', '.join(sorted(upward))}, which ORDER has above it"


def test_the_order_is_drawn_in_the_contributing_guide() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for top, folders in ORDER.items():
        assert f"{top + '/':<13}{' '.join(folders)}" in text, f"draw the subfolders of {top}/ in CONTRIBUTING.md"


@pytest.mark.parametrize("folder", sorted({path.parent for path in ALL}), ids=place)
def test_a_folder_is_one_page(folder: Path) -> None:
    files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, f"{place(folder)}/ has {len(files)} Python files: split it"


def test_files_are_short() -> None:
    long = {place(path) for path in ALL if path.read_bytes().count(b"\n") > MOST_LINES}
    assert long == LONG_FILES.keys(), "the list of long files, each with its reason, is not what there is"


def test_imports_inside_functions_have_reasons() -> None:
    found = set()
    for module, path in MODULES.items():
        for function in ast.walk(tree(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {(module, name) for node in ast.walk(function) for name in imported(node)}
    assert found == IMPORTED_IN_FUNCTIONS.keys(), "the list of imports inside functions is not what there is"


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_a_folder_says_what_lives_there_and_what_it_may_import(folder: Path) -> None:
    """The docstring's last sentence is "May import `support/` and `tokenizer/*.py`.", or "May import nothing of ours."

    A name that ends with a slash is a folder with all below it. A folder may always import what is in it.
    """
    said = sentences(" ".join((ast.get_docstring(tree(folder / "__init__.py")) or "").split()))
    assert 2 <= len(said) <= 3, f"{place(folder)}/__init__.py has {len(said)} sentences, expected 2 or 3"
    assert said[-1].startswith("May import "), f"{place(folder)}/__init__.py: say last what it may import"
    allowed = [f"{place(folder)}/", *re.findall(r"`([^`]+)`", said[-1])]
    assert all(list(ROOT.glob(name.rstrip("/"))) for name in allowed), f"one of {allowed} does not exist"
    for path in folder.glob("*.py"):
        for where in (MODULES[target] for target in graph()[module_of(path)]):
            fits = (
                place(where).startswith(name) if name.endswith("/") else where in ROOT.glob(name) for name in allowed
            )
            assert any(fits), f"{place(path)} imports {place(where)}, and {place(folder)}/__init__.py does not say so"


@pytest.mark.parametrize("path", ALL, ids=place)
def test_a_module_begins_with_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))
    assert docstring, f"{place(path)} has no docstring"
    assert not NO_NOUN.match(docstring), f"{place(path)} begins with a clause: name the thing. {docstring[:60]}"


def test_complex_functions_have_reasons() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "C901" in settings["select"] and settings["mccabe"]["max-complexity"] == 15
    for path in ALL:
        for line in path.read_text("utf-8").splitlines():
            if "noqa: C901" in line and path != Path(__file__):
                assert re.search(r"# noqa: C901 {1,2}\(.{10,}\)", line), f"{place(path)}: give a reason: {line.strip()}"
