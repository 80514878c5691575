"""The documentation site: it builds without a warning, loads nothing from elsewhere, and every page can be found."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.__main__ import COMMANDS
from tests.docs.pages import ROOT

pytestmark = [pytest.mark.docs, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "WARNING" not in run.stderr, run.stderr[-3000:]
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page
    index = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f'href="{page.relative_to(ROOT / "docs").with_suffix(".html")}"' in index or page.stem == "index", page


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*?\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b[^>]*?\brel="(?:stylesheet|icon|preconnect|preload)"[^>]*?\bhref="([^"]+)"', text)
        assert not [name for name in loaded if name.startswith(("http:", "https:", "//"))], page.name


def test_every_command_is_on_the_page_of_commands(site: Path) -> None:
    text = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert all(f">gpt {name}<" in text for name in COMMANDS)
