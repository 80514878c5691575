"""Models by their names on the Hugging Face hub (or $HF_ENDPOINT), downloaded once into its library's own cache."""

import re
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.models.config import GPT2_SIZES
from gpt_from_scratch.models.weight_files import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, indexed_files
from gpt_from_scratch.support.command_line.invocation import how_to_install

BESIDE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "README.md",
)
"""Other files of a model's folder that are downloaded if they exist."""


def from_hub(name: str, *, whole: bool = False) -> Path:
    """Download a model's config and weights; returns the local folder.

    Args:
        whole: also download its tokenizer and its card.

    Raises:
        FileNotFoundError: the hub has no such model or cannot be reached.
        RuntimeError: huggingface_hub is not installed.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise FileNotFoundError(
            f"no folder {name!r}, and it is not the name of a model on the hub, such as {', '.join(GPT2_SIZES)}"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise RuntimeError(f"no folder {name!r}; to download it by name: {how_to_install('hf')}") from error
    repository = f"openai-community/{name}" if name in GPT2_SIZES else name

    def has(file: str) -> bool:
        try:
            hf_hub_download(repository, file)
        except LocalEntryNotFoundError:  # no network, which says nothing of the file
            raise
        except EntryNotFoundError:
            return False
        return True

    try:
        folder = Path(hf_hub_download(repository, CONFIG_FILE)).parent
        _download_weights(folder, has)
        for file in BESIDE if whole else ():
            has(file)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FileNotFoundError(f"no folder {name!r}, and the hub did not provide {repository!r}: {error}") from error
    return folder


def _download_weights(folder: Path, has: Callable[[str], bool]) -> None:
    if has(WEIGHTS_FILE):
        return
    if not has(INDEX_FILE):
        raise FileNotFoundError(f"it has neither {WEIGHTS_FILE} nor {INDEX_FILE}")
    for file in indexed_files(folder / INDEX_FILE):
        if not has(file):
            raise FileNotFoundError(f"it has no {file}, which {INDEX_FILE} names")
