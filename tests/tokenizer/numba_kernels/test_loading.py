"""Loading of the kernels: when they are used, their cache, and life without numba. In processes of their own."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.private_folder import PrivateFolderError
from gpt_from_scratch.tokenizer.numba_kernels import loading as acceleration

RUN = """
import sys, warnings
from gpt_from_scratch.support.storage.private_folder import PrivateFolderError
from gpt_from_scratch.tokenizer.numba_kernels import loading as acceleration
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer as T
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN + code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )


def test_without_numba_python_does_the_same_and_says_so() -> None:
    result = run(
        """
sys.modules["numba"] = None
acceleration.WORTH_LOADING = acceleration.WORTH_COMPILING = 1000
text = "the cat sat on the mat " * 100
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    t = T.from_text(text, 270)
    ids = t.encode(text)
    t.encode(text)
print([str(w.message) for w in caught], t.decode(ids) == text)
try:
    T.from_text(text, 270, backend="numba")
except RuntimeError as error:
    print(error)
"""
    )
    first, second = result.stdout.splitlines()
    assert first.count("runs in plain Python") == 1 and "20 times slower: ModuleNotFoundError" in first
    assert first.endswith("True")
    assert "backend 'numba' cannot be used" in second and "Install numba, or use backend 'python'" in second


def test_small_inputs_do_not_load_numba(tmp_path: Path) -> None:
    """Not for a sentence, nor for a megabyte; and importing the tokenizer does not either."""
    result = run(
        'T.from_text("the cat " * 100_000, 262).encode("the cat")\nprint("numba" in sys.modules)',
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert result.stdout == "False\n"
    assert result.stderr == ""


def test_work_adds_up_until_the_kernels_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_loaded", None)
    monkeypatch.setattr(acceleration, "_python_bytes", 0)
    monkeypatch.setattr(acceleration, "_is_compiled", lambda: True)
    monkeypatch.setattr(acceleration, "WORTH_LOADING", 1000)
    assert acceleration.kernels_for("auto", 600) is None
    assert acceleration.kernels_for("python", 600) is None
    assert acceleration.kernels_for("auto", 600) is not None
    assert acceleration.kernels_for("auto", acceleration.SHORT - 1) is None
    assert acceleration.kernels_for("auto", acceleration.SHORT) is not None


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cache folder is known yet, and it would be made in this one."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(acceleration, "cache_folder", acceleration.cache_folder.__wrapped__)
    return tmp_path


def test_the_cache_folder_is_private(fresh: Path) -> None:
    folder = acceleration.cache_folder()
    assert folder.parent == fresh
    assert folder.stat().st_mode & 0o777 == 0o700
    assert acceleration.cache_folder() == folder
    folder.chmod(0o777)
    with pytest.raises(PrivateFolderError, match="with mode 777; it must be yours"):
        acceleration.cache_folder()
    folder.rmdir()
    elsewhere = fresh / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(PrivateFolderError, match="is not a folder"):
        acceleration.cache_folder()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(PrivateFolderError, match="is not a folder"):
        acceleration.cache_folder()


def test_a_folder_of_another_user_is_refused(fresh: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("no root")
    os.chown(acceleration.cache_folder(), 12345, -1)
    with pytest.raises(PrivateFolderError, match="belongs to user 12345"):
        acceleration.cache_folder()


def test_where_nothing_can_be_written_the_folder_is_temporary(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/dev/null/nothing")
    folder = acceleration.cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "dev" not in folder.parts
    folder.rmdir()


def test_an_edited_kernel_is_compiled_into_another_folder(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = acceleration.cache_folder()
    (fresh / "kernels").mkdir()
    (fresh / "kernels" / "splitting.py").write_text("# edited")
    monkeypatch.setattr(acceleration, "_KERNELS", fresh / "kernels")
    assert acceleration.cache_folder() != before


def test_numba_infers_what_a_helpers_signature_says() -> None:
    """A helper is compiled within its callers, without its signature: int64 with uint64 would silently make a float64."""
    acceleration.load()
    kernels = "gpt_from_scratch.tokenizer.numba_kernels."
    helpers = {
        f"{module}.{name}": value
        for module in ("words", "encoding", "merging")
        for name, value in vars(importlib.import_module(kernels + module)).items()
        if hasattr(value, "declared")
    }
    assert len({id(value) for value in helpers.values()}) == 10
    for name, value in helpers.items():
        value.compile(value.declared.args)
        found = value.overloads[value.declared.args].signature.return_type
        assert str(found) == str(value.declared.return_type), name
