import math
from pathlib import Path

import pytest
from tiny.wordnet import write_wordnet

from fgvr.errors import FgvrError
from fgvr.metrics.specificity import specificity
from fgvr.wordnet import read_wordnet

INSTALLED = Path("/usr/share/wordnet")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return read_wordnet(write_wordnet(tmp_path_factory.mktemp("wordnet")))


def test_depth_and_share_of_what_is_found(tiny):
    # entity 0, bird 2, house finch 2 (its shortest path), finch 3; "auk" is not there
    found = specificity(["entity", "Bird", "house-finch", "finch", "auk"], tiny)
    assert (found.depth, found.found) == (7 / 4, 80.0)
    assert math.isnan(found.above_truth)
    assert found.figures() == {"wordnet_depth": 1.75, "wordnet_found": 80.0}


def test_steps_above_the_true_name(tiny):
    names, truth = ["bird", "finch", "finch", "auk", "bird"], ["finch", "bird", "finch", "finch", "auk"]
    found = specificity(names, tiny, truth)
    assert (found.above_truth, found.compared) == ((1 - 1 + 0) / 3, 60.0)
    assert specificity(["entity"] * 2, tiny, ["finch", "bird"]).above_truth == (3 + 2) / 2


@pytest.mark.parametrize(
    ("others", "depth"),
    [
        ([], 2),  # files are equally common: the commonest meaning, the writer
        (["finch", "bird"], 3),  # among birds, the bird
        (["finch", "Finch", "FINCH", "Stephen Crane", "Stephen_Crane"], 2),  # spellings are one name: 2 to 2
    ],
)
def test_which_meaning_a_name_has(tiny, others, depth):
    names = ["crane", *others]
    known = {"finch": 3, "bird": 2, "stephen crane": 2}
    rest = sum(known[name.lower().replace("_", " ")] for name in others)
    assert specificity(names, tiny).depth == (depth + rest) / len(names)


def test_true_names_say_what_is_meant_too(tiny):
    found = specificity(["crane", "crane"], tiny, ["finch", "bird"])
    assert (found.depth, found.above_truth) == (3.0, -0.5)


def test_nothing_is_found(tiny):
    found = specificity(["auk", ""], tiny, ["", "finch"])
    assert found.found == found.compared == 0
    assert math.isnan(found.depth)
    assert math.isnan(found.above_truth)
    assert found.figures() == {"wordnet_found": 0.0, "wordnet_compared": 0.0}


def test_bad_input(tiny):
    with pytest.raises(FgvrError, match="no photos"):
        specificity([], tiny)
    with pytest.raises(FgvrError, match="2 predicted names, but 1 true name;"):
        specificity(["a", "b"], tiny, ["a"])


@pytest.mark.skipif(not (INSTALLED / "data.noun").is_file(), reason="needs Debian's wordnet-base")
def test_among_real_birds_a_crane_is_a_bird():
    found = specificity(["crane", "dog"], read_wordnet(INSTALLED), ["Grus americana", "beagle"])
    assert found.compared == 100
    assert found.above_truth > 0, "both are more generic than the true name"
