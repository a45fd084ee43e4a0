import csv
import io

import pytest

from fgvr.errors import FgvrError
from fgvr.tables import Row, read_csv, write_csv


def table(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(path)


def test_cells_by_column_and_row_numbers_of_a_spreadsheet(tmp_path):
    got = table(
        tmp_path, '\ufefffile, name,,\r\n\r\n a.jpg ,"Heron, ""grey""",,\r\nb.jpg,"two\r\nlines",,\r\nc.jpg,,,\r\n'
    )
    assert got.header == ["file", "name", "", ""]
    assert [(row.number, row.cells["file"], row.cells["name"]) for row in got.rows] == [
        (3, "a.jpg", 'Heron, "grey"'),
        (4, "b.jpg", "two\r\nlines"),
        (5, "c.jpg", ""),
    ]


def test_a_header_alone_is_a_table(tmp_path):
    assert list(table(tmp_path, "file,name").rows) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " is empty"),
        ("\n\nfile\na.jpg\n", " is empty, or its first row is"),
        ("file,name,name\n", ", row 1: column 'name' is there twice"),
        ("file,name\na.jpg,Heron, grey\n", ', row 2: 3 cells, but the header has 2 .*in quotes: a.jpg,"Heron, grey"'),
        ("file,name\n\na.jpg\n", ", row 3: 1 cells, but the header has 2 .*may be empty: a.jpg,"),
        ('file,name\n"a\nb.jpg",x\nc.jpg,"x\nd.jpg,y\n', ", row 3: not CSV .*a closing quote for every opening one"),
        ('file,name\na.jpg,"x" y\n', ", row 2: not CSV"),
        (f"file,name\na.jpg,{'x' * 131_073}\n", ", row 2: not CSV .*field larger"),
        ("file;name\na.jpg;Heron; grey\n", ', row 2: 3 cells, but the header has 2 .*in quotes: a.jpg;"Heron; grey"'),
        ("file\tname\na.jpg\n", ", row 2: 1 cells, but the header has 2 .*may be empty: a.jpg\t"),
        ('file;name\n"a\nb.jpg";x\nc.jpg;"x\n', ", row 3: not CSV .*expected semicolons between the cells"),
        (b"file,name\na.jpg,Caf\xe9\n", ", line 2: not UTF-8 text .*save the file as UTF-8"),
        ("file,name\n".encode("utf-16-le"), ", line 1: not UTF-8 text .it has NUL"),
        (b"\xff\xfef", ", line 1: not UTF-16 text"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, content, message):
    with pytest.raises(FgvrError, match=rf"table\.csv{message}"):
        table(tmp_path, content)


def test_a_missing_file(tmp_path):
    with pytest.raises(FgvrError, match=r"There is no .*none\.csv'\. Name it\."):
        read_csv(tmp_path / "none.csv", missing="Name it.")


def test_a_swallowed_row_is_seen_where_one_line_is_needed(tmp_path):
    got = table(tmp_path, 'file,name\na.jpg,"Heron\nb.jpg,Pug"\n')
    with pytest.raises(FgvrError, match=r"table\.csv, row 2: the column 'name' holds a line break"):
        got.line(got.rows[0], "name")


ROWS = [["a.jpg", "Heron, grey; large"], ["b.jpg", "Käfer 'x'"], ["c.jpg", ""], ["d.jpg", "Łoś\tein"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_tables_of_spreadsheets(tmp_path, separator, encoding, newline):
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, lineterminator=newline).writerows([["file", "name"], *ROWS])
    got = table(tmp_path, stream.getvalue().encode(encoding))
    assert got.header == ["file", "name"]
    assert [list(row.cells.values()) for row in got.rows] == ROWS


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("sep=;\r\nfile;name\r\na.jpg;Pug\r\n", {"file": "a.jpg", "name": "Pug"}),
        ("SEP=\t\nfile\tname\na.jpg\tPug\n", {"file": "a.jpg", "name": "Pug"}),
        ("file;name, common\na.jpg;Pug\n", {"file": "a.jpg", "name, common": "Pug"}),
        ("file,name;latin\na.jpg,Pug\n", {"file": "a.jpg", "name;latin": "Pug"}),
        ("file;name\na.jpg;Heron, grey\n", {"file": "a.jpg", "name": "Heron, grey"}),
        ("file\na;b.jpg\n", {"file": "a;b.jpg"}),
        ("file;name;;\na.jpg;Pug;;\n;;;\n", {"file": "a.jpg", "name": "Pug", "": ""}),
        ("file,name\na.jpg,Pug,,\n", {"file": "a.jpg", "name": "Pug"}),
        ("file,name\nCafe\u0301.jpg,Ka\u0308fer\n", {"file": "Café.jpg", "name": "Käfer"}),
        ("file,name\n'=1.jpg,''@home\n", {"file": "=1.jpg", "name": "'@home"}),
        ("file,name\n'n.jpg,'Pug'\n", {"file": "'n.jpg", "name": "'Pug'"}),
    ],
)
def test_one_row_as_others_write_it(tmp_path, content, cells):
    [row] = table(tmp_path, content).rows
    assert row.cells == cells


