"""lm-evaluation-harness and inspect on a checkpoint of ours: every way to the same figures."""

import itertools
import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lm_eval
import lm_eval.tasks
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.harness.lm_eval_adapter import GPTFromScratchLM
from gpt_from_scratch.evals.scoring.hellaswag import evaluate_hellaswag
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange.hugging_face import write_beside
from tests.evals.harness.conftest import TEXT

pytestmark = pytest.mark.harness


LOCAL = "dataset_path: json\ndataset_kwargs: {data_files: {validation: %s}}\nvalidation_split: validation\n"
TASKS = {
    "choices": "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: choices\ndoc_to_target: gold\n"
    "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
    "rolling": "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: text\n"
    "metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]\n",
    "generation": "output_type: generate_until\ndoc_to_text: q\ndoc_to_target: answer\nmetric_list: [{metric: exact_match}]\n"
    "generation_kwargs: {until: ['. ', 'q'], do_sample: false, max_gen_toks: 12}\n",
}


def instances(kind: str, *arguments: tuple[Any, ...]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, one, index) for index, one in enumerate(arguments)]


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "gpt_from_scratch.evals.serve", "--checkpoint", str(folder), "--port", "0"]
    with subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[4]
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three local tasks, and lm-eval's own HellaSwag on local rows."""
    root = tmp_path_factory.mktemp("tasks")
    words = ["river", "wall", "man", "song", "stop", "sea"]
    rows: dict[str, list[dict[str, Any]]] = {
        "choices": [
            {"q": f"The {word} of the {other}" + " " * (i % 2), "choices": ["sits.", "walks away", "é"], "gold": i % 3}
            for i, (word, other) in enumerate(itertools.pairwise(words))
        ],
        "rolling": [{"text": f"{word} and a man"} for word in words],
        "generation": [{"q": f"The {word}", "answer": "sings"} for word in words],
        "hellaswag_local": [
            {
                "ind": i,
                "activity_label": "Swimming",
                "ctx_a": f"A man [title] {word}  walks.",
                "ctx_b": "he STOPS",
                "ctx": f"A man [title] {word}  walks. he STOPS",
                "endings": ["and sings.", f"[step] then {word}.", "at the river, and sits down there.", "é."],
                "label": str(i % 4),
            }
            for i, word in enumerate(words)
        ],
    }
    for name, some in rows.items():
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    for name, text in TASKS.items():
        (root / f"{name}.yaml").write_text(f"task: {name}\n{LOCAL % (root / f'{name}.jsonl')}{text}")
    theirs = Path(lm_eval.tasks.__file__).parent / "hellaswag" / "hellaswag.yaml"
    (root / "hellaswag_local.yaml").write_text(
        f"include: {theirs}\ntask: hellaswag_local\ntraining_split: null\n{LOCAL % (root / 'hellaswag_local.jsonl')}"
    )
    return root


NAMES = [*TASKS, "hellaswag_local"]


def evaluate(model: Any, tasks: Path, **options: Any) -> dict[str, Any]:
    manager = lm_eval.tasks.TaskManager(include_path=str(tasks), include_defaults=False)
    result = lm_eval.simple_evaluate(
        model=model, tasks=NAMES, task_manager=manager, bootstrap_iters=0, log_samples=True, **options
    )
    assert result is not None
    return dict(result)


