import pytest

from fgvr.doubt.next_photos import NextPhotos, write_list
from fgvr.errors import FgvrError
from fgvr.records import LabelRecord
from fgvr.selections.doubt_table import DoubtfulPhoto
from fgvr.tables import read_csv

PHOTOS = tuple(
    DoubtfulPhoto(each, name, 0.0, 0.25, 1.0, asked)
    for each, name, asked in (("=a.jpg", "Pug", "unasked"), ("b.jpg", "Pug", "named"), ("c.jpg", "Boxer", "unasked"))
)
NEXT = NextPhotos(PHOTOS, pool=9, given=2)


def names(path):
    return {row.cells["file"]: row.cells["name"] for row in read_csv(path).rows}


def test_it_says_whom_it_chose_and_why():
    assert str(NEXT).splitlines() == [
        "3 photos of 9 to ask about next: 2 not asked about before, 1 named by a model before",
        "as the run names them: 2 Pug, 1 Boxer",
        "never asked about, because a person or a table has named them: 2",
    ]


def test_a_list_for_a_person_has_no_names(tmp_path):
    path = tmp_path / "list.csv"
    assert write_list(NEXT, path) == 3
    assert path.read_text("utf-8-sig").splitlines() == [
        "file,name,predicted,probability,p_clean,asked",
        "'=a.jpg,,Pug,0.5,0.25,unasked",
        "b.jpg,,Pug,0.5,0.25,named",
        "c.jpg,,Boxer,0.5,0.25,unasked",
    ]


def test_a_name_that_is_there_stays_and_so_do_photos_of_earlier_rounds(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file;name\r\n=a.jpg;Basenji\r\nb.jpg;\r\nold.jpg;Akita\r\n")
    said = {each: LabelRecord(each, ("Whippet", "Saluki")) for each in ("=a.jpg", "b.jpg")}
    assert write_list(NEXT, path, {**said, "c.jpg": LabelRecord("c.jpg", (), flag="refusal")}) == 1
    assert names(path) == {"=a.jpg": "Basenji", "b.jpg": "Whippet", "old.jpg": "Akita", "c.jpg": ""}


def test_another_table_is_not_written_over(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("photo,name\na.jpg,Pug\n")
    with pytest.raises(FgvrError, match="row 1: there is no column 'file'; expected a list"):
        write_list(NEXT, path)
    assert path.read_text() == "photo,name\na.jpg,Pug\n"
