"""The README: short, in short sentences, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_LINES, MOST_WORDS = 160, 22


def sentences(text: str) -> list[str]:
    """The prose of a page: no code, table, picture or heading."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    paragraphs = re.split(r"\n\s*\n", text)
    prose = [p for p in paragraphs if not p.lstrip("\n").startswith(("    ", "|", "#", "!", "<!--", "- "))]
    joined = [re.sub(r"`[^`]*`", "code", " ".join(paragraph.split())) for paragraph in prose]
    return [s for paragraph in joined for s in re.split(r"(?<=[.:?!])\s+", paragraph) if s]


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    found = sentences(text)
    assert len(found) > 20
    assert sum(len(s.split()) for s in found) / len(found) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