def test_another_encoding(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("file,name\na.jpg,Käfer\n".encode("cp1252"))
    with pytest.raises(FgvrError, match=r"or set data\.x to what it is, such as cp1252"):
        read_csv(path, option="data.x")
    assert read_csv(path, encoding="cp1252").rows[0].cells["name"] == "Käfer"
    for wrong in ("klingon", "base64", "utf-8", "ascii"):
        with pytest.raises(
            FgvrError, match=r"data\.x is '(klingon|base64)', which is no|line 2: not (UTF-8|ASCII) text"
        ):
            read_csv(path, encoding=wrong, option="data.x")


@pytest.mark.parametrize(
    ("encoding", "content", "name"),
    [
        ("cp1252", "file,name\na.jpg,Käfer\n".encode(), "Käfer"),  # of two files, one may be UTF-8
        ("latin-1", "file,name\na.jpg,Zaunkönig\n".encode(), "Zaunkönig"),
        ("mac-roman", "file,name\na.jpg,Käfer\n".encode("mac-roman"), "Käfer"),
        ("cp1251", "file,name\na.jpg,Жук\n".encode(), "Жук"),
        ("cp1251", "file,name\na.jpg,Жук\n".encode("cp1251"), "Жук"),
        ("utf-16-le", "file,name\na.jpg,Wren\n".encode("utf-16-le"), "Wren"),
        ("gbk", "file,name\na.jpg,联通\n".encode("gbk"), "联通"),  # these bytes happen to be UTF-8, too
    ],
)
def test_an_encoding_is_for_files_that_need_it(tmp_path, encoding, content, name):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert read_csv(path, encoding=encoding).rows[0].cells["name"] == name


@pytest.mark.parametrize("content", [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_a_workbook_is_no_table(tmp_path, content, encoding):
    path = tmp_path / "names.csv"
    path.write_bytes(content)
    with pytest.raises(FgvrError, match=r"names\.csv is a spreadsheet's own file .*: save it as CSV in UTF-8"):
        read_csv(path, encoding=encoding)


@pytest.mark.parametrize(
    "text",
    ["", "'", "''", "''=1", "-", "'tis", "a=1", "=1+1", "+1", "-x.jpg", "@a", "'=1", "''+", "\t=1", "＝1", "'quoted'"],  # noqa: RUF001
)
def test_a_written_text_is_no_formula_and_comes_back(tmp_path, text):
    path = tmp_path / "table.csv"
    assert write_csv(path, ["file", "name", "number"], [["a.jpg", text, -0.5], [text, None, 3]]) == 2
    with path.open(encoding="utf-8-sig", newline="") as stream:
        written = list(csv.reader(stream))
    assert not any(cell[:1] in tuple("=+-@\t＝") for row in written[1:] for cell in row[:2] if cell)  # noqa: RUF001
    assert written[1][2] == "-0.5"
    first, second = read_csv(path).rows
    assert (first.cells["name"], second.cells["file"]) == (text, text)


def test_rows_can_be_taken_by_their_places_and_again(tmp_path):
    rows = table(tmp_path, "file\na.jpg\n\nb.jpg\rc.jpg").rows
    assert (len(rows), rows[-1], [row.number for row in rows[:2]]) == (3, Row(5, {"file": "c.jpg"}), [2, 4])
    assert list(rows) == list(rows)
    with pytest.raises(IndexError):
        rows[3]


def test_more_values_than_are_kept_once(tmp_path, monkeypatch):
    monkeypatch.setattr("fgvr.tables._MOST_SEEN", 2)
    text = "file,name\n" + "".join(f"{number}.jpg,{number % 2}\n" for number in range(9))
    assert [row.cells["name"] for row in table(tmp_path, text).rows] == [str(number % 2) for number in range(9)]
