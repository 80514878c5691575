"""Any JSON at any place of a model's folder: it opens, or is refused in words that name the file."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.checkpoints import manifest
from gpt_from_scratch.models.checkpoints.checkpoint import READ_BY_NAME
from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from tests.models.checkpoints.conftest import CONFIG

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 3, 2**31, 2**63, 10**30, 10**400, 0.5, 1e9, float("nan"), float("inf")]),
    st.sampled_from(["", "x", "../x", "\x00", "\ud800", "model.safetensors", [], {}, [[]], {"a": {}}, [1, None]]),
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with one place of it replaced, removed, or wrapped."""
    if isinstance(document, dict) and document and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(document)))
        if draw(st.integers(0, 4)) == 0:
            return {name: value for name, value in document.items() if name != key}
        return {**document, key: draw(changed(document[key]))}
    if isinstance(document, list) and document and draw(st.booleans()):
        place = draw(st.integers(0, len(document) - 1))
        return [*document[:place], draw(changed(document[place])), *document[place + 1 :]]
    return draw(odd)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_at_any_place_of_a_model_is_words(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A model's folder without a manifest, and one with a manifest that says of its files what somebody liked."""
    model = whole / "checkpoints" / "step-00000010" / "model"
    folder = tmp_path_factory.mktemp("any") / "mine"
    shutil.copytree(model, folder)
    index = {"metadata": {}, "weight_map": dict.fromkeys(weight_names(), "w-1.safetensors")}
    if data.draw(st.booleans()):
        (folder / "model.safetensors").rename(folder / "w-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    path = data.draw(st.sampled_from(sorted(folder.glob("*.json"))))
    document = data.draw(changed(json.loads(path.read_bytes())))
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        open_model(folder, device="cpu", warn=lambda message: None)
    except (ValueError, FileNotFoundError) as error:
        assert path.name in str(error) or "safetensors" in str(error) or "tokenizer" in str(error)


def weight_names() -> list[str]:
    with torch.device("meta"):
        names = GPT(CONFIG).state_dict().keys()
    return [f"transformer.{name}" for name in names]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_manifest_that_proves_itself_is_words(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    checkpoint = tmp_path_factory.mktemp("any") / "step-00000010"
    checkpoint.mkdir()
    for path in (whole / "checkpoints" / "step-00000010").iterdir():
        (checkpoint / path.name).symlink_to(path) if path.is_dir() else shutil.copy(path, checkpoint)
    written = json.loads((checkpoint / "manifest.json").read_bytes())
    del written["sha256"]
    # Of the others, which are not read here, a checkpoint of an older release has none.
    written["files"] = {name: about for name, about in written["files"].items() if name in READ_BY_NAME}
    document = data.draw(changed(written))
    try:
        rendered = manifest._rendered(document)
    except TypeError:  # not an object
        rendered = json.dumps(document).encode()
    (checkpoint / "manifest.json").write_bytes(rendered)
    if document != written:
        with pytest.raises((ValueError, FileNotFoundError), match="manifest|SHA-256|bytes|missing|added later"):
            open_model(checkpoint, device="cpu")


@pytest.mark.parametrize(
    "field, value",
    [
        ("block_size", 10**9),
        ("n_layer", 10**30),
        ("n_layer", 10**9),
        ("n_head", 0),
        ("n_kv_head", 0),
        ("n_embd", 10**9),
        ("n_embd", 2**30),
        ("vocab_size", 10**12),
        ("ngram", 10**8),
        ("ngram_buckets", 10**9),
        ("position", ["rotary"]),
        ("bias", "yes"),
        ("n_head", 2.0),
        ("n_head", None),
        ("n_head", {}),
        ("qk_norm", 1),
    ],
)
@pytest.mark.parametrize("position", ["learned", "rotary"])
def test_sizes_that_cannot_be_are_named_with_their_file(
    tmp_path: Path, field: str, value: object, position: str
) -> None:
    config = GPTConfig(**{**vars(CONFIG), "position": position, "ngram": 2, "ngram_buckets": 16, "n_layer": 2})
    GPT(config).save_pretrained(tmp_path)
    CharacterTokenizer("abc").save(tmp_path / TOKENIZER_FILE)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), field: value}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"config\.json: {field}"):
        open_model(tmp_path, device="cpu")
