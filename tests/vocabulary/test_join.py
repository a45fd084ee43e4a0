import json
from itertools import permutations

import pytest

from fgvr.errors import FgvrError
from fgvr.records import Join, Vocabulary
from fgvr.vocabulary.files import read_vocabulary, write_vocabulary
from fgvr.vocabulary.join import join_classes, joined_images

VOCABULARY = Vocabulary(
    names=("Audi R8", "Audi R8 2007", "Audi R8 V10", "BMW M5"),
    members={"Audi R8": 0, "audi r8": 0, "Audi R8 2007": 1, "Audi R8 V10": 2, "BMW M5": 3},
    scientific_names=(None, "Audius", None, None),
    counts=(2, 2, 1, 3),
)
JOINS = (
    Join("Audi R8 V10", "Audi R8 2007", "granularity", "the same without trim"),
    Join("Audi R8 2007", "Audi R8", "granularity", "the same without year"),
)


@pytest.mark.parametrize("joins", list(permutations(JOINS)))
def test_classes_that_lead_to_one_another_are_one(joins):
    joined = join_classes(VOCABULARY, joins)
    assert joined.names == ("Audi R8", "BMW M5")
    assert joined.members == {"Audi R8": 0, "audi r8": 0, "Audi R8 2007": 0, "Audi R8 V10": 0, "BMW M5": 1}
    assert joined.scientific_names == ("Audius", None)
    assert joined.counts == (5, 3)
    assert sorted(join.name for join in joined.joins) == ["Audi R8 2007", "Audi R8 V10"]
    assert {join.into for join in joined.joins} == {"Audi R8"}


def test_the_name_that_most_photos_were_given_is_shown_whatever_leads_where():
    joined = join_classes(VOCABULARY, [Join("BMW M5", "Audi R8 V10", "test", "")])
    assert joined.names == ("Audi R8", "Audi R8 2007", "BMW M5")
    assert joined.joins == (Join("Audi R8 V10", "BMW M5", "test", "", count=1),)
    again = join_classes(joined, [Join("BMW M5", "Audi R8 2007", "more", "")])
    assert {(join.name, join.into) for join in again.joins} == {("Audi R8 V10", "BMW M5"), ("Audi R8 2007", "BMW M5")}

    assert joined_images(again) == 3, "two of one name and one of the other"


@pytest.mark.parametrize(
    "joins",
    [
        [("Audi R8 V10", "Audi R8"), ("Audi R8 2007", "Audi R8")],
        [("Audi R8 V10", "Audi R8 2007"), ("Audi R8 V10", "Audi R8")],
        [("Audi R8", "Audi R8 V10"), ("Audi R8 2007", "Audi R8 V10")],
        [("Audi R8 V10", "Audi R8 2007"), ("Audi R8 2007", "Audi R8"), ("Audi R8", "Audi R8 V10")],
        [("Audi R8 2007", "BMW M5"), ("Audi R8 2007", "Audi R8 V10"), ("Audi R8 V10", "Audi R8")],
    ],
)
def test_each_class_that_is_gone_is_recorded_once_with_its_photos(joins):
    joined = join_classes(VOCABULARY, [Join(*pair, "test", "") for pair in joins])
    gone = set(VOCABULARY.names) - set(joined.names)
    assert sorted(join.name for join in joined.joins) == sorted(gone)
    counts = dict(zip(VOCABULARY.names, VOCABULARY.counts, strict=True))
    assert {join.name: join.count for join in joined.joins} == {name: counts[name] for name in gone}
    assert joined_images(joined) == sum(counts[name] for name in gone)


def test_of_older_files_it_is_not_known_how_many_photos_were_joined(tmp_path):
    path = tmp_path / "vocabulary.json"
    write_vocabulary(join_classes(VOCABULARY, JOINS), path)
    content = json.loads(path.read_text())
    for join in content["joins"]:
        del join["count"]
    path.write_text(json.dumps(content))
    assert len(read_vocabulary(path).joins) == 2
    assert joined_images(read_vocabulary(path)) is None


def test_without_joins_nothing_changes():
    assert join_classes(VOCABULARY, ()) == VOCABULARY


def test_a_name_that_is_no_class_is_refused():
    with pytest.raises(FgvrError, match="'Fiat' was to be joined, but it is no class"):
        join_classes(VOCABULARY, [Join("Fiat", "BMW M5", "test", "")])


def test_a_file_keeps_what_was_joined_and_why(tmp_path):
    joined = join_classes(VOCABULARY, JOINS)
    write_vocabulary(joined, tmp_path / "vocabulary.json")
    assert read_vocabulary(tmp_path / "vocabulary.json") == joined


@pytest.mark.parametrize(
    "joins",
    [
        '{"name": "a"}',
        '[{"name": "a"}]',
        '[{"name": 1, "into": "", "rule": "", "why": ""}]',
        '[{"name": "a", "into": "", "rule": "", "why": "", "count": -1}]',
        '[{"name": "a", "into": "", "rule": "", "why": "", "count": "3"}]',
    ],
)
def test_joins_that_are_none_are_named(tmp_path, joins):
    path = tmp_path / "vocabulary.json"
    write_vocabulary(VOCABULARY, path)
    path.write_text(path.read_text().rstrip()[:-1] + f', "joins": {joins}}}')
    with pytest.raises(FgvrError, match="'joins' is not a list of objects with the texts name, into, rule, why"):
        read_vocabulary(path)
