from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.vocabulary.given import given_vocabulary


@pytest.mark.parametrize("given", [["Wren", "Heron"], ("Wren", "Heron")])
def test_a_list_is_taken_in_its_order(given):
    assert given_vocabulary(given, ()).names == ("Wren", "Heron")


def test_the_names_of_the_data_set():
    assert given_vocabulary("dataset", ["Wren"]).names == ("Wren",)
    with pytest.raises(FgvrError, match="the data set states no class names"):
        given_vocabulary("dataset", [])


def test_a_file_may_be_given_as_text(tmp_path):
    (tmp_path / "names.txt").write_text("Wren\n")
    for path in (tmp_path / "names.txt", str(tmp_path / "names.txt")):
        assert given_vocabulary(path, ()).names == ("Wren",)
    with pytest.raises(FgvrError, match="expected 'labels', 'dataset', a list of names, or a text file"):
        given_vocabulary(Path("no_such.txt"), ())


@pytest.mark.parametrize(("entry", "shown"), [(1, "1"), (None, "None"), (True, "True"), (b"Wren", "b'Wren'")])
def test_entries_that_are_no_text_are_refused(entry, shown):
    with pytest.raises(FgvrError, match=f"name 1 is {shown}; expected a text"):
        given_vocabulary(["Wren", entry], ())


def test_accents_of_a_list_are_put_together():
    assert given_vocabulary(["E\u0301trillard"], ()).names == ("\u00c9trillard",)
