import json
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.records import Vocabulary
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import write_vocabulary
from fgvr.vocabulary.name_files import read_class_names


def read(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_class_names(path, "data.class_names", "a list of names").names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("birds.txt", "Wren\n\n  Grey heron \n"),
        ("birds", "Wren\r\nGrey heron"),
        ("birds.names", "\ufeffWren\nGrey heron\n"),
        ("birds.txt", "Wren\nGrey heron\n".encode("utf-16")),
        ("birds.txt", "\ufeffWren\nGrey heron\n".encode("utf-16-be")),
        ("birds.csv", "name\nWren\nGrey heron\n"),
        ("birds.csv", "id,Class_Name,note\n7,Wren,small\n9,Grey heron,\n"),
        ("birds.csv", "class,name\n1,Wren\n2,Grey heron\n"),
        ("birds.csv", "class,family\nWren,Troglodytidae\nGrey heron,Ardeidae\n"),
        ("birds.csv", "class name,name\nWren,a.jpg\nGrey heron,b.jpg\n"),
        ("birds.txt", "index,name\n0,Wren\n1,Grey heron\n"),
        ("birds.json", '["Wren", "Grey heron"]'),
        ("birds.json", "\ufeff" + '["Wren", " Grey heron"]'),
        ("birds.json", '{"1": "Grey heron", "0": "Wren"}'),
        ("birds.json", '{"1": "Wren", "2": "Grey heron"}'),
        ("birds.json", '{"Grey heron": 1, "Wren": 0}'),
        ("birds.json", '{"0": ["n01440764", "Wren"], "1": ["n01443537", "Grey heron"]}'),
        ("birds.json", '{"path": "birds", "names": {"0": "Wren", "1": "Grey heron"}}'),
        ("birds.txt", '["Wren", "Grey heron"]'),
        ("birds.txt", "['Wren', 'Grey heron']"),
        ("birds.yaml", "- Wren\n- Grey heron\n"),
        ("birds.yml", "[Wren, Grey heron]"),
        ("birds.yaml", "names:\n  0: Wren\n  1: Grey heron\n"),
        ("birds.txt", "- Wren\n- Grey heron\n"),
        ("birds.txt", "* Wren\n* Grey heron\n"),
        ("birds.txt", "class_name\nWren\nGrey heron\n"),
        ("birds", "Name\r\nWren\r\nGrey heron\r\n"),
        ("birds.txt", "Wren,\nGrey heron,\n"),
        ("birds.txt", "Wren;\nGrey heron\n"),
        ("birds.txt", '"Wren"\n"Grey heron"\n'),
        ("birds.txt", "'Wren',\n'Grey heron'\n"),
        ("birds.jsonl", '"Wren"\n"Grey heron"\n'),
        ("birds.txt", "\u201cWren\u201d\n\u201cGrey heron\u201d\n"),
    ],
)
def test_names_are_read_in_every_form(tmp_path, name, content):
    assert read(tmp_path, name, content) == ("Wren", "Grey heron")


def test_more_than_ten_names_by_index_are_in_the_order_of_the_numbers(tmp_path):
    names = tuple(f"Bird {chr(65 + number)}" for number in range(12))
    content = json.dumps(
        {str(number): name for number, name in sorted(enumerate(names), key=lambda pair: str(pair[0]))}
    )
    assert read(tmp_path, "birds.json", content) == names


def test_a_list_in_yaml_stays_as_it_is_written(tmp_path):
    content = "[no, on, 1e3, 1_000, 0x10, 12:30, 2024-01-31, null, ~, .5, 'yes', 007]"
    expected = ("no", "on", "1e3", "1_000", "0x10", "12:30", "2024-01-31", "null", "~", ".5", "yes", "007")
    assert read(tmp_path, "odd.yaml", content) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("1 Euro", "2 Euro"),
        ("1. FC Mustang", "2. FC Mustang"),
        ("737-200", "737-300", "A320"),
        ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ("'Apapane", "'I'iwi"),
        ('"Blue" tit', "Wren"),
        ("Beetle (black)", "(Unknown) moth"),
        ("n0 type", "n1 type"),
    ],
)
def test_lines_that_look_like_more_stay_names(tmp_path, lines):
    assert read(tmp_path, "names.txt", "\n".join(lines)) == lines


