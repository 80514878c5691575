"""Opening of a trained model: it is verified, and comes with its own tokenizer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.models.checkpoints.averaged import take_average
from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER
from gpt_from_scratch.models.checkpoints.finding import CHECKPOINTS, LOOKS, find_model, is_adapter
from gpt_from_scratch.models.gpt import GPT, GPT2_SIZES
from gpt_from_scratch.models.interchange import peft_format
from gpt_from_scratch.models.interchange.hub import from_hub
from gpt_from_scratch.models.weight_files import CONFIG_FILE, read_json
from gpt_from_scratch.support.devices import choose_device
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.formats.hugging_face_import import has_tokenizer, import_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer

GPT2 = "gpt2"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenedModel:
    """A model with its tokenizer and its name in results."""

    model: GPT
    tokenizer: Tokenizer
    name: str
    folder: Path | None = None
    """The model's folder; None: it is from the hub, or was made here."""

    @property
    def context(self) -> int:
        """The model's context length in tokens."""
        return self.model.config.block_size


def open_model(
    source: str | Path,
    *,
    device: str = "auto",
    tokenizer: str | Path | Tokenizer | None = None,
    name: str | None = None,
    hub: bool = False,
    ema: bool = False,
    warn: Callable[[str], None] = _log.warning,
) -> OpenedModel:
    """Open a run (its newest complete checkpoint), one of its checkpoints, or a folder with a model and its tokenizer.

    A checkpoint is verified file by file against its manifest, also if `source` is its model/. A folder from elsewhere has
    no manifest: its weights must match its config, have a floating-point type, and be finite.

    Args:
        source: Also an adapter in peft's format, which is added to its model; a GPT-2 by its name on the Hugging Face hub
            ("gpt2", "gpt2-medium", ...).
        device: see `choose_device`.
        tokenizer: a tokenizer, its file, or a folder with one, for a model without a tokenizer; "gpt2" is GPT-2's. If the
            model has one, both must be equal.
        name: name of the model in results, instead of its run and step.
        hub: also accept names of other models on the hub.
        ema: Take the moving average of the weights that lies beside them in the checkpoint.
        warn: called for each newer checkpoint that is skipped because it is damaged, and about an unexpected separate head.

    Raises:
        FileNotFoundError: there is no model or no tokenizer.
        ValueError: A damaged file, by name; a tokenizer that is not the model's; an unknown device; no average.
    """
    place = choose_device(device)
    by_name = isinstance(source, str) and not Path(source).exists() and (hub or _is_gpt2(source))
    for look in range(1, LOOKS + 1):
        folder = None if by_name else find_model(Path(source), warn)
        try:
            model, chosen = _read(source, folder, tokenizer, warn)
            if ema:
                take_average(model, folder)
            break
        except (OSError, ValueError):
            if folder is None or folder.exists() or look == LOOKS:
                raise
            # The run is still running: its rotation removed the checkpoint while it was read, and there is a newer one.
    called = name or (str(source) if folder is None else _name(folder)) + ("-ema" if ema else "")
    return OpenedModel(model.to(place).eval(), chosen, called, folder)


def _read(
    source: str | Path, folder: Path | None, tokenizer: str | Path | Tokenizer | None, warn: Callable[[str], None]
) -> tuple[GPT, Tokenizer]:
    """Load the model in `folder`, or the hub's model `source`, with its own or the given tokenizer."""
    if folder is not None and is_adapter(folder):
        return _merged(folder, tokenizer, warn)
    if folder is not None:
        theirs, place = _beside(folder), folder
    elif _is_gpt2(str(source)):
        theirs, place = (_given(GPT2) if tokenizer is None else None), None
    else:
        place = from_hub(str(source), whole=True)
        theirs = _beside(place)
    given = tokenizer if tokenizer is None or isinstance(tokenizer, Tokenizer) else _given(tokenizer)
    chosen = theirs if given is None else given
    if chosen is None:
        raise FileNotFoundError(
            f"{folder or source} has no {TOKENIZER_FILE}: save the model's tokenizer there (tokenizer.save), or give one: "
            "--tokenizer gpt2, or --tokenizer FILE"
        )
    model = GPT.from_pretrained(str(source) if place is None else place, warn)
    if chosen.n_vocab > (rows := model.config.vocab_size):
        raise ValueError(
            f"the tokenizer {chosen!r} has {chosen.n_vocab} tokens, but the model {source} has only {rows}: they do not "
            "belong together"
        )
    if theirs is not None and not is_same(chosen, theirs):
        raise ValueError(
            f"the given tokenizer is not the one that the model {source} was trained with (fingerprint "
            f"{chosen.fingerprint[:12]}…, the model's has {theirs.fingerprint[:12]}…): its ids mean other text. Leave it "
            "out to use the model's own"
        )
    return model, chosen


def _merged(
    folder: Path, tokenizer: str | Path | Tokenizer | None, warn: Callable[[str], None]
) -> tuple[GPT, Tokenizer]:
    """The model that an adapter adapts, with the adapter added to its weights."""
    adapter = peft_format.read(folder)
    base = open_model(adapter.base, device="cpu", tokenizer=tokenizer, hub=True, warn=warn)
    try:
        peft_format.merge(base.model.state_dict(), base.model.config, kind_of(base), adapter)
    except ValueError as error:
        raise ValueError(f"{folder / peft_format.ADAPTER_WEIGHTS}: {error}") from error
    return base.model, base.tokenizer


def kind_of(opened: OpenedModel) -> str:
    """The model type of an opened model's folder, after which adapters name its layers."""
    kind: str = read_json((opened.folder or from_hub(opened.name)) / CONFIG_FILE)["model_type"]
    return kind


def is_same(one: Tokenizer, other: Tokenizer) -> bool:
    """Whether two tokenizers, perhaps of different kinds, give every id the same text."""
    if one.fingerprint == other.fingerprint:
        return True
    ids = range(one.n_vocab)
    return one.n_vocab == other.n_vocab and all(_meaning(one, index) == _meaning(other, index) for index in ids)


def _meaning(tokenizer: Tokenizer, index: int) -> bytes | None:
    try:
        return tokenizer.decode_bytes([index])
    except ValueError:
        return None  # an id without a token


def _is_gpt2(name: str) -> bool:
    return name.removeprefix("openai-community/") in GPT2_SIZES


def _beside(folder: Path) -> Tokenizer | None:
    """The tokenizer in a model's folder, in our format or Hugging Face's; None if there is none."""
    if (folder / TOKENIZER_FILE).exists():
        return load_tokenizer(folder)
    return import_tokenizer(folder) if has_tokenizer(folder) else None


def _given(tokenizer: str | Path) -> Tokenizer:
    if str(tokenizer) == GPT2 and not Path(tokenizer).exists():
        from gpt_from_scratch.tokenizer.tiktoken_wrapper import TiktokenTokenizer

        return TiktokenTokenizer.from_name(GPT2)
    return load_tokenizer(tokenizer)


def _name(folder: Path) -> str:
    """Name of a model: the run and the step of .../RUN/checkpoints/STEP/model, else the folder's name."""
    parts = folder.resolve().parts
    if len(parts) >= 4 and parts[-1] == MODEL_FOLDER and parts[-3] == CHECKPOINTS:
        return f"{parts[-4]}-{parts[-2]}"
    return parts[-2] if parts[-1] == MODEL_FOLDER and len(parts) > 1 else parts[-1]
