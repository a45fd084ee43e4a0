import random
from dataclasses import replace

import pytest

from fgvr.errors import FgvrError
from fgvr.fieldguide.species import ATTRIBUTES, Species, draw_guide, random_species
from fgvr.reading.names import LATIN_ENDING
from fgvr.reading.replies import parse_reply

PLAIN = Species("jay", "grey", "grey", "grey", "plain", "plain", "plain")


@pytest.fixture(scope="module")
def many():
    draw = random.Random(0)
    return {random_species(draw) for _ in range(3000)}


def test_what_goes_without_saying_is_not_said():
    assert PLAIN.name == "Grey Jay"
    assert replace(PLAIN, wing="blue", bill="long").name == "Long-billed Blue-winged Grey Jay"
    assert not replace(PLAIN, bill="long", tail="fork", breast="barred").exists


def test_every_species_has_names_of_its_own(many):
    assert len({bird.name for bird in many}) == len({bird.latin_name for bird in many}) == len(many)


def test_names_survive_the_reading_of_replies(many):
    for bird in list(many)[:500]:
        reading = parse_reply(f"The bird in the image is a **{bird.name}** (*{bird.latin_name}*).")
        assert reading.names == (bird.name,)
        assert reading.scientific_names == (bird.latin_name,)
        assert LATIN_ENDING.search(bird.latin_name)


def test_the_parts_of_the_world_have_the_stated_sizes(many):
    share = {
        part: sum(bird.part == part for bird in many) / len(many) for part in ("training", "development", "benchmark")
    }
    assert share == pytest.approx({"training": 0.7, "development": 0.1, "benchmark": 0.2}, abs=0.03)


def test_a_guide_has_families_of_siblings_of_one_part():
    guide = draw_guide(40, 0, "benchmark")
    assert len(set(guide)) == 40
    assert {bird.part for bird in guide} == {"benchmark"}
    nearest = [min(bird.distance(other) for other in guide if other != bird) for bird in guide]
    assert nearest.count(1) >= 36
    assert draw_guide(20, 0, "benchmark") == guide[:20]
    assert draw_guide(40, 1, "benchmark") != guide
    assert not set(guide) & set(draw_guide(200, 0, "training"))


def test_siblings_differ_in_one_attribute():
    siblings = list(PLAIN.siblings())
    assert {PLAIN.distance(bird) for bird in siblings} == {1}
    assert len(siblings) == len(set(siblings)) == sum(len(values) - 1 for values in ATTRIBUTES.values())


def test_mistakes_are_named():
    with pytest.raises(FgvrError, match=r"wing is 'pink'; expected one of red, orange"):
        replace(PLAIN, wing="pink")
    with pytest.raises(FgvrError, match="expected 1 to 5000"):
        draw_guide(0, 0, "benchmark")
    with pytest.raises(FgvrError, match="of the part 'test' cannot be drawn"):
        draw_guide(3, 0, "test")
