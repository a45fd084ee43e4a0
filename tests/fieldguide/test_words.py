import random

import pytest

from fgvr.fieldguide.species import ATTRIBUTES, random_species
from fgvr.fieldguide.words import in_common, noticed, words_for


def test_every_mark_of_every_bird_is_said():
    draw = random.Random(0)
    for _ in range(200):
        bird = random_species(draw)
        said = words_for({attribute: getattr(bird, attribute) for attribute in ATTRIBUTES})
        assert f"{bird.body} {bird.build}" in said
        assert "plain" not in said
        for attribute in ("bill", "tail", "breast"):
            value = getattr(bird, attribute)
            assert (value == "plain") != (f"{value} {attribute}" in said)
        assert f"{bird.crown} crown" in said
        assert f"{bird.wing} wings" in said
        # less than 20 words, as is asked for
        assert len(said.split()) < 20


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({}, "a bird"),
        ({"body": "orange"}, "an orange bird"),
        ({"build": "jay", "crown": "orange", "wing": "red", "tail": "fan"}, None),
    ],
)
def test_articles(seen, words):
    assert words_for(seen) == (words or "a jay with an orange crown, red wings and a fan tail")


def test_build_and_colour_are_always_noticed():
    bird = random_species(random.Random(1))
    assert set(noticed(bird, random.Random(0), 0.0)) == {"build", "body"}
    assert set(noticed(bird, random.Random(0), 1.0)) == set(ATTRIBUTES)


def test_half_is_not_most():
    draw = random.Random(3)
    one, other = random_species(draw), random_species(draw)
    both = {attribute for attribute in ATTRIBUTES if getattr(one, attribute) == getattr(other, attribute)}
    assert set(in_common([one, other])) == both
    assert in_common([one, one, other]) == {attribute: getattr(one, attribute) for attribute in ATTRIBUTES}
