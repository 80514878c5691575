"""The model file for transformers, where it does not know a setting."""

import pytest


def test_positions_that_it_does_not_know_are_refused() -> None:
    """A position encoding that is added to the GPT alone is not taken for another one."""
    pytest.importorskip("transformers")
    from gpt_from_scratch.models.interchange.configuration_gpt_from_scratch import GPTFromScratchConfig

    assert GPTFromScratchConfig(position="rotary").position == "rotary"
    with pytest.raises(ValueError, match="position is 'sinusoidal': this file knows learned and rotary positions only"):
        GPTFromScratchConfig(position="sinusoidal")
