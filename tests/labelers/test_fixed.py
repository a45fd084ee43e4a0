from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.fixed import FixedLabeler
from fgvr.records import ImageRecord


def ask(labeler, *sample_ids):
    images = [
        ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}") for name in sample_ids
    ]
    return list(labeler.ask([LabelRequest(image, labeler.prompt) for image in images]))


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "names.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_names_are_taken_as_they_are(write):
    path = write('file,name\nx/1.jpg,"Heron, grey"\n2.jpg, **Beagle** \n3.jpg,\n')
    replies = ask(FixedLabeler(path), "x/1.jpg", "y/2.jpg", "3.jpg")
    assert [reply.names for reply in replies] == [("Heron, grey",), ("**Beagle**",), ()]
    assert {(reply.raw, reply.error) for reply in replies} == {("", "")}


def test_the_path_may_be_text(write):
    path = write("file,name\n1.jpg,Beagle\n")
    assert ask(FixedLabeler(str(path)), "1.jpg")[0].names == ("Beagle",)


def test_several_names_in_a_cell(write):
    path = write("file,name\n1.jpg,Beagle; Poodle;\n")
    assert ask(FixedLabeler(path, separator=";"), "1.jpg")[0].names == ("Beagle", "Poodle")
    assert ask(FixedLabeler(path), "1.jpg")[0].names == ("Beagle; Poodle;",)


def test_other_columns(write):
    path = write("id,photo,breed\n7,1.jpg,Beagle\n")
    assert ask(FixedLabeler(path, image_column="photo", name_column="breed"), "1.jpg")[0].names == ("Beagle",)


def test_a_photo_without_a_name_is_a_failed_reply(write):
    [reply] = ask(FixedLabeler(write("file,name\n1.jpg,Beagle\n")), "2.jpg")
    assert reply.error.startswith("no name for '2.jpg'")


def test_byte_order_mark_blank_rows_and_line_ends_of_windows(write):
    path = write("\ufefffile,name\r\n\r\n1.jpg,Beagle\r\n\r\n")
    assert ask(FixedLabeler(path), "1.jpg")[0].names == ("Beagle",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file|name\n1.jpg|Beagle\n", r"row 1: no column 'file', the columns are file\|name.*image_column"),
        ("file,label\n1.jpg,Beagle\n", "row 1: no column 'name', the columns are file, label"),
        ("file,name\n1.jpg,Heron, grey\n", "row 2: 3 cells, but the header has 2.*in quotes"),
        ("file,name\n1.jpg\n", "row 2: 1 cells"),
        ("file,name\n1.jpg,Beagle\n1.jpg,Poodle\n", r"row 3: '1\.jpg' is named in row 2 already"),
        ("file,name\n,Beagle\n", "row 2: the photo is empty"),
        ('file,name\n1.jpg,"Beagle" x\n', "row 2: not CSV"),
        ('file,name\n1.jpg,"Beagle\n', "row 2: not CSV"),
        ("file,name,name\n1.jpg,Beagle,Poodle\n", "row 1: column 'name' is there twice"),
        ("file,name\n\n1.jpg,Beagle\n1.jpg,Poodle\n", r"row 4: '1\.jpg' is named in row 3 already"),
        ('file,name\n1.jpg,"Beagle\n2.jpg,Poodle"\n', "row 2: the column 'name' holds a line break"),
        (b"file,name\n1.jpg,Caf\xe9\n", r"line 2: not UTF-8.*set data\.labeler\.encoding"),
        ("file,name\n1.jpg,Beagle\n".encode("utf-16-le"), "line 1: not UTF-8"),
    ],
)
def test_a_broken_file_is_explained(write, text, message):
    with pytest.raises(FgvrError, match=rf"names\.csv, {message}"):
        ask(FixedLabeler(write(text)), "1.jpg")


def test_an_empty_file(write):
    with pytest.raises(FgvrError, match=r"names\.csv is empty"):
        ask(FixedLabeler(write("")), "1.jpg")


def test_names_of_one_cell_on_lines_of_their_own(write):
    path = write('file,name\n1.jpg,"Beagle\nPoodle"\n')
    assert ask(FixedLabeler(path, separator="\n"), "1.jpg")[0].names == ("Beagle", "Poodle")


