"""Whose turn it is among owners that wait."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.models.generation.turns import Owner, WaitingLine


def test_one_owner_is_served_in_order() -> None:
    line: WaitingLine[int] = WaitingLine()
    for number in range(5):
        line.join((), number)
    assert [line.take() for _ in range(5)] == list(range(5)) and not line


def test_owners_take_turns_and_clients_before_requests() -> None:
    line: WaitingLine[str] = WaitingLine()
    owners: list[Owner] = [("a", 1)] * 6 + [("a", 2)] * 6 + [("b", 3)] * 6
    for owner in owners:
        line.join(owner, f"{owner[0]}{owner[1]}")
    first = Counter(line.take() for _ in range(8))
    assert first == {"a1": 2, "a2": 2, "b3": 4}


def test_a_newcomer_neither_waits_for_what_others_had_nor_is_owed_it() -> None:
    line: WaitingLine[str] = WaitingLine()
    for _ in range(100):
        line.join(("a", 1), "old")
    for _ in range(50):
        line.take()
    for _ in range(10):
        line.join(("b", 2), "new")
    order = [line.take() for _ in range(12)]
    assert order[0] == "new", "it waits for nobody"
    assert 5 <= order.count("new") <= 7, "and takes no more than its half"


def test_who_waits_after_a_turn_goes_on_first_of_its_owner() -> None:
    line: WaitingLine[str] = WaitingLine()
    line.join(("a", 1), "first")
    line.join(("a", 1), "second")
    line.put_back(("a", 1), line.take())
    assert line.take() == "first"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=40), st.data())
def test_nobody_is_forgotten_and_no_account_stays(owners: list[tuple[str, int]], data: st.DataObject) -> None:
    line: WaitingLine[tuple[tuple[str, int], int]] = WaitingLine()
    for number, owner in enumerate(owners):
        line.join(owner, (owner, number))
    dropped = data.draw(st.sets(st.integers(0, 39)))
    line.drop(lambda item: item[1] in dropped)
    left = {number for number in range(len(owners)) if number not in dropped}
    assert len(line) == len(left)
    taken = []
    while line:
        item = line.take()
        if data.draw(st.booleans()):
            line.put_back(item[0], item)
            continue
        taken.append(item)
    assert {number for _, number in taken} == left
    for owner, _ in taken:
        line.leave(owner)
    assert not line._paid and not line._present and set(line._now) <= {()}