@pytest.fixture(scope="session")
def ours(checkpoint: OpenedModel, tasks: Path) -> dict[str, Any]:
    return evaluate(GPTFromScratchLM(checkpoint), tasks)


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Every metric, every log-likelihood and every generated text."""
    for name in NAMES:
        for metric, value in one["results"][name].items():
            if isinstance(value, float):
                assert other["results"][name][metric] == pytest.approx(value, rel=1e-6, abs=1e-4), (name, metric)
        for mine, theirs in zip(one["samples"][name], other["samples"][name], strict=True):
            for a, b in zip(mine["filtered_resps"], theirs["filtered_resps"], strict=True):
                if isinstance(a, str | float):
                    assert a == (pytest.approx(b, abs=1e-4) if isinstance(a, float) else b)
                else:
                    assert a[0] == pytest.approx(b[0], abs=1e-4) and a[1] == b[1], (name, a, b)


def test_the_server_gives_what_the_adapter_gives(ours: dict[str, Any], url: str, tasks: Path) -> None:
    arguments = {
        "model": "tiny",
        "base_url": f"{url}/completions",
        "tokenizer_backend": "remote",
        "max_length": 97,
        "num_concurrent": 4,
        "batch_size": 3,
    }
    assert_same(ours, evaluate("local-completions", tasks, model_args=arguments))


def test_transformers_gives_what_the_adapter_gives(ours: dict[str, Any], folder: Path, tasks: Path) -> None:
    assert_same(ours, evaluate("hf", tasks, model_args={"pretrained": str(folder), "device": "cpu"}))


def test_transformers_gives_the_same_of_an_architecture_of_our_own(
    checkpoint: OpenedModel, tasks: Path, tmp_path: Path
) -> None:
    """By the modelling file that lies in the folder; the batches are padded on the left and on the right."""
    torch.manual_seed(1)
    modern = {"position": "rotary", "qk_norm": True, "activation": "relu2", "n_kv_head": 1, "bias": False, "ngram": 3}
    model = GPT(GPTConfig(**{**vars(checkpoint.model.config), **modern})).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(tmp_path)
    write_beside(tmp_path, model.config, checkpoint.tokenizer, card=None)
    mine = evaluate(GPTFromScratchLM(OpenedModel(model, checkpoint.tokenizer, "modern")), tasks)
    theirs = {"pretrained": str(tmp_path), "device": "cpu", "trust_remote_code": True}
    assert_same(mine, evaluate("hf", tasks, model_args=theirs, batch_size=3))


def test_our_hellaswag_equals_theirs(ours: dict[str, Any], checkpoint: OpenedModel, tasks: Path) -> None:
    result = evaluate_hellaswag(checkpoint.model, checkpoint.tokenizer, tasks / "hellaswag_local.jsonl")
    accuracies = result.accuracies()
    figures = ours["results"]["hellaswag_local"]
    assert accuracies["lm_eval/acc"].value == figures["acc,none"]
    assert accuracies["lm_eval/acc_norm_char"].value == figures["acc_norm,none"]
    for row, sample in zip(result.scores["lm_eval"], ours["samples"]["hellaswag_local"], strict=True):
        assert row.logprobs == pytest.approx([answer[0] for answer in sample["filtered_resps"]], abs=1e-4)


def test_the_results_are_not_all_the_same(ours: dict[str, Any]) -> None:
    """Or the comparisons above would compare nothing."""
    for name in ("choices", "hellaswag_local"):
        values = [answer[0] for sample in ours["samples"][name] for answer in sample["filtered_resps"]]
        assert len(set(values)) > len(values) / 2
    texts = [sample["filtered_resps"][0] for sample in ours["samples"]["generation"]]
    assert len(set(texts)) > 1 and any(texts)


def test_a_text_longer_than_the_context(checkpoint: OpenedModel, folder: Path) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    text = TEXT * 9
    instance = Instance("loglikelihood_rolling", {}, (text,), 0)
    mine = GPTFromScratchLM(checkpoint).loglikelihood_rolling([instance])
    theirs = HFLM(pretrained=str(folder), device="cpu").loglikelihood_rolling([instance])
    assert mine == pytest.approx(theirs, rel=1e-5)


def test_by_name_and_a_string_of_arguments(ours: dict[str, Any], folder: Path, tasks: Path) -> None:
    """As the command line gives them, batch_size included."""
    assert_same(
        ours, evaluate("gpt_from_scratch", tasks, model_args=f"checkpoint={folder}", device="cpu", batch_size=2)
    )


@pytest.fixture(scope="session")
def theirs(folder: Path) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(folder), device="cpu")


words = st.text(st.sampled_from("thermanwlis .é\n"), max_size=12) | st.sampled_from(
    [TEXT * 2, "A man wal", "ks to the ri", " "]
)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(words, words), min_size=1, max_size=6))
def test_pairs_are_encoded_and_scored_as_lm_evals_own_model_does(
    checkpoint: OpenedModel, theirs: Any, pairs: list[tuple[str, str]]
) -> None:
    """Wherever lm-eval's own model does not end: it refuses a pair of which no token is left for the continuation."""
    ours = GPTFromScratchLM(checkpoint)
    answers = ours.loglikelihood(instances("loglikelihood", *pairs), disable_tqdm=True)
    assert len(answers) == len(pairs) and all(math.isfinite(value) and value <= 0 for value, _ in answers)
    shared = []
    for pair, answer in zip(pairs, answers, strict=True):
        context, own = theirs._encode_pair(*pair) if pair[0].strip() and pair[1] else ([], [])
        if context and own:
            assert ours._encode_pair(*pair) == (context, own)
            if len(own) <= checkpoint.context:
                shared.append((pair, answer))
    expected = theirs.loglikelihood(instances("loglikelihood", *[pair for pair, _ in shared]), disable_tqdm=True)
    for (_, (value, greedy)), (their_value, their_greedy) in zip(shared, expected, strict=True):
        assert value == pytest.approx(their_value, abs=2e-3) and greedy == their_greedy


