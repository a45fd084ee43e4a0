"""The list as a file that a person fills in."""

import pytest

from fgvr.doubt.files import read_corrections, write_doubts
from fgvr.doubt.find import DoubtfulImage, Doubts
from fgvr.errors import FgvrError

DOUBTS = Doubts(
    (DoubtfulImage("=a.jpg", "Pug", "+Boxer", ("coop", "labeler"), ("boxer",), 0.123456, None),),
    evaluated=1,
    required=("coop", "labeler"),
    silent={},
)


def decided(path, decision):
    path.write_text(path.read_text("utf-8-sig").rstrip().rstrip(",") + f",{decision}\n", "utf-8")


def test_the_list_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "doubtful.csv"
    write_doubts(DOUBTS, path)
    assert path.read_text("utf-8-sig").splitlines()[1] == "1,'=a.jpg,Pug,'+Boxer,coop; labeler,boxer,0.1235,"
    write_doubts(DOUBTS, path)  # nothing was decided
    decided(path, " Both ")
    found = read_corrections(path)
    assert found["=a.jpg"].other_name == "+Boxer"
    assert found["=a.jpg"].decision == "both"
    before = path.read_bytes()
    with pytest.raises(FgvrError, match="has 1 decision already, and is not written again"):
        write_doubts(DOUBTS, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample_id,other_name\na,b\n", "no column 'decision'"),
        ("sample_id,other_name,decision\na,b,perhaps\n", "row 2: the decision is 'perhaps'; expected keep"),
        ("sample_id,other_name,decision\na,,other\n", "row 2: the decision is 'other', but there is no other_name"),
        ("sample_id,other_name,decision\na,b,\na,b,keep\n", "row 3: 'a' is there twice"),
    ],
)
def test_what_cannot_be_taken(tmp_path, text, said):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(FgvrError, match=said):
        read_corrections(tmp_path / "list.csv")


def test_semicolons_of_a_spreadsheet(tmp_path):
    (tmp_path / "list.csv").write_text("sample_id;other_name;decision\r\na.jpg;Pug;KEEP\r\n")
    assert read_corrections(tmp_path / "list.csv")["a.jpg"].decision == "keep"
