from math import comb

import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.records import LabelRecord
from fgvr.vocabulary.base import GivenNames
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices
from fgvr.vocabulary.join import join_classes
from fgvr.vocabulary.looks import LooksVocabulary

DIM = 16


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def given_of(names, visual, text_of):
    """Photos with a first name each, and texts whose joint features are those of the photos' names."""
    labels = [LabelRecord(f"{number}.jpg", (name,) if name else ()) for number, name in enumerate(names)]
    joint = unit(np.stack([text_of(name or "nothing") for name in names])).astype(np.float32)
    spaces = {"visual": unit(np.asarray(visual)).astype(np.float32), "joint": joint}
    return labels, GivenNames(labels, spaces.__getitem__, lambda texts: unit(np.stack([*map(text_of, texts)])))


def text_by_family(families):
    """Names of one family are near to each other, and equally far from all others."""
    place = {name: number for number, family in enumerate(families) for name in family}

    def text_of(name):
        generator = np.random.default_rng(sum(map(ord, name)))
        return np.eye(DIM)[place.get(name, DIM - 1)] + 0.1 * generator.normal(size=DIM)

    return text_of


def joined(labels, given, **options):
    strategy = LooksVocabulary(**options)
    vocabulary = build_vocabulary(labels)
    result = join_classes(vocabulary, strategy.joins(vocabulary, given))
    assert strategy.joins(result, given) == [], "joining again joins more"
    return result


def photos(centres, noise=0.3, seed=0):
    generator = np.random.default_rng(seed)
    return np.stack([np.eye(DIM)[centre] + noise * generator.normal(size=DIM) / DIM**0.5 for centre in centres])


def test_names_of_one_kind_of_photo_that_read_alike_are_one_class():
    # the labeler calls birds of one kind a flicker or a yellowhammer, by chance, and knows two kinds of finches
    names = ["flicker"] * 6 + ["yellowhammer"] * 6 + ["finch"] * 6 + ["canary"] * 6
    looks = photos([0] * 12 + [1] * 6 + [2] * 6)
    looks[6:12] = looks[:6]
    labels, given = given_of(names, looks, text_by_family([["flicker", "yellowhammer"], ["finch", "canary"]]))
    result = joined(labels, given, top=1)
    assert result.names == ("canary", "finch", "flicker")
    assert result.members["yellowhammer"] == result.members["flicker"]
    (join,) = result.joins
    assert (join.name, join.into, join.rule) == ("yellowhammer", "flicker", "looks")


def test_photos_alone_join_nothing():
    names = ["flicker", "yellowhammer"] * 6 + ["finch"] * 6 + ["canary"] * 6
    looks = photos([0] * 12 + [1] * 6 + [2] * 6)
    labels, given = given_of(names, looks, text_by_family([["flicker", "finch"], ["yellowhammer", "canary"]]))
    assert joined(labels, given, top=1).joins == ()


def test_a_rare_name_goes_to_the_class_that_it_looks_and_reads_like():
    names = ["finch"] * 8 + ["canary"] * 8 + ["siskin"] + ["jay"] * 8
    looks = photos([0] * 8 + [1] * 8 + [1] + [2] * 8)
    text_of = text_by_family([["finch"], ["canary", "siskin"], ["jay"]])
    labels, given = given_of(names, looks, text_of)
    result = joined(labels, given, top=1)
    assert [(join.name, join.into, join.rule) for join in result.joins] == [("siskin", "canary", "rare")]
    assert joined(labels, given, top=1, rare=False).joins == ()
    # not if its text singles the photo out
    joint = given.image_features("joint")
    joint[:] = unit(sum(map(text_of, ("finch", "canary", "siskin", "jay"))))
    joint[16] = unit(text_of("siskin") - text_of("canary"))
    assert joined(labels, given, top=1).joins == ()


def test_a_class_that_no_photo_has_first_is_nobodys_look():
    names = ["finch"] * 8 + ["canary"] * 8 + ["siskin"] + ["jay"] * 8
    looks = photos([0] * 8 + [1] * 8 + [9] + [2] * 8)
    labels, given = given_of(names, looks, text_by_family([["finch"], ["siskin", "serin"], ["canary"], ["jay"]]))
    labels[0] = LabelRecord("0.jpg", ("finch", "serin"))
    assert joined(labels, given, top=1).joins == ()


