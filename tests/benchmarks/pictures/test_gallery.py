"""The gallery's terminal pictures: drawings that fetch nothing, of what the project really prints."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gpt_from_scratch.benchmarks.pictures.gallery import PICTURES, main


def drawn(name: str, folder: Path) -> tuple[str, str]:
    """(the drawing, the text in it)"""
    with pytest.raises(SystemExit) as ended:
        main([name, "--out", str(folder)])
    assert ended.value.code == 0
    svg = (folder / f"{name}.svg").read_text()
    return svg, "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")


@pytest.mark.parametrize("name", ["token_mapping", "tinystories_mapping"])
def test_a_token_mapping_is_a_drawing_that_fetches_nothing(name: str, tmp_path: Path) -> None:
    svg, text = drawn(name, tmp_path)
    assert set(re.findall(r"https?://[^\s\"]+", svg)) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert "bytes per token" in text
    assert ("U+1F60A SMILING FACE WITH SMILING EYES (byte 1 of 4: \\xf0)" in text) == (name == "token_mapping")


def test_a_conversation_without_a_key_says_that_it_is_scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    _, text = drawn("function_calling", tmp_path)
    assert "the model's lines are scripted" in text
    assert text.count("get_detailed_and_complete_tokenization_info_for_text(") == 1
    assert '"token_split_into_characters":' in text


def test_an_unknown_picture_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["heat"])
    assert "no picture 'heat': there are training" in capsys.readouterr().err


def test_every_picture_of_the_readme_can_be_drawn_again() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    assert set(re.findall(r"\(images/([\w.]+)\)", readme)) <= set(PICTURES)
