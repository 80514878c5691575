"""Building of a run's data from its settings: read the source, learn the tokenizer, tokenize the text."""

import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE, load_tokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.training.data.chats import as_texts, of_conversations
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.data.corpus import Corpus, of_documents, of_running_text, of_shards
from gpt_from_scratch.training.data.mixing.data import mixed_corpus
from gpt_from_scratch.training.data.mixing.weights import Mixture
from gpt_from_scratch.training.data.registry import LIVE, MIXTURE, OF_PATHS, PREPARED, how_to_prepare, named_by
from gpt_from_scratch.training.data.shards import Index, read_index
from gpt_from_scratch.training.data.source import GPT2_VOCABULARY, Conversations, Mixed, Prepared, Texts
from gpt_from_scratch.training.data.tokenizers import characters_to_learn_from, first_characters, make_tokenizer


def build_corpus(
    config: DataConfig,
    block_size: int,
    *,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Read, make or download the text, learn the tokenizer unless one is given, and tokenize.

    Raises:
        FileNotFoundError, ValueError, DownloadError: the data is missing, empty, not UTF-8, or too short for the context.
    """
    source = LIVE[config.source]
    data = source.read(config, progress=progress)
    if isinstance(data, Mixed):
        mixture, parts = Mixture.of(data.mixture, data.schedule), parts_of(config, data)
        if tokenizer is None:
            tokenizer = mixed_tokenizer(config, parts)
        return mixed_corpus(
            mixture,
            {
                name: build_corpus(part, block_size, tokenizer=tokenizer, progress=progress)
                for name, part in parts.items()
            },
        )
    if isinstance(data, Prepared):
        return of_shards(index_of(data.folder), block_size, tokenizer)
    if isinstance(data, Conversations):
        return of_conversations(data, block_size, tokenizer or _tokenizer(config, as_texts(data)))
    if tokenizer is None:
        tokenizer = _tokenizer(config, data)
    return (of_running_text if source.running_text else of_documents)(data, block_size, tokenizer)


def vocabulary(config: DataConfig) -> int:
    """Vocabulary size of a run's tokenizer, which is learned here if needed.

    For data that is not on this machine yet (a download, the shards of a preset) the size is known in advance.

    Raises:
        FileNotFoundError, ValueError: as `build_corpus`.
    """
    source = LIVE[config.source]
    if isinstance(mixed := source.read(config) if config.source == MIXTURE else None, Mixed):
        parts = parts_of(config, mixed)
        ready = [part for part in parts.values() if LIVE[part.source].brings_tokenizer]
        return vocabulary(ready[0]) if ready else mixed_tokenizer(config, parts).n_vocab
    if source.brings_tokenizer:
        assert config.path is not None
        prepared = PREPARED.get(config.path.name)
        if prepared is not None and prepared.recipe is not None and not config.path.exists():
            return prepared.recipe.n_vocab
        return index_of(config.path).n_vocab
    if config.tokenizer == "gpt2":
        return GPT2_VOCABULARY
    if config.tokenizer not in ("bpe", "character"):
        return _tokenizer(config, Texts([], [])).n_vocab
    if (known := source.n_vocab(config)) is not None:
        return known
    if config.tokenizer == "bpe" and (few := source.fewer(config)) != config:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of too few pairs: the whole text may have more
            found = _tokenizer(config, texts_of(few)).n_vocab
        if found == config.vocab_size:  # more text has no fewer pairs to merge
            return found
    return _tokenizer(config, texts_of(config)).n_vocab


def texts_of(config: DataConfig) -> Texts:
    """Training and validation texts, generated, downloaded or read, from any source except shards.

    Raises:
        FileNotFoundError, ValueError, DownloadError: as `build_corpus`.
    """
    data = LIVE[config.source].read(config)
    if isinstance(data, Conversations):
        return as_texts(data)
    if not isinstance(data, Texts):
        raise ValueError(f"the source {config.source!r} gives no texts")
    return data


def parts_of(config: DataConfig, mixed: Mixed) -> dict[str, DataConfig]:
    """Settings of each source of a mixture, by name.

    Raises:
        ValueError: a source is itself a mixture.
    """
    parts = {}
    for name in Mixture.of(mixed.mixture, mixed.schedule).names:
        named = named_by(name)
        path = Path(named["path"]) if "path" in named else None
        if named.get("source") == MIXTURE or name.endswith(".toml"):
            raise ValueError(f"{name}: a mixture cannot contain a mixture, name its sources")
        parts[name] = config.replaced(source=named.get("source", OF_PATHS), path=path, mixture=(), schedule=())
    return parts


def mixed_tokenizer(config: DataConfig, parts: Mapping[str, DataConfig]) -> Tokenizer:
    """Tokenizer of a mixture: that of its prepared folders, else the configured one, learned from all texts.

    Raises:
        FileNotFoundError, ValueError: as `build_corpus`, and where two folders were prepared with different tokenizers.
    """
    folders = [part.path for part in parts.values() if LIVE[part.source].brings_tokenizer and part.path is not None]
    if folders:
        first, *others = (index_of(folder) for folder in folders)
        for other in others:
            if other.tokenizer != first.tokenizer:
                raise ValueError(
                    f"{first.folder} and {other.folder} were prepared with different tokenizers: prepare one again with "
                    f"--tokenizer {first.folder / TOKENIZER_FILE}"
                )
        return load_tokenizer(first.folder)
    texts = [texts_of(part) for part in parts.values()] if config.tokenizer in ("bpe", "character") else []
    if config.tokenizer == "character":
        return _tokenizer(config, Texts([text for one in texts for text in (*one.train, *one.validation)], []))
    fair = characters_to_learn_from(config.vocab_size) // max(1, len(texts))
    return _tokenizer(config, Texts([first_characters(one.train, fair) for one in texts], []))


def _tokenizer(config: DataConfig, texts: Texts) -> Tokenizer:
    """The configured tokenizer; byte pair encoding is learned from the training texts."""
    everything = itertools.chain(texts.train, texts.validation)
    source = LIVE[config.source]
    return make_tokenizer(
        config.tokenizer,
        config.vocab_size,
        source.pattern,
        train=texts.train,
        all_texts=everything,
        special_tokens=source.special_tokens,
    )


def index_of(folder: Path) -> Index:
    """Index of the shards. If a preset's shards are missing, the error gives the command that makes them."""
    try:
        return read_index(folder)
    except FileNotFoundError as error:
        if (command := how_to_prepare(folder)) is None:
            raise
        raise FileNotFoundError(f"{folder} holds no shards yet. Make them once:\n  {command}") from error
