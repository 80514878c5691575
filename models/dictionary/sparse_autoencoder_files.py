"""The file of a sparse autoencoder: sae.safetensors, with metadata about its kind and its activations."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save

from gpt_from_scratch.models.dictionary.sparse_autoencoder import SparseAutoencoder, SparseAutoencoderConfig
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.weight_files import opened
from gpt_from_scratch.support.storage.files import write_bytes
from gpt_from_scratch.support.visible import visible

AUTOENCODER_FILE = "sae.safetensors"


@dataclass(frozen=True)
class Origin:
    """The origin of an autoencoder's activations; empty for the signals of a known dictionary."""

    model: str = ""
    """the model's name, for people"""
    model_sha256: str = ""
    """`weights_sha256` of it"""
    layer: str = ""
    skip_first: bool = False
    """whether the first token of each context was left out"""


def weights_sha256(model: GPT) -> str:
    """SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().numpy().tobytes())
    return digest.hexdigest()


def save_autoencoder(path: Path, sae: SparseAutoencoder, origin: Origin, **more: str) -> None:
    """Write the file atomically; `more` is additional metadata."""
    metadata = {**more, "kind": sae.config.kind, "config": json.dumps(asdict(sae.config))}
    # A folder's name may hold bytes that are no text, which no metadata can.
    metadata |= {name: visible(str(value)) for name, value in asdict(origin).items()}
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in sae.state_dict().items()}, metadata))


def load_autoencoder(path: Path | str) -> tuple[SparseAutoencoder, Origin]:
    """Load the autoencoder and its origin from a file that `save_autoencoder` wrote, or from its folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or not an autoencoder of this project.
    """
    path = Path(path)
    path = path / AUTOENCODER_FILE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no autoencoder at {path}: give a {AUTOENCODER_FILE}, or the folder that holds it")
    try:
        with opened(path) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error
    if "config" not in metadata or "decoder" not in tensors or tensors["decoder"].ndim != 2:
        raise ValueError(
            f"{path} is not a sparse autoencoder of this project: its metadata have {', '.join(metadata) or 'nothing'}"
        )
    try:
        document: dict[str, Any] = json.loads(metadata["config"])
        sae = SparseAutoencoder(tensors["decoder"].shape[1], SparseAutoencoderConfig(**document))
        sae.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:  # torch names the tensors that do not fit in a RuntimeError
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    words = {name: metadata[name] for name in ("model", "model_sha256", "layer") if name in metadata}
    return sae.eval(), replace(Origin(**words), skip_first=metadata.get("skip_first") == "True")
