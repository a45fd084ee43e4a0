import pytest

from fgvr.errors import FgvrError
from fgvr.tables import posix_path, read_csv


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
    assert table(tmp_path, "file,name").rows == []


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
        (b"file,name\na.jpg,Caf\xe9\n", ", line 2: not UTF-8"),
        ("file,name\n".encode("utf-16"), ", line 1: not UTF-8"),
        ("file,name\n".encode("utf-16-le"), ", line 1: not UTF-8 text .it has NUL"),
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


@pytest.mark.parametrize("text", ["x/a.jpg", "x\\a.jpg", " ./x//a.jpg "])
def test_a_path_has_one_spelling(text):
    assert posix_path(text) == "x/a.jpg"
