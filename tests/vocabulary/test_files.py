import json

import pytest

from fgvr.errors import FgvrError
from fgvr.records import LabelRecord, Vocabulary
from fgvr.vocabulary.build import build_vocabulary, known_vocabulary, labels_as_indices
from fgvr.vocabulary.files import read_vocabulary, write_vocabulary


@pytest.fixture
def vocabulary():
    return build_vocabulary(
        [
            LabelRecord("a.jpg", ("Brabançon Griffon", "Pug"), (None, None)),
            LabelRecord("b.jpg", ("pug",), ("Canis familiaris",)),
            LabelRecord("c.jpg", ('"Quoted"\nname',), (None,)),
        ]
    )


def test_what_was_written_is_read(vocabulary, tmp_path):
    path = tmp_path / "run" / "vocabulary.json"
    write_vocabulary(vocabulary, path)
    assert read_vocabulary(path) == vocabulary
    assert [file.name for file in path.parent.iterdir()] == ["vocabulary.json"]


def test_known_names_are_read_in_their_order(tmp_path):
    known = known_vocabulary(["Whippet", "Beagle"])
    write_vocabulary(known, tmp_path / "v.json")
    assert read_vocabulary(tmp_path / "v.json") == known


def test_the_file_is_for_people(vocabulary, tmp_path):
    path = tmp_path / "v.json"
    write_vocabulary(vocabulary, path)
    assert "Brabançon" in path.read_text(encoding="utf-8")
    pug = {"name": "Pug", "count": 1, "scientific_name": "Canis familiaris", "spellings": ["Pug", "pug"]}
    assert pug in json.loads(path.read_text(encoding="utf-8"))["classes"]


def test_a_class_may_be_renamed_by_hand(vocabulary, tmp_path):
    path = tmp_path / "v.json"
    write_vocabulary(vocabulary, path)
    path.write_text(path.read_text(encoding="utf-8").replace('"name": "Pug"', '"name": "Mops"'), encoding="utf-8")
    renamed = read_vocabulary(path)
    assert renamed.members["pug"] == renamed.members["Mops"] == renamed.names.index("Mops")


def entry(**changes):
    return {"name": "Pug", "count": 1, "scientific_name": None, "spellings": ["Pug"], **changes}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "'classes' is missing"),
        ({"version": 1, "classes": []}, "'classes' is missing or empty"),
        ({"classes": [entry()]}, "'version' is None"),
        ({"version": 1, "classes": ["Pug"]}, "class 0 is a str"),
        ({"version": 1, "classes": [entry(name=" ")]}, "'name' of class 0"),
        ({"version": 1, "classes": [entry(), entry(name="Auk", spellings=[], count=-1)]}, "'count' of class 1"),
        ({"version": 1, "classes": [entry(count=True)]}, "'count' of class 0"),
        ({"version": 1, "classes": [entry(scientific_name=3)]}, "'scientific_name' of class 0"),
        ({"version": 1, "classes": [entry(spellings="Pug")]}, "'spellings' of class 0"),
        ({"version": 1, "classes": [entry(spellings=[1])]}, "'spellings' of class 0"),
        (
            {"version": 1, "classes": [entry(), entry(name="Auk", spellings=["pug"])]},
            "'pug' of class 1 is also .*'Pug'",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_problem(content, problem, tmp_path):
    path = tmp_path / "v.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(FgvrError, match=problem) as raised:
        read_vocabulary(path)
    assert str(path) in str(raised.value)


def test_halves_of_surrogate_pairs_are_written_as_a_sign_for_them(tmp_path):
    path = tmp_path / "v.json"
    write_vocabulary(Vocabulary(("Pug \ud83d", "Auk"), {"Pug \ud83d": 0, "Auk": 1}, ("Canis \udc36", None)), path)
    vocabulary = read_vocabulary(path)
    assert vocabulary.names == ("Pug \ufffd", "Auk")
    assert labels_as_indices([LabelRecord("a.jpg", ("pug \ud83d",))], vocabulary) == [(0,)]


def test_what_is_no_readable_file_is_named(tmp_path):
    (tmp_path / "v.json").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "v.json", tmp_path / "file" / "v.json"):
        with pytest.raises(FgvrError, match=r"v\.json cannot be read \(.+ directory\)"):
            read_vocabulary(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FgvrError, match=r"v\.json"):
        read_vocabulary(tmp_path / "v.json")


def test_bytes_that_are_not_text_are_a_broken_file(tmp_path):
    (tmp_path / "v.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FgvrError, match="UTF-8"):
        read_vocabulary(tmp_path / "v.json")
