import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.finer_names import read_finer_names
from fgvr.vocabulary.name_files import read_class_names


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "guessed.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_guessed_names_are_listed_once(write):
    assert read_finer_names(write(["Pug", "pug", "Fox Terrier", "Fox-terrier", " Boxer ", ""])) == (
        ["Pug", "Fox Terrier", "Boxer"],
        0,
    )


def test_names_are_read_out_of_replies(write):
    raw = 'Summary: ...\nOutput JSON: {"Pug, Boxer, Beagle": ["It is small.",]}'
    replies = {"Pug_0": raw, "Pug_1": json.dumps({"Beagle": ["a"], "Corgi": ["b"]}), "Pug_2": "It is a dog.", "c": ""}
    assert read_finer_names(write(replies)) == (["Pug", "Boxer", "Beagle", "Corgi"], 2)


def test_the_list_is_one_of_class_names(write, tmp_path):
    names, _ = read_finer_names(write(["Pug", "pug", "St. Bernard"]))
    (tmp_path / "names.json").write_text(json.dumps(names))
    assert read_class_names(tmp_path / "names.json", "data.class_names").names == ("Pug", "St. Bernard")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("7", "something else than texts"),
        ({"a": 7}, "something else than texts"),
        (["Pug", None], "something else than texts"),
        ([], "has no name"),
        ({"a": "?"}, "has no name"),
    ],
)
def test_other_files(write, content, message):
    with pytest.raises(FgvrError, match=rf"guessed\.json.* {message}.*; expected FineR's file"):
        read_finer_names(write(content))


def test_a_missing_file(tmp_path):
    with pytest.raises(FgvrError, match=r"There is no file .*no\.json"):
        read_finer_names(tmp_path / "no.json")
