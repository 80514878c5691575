"""Presets: named default settings of a run, as in `gpt train PRESET`. Options override them."""

import dataclasses

from gpt_from_scratch.models.config import GPT2_SIZES, GPTConfig
from gpt_from_scratch.training.config import RunConfig, TrainConfig
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.data.data_folder import data_folder
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.schedule import ScheduleConfig

DEFAULT = "tiny"

# Architecture with which a small GPT learns in far fewer steps than with GPT-2's.
MODERN = GPTConfig(position="rotary", qk_norm=True, activation="relu2", zero_init=True, bias=False, tie_head=False)

SHAKESPEARE = TrainConfig(
    preset="shakespeare-char",
    steps=400,
    batch_size=12,
    data=DataConfig(source="shakespeare", tokenizer="character"),
    model=dataclasses.replace(MODERN, block_size=128, n_layer=3, n_head=4, n_embd=128, ngram=4),
    optimizer=OptimizerConfig(name="muon", lr=0.03, muon_lr=0.02, weight_decay=0.0),
    schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.7),
    run=RunConfig(
        log_every=10, eval_every=50, eval_first=False, sample_every=200, checkpoint_every=200, sample_tokens=256
    ),
)

GPT2 = TrainConfig(
    preset="gpt2-124m",
    steps=19_073,  # 10 B tokens at 2^19 per step
    batch_size=512,
    micro_batch=32,
    compile=True,
    data=DataConfig(source="shards", path=data_folder() / "fineweb-edu", tokenizer="gpt2"),
    optimizer=OptimizerConfig(name="adamw", lr=6e-4, weight_decay=0.1),
    schedule=ScheduleConfig(warmup_steps=700, decay_fraction=0.9, final_fraction=0.1),
    run=RunConfig(eval_every=250, sample_every=1000, checkpoint_every=1000, keep_every=5000),
)


def _gpt2(name: str, size: str, lr: float, micro_batch: int) -> TrainConfig:
    return dataclasses.replace(
        GPT2,
        preset=name,
        model=GPT2_SIZES[size],
        micro_batch=micro_batch,
        optimizer=dataclasses.replace(GPT2.optimizer, lr=lr),
    )


FOR_A_CPU = ("tiny", "chat", "shakespeare-char", "shakespeare-char-long")
"""Presets that train on a CPU in minutes. `gpt train` uses --backend fastest for them, since the references are slow."""

PRESETS: dict[str, tuple[str, TrainConfig]] = {
    "tiny": (
        "short stories with a known floor, two minutes on two CPU cores",
        TrainConfig(
            preset="tiny",
            steps=560,
            batch_size=16,
            # A row holds one story: two stories in a row confuse each other's names.
            data=DataConfig(source="stories", tokenizer="bpe", vocab_size=1700, n_stories=12_000),
            model=dataclasses.replace(MODERN, block_size=168, n_layer=3, n_head=5, n_embd=160),
            optimizer=OptimizerConfig(name="muon", lr=0.05, embed_lr=0.2, muon_lr=0.02, weight_decay=0.0),
            schedule=ScheduleConfig(warmup_steps=30, decay_fraction=0.75),
            run=RunConfig(
                log_every=10,
                eval_every=140,
                eval_first=False,
                sample_every=140,
                checkpoint_every=140,
                n_samples=2,
                temperature=0.6,
                top_p=0.9,
            ),
        ),
    ),
    "shakespeare-char": (
        "Tiny Shakespeare by characters: validation loss below 1.88 in seconds, 1.61 in a minute on two CPU cores",
        SHAKESPEARE,
    ),
    "shakespeare-char-long": (
        "Tiny Shakespeare by characters: a larger model, twice the steps, validation loss below 1.5",
        dataclasses.replace(
            SHAKESPEARE,
            preset="shakespeare-char-long",
            steps=700,
            batch_size=16,
            # There are three epochs: longer n-grams, or weights without decay, would memorize the text.
            model=dataclasses.replace(SHAKESPEARE.model, block_size=256, n_layer=6, n_embd=256, ngram=3),
            optimizer=dataclasses.replace(SHAKESPEARE.optimizer, weight_decay=0.1),
            run=dataclasses.replace(
                SHAKESPEARE.run, eval_every=100, sample_every=0, checkpoint_every=100, sample_tokens=500
            ),
        ),
    ),
    "chat": (
        "questions about little scenes, each with one right answer; `gpt chat RUN` talks to it",
        TrainConfig(
            preset="chat",
            steps=800,
            batch_size=16,
            data=DataConfig(source="dialogues", tokenizer="bpe", vocab_size=560),
            model=dataclasses.replace(
                MODERN, block_size=128, n_layer=3, n_head=4, n_embd=128, ngram=3, document_mask=True
            ),
            optimizer=OptimizerConfig(name="muon", lr=0.05, embed_lr=0.2, muon_lr=0.02, weight_decay=0.0),
            schedule=ScheduleConfig(warmup_steps=30, decay_fraction=0.75),
            run=RunConfig(
                log_every=10,
                eval_every=200,
                eval_first=False,
                sample_every=0,
                checkpoint_every=200,
                n_final_samples=0,
            ),
        ),
    ),
    "tinystories": (
        "TinyStories with its own tokenizer, 8 M parameters (recipe in docs/tokenizer.md)",
        TrainConfig(
            preset="tinystories",
            steps=5_000,
            batch_size=64,
            data=DataConfig(source="shards", path=data_folder() / "tinystories"),
            model=dataclasses.replace(MODERN, block_size=512, n_layer=8, n_head=4, n_embd=256),
            optimizer=OptimizerConfig(name="muon", lr=0.01, embed_lr=0.05, muon_lr=0.02, weight_decay=0.0),
            schedule=ScheduleConfig(warmup_steps=50, decay_fraction=0.7),
            run=RunConfig(eval_every=500, sample_every=500, checkpoint_every=500, sample_tokens=400),
        ),
    ),
    "gpt2-124m": ("exactly GPT-2 124M, on shards of FineWeb-Edu", _gpt2("gpt2-124m", "gpt2", 6e-4, 32)),
    "gpt2-350m": ("exactly GPT-2 350M", _gpt2("gpt2-350m", "gpt2-medium", 3e-4, 16)),
    "gpt2-774m": ("exactly GPT-2 774M", _gpt2("gpt2-774m", "gpt2-large", 2.5e-4, 8)),
    "gpt2-1558m": ("exactly GPT-2 1558M", _gpt2("gpt2-1558m", "gpt2-xl", 2e-4, 4)),
    "gpt2-124m-modern": (
        "the size of GPT-2 124M with rotary positions, QK-norm, relu² and Muon: learns in far fewer steps",
        dataclasses.replace(
            GPT2,
            preset="gpt2-124m-modern",
            steps=6_000,
            model=MODERN,
            optimizer=OptimizerConfig(name="muon", lr=3e-3, muon_lr=0.02, weight_decay=0.01),
            schedule=ScheduleConfig(warmup_steps=100, decay_fraction=0.6),
        ),
    ),
}
