import builtins
import random

import pytest

from fgvr.errors import FgvrError
from fgvr.labelling.store.synonyms import suggest_synonyms


def pairs(*names, latin=None):
    suggestions = suggest_synonyms(dict.fromkeys(names, 1), latin or {})
    return {frozenset((each.name, each.other)): each.reason for each in suggestions}


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("Yorkshire Terrier", "Yorkshire Terier", "nearly the same spelling"),
        ("Chihuahua", "Chiuahua", "nearly the same spelling"),
        ("Grey Catbird", "Gray Catbird", "nearly the same spelling"),
        ("St. Bernard", "St Bernard", "nearly the same spelling"),
        ("Honda Accord Coupe 2012", "Honda Acord Coupe 2012", "nearly the same spelling"),
        ("Siberian Huskies", "Siberian Husky", "singular and plural"),
        ("Least Terns", "Least Tern", "singular and plural"),
        ("Siamese", "Siamese cat", "the same but for the word 'cat'"),
        ("Siamese", "Siamese Cats", "the same but for the word 'cat'"),
    ],
)
def test_names_that_may_be_one(one, other, reason):
    assert pairs(one, other, "Something Else Altogether") == {frozenset((one, other)): reason}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Honda Accord 2012", "Honda Accord 2011"),
        ("Audi S4 Sedan", "Audi A4 Sedan"),
        ("Bentley Continental GT", "Bentley Continental SS"),
        ("Chevrolet Camaro Mark II", "Chevrolet Camaro Mark III"),
        ("Red-breasted Grosbeak", "Tan-breasted Grosbeak"),
        ("Bluebird", "Blackbird"),
        ("Eastern Meadowlark", "Western Meadowlark"),
        ("Greater Scaup", "Lesser Scaup"),
        ("Common Tern", "Common Teal"),
        ("Red-bellied Woodpecker", "Red-headed Woodpecker"),
        ("American Bulldog", "American Bully"),
        ("Honda Accord", "Honda Accord 2012"),
    ],
)
def test_names_that_are_two(one, other):
    assert pairs(one, other) == {}


def test_one_latin_name():
    latin = {"House Finch": "Haemorhous mexicanus", "Hollywood Finch": "haemorhous Mexicanus", "Pug": "Canis lupus"}
    assert list(pairs(*latin, latin=latin)) == [frozenset(("House Finch", "Hollywood Finch"))]


def test_a_latin_name_never_joins_colours():
    latin = dict.fromkeys(("Black Tern", "White Tern"), "Chlidonias niger")
    assert pairs(*latin, latin=latin) == {}


def test_a_latin_name_of_many_joins_none():
    latin = dict.fromkeys(("Pug", "Beagle", "Boxer", "Borzoi"), "Canis lupus familiaris")
    assert pairs(*latin, latin=latin) == {}


def test_a_word_that_tells_classes_apart_is_no_kind_word():
    assert pairs("Honda Accord", "Honda Accord Sedan", "Honda Accord Coupe") == {}


def test_a_word_that_often_follows_names_is_a_kind_word():
    breeds = ("Persian", "Bengal", "Sphynx")
    assert len(pairs(*breeds, *(f"{breed} Longhair" for breed in breeds))) == 3
    assert len(pairs(*breeds[:2], *(f"{breed} Longhair" for breed in breeds[:2]))) == 0


def test_the_commoner_name_is_the_other_one():
    [found] = suggest_synonyms({"Siamese": 3, "Siamese cat": 10, "Pug": 20}, {})
    assert (found.name, found.other) == ("Siamese", "Siamese cat")
    [found] = suggest_synonyms({"Siamese": 10, "Siamese cat": 3}, {})
    assert (found.name, found.other) == ("Siamese cat", "Siamese")


def test_two_misspellings_are_asked_about_with_the_right_name_only():
    found = suggest_synonyms({"Chihuahua": 9, "Chihuahuas": 2, "Chihuahha": 1, "Chihuahhas": 1}, {})
    assert [(each.name, each.other) for each in found] == [
        ("Chihuahuas", "Chihuahua"),
        ("Chihuahha", "Chihuahua"),
        ("Chihuahhas", "Chihuahua"),
    ]


def test_a_part_of_the_names_at_a_time_finds_the_same(monkeypatch):
    draw = random.Random(0)
    names = {"".join(draw.choices("abc", k=draw.randint(4, 9))) for _ in range(300)}
    counts = dict.fromkeys(names, 1)
    at_once = suggest_synonyms(counts, {})
    monkeypatch.setattr("fgvr.labelling.store.synonyms._ROWS", 7)
    assert suggest_synonyms(counts, {}) == at_once
    assert len(at_once) > 50


def test_no_names_and_without_rapidfuzz(monkeypatch):
    assert suggest_synonyms({}, {}) == []
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("rapidfuzz"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FgvrError, match="pip install 'rapidfuzz"):
        suggest_synonyms({"Pug": 1}, {})
