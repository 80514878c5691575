"""Small tokenizers of the kinds that models on the hub have, learned by Hugging Face's own library."""

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.tokenizer.texts import SCRIPTS

LEARNED = ["the robin sang to the fox, and it's 12345 times as glad!\n" * 30, *SCRIPTS]
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def gpt2_like(end: str = "<|endoftext|>") -> tokenizers.Tokenizer:
    """Bytes, split as GPT-2 splits: SmolLM and OLMo have such."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(LEARNED, _trainer([end]))
    return made


def qwen_like() -> tokenizers.Tokenizer:
    """Bytes of text in normal form C, split by an expression, with tokens that were added later."""
    made = tokenizers.Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN), behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(LEARNED, _trainer(["<|endoftext|>"]))
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return made


def llama3_like() -> tokenizers.Tokenizer:
    """Bytes, with a token that the library puts before each text."""
    made = gpt2_like("<|end_of_text|>")
    made.add_special_tokens(["<|begin_of_text|>"])
    begin = ("<|begin_of_text|>", made.token_to_id("<|begin_of_text|>"))
    made.post_processor = processors.TemplateProcessing(f"{begin[0]} $A", special_tokens=[begin])
    return made


def llama2_like() -> tokenizers.Tokenizer:
    """Characters and, where those are unknown, bytes; blanks are spelt ▁, and one is put before each text."""
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.train_from_iterator(LEARNED[:1], _trainer(["<unk>", "<s>", "</s>", *pieces], alphabet=False))
    document = json.loads(made.to_str())
    # As in the files of the hub the bytes are ordinary pieces.
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    made = tokenizers.Tokenizer.from_str(json.dumps(document))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    return made


KINDS: dict[str, tuple[Any, str, str | None]] = {
    "gpt2": (gpt2_like, "<|endoftext|>", None),
    "qwen": (qwen_like, "<|im_end|>", "{% for m in messages %}{{ m.content }}{% endfor %}"),
    "llama3": (llama3_like, "<|end_of_text|>", None),
    "llama2": (llama2_like, "</s>", None),
}
"""How each is made, the token that ends its texts, and its chat template."""


def write(kind: str, folder: Path) -> tokenizers.Tokenizer:
    """A kind's files in `folder`, as a model on the hub has them."""
    make, end, template = KINDS[kind]
    made: tokenizers.Tokenizer = make()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(made.to_str(), encoding="utf-8")
    config = {"eos_token": end} | ({} if template is None else {"chat_template": template})
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return made


def _trainer(special: list[str], alphabet: bool = True) -> trainers.BpeTrainer:
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    return trainers.BpeTrainer(
        vocab_size=len(special) + 300, special_tokens=special, initial_alphabet=letters, show_progress=False
    )