def test_accents_are_put_together(tmp_path):
    assert read(tmp_path, "birds.txt", "E\u0301trillard\n") == ("\u00c9trillard",)


@pytest.mark.parametrize("name", ["vocabulary.json", "edited.txt"])
def test_a_vocabulary_is_read_with_its_spellings(tmp_path, name):
    known = Vocabulary(("Wren",), {"Wren": 0, "wrens": 0}, ("Troglodytes troglodytes",), (3,))
    write_vocabulary(known, tmp_path / name)
    assert read_class_names(tmp_path / name, "data.class_names") == known


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("birds.txt", "Wren\nÉtrillard\n".encode("cp1252"), r"birds\.txt, line 2: not UTF-8 text .*save the file as"),
        ("birds.txt", "Wren\nHéron\n".encode("mac-roman"), r"birds\.txt, line 2: not UTF-8 text"),
        ("birds.csv", "name\nHéron\n".encode("latin-1"), r"birds\.csv, line 2: not UTF-8 text"),
        ("birds.json", '["Héron"]'.encode("latin-1"), r"birds\.json, line 1: not UTF-8 text"),
        ("birds.yaml", "- Wren\n- Héron\n".encode("latin-1"), r"birds\.yaml, line 2: not UTF-8 text"),
        ("birds.txt", b"\xff\xfeW\x00r", r"^[^\n]*birds\.txt"),
        ("birds.txt", "Wren\n".encode("utf-16-le"), r"birds\.txt, line 1: not UTF-8 text"),
        ("birds.parquet", b"PAR1\x15\x04\xff", r"birds\.parquet, line 1: not UTF-8 text"),
        ("birds.txt", "", r"birds\.txt: The list of class names is empty"),
        ("birds.txt", "Wren\nwren\n", r"birds\.txt: Class names are given more than once: 'Wren' = 'wren'"),
        ("birds.txt", "Wren\n-\n", r"birds\.txt: Class name 1 is blank \('-'\)"),
        ("birds.txt", "# birds\nWren\n", r"birds\.txt, line 1: '# birds' begins with #"),
        ("birds.txt", "0\tWren\n1\tHeron\n", r"birds\.txt, line 1: '0\\tWren' holds a tab"),
        ("birds.txt", "0,Wren\n1,Heron\n", r"birds\.txt is a table whose first line is '0,Wren'"),
        ("birds.txt", "1 001.Wren\n2 002.Heron\n", "the names are numbered"),
        ("birds.txt", "1. Wren\n2. Heron\n", "the names are numbered"),
        ("birds.txt", "Wren,0\nHeron,1\n", "the names are numbered"),
        ("birds.txt", "001.Wren\n002.Grey_heron\n", "the names are numbered, such as '001.Wren'"),
        ("birds.txt", "1-Wren\n2-Heron\n", "the names are numbered"),
        ("birds.json", '["0_Wren", "1_Heron"]', "the names are numbered"),
        ("birds.txt", "n02085620-Chihuahua\nn02085782-Japanese_spaniel\n", "all names begin with ids of WordNet"),
        ("birds.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n", "all names begin with ids of WordNet"),
        ("birds.txt", "n01440764\nn01443537\n", "all names begin with ids of WordNet, such as 'n01440764'"),
        ("birds.txt", "id,label\n0,Wren\n1,Heron\n", "is a table whose first line is 'id,label'"),
        ("birds.txt", "id;species\n7;Wren\n9;Heron\n", "is a table whose first line is 'id;species'"),
        ("birds.txt", "Wren, Heron, Stork\n", "has a single line, 'Wren, Heron, Stork'; expected one name per line"),
        ("birds.txt", "Wren;Heron\n", "has a single line"),
        ("birds.txt", "('Wren', 'Heron')\n", "has a single line"),
        ("birds.py", "classes = ['Wren', 'Heron']\n", r"line 1: \"classes = .* is code"),
        ("birds.txt", "(\n'Wren',\n'Heron',\n)\n", r"line 1: '\(' is code"),
        ("birds.csv", "id,species\n0,Wren\n", r"has the columns 'id', 'species'; expected one that is called name"),
        (
            "birds.csv",
            "Wren\nHeron\n",
            r"has the columns 'Wren'; expected one that is called name, class_name or class",
        ),
        ("birds.csv", "class,name\nWren,a.jpg\n", "has the columns 'class', 'name'; expected .*, and not several"),
        ("birds.csv", "name\nWren\nHeron\nWren\n", r"birds\.csv, row 4: 'Wren' is in row 2 already"),
        ("birds.csv", "name,note\nWren,a\n,b\n", r"birds\.csv, row 3: the column 'name' has no name"),
        ("birds.csv", "name,note\n", r"birds\.csv: The list of class names is empty"),
        ("birds.json", "", r"birds\.json is not JSON"),
        ("birds.json", '["Wren", 5]', "states no class names: name 1 is 5, which is no text; expected a list of names"),
        ("birds.json", '["Wren", null]', "name 1 is null, which is no text"),
        ("birds.json", '["Wren", true]', "name 1 is true, which is no text"),
        ("birds.json", '["Wren", ["Heron"]]', r"name 1 is \[\"Heron\"\], which is no text"),
        ("birds.json", '["Wren", ""]', r"birds\.json: Class name 1 is blank"),
        ("birds.json", "[]", r"birds\.json: The list of class names is empty"),
        ("birds.json", "{}", "states no class names: it is a mapping"),
        ("birds.json", '"Wren"', "states no class names: it holds 'Wren'"),
        ("birds.json", '{"0": "Wren", "2": "Heron"}', r"keys \('0', '2'\) do not count classes"),
        ("birds.json", '{"0": "Wren", "0": "Heron"}', "the key '0' is there twice"),
        ("birds.json", '{"Wren": 0, "Heron": 0}', r"keys \('Wren', 'Heron'\) do not count classes"),
        ("birds.json", '{"Wren": "brown", "Heron": "grey"}', "do not count classes"),
        ("birds.json", '{"0": ["a", "b", "c"]}', "name 0 is .*, which is no text"),
        ("birds.json", '{"version": 1, "classes": []}', r"not a vocabulary: the list 'classes' .*\. Mend it\.$"),
        ("birds.yaml", "- Wren: 1\n", "which is no text"),
        ("birds.yaml", "- Wren\n-\n", "Class name 1 is blank"),
        ("birds.yaml", "Wren\nHeron\n", "states no class names: it holds 'Wren Heron'"),
        ("birds.yaml", "[Wren", r"birds\.yaml is not YAML"),
        ("birds.yaml", "Wren: 0\nWren: 1\n", "the key 'Wren' is there twice"),
    ],
)
def test_what_states_no_names_is_refused_in_one_line(tmp_path, name, content, message):
    with pytest.raises(FgvrError, match=message) as caught:
        read(tmp_path, name, content)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    for path in (tmp_path / "no_such.txt", tmp_path):
        with pytest.raises(FgvrError, match="which is no file; expected a list of names, or a text file"):
            read_class_names(path, "data.class_names", "a list of names")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "names.txt").write_text("Wren\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FgvrError, match=r"which cannot be read \(Permission denied\)"):
        read_class_names(tmp_path / "names.txt", "data.class_names")


def test_many_doubles_make_a_short_message():
    names = [f"bird {number}" for number in range(99)]
    with pytest.raises(FgvrError, match="and 96 more") as caught:
        known_vocabulary([*names, *names])
    assert len(str(caught.value)) < 300
