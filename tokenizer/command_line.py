"""The commands of `gpt tokenizer`. A TOKENIZER is a file or folder of any known format."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gpt_from_scratch.support.command_line.arguments import a_text, subcommand
from gpt_from_scratch.support.command_line.streams import surviving
from gpt_from_scratch.support.storage.files import require_place
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.bpe.large_files import read_texts
from gpt_from_scratch.tokenizer.bpe.reference import TieBreak
from gpt_from_scratch.tokenizer.bpe.tokenizer import SHARD_TOKENS, BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.opening import FORMATS, open_tokenizer
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT, Tokenizer
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text
from gpt_from_scratch.tokenizer.views.page import write_token_page
from gpt_from_scratch.tokenizer.views.terminal import show_token_mapping, shown
from gpt_from_scratch.tokenizer.views.tokens import token_bytes

Texts = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...")]
Tokenizers = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TOKENIZER ...")]
OneTokenizer = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TOKENIZER")]
File = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]
Html = Annotated[Path | None, tyro.conf.arg(name="out", aliases=["--html"])]


def train(
    files: Texts,
    out: Path,
    vocab_size: int = 32_000,
    pattern: str = "gpt2",
    special_tokens: tuple[str, ...] = (END_OF_TEXT,),
    tie_break: TieBreak = "lowest-ids",
    byte_order: Literal["raw", "gpt2"] = "raw",
    threads: int | None = None,
) -> None:
    """Learn a tokenizer from UTF-8 files.

        gpt tokenizer train stories.txt --vocab-size 1024 --out stories.json

    Args:
        files: the texts
        out: the file to write
        vocab_size: number of ids, including the 256 bytes and the special tokens
        pattern: split pattern of words: gpt2, gpt4, o200k, tinystories, none, or a regular expression
        special_tokens: texts that become a single id each
        tie_break: rule for the choice among equally frequent pairs
        byte_order: order of the ids of the 256 bytes
        threads: number of threads (default: all CPUs)
    """
    if not files:
        raise ValueError("no files to learn from: give at least one")
    require_place(out)
    pattern_text(pattern)
    with surviving(), _progress() as bar:  # a failed display must not lose the tokenizer
        task = bar.add_task("counting", total=None)

        def show(stage: str, number: int) -> None:
            unit = "characters" if stage == "counting" else "merges"
            bar.update(task, description=f"{stage}: {number:,} {unit}")

        tokenizer = BytePairEncodingTokenizer.from_files(
            files,
            vocab_size,
            pattern=pattern,
            special_tokens=special_tokens,
            tie_break=tie_break,
            byte_order=byte_order,
            num_threads=threads,
            progress=show,
        )
    tokenizer.save(out)
    print(f"{tokenizer.n_vocab:,} ids, {len(tokenizer.merges):,} merges, written to {out}")


def encode(
    tokenizer: OneTokenizer,
    file: File,
    out: Path | None = None,
    shard_tokens: int = SHARD_TOKENS,
    allow_special: bool = False,
    threads: int | None = None,
) -> None:
    """Encode a UTF-8 file into shards of ids, or print the ids.

        gpt tokenizer encode stories.json stories.txt --out data/stories

    Args:
        tokenizer: the tokenizer
        file: the text
        out: a folder for the shards, .npy files of uint16 or uint32 (default: print the ids, separated by spaces)
        shard_tokens: ids per shard
        allow_special: encode special tokens in the text as their ids (otherwise they are an error)
        threads: number of threads (default: all CPUs)
    """
    opened = _byte_pair(tokenizer)
    allowed: Literal["all"] | tuple[str, ...] = "all" if allow_special else ()
    if out is None:
        first = True
        for index in opened.encode_iterable(read_texts(file), allowed_special=allowed):
            sys.stdout.write(str(index) if first else f" {index}")
            first = False
        print()
        return
    with _progress() as bar:
        bar.add_task(f"encoding {visible(file.name)}", total=None)
        shards = opened.encode_file(file, out, shard_tokens=shard_tokens, num_threads=threads, allowed_special=allowed)
    for shard in shards:
        print(shard)


def decode(tokenizer: OneTokenizer, ids: tyro.conf.Positional[tuple[int, ...]] = ()) -> None:
    """Decode ids, from the arguments or standard input, to text on standard output.

        gpt tokenizer decode gpt2 15496 995

    Args:
        tokenizer: the tokenizer
        ids: the ids (none: read from standard input)
    """
    opened = open_tokenizer(tokenizer)
    try:
        data = opened.decode_bytes(ids or [int(word) for word in sys.stdin.read().split()])
    except ValueError as error:
        raise ValueError(f"cannot decode: {error}") from error
    if sys.stdout.isatty():
        print(visible(data.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def show(
    tokenizer: OneTokenizer, text: tyro.conf.Positional[str] = "", file: Path | None = None, html: Html = None
) -> None:
    """Show the tokens of a text, in the terminal or as an HTML page.

        gpt tokenizer show gpt2 "The robin sang."
        gpt tokenizer show stories.json --file stories.txt --out tokens.html

    Args:
        tokenizer: the tokenizer
        text: the text
        file: a UTF-8 file with the text instead
        html: a page to write instead, with the tree of merges behind each token
    """
    compared = {tokenizer.stem or str(tokenizer): open_tokenizer(tokenizer)}
    chosen = _text(text, file)
    if html is None:
        show_token_mapping(next(iter(compared.values())), chosen, color=None if sys.stdout.isatty() else False)
    else:
        write_token_page(html, compared, chosen)
        print(f"written to {html}")


def compare(tokenizers: Tokenizers, text: str = "", file: Path | None = None, html: Html = None) -> None:
    """Compare tokenizers on a text: number of tokens, bytes per token, and an HTML page side by side.

        gpt tokenizer compare gpt2 stories.json --file stories.txt

    Args:
        tokenizers: two or more
        text: the text
        file: a UTF-8 file with the text instead
        html: a page to write as well
    """
    opened = _named(tokenizers)
    chosen = _text(text, file)
    table = Table(box=box.SIMPLE)
    for column in ("tokenizer", "vocabulary", "tokens", "bytes per token"):
        table.add_column(column, justify="left" if column == "tokenizer" else "right")
    size = len(chosen.encode("utf-8", "replace"))
    for name, tokenizer in opened.items():
        count = len(tokenizer.encode_ordinary(chosen))
        table.add_row(visible(name), f"{tokenizer.n_vocab:,}", f"{count:,}", f"{size / max(count, 1):.3f}")
    Console(markup=False, highlight=False).print(table)
    if html is not None:
        write_token_page(html, opened, chosen)
        print(f"written to {html}")


def convert(
    source: OneTokenizer,
    out: File,
    to: Annotated[FormatName, tyro.conf.arg(help="; ".join(f"{one.name}: {one.about}" for one in FORMATS.values()))],
    pattern: str = "gpt2",
    special_tokens: tuple[str, ...] = (),
) -> None:
    """Write a tokenizer in another format.

        gpt tokenizer convert stories.json tokenizer.json --to hugging-face

    Args:
        source: the tokenizer
        out: the file to write, or the folder for a format of several files
        pattern: the split pattern, where the source holds none (GPT-2's and tiktoken's files)
        special_tokens: the special tokens of a tiktoken file, with the ids behind its ranks
    """
    FORMATS[to].write(_byte_pair(source, pattern=pattern, special_tokens=special_tokens), out)
    print(f"written to {out}")


def stats(tokenizers: Tokenizers, file: Path | None = None) -> None:
    """Print statistics of vocabularies, and their compression of a file.

        gpt tokenizer stats gpt2 stories.json --file stories.txt

    Args:
        tokenizers: one or more
        file: a UTF-8 file to encode
    """
    table = Table(box=box.SIMPLE)
    of_file = ("tokens", "bytes per token", "ids used") if file else ()
    for column in ("tokenizer", "ids", "mean bytes", "longest token", "not UTF-8", *of_file):
        table.add_column(column, justify="left" if column in ("tokenizer", "longest token") else "right")
    text = "".join(read_texts(file)) if file else ""
    size = len(text.encode("utf-8"))
    for name, tokenizer in _named(tokenizers).items():
        tokens = _vocabulary(tokenizer)
        longest = max(tokens, key=len)
        broken = sum(not _is_text(token) for token in tokens)
        row = [visible(name), f"{tokenizer.n_vocab:,}", f"{sum(map(len, tokens)) / len(tokens):.2f}"]
        row += [f"{len(longest)}: {shown(longest.decode('utf-8', 'replace'))[:16]}", f"{broken:,}"]
        if file:
            counts = Counter(tokenizer.encode_ordinary(text))
            total = counts.total()
            row += [f"{total:,}", f"{size / max(total, 1):.3f}", f"{len(counts) / tokenizer.n_vocab:.1%}"]
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def _vocabulary(tokenizer: Tokenizer) -> list[bytes]:
    tokens = []
    for index in range(tokenizer.n_vocab):
        try:
            tokens.append(token_bytes(tokenizer, index))
        except ValueError:  # a gap in the ids
            continue
    return tokens


def _is_text(token: bytes) -> bool:
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _byte_pair(path: Path, *, pattern: str = "gpt2", special_tokens: Sequence[str] = ()) -> BytePairEncodingTokenizer:
    tokenizer = open_tokenizer(path, pattern=pattern, special_tokens=special_tokens)
    if not isinstance(tokenizer, BytePairEncodingTokenizer):
        raise ValueError(f"{path} holds a {type(tokenizer).__name__}: this command needs a byte pair encoding")
    return tokenizer


def _named(paths: Sequence[Path]) -> dict[str, Tokenizer]:
    if not paths:
        raise ValueError("give at least one tokenizer")
    names = [path.name for path in paths]
    return {str(path) if names.count(path.name) > 1 else path.name: open_tokenizer(path) for path in paths}


def _text(text: str, file: Path | None) -> str:
    if bool(text) == (file is not None):
        raise ValueError("give either a text or --file")
    return "".join(read_texts(file)) if file else a_text(text)


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "encode": encode,
    "decode": decode,
    "show": show,
    "compare": compare,
    "convert": convert,
    "stats": stats,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    subcommand(COMMANDS, arguments, prog="gpt tokenizer")
    return 0
