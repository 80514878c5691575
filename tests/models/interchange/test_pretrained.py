"""Weights in Hugging Face's format: theirs in ours, ours in theirs, and what is refused."""

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models import weight_files
from gpt_from_scratch.models.gpt import GPT, GPTConfig

TINY = GPTConfig(block_size=16, vocab_size=50, n_layer=2, n_head=4, n_embd=32)
MODERN = GPTConfig(
    **{
        **vars(TINY),
        "position": "rotary",
        "qk_norm": True,
        "tie_head": False,
        "bias": False,
        "zero_init": True,
        "ngram": 2,
    }
)


def make(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def same(first: GPT, second: GPT) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_ours_loads_in_transformers_with_equal_logits(tmp_path: Path) -> None:
    from transformers import GPT2LMHeadModel

    model = make(TINY)
    model.save_pretrained(tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    tokens = torch.randint(50, (3, 16))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)


def test_theirs_loads_in_ours_and_goes_back_bit_equal(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=16, n_embd=32, n_layer=2, n_head=4)).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    model = GPT.from_pretrained(tmp_path / "theirs")
    tokens = torch.randint(50, (3, 16))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)
    model.save_pretrained(tmp_path / "ours")
    back = GPT2LMHeadModel.from_pretrained(tmp_path / "ours").state_dict()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, back[name]), name


@pytest.mark.parametrize("config", [TINY, MODERN], ids=["gpt2", "modern"])
def test_a_round_trip_is_bit_equal(config: GPTConfig, tmp_path: Path) -> None:
    model = make(config)
    model.save_pretrained(tmp_path)
    loaded = GPT.from_pretrained(tmp_path)
    assert same(model, loaded)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == ("gpt2" if config == TINY else "gpt_from_scratch")
    assert loaded.config.beyond_gpt2() == config.beyond_gpt2()


def test_the_hubs_older_names_load_too(tmp_path: Path) -> None:
    """gpt2 on the hub has no "transformer." prefix and keeps mask buffers."""
    model = make(TINY)
    model.save_pretrained(tmp_path)
    tensors = weight_files.read_file(tmp_path / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old |= {f"h.{i}.attn.bias": torch.ones(1, 1, 16, 16).tril() for i in range(2)}
    weight_files.save_tensors(tmp_path / "model.safetensors", old)
    assert same(model, GPT.from_pretrained(tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("activation_function", "relu", "activation_function is 'relu'"),
        ("scale_attn_by_inverse_layer_idx", True, "scale_attn_by_inverse_layer_idx"),
        ("n_inner", 99, "n_inner is 99"),
        ("model_type", "mamba", "model_type is 'mamba'"),
        ("n_head", 5, "must divide"),
        ("n_embd", 64, "names or shapes differ"),
    ],
)
def test_a_foreign_config_is_refused_by_field(key: str, value: object, message: str, tmp_path: Path) -> None:
    make(TINY).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ValueError, match=message):
        GPT.from_pretrained(tmp_path)


def test_damage_is_named(tmp_path: Path) -> None:
    make(TINY).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        GPT.from_pretrained(tmp_path)
    weights.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="is a pickle, which is never loaded"):
        GPT.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        GPT.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        GPT.from_pretrained(tmp_path / "nowhere")


def test_a_shard_index_may_not_leave_its_folder(tmp_path: Path) -> None:
    make(TINY).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"wte.weight": "../outside.safetensors"}}')
    with pytest.raises(ValueError, match="no plain safetensors name"):
        GPT.from_pretrained(tmp_path)


def test_a_model_comes_from_a_hub_by_name(tmp_path: Path) -> None:
    """The real downloader against a local server that speaks the hub's protocol."""
    make(TINY).save_pretrained(tmp_path / "served")
    names = ["config.json", "model.safetensors"]

    class Hub(http.server.BaseHTTPRequestHandler):
        def answer(self, body: bool) -> None:
            name = self.path.rpartition("/")[2]
            if self.path.startswith("/someone/tiny/resolve/") and name in names:
                data = (tmp_path / "served" / name).read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{name}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = "import sys; from gpt_from_scratch.models.gpt import GPT; print(GPT.from_pretrained(sys.argv[1]).num_parameters())"
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    try:
        results = [
            subprocess.run(
                [sys.executable, "-c", code, name], env=environment, capture_output=True, text=True, check=False
            )
            for name in ("someone/tiny", "someone/other")
        ]
    finally:
        server.shutdown()
        server.server_close()
    assert results[0].stdout.strip() == str(make(TINY).num_parameters()), results[0].stderr
    assert "the hub did not provide 'someone/other'" in results[1].stderr


@pytest.mark.parametrize("said", [True, None, False], ids=["tied", "nothing", "untied"])
@pytest.mark.parametrize("differs", [True, False])
def test_a_head_of_its_own_is_kept_as_transformers_keeps_it(
    tmp_path: Path, said: bool | None, differs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import GPT2LMHeadModel

    make(TINY).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(config | ({} if said is None else {"tie_word_embeddings": said})))
    tensors = weight_files.read_file(tmp_path / "model.safetensors")
    head = tensors["transformer.wte.weight"].clone()
    tensors["lm_head.weight"] = head.roll(1, 0) if differs else head
    weight_files.save_tensors(tmp_path / "model.safetensors", tensors)
    model, theirs = GPT.from_pretrained(tmp_path), GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    tokens = torch.randint(50, (3, 16))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)
    assert model.config.tie_head == (said is not False and not differs)
    assert ("lm_head.weight is not the embedding" in caplog.text) == (said is not False and differs)
    model.save_pretrained(tmp_path / "again")
    assert same(model, GPT.from_pretrained(tmp_path / "again"))


def test_a_head_that_is_said_to_be_there_and_is_not_is_named(tmp_path: Path) -> None:
    make(TINY).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.bool, torch.float8_e4m3fn], ids=str)
def test_weights_that_are_no_floats_are_refused_by_name(tmp_path: Path, dtype: torch.dtype) -> None:
    make(TINY).save_pretrained(tmp_path)
    tensors = weight_files.read_file(tmp_path / "model.safetensors")
    name = "transformer.h.1.mlp.c_fc.weight"
    weight_files.save_tensors(tmp_path / "model.safetensors", {**tensors, name: tensors[name].to(dtype)})
    with pytest.raises(
        ValueError, match=r"model\.safetensors: transformer\.h\.1\.mlp\.c_fc\.weight has dtype .*quantized"
    ):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_weights_of_any_floating_type_load(tmp_path: Path, dtype: torch.dtype) -> None:
    model = make(TINY)
    model.save_pretrained(tmp_path)
    tensors = weight_files.read_file(tmp_path / "model.safetensors")
    weight_files.save_tensors(tmp_path / "model.safetensors", {name: t.to(dtype) for name, t in tensors.items()})
    loaded = GPT.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], t.to(dtype).float()) for name, t in model.state_dict().items())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, number: float) -> None:
    model = make(MODERN)
    with torch.no_grad():
        model.h[1].attn.c_proj.weight[3, 4] = number
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"model\.safetensors: NaN or infinity in h\.1\.attn\.c_proj\.weight"):
        GPT.from_pretrained(tmp_path)
