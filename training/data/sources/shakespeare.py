"""Tiny Shakespeare: 1,115,394 characters of Shakespeare's plays, 65 of them distinct (Karpathy, char-rnn, 2015)."""

from pathlib import Path

from gpt_from_scratch.support.storage.downloads import Progress, download
from gpt_from_scratch.support.storage.text_files import read_text
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.data.reading.texts import read_texts, split_for_a_run
from gpt_from_scratch.training.data.source import DataSettings, LiveSource, Texts

URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
SIZE = 1_115_394
"""Size in bytes."""
N_CHARACTERS = 65
"""Distinct characters."""
FILE = "tinyshakespeare.txt"


def tiny_shakespeare(folder: Path | None = None, *, progress: Progress | None = None, url: str = URL) -> str:
    """Read the text, downloaded into `folder` (default: `data_folder()`) if it is not there.

    By convention the first 90 % (`split_texts`) are for training, the rest for validation.

    Raises:
        DownloadError: the download failed; says where to put the file manually.
    """
    path = (data_folder() if folder is None else folder) / FILE
    return read_text(download(url, path, digest=SHA256, size_limit=SIZE, progress=progress))


def is_downloaded(folder: Path | None = None) -> bool:
    """Whether the text is already downloaded."""
    return ((data_folder() if folder is None else folder) / FILE).is_file()


class Shakespeare(LiveSource):
    """The live source: the plays, or the text at `path`."""

    name = "shakespeare"
    about = "Tiny Shakespeare, downloaded, or at `path`"
    path = "may be given"
    downloads = True
    running_text = True

    def read(self, settings: DataSettings, *, progress: Progress | None = None) -> Texts:
        texts = [tiny_shakespeare(progress=progress)] if settings.path is None else read_texts(settings.path)
        return split_for_a_run(texts, settings.validation_fraction)

    def n_vocab(self, settings: DataSettings) -> int | None:
        if settings.path is not None or is_downloaded():
            return None
        return N_CHARACTERS + 1 if settings.tokenizer == "character" else settings.vocab_size


LIVE = Shakespeare()