def test_a_token_across_the_join_ends_no_run(tasks: Path, checkpoint: OpenedModel) -> None:
    """A `target_delimiter` of "" is enough for one."""
    tokenizer = checkpoint.tokenizer
    assert len(tokenizer.encode_ordinary("The riv")) >= len(tokenizer.encode_ordinary("The river"))
    ours = GPTFromScratchLM(checkpoint)
    assert ours._encode_pair("The riv", "er") == (
        tokenizer.encode_ordinary("The riv"),
        tokenizer.encode_ordinary("er"),
    )
    rows = [{"q": "The riv", "choices": ["er", "er and", "s"], "gold": 0}]
    (tasks / "joined.jsonl").write_text(json.dumps(rows[0]) + "\n")
    head = f"task: joined\ntarget_delimiter: ''\n{LOCAL % (tasks / 'joined.jsonl')}"
    (tasks / "joined.yaml").write_text(head + TASKS["choices"])
    manager = lm_eval.tasks.TaskManager(include_path=str(tasks), include_defaults=False)
    result = lm_eval.simple_evaluate(
        model=ours, tasks=["joined"], task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    assert result is not None
    (sample,) = result["samples"]["joined"]
    assert all(value < 0 for value, _ in sample["filtered_resps"])


def test_empty_sides(checkpoint: OpenedModel, theirs: Any) -> None:
    ours = GPTFromScratchLM(checkpoint)
    both = instances("loglikelihood", ("", "A man"), ("", ""), ("A man", ""), ("  ", "A man"))
    answers = ours.loglikelihood(both)
    assert answers[1:3] == [(0.0, True), (0.0, True)]
    assert answers[0][0] == pytest.approx(theirs.loglikelihood(both[:1])[0][0], abs=1e-4)
    assert ours.loglikelihood_rolling(instances("loglikelihood_rolling", ("",), ("A",)))[0] == 0.0
    assert ours.loglikelihood([]) == [] and ours.generate_until([]) == []


@pytest.mark.parametrize(
    "harmless",
    [
        {"num_beams": 1},
        {"top_k": 0},
        {"top_k": -1, "top_p": 1.0},
        {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "use_cache": True},
        {"temperature": None, "top_p": None, "do_sample": None},
        {"length_penalty": 1.0, "early_stopping": False, "num_return_sequences": 1, "min_p": 0.0},
    ],
)
def test_settings_that_change_nothing_end_no_run(checkpoint: OpenedModel, harmless: dict[str, Any]) -> None:
    model = GPTFromScratchLM(checkpoint)
    plain = model.generate_until(instances("generate_until", ("The river", {"until": ["."], "max_gen_toks": 8})))
    for until in (["."], ".", [".", ""]):
        asked = {"until": until, "max_new_tokens": 8, **harmless}
        assert model.generate_until(instances("generate_until", ("The river", asked))) == plain
    for none in ([], None, "", [""]):
        asked = {"until": none, "max_gen_toks": 8, **harmless}
        (text,) = model.generate_until(instances("generate_until", ("The river", asked)))
        assert text.startswith(plain[0]) and text


@pytest.mark.parametrize(
    "asked",
    [
        {"repetition_penalty": 2.0},
        {"num_beams": 4},
        {"min_p": 0.1},
        {"no_repeat_ngram_size": 3},
        {"guidance": "x"},
        {"logit_bias": {5: 1.0}},
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(checkpoint: OpenedModel, asked: dict[str, Any]) -> None:
    model = GPTFromScratchLM(checkpoint)
    ((name, value),) = asked.items()
    with pytest.raises(ValueError, match=re.escape(f"asks for {name}={value!r}, which generation here does not have")):
        model.generate_until(instances("generate_until", ("A", {"until": ["."], **asked})))
    sampled = {"until": [], "do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_gen_toks": 5}
    assert len(model.generate_until(instances("generate_until", ("A", sampled)))[0]) > 0


def test_a_stop_that_is_no_text_is_named(checkpoint: OpenedModel) -> None:
    with pytest.raises(ValueError, match=r"the task's until is \[5\], expected texts"):
        GPTFromScratchLM(checkpoint).generate_until(
            instances("generate_until", ("A", {"until": [5], "max_gen_toks": 4}))
        )


def test_repeats_of_a_sampled_request_are_texts_of_their_own(checkpoint: OpenedModel) -> None:
    """As lm-eval clones the instances of a task with `repeats`; the others beside them, and their order, do not matter."""
    model = GPTFromScratchLM(checkpoint)
    sampled = {"until": ["q"], "do_sample": True, "temperature": 1.0, "max_gen_toks": 16}
    one, other = instances("generate_until", ("A man walks", sampled), ("Then the man", sampled))
    texts = model.generate_until([one] * 8 + [other] * 8)
    assert len(set(texts[:8])) == len(set(texts[8:])) == 8
    assert model.generate_until([one] * 8 + [other] * 8) == texts, "the same call gives the same texts"
    assert model.generate_until([one for pair in zip([other] * 8, [one] * 8, strict=True) for one in pair]) == [
        text for pair in zip(texts[8:], texts[:8], strict=True) for text in pair
    ]
    greedy = instances("generate_until", ("A man walks", {**sampled, "do_sample": False}))
    assert len(set(model.generate_until(greedy * 3))) == 1
