"""Heads made to have a habit are found to have it."""

import pytest
import torch

from gpt_from_scratch.models.attention_habits import HABITS, habits, most_telling, places

TOKENS = [5, 1, 2, 3, 1, 2, 3, 4]


@pytest.mark.parametrize("name", HABITS)
def test_a_head_with_one_habit(name: str) -> None:
    """It gives 0.9 of its attention to the places of its habit, evenly, and the rest to all that it may look at."""
    t = len(TOKENS)
    allowed = torch.ones(t, t).tril()
    where = places(TOKENS)[name].float()
    assert where.sum() > 0 and (where * (1 - allowed)).sum() == 0
    even, own = allowed / allowed.sum(-1, keepdim=True), where / where.sum(-1, keepdim=True).clamp_min(1)
    share = 0.9 * (where.sum(-1, keepdim=True) > 0)
    maps = torch.stack([even, share * own + (1 - share) * even])[None]
    plain, one = habits(maps, TOKENS)
    assert (one.layer, one.head, one.name) == (0, 1, name)
    rows = where.any(-1)
    assert one.share == pytest.approx(float((maps[0, 1] * where).sum(-1)[rows].mean()))
    assert 0.9 <= one.share < 1
    assert one.sentence == f"Looks at {HABITS[name]}: {one.share:.0%} of its attention."
    assert plain.tokens == pytest.approx(torch.arange(1, t + 1).log().mean().exp().item())


def test_attention_everywhere_is_no_habit() -> None:
    even = torch.ones(20, 20).tril()
    (one,) = habits((even / even.sum(-1, keepdim=True))[None, None], range(20))
    assert one.name is None
    assert one.sentence == f"Spreads its attention over {one.tokens:.1f} tokens."


def test_a_text_of_one_token_has_no_habit() -> None:
    (one,) = habits(torch.ones(1, 1, 1, 1), [3])
    assert (one.name, one.share, one.tokens) == (None, 0.0, 1.0)


def test_one_of_each_habit_comes_before_a_second_of_any() -> None:
    before, itself = torch.eye(4).roll(-1, 1), torch.eye(4)
    before[0] = itself[0]
    before = torch.cat([itself[:1], itself[:-1]])
    maps = torch.stack([itself, itself, before, itself])[None]
    found = habits(maps, [1, 2, 3, 4])
    assert [one.name for one in most_telling(found, 2)] == ["itself", "before"]
    assert [one.head for one in most_telling(found, 3)] == [0, 1, 2]
    assert len(most_telling(found, 9)) == 4
