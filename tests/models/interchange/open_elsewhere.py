"""A reader who has transformers and not this package: a process of its own, with the file of the cases.

It prints, for each of the folders, the logits' largest distance from those expected, the ids and texts of its tokenizer, and
what `generate` writes.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.modules["gpt_from_scratch"] = None  # type: ignore[assignment]  # importing it fails from here on

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

CHUNKS = (3, 1, 1, 4)
torch.set_num_threads(1)  # so small a model gains nothing by more


def opened(case: dict[str, Any]) -> dict[str, Any]:
    """What the folder of a case gives."""
    folder = Path(case["folder"])
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=case["trusts"])
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=case["trusts"]).eval()
    expected = load_file(case["expected"])
    tokens, logits = expected["tokens"], expected["logits"]
    whole = model(tokens, use_cache=False).logits
    parts, cache, start = [], None, 0
    for size in (*CHUNKS, tokens.shape[1] - sum(CHUNKS)):
        out = model(tokens[:, start : start + size], cache=cache, use_cache=True)
        parts, cache, start = [*parts, out.logits], out.cache, start + size
    longest = max(map(len, case["prompts"]))
    padded = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in case["prompts"]])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in case["prompts"]])
    settings = {"attention_mask": mask, "max_new_tokens": case["new"], "do_sample": False, "eos_token_id": -1}
    written = {
        name: model.generate(padded, **settings, **more)[:, longest:].tolist()
        for name, more in (
            ("dynamic", {}),
            ("static", {"cache_implementation": "static"}),
            ("none", {"use_cache": False}),
        )
    }
    ids = [tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) for text in case["texts"]]
    return {
        "class": type(model).__name__,
        "whole": (whole - logits).abs().max().item(),
        "cached": (torch.cat(parts, dim=1) - logits).abs().max().item(),
        "written": written,
        "ids": ids,
        "texts": [tokenizer.decode(some) for some in ids],
        "eos": [tokenizer.eos_token_id, model.generation_config.eos_token_id],
        "longest": tokenizer.model_max_length,
    }


if __name__ == "__main__":
    with torch.no_grad():
        print(json.dumps([opened(case) for case in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))]))