def test_a_file_about_other_photos(write):
    labeler = FixedLabeler(write("file,name\n1.jpg,Beagle\n"))
    with pytest.raises(FgvrError, match=r"No support photo is in.*'1\.jpg'.*'2\.jpg'"):
        labeler.check_images([ImageRecord(sample_id="2.jpg", path=Path("2.jpg"), split="support", digest="2")])


def test_an_empty_separator():
    with pytest.raises(FgvrError, match="separator is empty"):
        FixedLabeler(Path("names.csv"), separator="")


def test_identity_is_the_content_and_how_it_is_read(write):
    path = write("file,name\n1.jpg,Beagle\n")
    identity = FixedLabeler(path).identity()
    assert FixedLabeler(path, separator=";").identity() != identity
    assert FixedLabeler(write("file,name\n1.jpg,Poodle\n")).identity() != identity


def test_the_encoding_is_part_of_the_identity_only_where_it_is_given(write):
    labeler = FixedLabeler(write("file;name\n1.jpg;Käfer\n".encode("cp1252")), encoding="cp1252")
    assert ask(labeler, "1.jpg")[0].names == ("Käfer",)
    assert labeler.identity()["encoding"] == "cp1252"
    assert "encoding" not in FixedLabeler(write("file;name\n1.jpg;Käfer\n")).identity()


@pytest.mark.parametrize(
    "rows",
    [
        "photos/x/1.jpg;Beagle\nphotos/x/2.jpg;Pug",
        "C:\\me\\photos\\x\\1.jpg;Beagle\nC:\\me\\photos\\x\\2.jpg;Pug",
        "/me/x/1.jpg;Beagle\n2.jpg;Pug",
        "/data/upload/2/00112233-1.jpg;Beagle\n/data/local-files/?d=photos%2Fx%2F2.jpg;Pug",
        "X/1.JPG;Beagle\nx/2.jpg;Pug\ny/1.jpg;Poodle",
    ],
)
def test_photos_by_other_paths(write, rows):
    labeler = FixedLabeler(write(f"file;name\n{rows}\n"))
    assert [reply.names for reply in ask(labeler, "x/1.jpg", "x/2.jpg")] == [("Beagle",), ("Pug",)]


def test_accents_apart_and_together(write):
    labeler = FixedLabeler(write("file,name\nCafe\u0301.jpg,Ka\u0308fer\n"))
    assert ask(labeler, "Caf\u00e9.jpg")[0].names == ("K\u00e4fer",)
    assert ask(labeler, "Cafe\u0301.jpg")[0].names == ("K\u00e4fer",)


def test_a_path_that_may_be_two_photos_or_a_photo_that_two_paths_may_mean(write):
    with pytest.raises(FgvrError, match=r"row 2: '1\.jpg' may be 'x/1\.jpg' or 'y/1\.jpg'; name photos by their paths"):
        ask(FixedLabeler(write("file,name\n1.jpg,Pug\n")), "x/1.jpg", "y/1.jpg")
    with pytest.raises(FgvrError, match=r"row 3: 'y/1\.jpg' may be '1\.jpg', and so may 'x/1\.jpg' of row 2"):
        ask(FixedLabeler(write("file,name\nx/1.jpg,Pug\ny/1.jpg,Beagle\n")), "1.jpg")


def test_of_two_paths_the_one_with_more_of_where_the_photo_is(write):
    labeler = FixedLabeler(write("file,name\n/old/test/1.jpg,Pug\n/old/train/1.jpg,Beagle\n"))
    image = ImageRecord(sample_id="1.jpg", path=Path("/data/train/1.jpg"), split="support", digest="1")
    [reply] = labeler.ask([LabelRequest(image, labeler.prompt)])
    assert reply.names == ("Beagle",)


def test_a_longer_path_of_another_photo_of_the_data_set_is_not_taken(write, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.jpg").touch()
    labeler = FixedLabeler(write("file,name\nx/1.jpg,Pug\n"))
    image = ImageRecord(sample_id="1.jpg", path=tmp_path / "1.jpg", split="support", digest="1")
    [reply] = labeler.ask([LabelRequest(image, labeler.prompt)])
    assert reply.error.startswith("no name for '1.jpg'")
