"""Parity cases of attention."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case


def attention_cases() -> Iterator[Case]:
    """Lengths on both sides of every block boundary, cached decoding, ragged batches, grouped queries, odd layouts."""
    for tq in (1, 97, 113, 203, 1023, 1024, 1025):
        yield case(f"causal-t{tq}", tq=tq, tk=tq)
    for d in (16, 32, 40, 64, 80, 128):
        yield case(f"causal-d{d}", d=d)
        yield case(f"full-d{d}", d=d, causal=False)
    for tq, tk in ((1, 239), (1, 64), (3, 799), (65, 128), (113, 203), (203, 113), (128, 256), (1024, 1023)):
        yield case(f"causal-{tq}-of-{tk}", tq=tq, tk=tk)
        yield case(f"full-{tq}-of-{tk}", tq=tq, tk=tk, causal=False)
    yield case("grouped", hq=6, hkv=2)
    yield case("multi-query", hq=4, hkv=1, tq=64, tk=64)
    yield case("ragged", b=4, lengths=(97, 50, 1, 0))
    yield case("ragged-int32", b=4, lengths=(97, 50, 1, 0), integers=torch.int32)
    yield case("ragged-full", b=4, lengths=(97, 50, 1, 0), causal=False)
    yield case("ragged-decode", b=3, tq=1, tk=130, lengths=(130, 64, 7))
    yield case("ragged-grouped-chunk", b=2, hq=4, hkv=2, tq=16, tk=80, lengths=(80, 40))
    yield case("decode-grouped", hq=12, hkv=2, tq=1, tk=300, lengths=(300, 70))
    yield case("decode-grouped-chunk", b=1, hq=6, hkv=2, tq=7, tk=150, d=40)
    yield case("decode-multi-query", hq=20, hkv=1, tq=1, tk=130, d=80)
    yield case("decode-many-splits", b=1, hq=1, tq=8, tk=1921, d=16)
    yield case("scale", scale=0.25)
    yield case("large-logits", size=8.0)
    yield case("early-peak", tq=200, tk=200, peak=64.0)
    # Scores of hundreds times a scale that is no power of two would round by more than the rule allows, also torch's.
    yield case("early-peak-d80", tq=200, tk=200, d=80, causal=False, scale=0.125, peak=64.0)
    yield case("no-rows", b=0)
    yield case("no-queries", tq=0, tk=8)
    yield case("packed", packed=True)
    yield case("packed-1024", packed=True, tq=1024, tk=1024)
    for grad in ("expanded", "strided", "transposed", "sliced"):
        yield case(f"grad-{grad}", grad=grad)
    yield from bounded_cases()
    yield from scored_cases()


def bounded_cases() -> Iterator[Case]:
    """Documents and windows: within a block and across many, ids that return, padding, caches, every combination."""
    yield case("documents", b=1, hq=1, tq=203, tk=203, documents=(50, 14, 1, 64, 74))
    yield case("documents-of-a-block", b=1, hq=1, tq=256, tk=256, documents=(64, 128, 64))
    yield case("documents-whole", documents=(97,))
    yield case("documents-of-one-token", tq=67, tk=67, d=16, documents=(1,) * 67)
    yield case("documents-full", b=1, hq=1, tq=203, tk=203, causal=False, documents=(50, 14, 1, 64, 74))
    yield case("documents-int32", documents=(40, 57), integers=torch.int32)
    yield case("documents-ragged", b=4, lengths=(97, 50, 1, 0), documents=(30, 30, 37))
    yield case("documents-ragged-full", b=4, lengths=(97, 50, 1, 0), causal=False, documents=(30, 30, 37))
    yield case("documents-grouped", hq=4, hkv=2, tq=70, tk=70, d=16, documents=(40, 30))
    yield case("documents-chunk", b=1, hq=1, tq=20, tk=300, documents=(100, 185, 15))
    yield case("documents-decode", b=3, tq=1, tk=300, lengths=(300, 170, 7), documents=(100, 150, 50))
    yield case("documents-more-queries", b=1, hq=1, tq=203, tk=113, documents=(50, 63))
    yield case("documents-d80", d=80, documents=(33, 64))
    yield case("documents-no-queries", tq=0, tk=8, documents=(3, 5))
    for window in (1, 2, 64, 65, 96, 97, 1000):
        yield case(f"window-{window}", b=1, d=16, window=window)
    yield case("window-of-blocks", b=1, hq=1, tq=256, tk=256, d=16, window=130)
    yield case("window-full", b=1, hq=1, tq=203, tk=203, causal=False, window=40)
    yield case("window-ragged", b=4, lengths=(97, 50, 1, 0), window=33)
    yield case("window-ragged-full", b=4, lengths=(97, 50, 1, 0), causal=False, window=33)
    yield case("window-decode", b=3, tq=1, tk=700, lengths=(700, 64, 7), window=290)
    yield case("window-chunk", b=1, hq=1, tq=16, tk=399, window=200)
    yield case("window-early-peak", b=1, hq=1, tq=200, tk=200, window=150, peak=64.0)
    yield case("window-more-queries", b=1, hq=1, tq=203, tk=113, window=20)
    yield case("documents-window", b=1, hq=2, hkv=1, tq=203, tk=203, documents=(120, 83), window=50)
    yield case("documents-window-full", b=1, hq=1, tq=203, tk=203, causal=False, documents=(120, 83), window=50)
    yield case("documents-1024", tq=1024, tk=1024, packed=True, documents=(300, 1, 500, 223), window=256)


def scored_cases() -> Iterator[Case]:
    """Capped scores and sinks, small and large, alone and together."""
    yield case("softcap", softcap=5.0, size=3.0)
    yield case("softcap-large", softcap=50.0)
    yield case("softcap-small", softcap=0.5, d=16)
    yield case("softcap-full-d80", softcap=3.0, d=80, causal=False)
    yield case("softcap-decode", softcap=5.0, tq=1, tk=300, lengths=(300, 64))
    yield case("sinks", sinks=1.0)
    yield case("sinks-high", sinks=1.0, sink_shift=30.0)
    yield case("sinks-low", sinks=1.0, sink_shift=-30.0)
    yield case("sinks-fp32", hq=4, hkv=2, sinks=2.0, sinks_fp32=True)
    yield case("sinks-ragged", b=4, lengths=(97, 50, 1, 0), sinks=1.0)
    yield case("sinks-decode", b=3, tq=1, tk=300, lengths=(300, 64, 0), sinks=1.0)
    yield case("sinks-early-peak", b=1, hq=1, tq=200, tk=200, sinks=1.0, peak=64.0)
    yield case("sinks-decode-grouped", hq=4, hkv=2, tq=2, tk=300, d=16, sinks=1.0)
    yield case("sinks-no-keys", tq=3, tk=0, sinks=1.0)
    yield case("everything", hq=2, hkv=1, tq=203, tk=203, documents=(90, 113), window=70, softcap=4.0, sinks=1.0)
    yield case(
        "everything-full",
        b=1,
        hq=1,
        tq=130,
        tk=130,
        causal=False,
        documents=(90, 40),
        window=30,
        softcap=4.0,
        sinks=1.0,
    )


def case(
    name: str,
    *,
    b: int = 2,
    hq: int = 2,
    hkv: int = 0,
    tq: int = 97,
    tk: int = 97,
    d: int = 64,
    causal: bool = True,
    scale: float | None = None,
    lengths: tuple[int, ...] | None = None,
    integers: torch.dtype = torch.int64,
    documents: tuple[int, ...] | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: float | None = None,
    sink_shift: float = 0.0,
    sinks_fp32: bool = False,
    size: float = 1.0,
    peak: float = 1.0,
    packed: bool = False,
    grad: str = "dense",
) -> Case:
    """One case; `packed` takes q, k and v as strided views of one projection, as the model does; `hkv` 0 is `hq`.

    `documents` are the lengths of a row's documents; the next row begins with the last of them, and so on. `size`
    multiplies the queries, `peak` the first keys, whose scores then lie far above or below all others, `sinks` the sinks.
    """
    hkv = hkv or hq

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        if packed:
            projection = torch.randn(b, tq, 3, hq, d, generator=generator).to(dtype)
            q, k, v = (x.transpose(1, 2) for x in projection.unbind(2))
        else:
            q = (torch.randn(b, hq, tq, d, generator=generator) * size).to(dtype)
            k, v = (torch.randn(b, hkv, tk, d, generator=generator).to(dtype) for _ in range(2))
            k[:, :, :3] *= peak
        made: dict[str, Any] = {"q": q, "k": k, "v": v, "causal": causal, "scale": scale}
        made["kv_lengths"] = None if lengths is None else torch.tensor(lengths, dtype=integers)
        if documents is not None:
            made["documents"] = torch.stack([ids_of(documents, row, integers) for row in range(b)])
        if sinks is not None:
            drawn = torch.randn(hq, generator=generator) * sinks + sink_shift
            made["sinks"] = drawn.to(torch.promote_types(dtype, torch.float32) if sinks_fp32 else dtype)
        return made | {"window": window, "softcap": softcap}

    layout = "packed inputs" if packed else None
    compiled = name in ("causal-t97", "ragged", "everything")
    return Case(name, make, grad, tq * tk > 2**16, layout, compiled=compiled)


def ids_of(runs: tuple[int, ...], row: int, dtype: torch.dtype) -> Int[Tensor, " t"]:
    """Two ids in turns for runs of these lengths, of which the row's number says the first."""
    turned = runs[row % len(runs) :] + runs[: row % len(runs)]
    return torch.tensor([5 if n % 2 else -1 for n in range(len(runs))], dtype=dtype).repeat_interleave(
        torch.tensor(turned)
    )
