"""The corpus: determinism, the exactness of the floor, one derivation a story, and English that agrees with itself."""

import hashlib
import math
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from gpt_from_scratch.training.data.stories import (
    MAX_CHARACTERS,
    TRAIN_SEED,
    VALIDATION_SEED,
    floor_nats,
    log_probability,
    parse,
    stories,
    story,
)
from gpt_from_scratch.training.data.stories.__main__ import main
from gpt_from_scratch.training.data.stories.lexicon import BOYS, GIRLS
from gpt_from_scratch.training.data.stories.tales import RULES, STORIES

MADE = list(stories(TRAIN_SEED, range(3000)))


def test_each_story_has_exactly_the_derivation_that_wrote_it() -> None:
    for made in MADE[:300]:
        (way,) = parse(made.text)
        assert way.choices == made.choices
        assert way.nats == pytest.approx(made.nats, rel=1e-12)


def test_the_floor_is_minus_the_sum_of_log_probabilities() -> None:
    indices = range(20)
    total = math.fsum(log_probability(made.text) for made in stories(VALIDATION_SEED, indices))
    assert floor_nats(VALIDATION_SEED, indices) == pytest.approx(-total, rel=1e-12)


def test_every_choice_is_drawn_as_often_as_its_probability_says() -> None:
    """Pearson's chi-square of each rule's and each table's choices over 3,000 stories."""
    drawn: dict[str, Counter[int]] = defaultdict(Counter)
    for made in MADE:
        for choice in made.choices:
            drawn[choice.what][choice.which] += 1
    assert set(RULES) <= set(drawn)
    for what, counts in drawn.items():
        total, kinds = counts.total(), max(counts) + 1
        if what in RULES:
            assert kinds == len(RULES[what])
        if kinds == 1:
            continue
        chi_square = sum((counts[index] - total / kinds) ** 2 / (total / kinds) for index in range(kinds))
        freedom = kinds - 1
        assert chi_square < freedom + 5 * math.sqrt(2 * freedom), f"{what}: {counts}"


def test_a_story_is_a_function_of_seed_and_index_alone() -> None:
    assert story(TRAIN_SEED, 7) == MADE[7]
    assert [made.text for made in stories(TRAIN_SEED, [9, 2])] == [MADE[9].text, MADE[2].text]
    code = "from gpt_from_scratch.training.data.stories import story; print(story(0, 5).text)"
    environment = {"PYTHONHASHSEED": "123"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == MADE[5].text


def test_the_numbers_behind_two_streams_differ() -> None:
    assert TRAIN_SEED != VALIDATION_SEED
    assert not {made.text for made in MADE} & {made.text for made in stories(VALIDATION_SEED, range(1000))}
    assert len({made.text for made in MADE}) == len(MADE)
    assert STORIES.bound.nats < 400 * math.log(2) < 8 * hashlib.blake2b().digest_size * math.log(2)


def test_no_story_is_longer_than_the_bound() -> None:
    longest = max(len(made.text) for made in MADE)
    assert 0.8 * MAX_CHARACTERS < longest <= MAX_CHARACTERS


def test_the_language_is_worth_learning() -> None:
    words = {word.lower() for made in MADE for word in re.findall(r"\w+", made.text)}
    assert len(words) > 500
    assert 60 < sum(len(made.text.split()) for made in MADE) / len(MADE) < 120


def test_the_english_is_well_formed() -> None:
    for made in MADE:
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", made.text), made.text
        assert not re.search(r"  |\s[.,!?]|[.,!?]{2}|[{}]|\b(\w+) \1\b", made.text), made.text
        assert made.text.count('"') % 2 == 0
        assert re.search(r'[.!?]"?$', made.text)
        assert all(sentence[0].isupper() for sentence in re.split(r"(?<=[.!?]) ", made.text.replace('"', ""))[:1])


def test_pronouns_agree_with_the_hero() -> None:
    girls = {row.forms["name"] for row in GIRLS}
    assert len(girls) == len(GIRLS) and not girls & {row.forms["name"] for row in BOYS}
    seen = Counter[str]()
    for made in MADE[:500]:
        kind, name = re.search(r"(girl|boy) (?:named|called) (\w+)", made.text).groups()  # type: ignore[union-attr]
        assert (kind == "girl") == (name in girls)
        favorite = re.search(r"(Her|His) favorite toy", made.text)
        if favorite:
            assert (favorite[1] == "Her") == (kind == "girl")
            seen[kind] += 1
    assert min(seen["girl"], seen["boy"]) > 5


def test_a_story_that_forgets_what_it_said_is_refused() -> None:
    """Whatever is said again late in a story (a name, a toy, a day) cannot be said differently."""
    for word, other in (("friend", "Zoe"), ("toy", "kite"), ("weekday", "Monday")):
        pattern = {
            "friend": r'"Thank you, (\w+)!"',
            "toy": r"there was the (\w+)!",
            "weekday": r"every (\w+) was a good day",
        }[word]
        tried = 0
        for made in MADE:
            said = re.search(pattern, made.text)
            if said and said[1] != other and tried < 20:
                assert parse(made.text[: said.start(1)] + other + made.text[said.end(1) :]) == [], made.text
                tried += 1
        assert tried == 20


def test_the_command_shows_stories_and_checks_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--num", "2", "--seed", "1"])
    assert capsys.readouterr().out == f"{story(1, 0).text}\n\n{story(1, 1).text}\n"
    main(["--check", "20"])
    assert "20 stories, each with exactly one derivation" in capsys.readouterr().out
