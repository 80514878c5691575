"""A folder from which tiktoken makes an encoding: its file of ranks, and what that file does not hold."""

import json
from pathlib import Path

from gpt_from_scratch.support.storage.files import sha256, write_text
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.formats.tiktoken_ranks import write_ranks

RANKS_FILE, ENCODING_FILE, README_FILE = "ranks.tiktoken", "encoding.json", "README.md"
OPENING = """\
import json
import pathlib

import tiktoken
from tiktoken.load import load_tiktoken_bpe

folder = pathlib.Path(".")  # where these files lie
about = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
encoding = tiktoken.Encoding(
    about["name"],
    pat_str=about["pattern"],
    mergeable_ranks=load_tiktoken_bpe(str(folder / "ranks.tiktoken"), about["sha256"]),
    special_tokens=about["special_tokens"],
)
"""


def write_tiktoken_folder(tokenizer: BytePairEncodingTokenizer, folder: Path, name: str) -> None:
    """Write the files into an existing folder: encodings made from them give every text the same ids.

    Raises:
        ValueError: tiktoken cannot do what this tokenizer does; says what.
        RuntimeError: tiktoken is not installed.
    """
    encoding = tokenizer.to_tiktoken(name)
    write_ranks(tokenizer, folder / RANKS_FILE)
    about = {
        "name": name,
        "pattern": encoding._pat_str,
        "special_tokens": tokenizer.special_tokens,
        "sha256": sha256(folder / RANKS_FILE),
    }
    write_text(folder / ENCODING_FILE, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    text = f"# A tokenizer for tiktoken\n\n{tokenizer.n_vocab:,} ids. To make it:\n\n```python\n{OPENING}```\n"
    write_text(folder / README_FILE, text)
