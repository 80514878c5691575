"""The grammar on small cases that can be enumerated whole: probabilities, derivations, memory, bounds, errors."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.training.data.stories.grammar import Alternatives, Grammar
from gpt_from_scratch.training.data.stories.tables import Table, table, words

PETS = table("name  he", "cat   she", "dog   he", "fox   it", lists={"foods": {
    "cat": words("fish, milk"), "dog": words("bones, meat"), "fox": words("eggs, grapes"),
}})  # fmt: skip
TABLES: dict[str, Table] = {"pets": PETS, "colors": words("red, blue")}
RULES: dict[str, Alternatives] = {
    "story": [
        (3, "The {pet=pets} met a {other=pets except pet}.{meal}"),
        (1, "A {color=colors} {pet=pets} slept.{meal}"),
    ],
    "meal": ["", (2, " {pet.He} ate {food=pet.foods}."), " The {pet} ran."],
}
SMALL = Grammar(RULES, TABLES)
NUMBERS = 4 * 6 * 4 * 2 * 4
"""Every path's product of choices divides it, so range(NUMBERS) spells each text exactly as often as it is likely."""


def test_a_number_spells_each_text_as_often_as_it_is_likely() -> None:
    drawn = Counter(SMALL.write(number).text for number in range(NUMBERS))
    made = {text: next(way for n in range(NUMBERS) if (way := SMALL.write(n)).text == text) for text in drawn}
    assert len(drawn) == 3 * 2 * 4 + 2 * 3 * 4
    for text, times in drawn.items():
        assert times / NUMBERS == pytest.approx(math.exp(-made[text].nats), rel=1e-12)


def test_probabilities_of_all_texts_sum_to_one() -> None:
    texts = {SMALL.write(number).text for number in range(NUMBERS)}
    assert math.fsum(math.exp(SMALL.log_probability(text)) for text in texts) == pytest.approx(1, rel=1e-12)


@given(st.integers(min_value=0))
def test_reading_finds_the_derivation_that_wrote_the_text(number: int) -> None:
    made = SMALL.write(number)
    (read,) = SMALL.read(made.text)
    assert read.choices == made.choices
    assert read.nats == pytest.approx(made.nats)
    assert len(made.text) <= SMALL.bound.characters
    assert made.nats <= SMALL.bound.nats + 1e-12


def test_bounds_are_reached_where_nothing_is_shared() -> None:
    grammar = Grammar({"story": [(3, "{color=colors}"), "{name}{color=colors}"], "name": ["", "Tim: "]}, TABLES)
    made = [grammar.write(number) for number in range(4 * 2 * 2)]
    assert max(len(one.text) for one in made) == grammar.bound.characters == len("Tim: blue")
    assert max(one.nats for one in made) == pytest.approx(grammar.bound.nats) == pytest.approx(math.log(4 * 2 * 2))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_weights_are_shares(a: int, b: int, c: int) -> None:
    grammar = Grammar({"story": [(a, "a"), (b, "b"), (c, "c")]}, {})
    drawn = Counter(grammar.write(number).text for number in range(a + b + c))
    assert drawn == {"a": a, "b": b, "c": c}
    assert grammar.log_probability("b") == pytest.approx(math.log(b / (a + b + c)))


def test_all_derivations_are_found_and_their_probabilities_add() -> None:
    ambiguous = Grammar({"story": ["{first}{second}", "ab"], "first": ["a", "aa"], "second": ["b", "ab"]}, {})
    assert len(ambiguous.read("aab")) == 2
    assert ambiguous.log_probability("aab") == pytest.approx(math.log(2 / 8))
    assert ambiguous.log_probability("ab") == pytest.approx(math.log(1 / 8 + 1 / 2))
    texts = {ambiguous.write(number).text for number in range(8)}
    assert math.fsum(math.exp(ambiguous.log_probability(text)) for text in texts) == pytest.approx(1)


def test_a_phrase_that_begins_another_is_told_apart_by_what_follows() -> None:
    grammar = Grammar(
        {"story": ["{drink=drinks} {of=ofs}"]}, {"drinks": words("tea, tea cup"), "ofs": words("cup, cup cup")}
    )
    assert len(grammar.read("tea cup cup")) == 2
    assert len(grammar.read("tea cup")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The cat met a cat.",  # the other is drawn without replacement
        "The cat met a dog. He ate fish.",  # a cat is a she
        "The cat met a dog. She ate bones.",  # what dogs eat
        "The cat met a dog. The dog ran.",  # the one who ran is the first
        "The cat met a dog. The cat ran. ",
        "The cat met a dog",
        "",
    ],
)
def test_a_text_that_breaks_what_is_remembered_has_no_derivation(text: str) -> None:
    assert SMALL.read(text) == []
    assert SMALL.log_probability(text) == -math.inf


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{pet!}", "{pet!} is not {rule}, {thing.form} or {thing=table except thing}"),
        ("{maybe=pets}", "{maybe=pets} remembers a thing under the name of a rule"),
        ("{pet=dogs}", "draws from an unknown table"),
        ("{pet.he}", "'pet' is mentioned where nothing has introduced it"),
        ("{pet=pets except other}", "'other' is mentioned where nothing"),
        ("{pet=pets} {pet.his}", "not every 'pet' has the form 'his'"),
        ("{color=colors} {food=color.foods}", "not every 'color' has a list 'foods'"),
        ("{one=single} {two=single except one}", "'two' is drawn from too few rows: 1 at the least"),
        ("{maybe} {pet}", "'pet' is mentioned where nothing has introduced it"),
    ],
)
def test_a_hole_that_nothing_can_fill_on_some_path_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Grammar({"story": [template], "maybe": ["{pet=pets}", ""]}, {**TABLES, "single": words("one")})
    assert message in str(caught.value)


def test_what_every_alternative_remembers_may_be_mentioned_after_it() -> None:
    grammar = Grammar(
        {"story": ["{who} {pet.He} ran."], "who": ["A {pet=pets}.", "{color=colors}: {pet=pets}."]}, TABLES
    )
    assert len(grammar.read("blue: fox. It ran.")) == 1


def test_a_malformed_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 columns, its header"):
        table("name  he", "cat")
    with pytest.raises(ValueError, match="'dog' has no list for"):
        table("name", "cat", "dog", lists={"foods": {"cat": words("fish")}})
