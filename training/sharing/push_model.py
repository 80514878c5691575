"""The work of `gpt push`: export a model, upload its files one by one, and commit them at once."""

import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

from gpt_from_scratch.models import weight_files
from gpt_from_scratch.models.weight_files import INDEX_FILE, WEIGHTS_FILE
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.commands.export import ExportConfig
from gpt_from_scratch.training.commands.push_model import PushConfig
from gpt_from_scratch.training.sharing.export import export

TOKEN = "HF_TOKEN"
OF_THE_HUB = (".gitattributes", "README.md")
"""Files that the hub itself puts into a new repository."""
OURS = ("*.safetensors", INDEX_FILE, "*_gpt_from_scratch.py", "tokenizer.json")
"""Patterns of files from an earlier push that may be deleted."""


def push(config: PushConfig, warn: Callable[[str], None], say: Callable[[str], None]) -> str:
    """Push a model, and return the repository's address.

    Raises:
        FileExistsError: the repository has other content.
        FileNotFoundError, ValueError: there is no model, it is damaged, or the format cannot hold its tokenizer.
        PermissionError: there is no token, or the hub rejects it.
        ConnectionError: the push was interrupted.
        RuntimeError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise RuntimeError(f"a push needs the package huggingface_hub: {how_to_install('hf')}") from error
    # The errors of any HTTP library that it uses.
    of_the_network = cast(type[Exception], HfHubHTTPError.__bases__[0])
    if not (token := os.environ.get(TOKEN)):
        raise PermissionError(f"${TOKEN} is not set: create a token with write access on the hub, and export {TOKEN}=…")
    api = HfApi(token=token, library_name="provengpt")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export(ExportConfig(config.source, out=folder, licence=config.licence), warn)
        tensors = weight_files.read_file(folder / WEIGHTS_FILE)
        (folder / WEIGHTS_FILE).unlink()
        weight_files.cut(tensors, folder, config.file_bytes)
        size = sum(path.stat().st_size for path in folder.iterdir())
        say(f"sending {len(list(folder.iterdir()))} files, {size:,} bytes, to {config.name} at {api.endpoint}")
        try:
            address = api.create_repo(config.name, private=config.private or None, exist_ok=True)
            require_ours(config.name, api.list_repo_files(config.name))
            api.upload_folder(
                repo_id=config.name, folder_path=folder, commit_message="Push of a model", delete_patterns=list(OURS)
            )
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in (401, 403):
                raise PermissionError(
                    f"{api.endpoint} does not allow ${TOKEN} to write to {config.name} (status {status}): use a token that "
                    "may"
                ) from error
            raise ConnectionError(_broke(config.name, error)) from error
        except FileExistsError:
            raise
        except (of_the_network, OSError, RuntimeError) as error:  # uploads in threads raise this last one
            raise ConnectionError(_broke(config.name, error)) from error
        return str(address)


def require_ours(name: str, files: Collection[str]) -> None:
    """Refuse a repository that is not empty and not a model of this project.

    Raises:
        FileExistsError: it does.
    """
    others = sorted(set(files) - set(OF_THE_HUB))
    if others and TOKENIZER_FILE not in others:
        raise FileExistsError(
            f"{name} already holds something else than a model of ours ({others[0]}, …): name another repository"
        )


def _broke(name: str, error: Exception) -> str:
    reason = str(error.__cause__ or error).strip().splitlines()
    why = reason[0] if reason else type(error).__name__
    return f"the push to {name} was interrupted: {why}\nThe same command continues it."
