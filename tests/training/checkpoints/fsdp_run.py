"""Trains a small GPT with FSDP2 and saves it, all ranks together:

    torchrun --nproc-per-node 2 -m tests.training.checkpoints.fsdp_run FOLDER

It saves step 2 and goes on to step 4 while the save is written; what every tensor was at step 2 goes to FOLDER/expected.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.support.process_groups import leave_group
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.checkpoints.parts import own_part, put
from gpt_from_scratch.training.ranks.process_group import ranks_from_environment
from tests.training.checkpoints.run import TOKENIZER

CONFIG = GPTConfig(block_size=8, vocab_size=TOKENIZER.n_vocab, n_layer=2, n_head=2, n_embd=12)  # 12: no multiple of 8


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = ranks_from_environment()
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (ranks.size,))
    torch.manual_seed(0)
    model = GPT(CONFIG)
    for block in model.h:  # branch by branch, as training does
        fully_shard(block.attn, mesh=mesh)
        fully_shard(block.mlp, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(CONFIG.vocab_size, (2, 8))
    for step in range(4):
        model(tokens, tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step == 1:
            weights, moments = model.state_dict(), state_of(model, optimizer)
            expected = {name: whole(t) for name, t in {**weights, **moments}.items()}
            store = CheckpointStore(folder / "checkpoints")
            try:
                store.save(2, config=CONFIG, weights=weights, tokenizer=TOKENIZER, tensors={}, state={})
                raise AssertionError("sharded tensors were taken for whole ones")
            except ValueError as error:
                assert "wte.weight is sharded" in str(error)
            store.save(
                2,
                config=CONFIG,
                weights=own_part(weights, ranks),
                tokenizer=TOKENIZER,
                tensors=own_part(moments, ranks),
                state={"step": 2},
                wait=False,
                ranks=ranks,
            )
    store.finish()
    if ranks.is_first:
        save_file(expected, folder / "expected.safetensors")
    dist.barrier()
    loaded = store.load()
    assert loaded is not None
    state = {**loaded.model().state_dict(), **loaded.tensors}
    for name, tensor in {**model.state_dict(), **state_of(model, optimizer)}.items():
        put(tensor, state[name])  # back to step 2, sharded again
        assert torch.equal(whole(tensor), expected[name]), name
    leave_group()


def state_of(model: GPT, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {f"{key}.{name}": value for name, p in model.named_parameters() for key, value in optimizer.state[p].items()}


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().clone()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
