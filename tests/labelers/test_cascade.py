from pathlib import Path

import numpy as np
import pytest
from tiny.labeler import TinyLabeler

from fgvr.errors import FgvrError
from fgvr.labelers import cascade
from fgvr.labelers.cascade import CascadeLabeler
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.records import ImageRecord, LabelRecord


def labeler(**options):
    return CascadeLabeler(TinyLabeler({}), TinyLabeler({"a.jpg": "Pug"}), **options)


def record(name, image="a.jpg", **fields):
    if name.startswith("<"):
        return LabelRecord(image, (), flag=name[1:-1], **fields)
    return LabelRecord(image, (name,), (None,), **fields)


def unit(features):
    features = np.asarray(features, dtype=np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def wanted(names, features, **options):
    return labeler(**options).wanted(1, [[record(name) for name in names]], features)


def reference(names, features, neighbours, min_confirmed):
    """The rule, one photo at a time."""
    vectors, asked = features.astype(np.float64), []
    for image, name in enumerate(names):
        others = [
            other
            for other, said in enumerate(names)
            if other != image and not said.startswith("<") and not np.array_equal(features[other], features[image])
        ]
        near = sorted(others, key=lambda other: -float(vectors[image] @ vectors[other]))[:neighbours]
        confirmed = sum(names[other].lower() == name.lower() for other in near)
        asked.append(name.startswith("<") or confirmed < min_confirmed)
    return asked


def test_without_features_only_what_has_no_name_is_asked_again():
    names = ["Pug", "<failed>", "<refusal>", "<generic>", "<empty>", "<unparsed>", "<unsure>", "Boxer"]
    assert wanted(names, None) == [False, *[True] * 6, False]
    assert labeler().wanted(1, [[]]) == []


@pytest.mark.parametrize(("neighbours", "min_confirmed"), [(1, 1), (3, 1), (5, 1), (5, 2), (100, 3)])
def test_it_is_the_definition(neighbours, min_confirmed, monkeypatch):
    monkeypatch.setattr(cascade, "_BLOCK_VALUES", 500)  # several blocks
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(6, 12))
    group = generator.integers(6, size=80)
    features = unit(centres[group] + generator.normal(size=(80, 12)))
    said = np.array(["Pug", "pug", "Boxer", "Beagle", "Whippet", "<refusal>"])
    names = [str(said[g if generator.random() < 0.7 else generator.integers(6)]) for g in group]
    asked = wanted(names, features, neighbours=neighbours, min_confirmed=min_confirmed)
    assert asked == reference(names, features, neighbours, min_confirmed)
    assert 0 < sum(asked) < 80 or neighbours == 100


