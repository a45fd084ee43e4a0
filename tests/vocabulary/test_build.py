import random

import pytest

from fgvr.errors import FgvrError
from fgvr.records import LabelRecord
from fgvr.vocabulary.build import build_vocabulary, fold_name, known_vocabulary, labels_as_indices


def label(*names: str, latin: tuple[str | None, ...] = (), flag: str = "") -> LabelRecord:
    return LabelRecord("photo.jpg", names, latin or (None,) * len(names), flag)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red-winged Blackbird", "red winged blackbird"),
        ("shih_tzu", "Shih Tzu"),
        ("Anna's Hummingbird", "Anna\u2019s hummingbird"),
        ("Anna's Hummingbird", "Anna\u00b4s Hummingbird"),
        ("Black\u2010footed\u00a0Albatross", "Black-Footed Albatross"),
        ("Stra\u00dfe", "STRASSE"),
        ("\uff21udi A4", "Audi A4"),
        ("Caf\u00e9", "Cafe\u0301"),
    ],
)
def test_fold_name_makes_spellings_equal(one, other):
    assert fold_name(one) == fold_name(other)


def test_fold_name_keeps_names_apart():
    assert len({fold_name(name) for name in ("Audi A4", "Audi A5", "Audi TT", "Audi TT 2007")}) == 4
    assert fold_name(" -_'") == ""


def test_spellings_are_one_class_under_the_commonest():
    vocabulary = build_vocabulary(
        [label("house finch"), label("House Finch"), label("House-Finch"), label("House Finch"), label("Auk")]
    )
    assert vocabulary.names == ("Auk", "House Finch")
    assert vocabulary.counts == (1, 4)
    assert vocabulary.members == {"Auk": 0, "House Finch": 1, "House-Finch": 1, "house finch": 1}


def test_all_names_enter_but_only_first_ones_count():
    vocabulary = build_vocabulary([label("Royal Tern", "Elegant Tern"), label("Royal Tern")])
    assert vocabulary.names == ("Elegant Tern", "Royal Tern")
    assert vocabulary.counts == (0, 2)


def test_a_shared_scientific_name_joins_names_also_through_a_third():
    vocabulary = build_vocabulary(
        [
            label("Rock Dove", latin=("Columba livia",)),
            label("Rock Pigeon", latin=("columba Livia",)),
            label("Rock Pigeon", latin=("Columba livia domestica",)),
            label("Feral Pigeon", latin=("Columba livia domestica",)),
            label("Stock Dove", latin=("Columba oenas",)),
        ]
    )
    assert vocabulary.names == ("Rock Pigeon", "Stock Dove")
    assert vocabulary.counts == (4, 1)
    assert vocabulary.members["Feral Pigeon"] == vocabulary.members["Rock Dove"] == 0
    assert vocabulary.scientific_names == ("Columba livia domestica", "Columba oenas")


def test_the_result_does_not_depend_on_the_order_of_records():
    labels = [
        label("beagle"),
        label("Beagle"),
        label("Dove", "Gull", latin=("Columba livia", None)),
        label("pigeon", latin=("Columba livia",)),
        label("gull", latin=("Larus x",)),
    ]
    expected = build_vocabulary(labels)
    for seed in range(20):
        shuffled = random.Random(seed).sample(labels, len(labels))
        vocabulary = build_vocabulary(shuffled)
        assert vocabulary == expected
        assert list(vocabulary.members) == list(expected.members)


def test_members_lead_from_shown_names_to_their_index():
    vocabulary = build_vocabulary([label("b c"), label("B-C"), label("A")])
    assert [vocabulary.members[name] for name in vocabulary.names] == [0, 1]


def test_blank_names_are_left_out():
    labels = [label("  "), label("Auk")]
    vocabulary = build_vocabulary(labels)
    assert vocabulary.names == ("Auk",)
    assert labels_as_indices(labels, vocabulary) == [(), (0,)]


def test_without_any_name_the_error_counts_the_flags():
    labels = [label(flag="refusal"), label(flag="refusal"), label(flag="generic")]
    with pytest.raises(FgvrError, match=r"None of the 3 replies .*\(generic: 1, refusal: 2\)"):
        build_vocabulary(labels)
    with pytest.raises(FgvrError, match="there are no replies"):
        build_vocabulary([])


def test_known_vocabulary_keeps_the_order():
    vocabulary = known_vocabulary(["Whippet", "Beagle"])
    assert vocabulary.names == ("Whippet", "Beagle")
    assert vocabulary.members == {"Whippet": 0, "Beagle": 1}
    assert vocabulary.counts == (0, 0)
    assert vocabulary.scientific_names == (None, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Shih-Tzu", "Beagle", "shih tzu"], "'Shih-Tzu' = 'shih tzu'"),
        (["Beagle", " "], "Class name 1 is blank"),
        ([], "empty"),
    ],
)
def test_known_vocabulary_refuses(names, message):
    with pytest.raises(FgvrError, match=message):
        known_vocabulary(names)


def test_labels_as_indices_are_unique_and_in_order():
    vocabulary = known_vocabulary(["Beagle", "Shih-Tzu"])
    labels = [label("shih tzu", "Beagle", "SHIH_TZU"), label("Whippet"), label(flag="refusal")]
    assert labels_as_indices(labels, vocabulary) == [(1, 0), (), ()]
