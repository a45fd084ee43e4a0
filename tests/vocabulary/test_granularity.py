from pathlib import Path

import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.records import LabelRecord
from fgvr.vocabulary.base import GivenNames
from fgvr.vocabulary.build import build_vocabulary
from fgvr.vocabulary.granularity import WORD_LISTS, GranularityVocabulary, agreement, bare, read_words
from fgvr.vocabulary.join import join_classes


def joined(names, *without):
    labels = [LabelRecord(f"{number}.jpg", (name,) if name else ()) for number, name in enumerate(names)]
    vocabulary = build_vocabulary(labels)
    strategy = GranularityVocabulary(without) if without else GranularityVocabulary()
    none = GivenNames(labels, lambda space: np.zeros((0, 0)), lambda texts: np.zeros((0, 0)))
    result = join_classes(vocabulary, strategy.joins(vocabulary, none))
    assert strategy.joins(result, none) == [], "joining again joins more"
    backwards = GivenNames(labels[::-1], none.image_features, none.text_features)
    assert join_classes(build_vocabulary(labels[::-1]), strategy.joins(vocabulary, backwards)) == result
    return result


@pytest.mark.parametrize(
    ("name", "without", "expected"),
    [
        ("Audi R8 2007", ["year"], "Audi R8"),
        ("Audi R8 (2007)", ["year"], "Audi R8"),
        ("Audi R8, 2007", ["year"], "Audi R8"),
        ("2007 Audi R8", ["year"], "Audi R8"),
        ("Audi R8 (2007-2012)", ["year"], "Audi R8"),
        ("Audi R8 2007–2012", ["year"], "Audi R8"),  # noqa: RUF001
        ("Audi R8 2010+", ["year"], "Audi R8"),
        ("BMW 3 Series (E90) 2007", ["year"], "BMW 3 Series E90"),
        ("BMW 3 Series (E90)", ["year"], "BMW 3 Series E90"),
        ("Ford F-150 pick-up", ["body"], "Ford F-150"),
        ("Ford F-150 Crew-Cab", ["body"], "Ford F-150"),
        ("Audi A5 Coupe\u0301", ["body"], "Audi A5"),
        ("Audi 100", ["year"], "Audi 100"),
        ("Boeing 747-400", ["year"], "Boeing 747-400"),
        ("Peugeot 2008", ["year"], "Peugeot 2008"),
        ("Peugeot 2008 2013", ["year"], "Peugeot 2008"),
        ("BMW 3 Series Station Wagon 2012", ["year", "body"], "BMW 3 Series"),
        ("Mini Cooper Convertible", ["size", "body"], "Mini Cooper"),
        ("Toy Poodle", ["size"], "Toy Poodle"),
        ("Poodle (toy)", ["size"], "Poodle"),
        ("Ford Transit VAN", ["body"], "Ford Transit"),
        ("Vanilla van", ["body"], "Vanilla"),
        ("2010", ["year"], "2010"),
        ("बंगाल बाघ 2010", ["year"], "बंगाल बाघ"),
    ],
)
def test_words_of_lists_are_left_out(name, without, expected):
    assert bare(name, frozenset().union(*map(read_words, without))) == expected


def test_the_class_shows_the_name_that_most_photos_were_given():
    result = joined(["Audi R8", "Audi R8 2007", "Audi R8 2007", "BMW M5 2005", "BMW M5 2006", "Fiat", None], "year")
    assert result.names == ("Audi R8 2007", "BMW M5 2005", "Fiat")
    assert result.counts == (3, 2, 1)
    assert {(join.name, join.into, join.why) for join in result.joins} == {
        ("Audi R8", "Audi R8 2007", "the same without year"),
        ("BMW M5 2006", "BMW M5 2005", "the same without year"),
    }


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["Audi R8", "Audi R8 2007", "Audi R8 2008"], 1),  # no two agree
        (["Audi R8 2007", "Audi R8 2007", "Audi R8 2012", "Audi R8 2012"], 1),  # 2 of 6 pairs
        (["Fiat A 2007"] * 3 + ["Fiat A 2012"] * 3 + ["Fiat B 1999"] * 4 + ["C"] * 3, 4),  # 12 of 21 pairs
        (["Fiat A"] * 4 + ["Fiat A 2007"] * 2 + ["B"], 2),  # of 9 pairs with a year, 1 agrees; of all 15, 7
        (["Peugeot 2008", "Peugeot 2008", "Peugeot 2008", "Peugeot 3008"], 2),
        (["Beagle", "Pug", "Pug"], 2),
        (["Audi R8 2007", "BMW M5 2005"], 2),  # nothing to compare
        (["2007 Audi R8", "2008 Audi R8", "Audi R8"], 1),
        (["BMW (E90) 3", "BMW E90 3 2007", "BMW E90 3 2008"], 1),
    ],
)
def test_years_are_left_out_where_the_labeler_is_not_sure_of_them(names, classes):
    assert len(joined(names)) == classes


def test_agreement_counts_pairs():
    labels = [
        LabelRecord(str(n), (name,)) for n, name in enumerate(["Fiat A 2007", "fiat a 2007", "Fiat A 2008", "B", "B"])
    ]
    assert agreement(labels, read_words("year")) == pytest.approx(1 / 3)
    assert agreement(labels, frozenset()) == 1.0
    assert agreement([], read_words("year")) == 1.0


def test_words_of_a_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# trims\nGT\n\n  Type   S \n7..9\n", encoding="utf-8")
    assert read_words(str(path)) == {"gt", "types", "7", "8", "9"}
    assert joined(["Acura TL", "Acura TL Type S"], path).names == ("Acura TL",)


def test_every_list_has_words():
    assert all(len(read_words(name)) > 5 for name in WORD_LISTS)


@pytest.mark.parametrize(("line", "expected"), [("9..7", "'9..7' is no range"), ("1..99999", "at most 10000")])
def test_a_range_that_is_none(tmp_path, line, expected):
    path = tmp_path / "words.txt"
    path.write_text(f"a\n{line}\n")
    with pytest.raises(FgvrError, match=f"line 2: .*{expected}"):
        read_words(str(path))


def test_a_list_that_is_not_there_is_named():
    with pytest.raises(FgvrError, match="'yaer' is none of auto, body, size, year"):
        GranularityVocabulary(["yaer"])


@pytest.mark.parametrize("without", ["year", Path("year"), ["year"], ("year",)])
def test_one_list_of_words_may_be_given_alone(without):
    assert GranularityVocabulary(without).without == ("year",)
