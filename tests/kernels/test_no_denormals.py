"""The state of a process while it trains."""

import torch

from gpt_from_scratch.kernels.cpu_speed import no_denormals


def test_numbers_too_small_to_be_normal_are_zero_while_a_run_lasts() -> None:
    tiny = torch.full((4,), 1e-30)
    assert (tiny * 1e-10 > 0).all()
    with no_denormals():
        assert (tiny * 1e-10 == 0).all()
    assert (tiny * 1e-10 > 0).all()