def test_spellings_and_synonyms_confirm_one_another():
    features = unit([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    labels = [record("Grey-Heron"), record("grey heron"), *(record("x") for _ in range(2))]
    labels[2] = LabelRecord("c.jpg", ("Robin",), ("Erithacus rubecula",))
    labels[3] = LabelRecord("d.jpg", ("European Robin",), ("Erithacus rubecula",))
    assert labeler(neighbours=1).wanted(1, [labels], features) == [False] * 4


def test_copies_of_a_photo_confirm_nothing():
    features = unit([[1, 0], [1, 0], [1, 0], [1, 0.2], [0, 1], [0.1, 1]])
    names = ["Pug", "Pug", "Pug", "Boxer", "Beagle", "Beagle"]
    assert wanted(names, features, neighbours=1) == [True, True, True, True, False, False]


def test_a_copy_with_another_name_is_another_photo():
    features = unit([[1, 0], [1, 0], [1, 0.1]])
    assert wanted(["Pug", "Boxer", "Boxer"], features, neighbours=2) == [True, False, False]


def test_photos_without_a_name_confirm_nothing_and_are_no_neighbours():
    features = unit([[1, 0], [1, 0.05], [1, 0.1], [1, 0.5]])
    assert wanted(["Pug", "<refusal>", "<failed>", "Pug"], features, neighbours=1) == [False, True, True, False]


def test_a_photo_alone_is_asked_again():
    assert wanted(["Pug"], unit([[1, 0]])) == [True]
    assert wanted(["<refusal>"], unit([[1, 0]])) == [True]
    assert wanted(["Pug", "<refusal>"], unit([[1, 0], [1, 0]])) == [True, True]


def test_without_neighbours_no_features_are_needed():
    assert labeler().needs_features
    assert not labeler(neighbours=0).needs_features
    assert wanted(["Pug", "<refusal>"], unit([[1, 0], [0, 1]]), neighbours=0) == [False, True]


def test_the_choice_does_not_depend_on_the_order_of_the_photos():
    generator = np.random.default_rng(1)
    features = unit(generator.normal(size=(20, 4)))[generator.integers(20, size=60)]
    names = [f"dog {number % 3}" for number in range(60)]
    asked = np.array(wanted(names, features, neighbours=3))
    order = generator.permutation(60)
    assert wanted([names[image] for image in order], features[order], neighbours=3) == asked[order].tolist()


@pytest.mark.parametrize(
    ("first", "fallback", "names", "flag", "model"),
    [
        ("Pug", "Boxer", ("Boxer",), "", "fallback"),
        ("Pug", None, ("Pug",), "", "first"),
        ("Pug", "<refusal>", ("Pug",), "", "first"),
        ("<generic>", "Boxer", ("Boxer",), "", "fallback"),
        ("<generic>", "<failed>", (), "generic", "first"),
        ("<failed>", "<refusal>", (), "refusal", "fallback"),
        ("<generic>", "<refusal>", (), "refusal", "fallback"),
        ("<failed>", "<failed>", (), "failed", "fallback"),
    ],
)
def test_the_fallback_s_label_counts_where_it_has_a_name(first, fallback, names, flag, model):
    columns = [
        [record(first, raw="a", model="first", cost_usd=0.25, seconds=1.0)],
        [None if fallback is None else record(fallback, raw="b", model="fallback", cost_usd=4.0, seconds=8.0)],
    ]
    (label,) = labeler().combine(columns)
    assert (label.names, label.flag, label.model) == (names, flag, model)
    assert label.raw == ("b" if model == "fallback" else "a")
    assert (label.cost_usd, label.seconds) == ((0.25, 1.0) if fallback is None else (4.25, 9.0))


def test_when_the_fallback_is_asked_is_part_of_what_it_is():
    identities = [labeler(**options).identity() for options in ({}, {"neighbours": 3}, {"min_confirmed": 2})]
    assert identities[0] == labeler().identity()
    assert identities[0] != identities[1] != identities[2] != identities[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbours": -1}, "neighbours is -1; expected 0 or more"),
        ({"neighbours": 2, "min_confirmed": 3}, "min_confirmed is 3; expected 1 to 2"),
        ({"min_confirmed": 0}, "min_confirmed is 0; expected 1 to 5"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(FgvrError, match=message):
        labeler(**options)


def test_neighbours_decide_whom_the_fallback_is_asked_about(store):
    images = [
        ImageRecord(sample_id=name, path=Path(name), split="support", digest=name) for name in ("a", "b", "c", "d", "e")
    ]
    vectors = dict(zip("abcde", unit([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.2]]), strict=True))
    first = TinyLabeler({"a": "Pug", "b": "pug", "c": "Boxer", "d": "Beagle", "e": "I cannot tell."}, price_usd=0.25)
    fallback = TinyLabeler(dict.fromkeys("abcde", "Whippet"), price_usd=4.0)
    both = CascadeLabeler(first, fallback, neighbours=1, space="joint")

    def features(images, space):
        assert space == "joint"
        return np.stack([vectors[image.sample_id] for image in images])

    assert plan(both, images, store, features).missing == 5
    label(both, images, store, progress=False, features=features)
    assert [request.image.sample_id for request in fallback.asked] == ["c", "d", "e"]
    assert plan(both, images, store, features).missing == 0
    labels = read_labels(both, images, store, features)
    assert [record.names for record in labels] == [("Pug",), ("pug",), *[("Whippet",)] * 3]
    assert [record.cost_usd for record in labels] == [0.25, 0.25, 4.25, 4.25, 4.25]
