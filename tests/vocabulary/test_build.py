import json
import random
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.reading.replies import parse_reply
from fgvr.records import LabelRecord
from fgvr.vocabulary.build import build_vocabulary, fold_name, known_vocabulary, labels_as_indices

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "recorded_labels"


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
        ("Pug \ud83d", "pug \udc36"),
        ("Pug \ud83d", "Pug \ufffd"),
        ("Pug \ud83d\udc36", "Pug \U0001f436"),
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


def test_a_shared_scientific_name_joins_names():
    vocabulary = build_vocabulary(
        [
            label("Rock Dove", latin=("Columba livia",)),
            label("Rock Pigeon", latin=("columba Livia",)),
            label("Rock Pigeon"),
            label("Feral Pigeon", latin=("Columba livia",)),
            label("Stock Dove", latin=("Columba oenas",)),
        ]
    )
    assert vocabulary.names == ("Rock Pigeon", "Stock Dove")
    assert vocabulary.counts == (4, 1)
    assert vocabulary.members["Feral Pigeon"] == vocabulary.members["Rock Dove"] == 0
    assert vocabulary.scientific_names == ("Columba livia", "Columba oenas")


@pytest.mark.parametrize(
    ("scientific", "names"),
    [
        ("Canis lupus familiaris", ("Beagle", "Pug", "Siberian Husky", "Whippet")),
        ("Brassica oleracea", ("Broccoli", "Cauliflower", "Kale", "Kohlrabi", "White Cabbage")),
    ],
)
def test_a_scientific_name_of_many_names_joins_none(scientific, names):
    labels = [label(name, latin=(scientific,)) for name in names for _ in range(3)]
    vocabulary = build_vocabulary([*labels, label(scientific)])
    assert set(vocabulary.names) == {*names, scientific}
    assert vocabulary.scientific_names[vocabulary.names.index(names[0])] == scientific


def test_of_each_name_the_commonest_scientific_name_counts():
    right = [
        *(label("Herring Gull", latin=("Larus argentatus",)) for _ in range(3)),
        *(label("Silver Gull", latin=("Larus argentatus",)) for _ in range(2)),
        *(label("Common Gull", latin=("Larus canus",)) for _ in range(3)),
    ]
    wrong = [label("Herring Gull", latin=("Larus canus",)), label("Common Gull", latin=("Larus argentatus",))]
    vocabulary = build_vocabulary(right + wrong)
    assert vocabulary.names == ("Common Gull", "Herring Gull")
    assert vocabulary.members["Silver Gull"] == 1


def test_between_equally_common_scientific_names_none_counts():
    labels = [label("Dove", latin=(scientific,)) for scientific in ("Columba livia", "Columba oenas")]
    assert build_vocabulary([*labels, label("Pigeon", latin=("Columba livia",))]).names == ("Dove", "Pigeon")


def test_a_scientific_name_as_name_joins_the_class_that_carries_it():
    labels = [
        *(label("Passer domesticus") for _ in range(3)),
        label("House Sparrow", latin=("Passer domesticus",)),
        label("Passer montanus", latin=("Passer montanus",)),
    ]
    vocabulary = build_vocabulary(labels)
    assert vocabulary.names == ("House Sparrow", "Passer montanus")
    assert vocabulary.counts == (4, 1)
    assert labels_as_indices(labels, vocabulary) == [(0,), (0,), (0,), (0,), (1,)]


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "joined"),
    [
        (
            "cub200",
            {
                ("Bohemian Waxwing", "Eurasian Waxwing"),
                ("Common Nightjar", "European Nightjar"),
                ("Dickcissel", "Dicksissel"),
                ("Eurasian Wren", "Winter Wren"),
            },
        ),
        ("dogs120", set()),
    ],
)
def test_recorded_replies_that_are_joined(dataset, joined):
    path = RECORDED / f"{dataset}.qwen2.5-vl-72b.jsonl"
    if not path.is_file():
        pytest.skip(f"no recorded replies at {path}")
    replies = [parse_reply(json.loads(line)["raw"]) for line in path.read_text(encoding="utf-8").splitlines()]
    vocabulary = build_vocabulary([label(*reply.names, latin=reply.scientific_names) for reply in replies])
    members: dict[int, dict[str, str]] = {}
    for spelling, index in vocabulary.members.items():
        members.setdefault(index, {})[fold_name(spelling)] = spelling
    assert {tuple(sorted(names.values())) for names in members.values() if len(names) > 1} == joined


def test_halves_of_surrogate_pairs_are_replaced():
    vocabulary = build_vocabulary([label("Pug \ud83d", latin=("Canis \udc36",))])
    assert vocabulary.names == ("Pug \ufffd",)
    assert vocabulary.scientific_names == ("Canis \ufffd",)
    assert labels_as_indices([label("pug \ud83d")], vocabulary) == [(0,)]


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