def test_something_new_keeps_its_name():
    names = ["finch"] * 8 + ["canary"] * 8 + ["siskin"] + ["jay"] * 8
    looks = photos([0] * 8 + [1] * 8 + [9] + [2] * 8)
    labels, given = given_of(names, looks, text_by_family([["finch"], ["canary", "siskin"], ["jay"]]))
    assert joined(labels, given, top=1).joins == ()


def test_words_are_joined_first():
    names = ["Audi R8", "Audi R8 2007"] * 4 + ["BMW M5"] * 4
    labels, given = given_of(
        names, photos([0] * 8 + [1] * 4), text_by_family([["Audi R8"], ["Audi R8 2007"], ["BMW M5"]])
    )
    assert joined(labels, given, top=1, rare=False).joins == ()
    result = joined(labels, given, without=["year"], top=1, rare=False)
    assert [join.rule for join in result.joins] == ["granularity"]


def reference(vocabulary, labels, given):
    """One round of the swap test, by loops."""
    own = [names[0] if names else -1 for names in labels_as_indices(labels, vocabulary)]
    images = given.image_features("visual").astype(np.float64)
    images = unit(images - images.mean(0))
    texts = given.text_features(vocabulary.names).astype(np.float64)
    count = len(vocabulary)
    near = [max((c for c in range(count) if c != a), key=lambda c, a=a: texts[a] @ texts[c]) for a in range(count)]
    mean = [unit(sum((images[i] for i in range(len(own)) if own[i] == c), np.zeros(DIM))) for c in range(count)]

    def passes(a, b):
        mine = [i for i in range(len(own)) if own[i] == a]
        gained = [images[i] @ mean[b] - images[i] @ unit(sum(images[j] for j in mine if j != i)) for i in mine]
        wins = sum(gain >= 0 for gain in gained)
        chance = sum(comb(len(mine), k) for k in range(wins + 1)) / 2 ** len(mine)
        return np.mean(gained) >= 0 and chance >= 0.1

    several = [own.count(c) > 1 for c in range(count)]
    return {
        (vocabulary.names[a], vocabulary.names[b])
        for a in range(count)
        for b in [near[a]]
        if a > b and a == near[b] and several[a] and several[b] and passes(a, b) and passes(b, a)
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_swap_test_is_its_definition(seed, monkeypatch):
    generator = np.random.default_rng(seed)
    names = [f"bird {number}" for number in generator.integers(8, size=40)] + [""]
    looks = photos(generator.integers(2, size=41), noise=2.0, seed=seed)
    labels, given = given_of(names, looks, lambda name: np.random.default_rng(sum(map(ord, name))).normal(size=DIM))
    vocabulary = build_vocabulary(labels)
    strategy = LooksVocabulary(top=3, rare=False)
    own = np.array([names[0] if names else -1 for names in labels_as_indices(labels, vocabulary)])
    texts = given.text_features(vocabulary.names)
    for block in (2**23, 50):
        monkeypatch.setattr("fgvr.vocabulary.looks._BLOCK_VALUES", block)
        found = strategy._alike(vocabulary, own, texts, given.image_features("visual"), given.image_features("joint"))
        assert {(join.name, join.into) for join in found} == reference(vocabulary, labels, given)


def test_the_order_of_photos_makes_no_difference():
    generator = np.random.default_rng(3)
    names = [f"bird {number}" for number in generator.integers(12, size=40)]
    looks = photos(generator.integers(2, size=40), noise=2.0)

    def text_of(name):
        return np.random.default_rng(sum(map(ord, name))).normal(size=DIM)

    labels, given = given_of(names, looks, text_of)
    order = generator.permutation(40)
    other_labels, other = given_of([names[i] for i in order], looks[order], text_of)
    assert joined(labels, given).members == joined(other_labels, other).members
    assert joined(labels, given).joins


def test_options_that_cannot_be():
    with pytest.raises(FgvrError, match=r"data\.vocabulary\.top is 0"):
        LooksVocabulary(top=0)
    with pytest.raises(FgvrError, match="'yaer' is none of"):
        LooksVocabulary(["yaer"])
