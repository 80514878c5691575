"""An evalugator provider for our server, used by the Situational Awareness Dataset (SAD).

SAD and evalugator pin packages that clash with ours, so they live in an environment of their own, and this file runs there:
it needs the standard library and evalugator alone. Model ids are "gptfs/NAME", where NAME is what the server calls its model.

    python sad_bridge.py run --tasks facts_llms --models gptfs/NAME     as `python -m sad.main` would, with this provider

Environment: GPTFS_URL, the server (http://127.0.0.1:8000); GPT_SERVE_TOKEN, its token if it has one.
"""

import json
import math
import os
import runpy
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PREFIX = "gptfs/"
SECONDS = 600.0
TRIES = 6
MOST_LOGPROBS = 20


def provides_model(model_id: str) -> bool:
    """Whether this is one of the server's models."""
    return model_id.startswith(PREFIX)


def execute(model_id: str, request: Any) -> Any:
    """Text, or for a request for probabilities those of the most likely next tokens.

    The model is a base model: a conversation is its messages' contents, joined by an empty line, as evalugator does it for
    completion models.
    """
    from evalugator.api.requests import (  # type: ignore[import-not-found, unused-ignore]
        GetProbsResponse,
        GetTextResponse,
    )

    body = {"model": _name(model_id), "prompt": "\n\n".join(message.content for message in request.prompt)}
    about = {"model_id": model_id, "request": request, "context": request.context}
    if hasattr(request, "min_top_n"):
        count = min(max(1, request.min_top_n), MOST_LOGPROBS)
        reply = _post("/v1/completions", {**body, "max_tokens": 1, "temperature": 0, "logprobs": count})
        top = reply["choices"][0]["logprobs"]["top_logprobs"][0]
        probs = {token: math.exp(logprob) for token, logprob in top.items()}
        return GetProbsResponse(raw_responses=[reply], probs=probs, **about)
    reply = _post("/v1/completions", {**body, "max_tokens": request.max_tokens, "temperature": request.temperature})
    return GetTextResponse(raw_responses=[reply], txt=reply["choices"][0]["text"], **about)


def encode(model_id: str, data: str, *args: Any, **kwargs: Any) -> list[int]:
    """The tokens of a text."""
    tokens: list[int] = _post("/tokenize", {"model": _name(model_id), "prompt": data})["tokens"]
    return tokens


def decode(model_id: str, tokens: Iterable[int], *args: Any, **kwargs: Any) -> str:
    """The text of tokens."""
    text: str = _post("/detokenize", {"model": _name(model_id), "tokens": list(tokens)})["prompt"]
    return text


def _name(model_id: str) -> str:
    if not provides_model(model_id):
        raise ValueError(f"{model_id!r} is none of this server's models, which begin with {PREFIX}")
    return model_id[len(PREFIX) :]


def _post(path: str, body: dict[str, Any]) -> Any:
    """The server's answer. Tries again a few times while it is busy; any other refusal is an error with its message."""
    url = os.environ.get("GPTFS_URL", "http://127.0.0.1:8000").rstrip("/") + path
    headers = {"Content-Type": "application/json"}
    if os.environ.get("GPT_SERVE_TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["GPT_SERVE_TOKEN"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server is on this machine
    for attempt in range(TRIES):
        try:
            with opener.open(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            text = error.read(10_000).decode("utf-8", "replace")
            if error.code != 429 or attempt + 1 == TRIES:
                raise RuntimeError(f"{url} answered {error.code}: {text}") from error
        except urllib.error.URLError as error:
            if attempt + 1 == TRIES:
                raise RuntimeError(
                    f"no server at {url} ({error.reason}): start python -m gpt_from_scratch.evals.serve, or set GPTFS_URL"
                ) from error
        time.sleep(min(2.0**attempt / 2, 10))
    raise AssertionError("the last try returns or raises")


def main(argv: list[str]) -> None:
    """Add this module to evalugator's providers and run SAD's own command line."""
    from evalugator.api.dispatcher import PROVIDERS  # type: ignore[import-not-found, unused-ignore]

    PROVIDERS.append(sys.modules[__name__])
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["sad", *argv]
    runpy.run_module("sad.main", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
