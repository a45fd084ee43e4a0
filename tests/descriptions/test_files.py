import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.descriptions.files import Origin, read_descriptions, read_origin, write_descriptions
from fgvr.errors import FgvrError
from fgvr.records import Description

IMAGE = Description("image", "A grey jay, seen from the side.", sample_id="x/a.jpg")
GROUP = Description("group", "Jays.", class_name="Blue Jay", members=("x/a.jpg", "x/b.jpg"))
BARE = Description("group", "More jays.", class_name="Blue Jay")


def test_there_and_back(tmp_path):
    path = tmp_path / "run" / "descriptions.parquet"
    for given in ([IMAGE, GROUP, BARE], []):
        write_descriptions(given, path)
        assert read_descriptions(path) == given
    assert pq.read_table(path).column_names == ["kind", "sample_id", "class_name", "text", "members"]


def test_a_file_says_what_it_cost_and_whether_that_is_made_up(tmp_path):
    path = tmp_path / "descriptions.parquet"
    assert read_origin(path) is None
    write_descriptions([IMAGE], path)
    assert read_origin(path) is None
    write_descriptions([IMAGE], path, Origin(0.25, simulated=True))
    assert read_origin(path) == Origin(0.25, simulated=True)
    assert read_descriptions(path) == [IMAGE]
    for said in ("no JSON", "[1]", '{"cost_usd": null, "simulated": false}'):
        pq.write_table(pq.read_table(path).replace_schema_metadata({"fgvr": said}), path)
        assert read_origin(path) is None
    assert read_origin(tmp_path / "descriptions.csv") is None


def test_texts_of_classes_alone(tmp_path):
    path = tmp_path / "descriptions.csv"
    path.write_text('class_name,description\nBlue Jay,"Blue, with a crest."\nWren,Small.\n')
    assert read_descriptions(path) == [
        Description("group", "Blue, with a crest.", class_name="Blue Jay"),
        Description("group", "Small.", class_name="Wren"),
    ]


def test_every_format_says_the_same(tmp_path):
    rows = [
        {"kind": "image", "sample_id": "x\\a.jpg", "class_name": "Blue Jay", "text": IMAGE.text},
        {"kind": "group", "class_name": "Blue Jay", "text": "Jays.", "members": ["x/a.jpg", "x/b.jpg"]},
        {"class_name": "Blue Jay", "text": "More\n jays."},
    ]
    (tmp_path / "d.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    quoted = '"[""x/a.jpg"", ""x/b.jpg""]"'
    (tmp_path / "d.csv").write_text(
        "kind,file,class_name,text,members\n"
        f'image,x\\a.jpg,Blue Jay,"{IMAGE.text}",\n'
        f"group,,Blue Jay,Jays.,{quoted}\n"
        ',,Blue Jay,"More\n jays.",\n'
    )
    pq.write_table(pa.Table.from_pylist([{"members": None, **row} for row in rows[::-1]]), tmp_path / "d.parquet")
    assert read_descriptions(tmp_path / "d.jsonl") == [IMAGE, GROUP, BARE]
    assert read_descriptions(tmp_path / "d.csv") == [IMAGE, GROUP, BARE]


def test_text_from_outside_is_one_plain_line(tmp_path):
    path = tmp_path / "d.jsonl"
    rows = [
        {"class_name": "Jay", "text": "A\x1b[31m jay\u202e\r\n\ud83d"},
        {"class_name": "Jay", "text": "word " * 900},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    first, second = read_descriptions(path)
    assert first.text.isprintable()
    assert first.text.startswith("A[31m jay")
    assert 900 < len(second.text) <= 1000


def test_rows_without_a_text_are_left_out_and_counted(tmp_path, caplog):
    path = tmp_path / "d.csv"
    path.write_text("class_name,text\nJay,\nWren,Small.\n")
    with caplog.at_level(logging.WARNING, "fgvr"):
        assert len(read_descriptions(path)) == 1
    assert "1 row of" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.txt", "", r"ends in \.parquet, \.csv, \.jsonl"),
        ("d.csv", "class_name,words\nJay,Blue.\n", r"columns are class_name, words; expected a column 'text'"),
        ("d.csv", "text\nBlue.\n", r"columns are text; expected"),
        ("d.csv", "class_name,text\n,Blue.\n", r"d\.csv, row 2: it does not say what it is about"),
        ("d.csv", "kind,class_name,text\nclass,Jay,Blue.\n", r"row 2: kind is 'class'; expected image or group"),
        ("d.csv", "kind,class_name,text\nimage,Jay,Blue.\n", r"row 2: it does not say what it is about"),
        (
            "d.csv",
            "sample_id,text\na.jpg,A.\nb.jpg,B.\n./a.jpg,C.\n",
            r"row 4: 'a\.jpg' is described in .*row 2 already",
        ),
        ("d.csv", "class_name,text,members\nJay,Blue.,a.jpg\n", r"row 2: members is 'a\.jpg'; expected a JSON list"),
        ("d.csv", 'class_name,text,members\nJay,Blue.,"[1]"\n', r"row 2: members is '\[1\]'; expected a list of"),
        ("d.jsonl", '{"class_name": "Jay", "text": "A"}\n{', r"d\.jsonl, line 2: not JSON"),
        ("d.jsonl", "[1]", r"line 1: expected an object"),
        ("d.jsonl", '{"class_name": "Jay", "text": 7}', r"line 1: text is '7'; expected text"),
        ("d.parquet", "no parquet", r"is not a Parquet file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(FgvrError, match=message):
        read_descriptions(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(FgvrError, match=r"There is no .*set data\.describe\.file to the file"):
        read_descriptions(tmp_path / "d.csv")
