import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny.wordnet import write_wordnet

from fgvr.cli.evaluate import evaluate, main
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics

TRUTH = """\
file,class_name,split
images/a.jpg,Borzoi,test
images/b.jpg,Whippet,test
images/c.jpg,Pug,train
"""
PREDICTIONS = """\
sample_id,zero_shot_name,zero_shot_score,coop_name,true_name
images/b.jpg,Whippet,0.9,Whippet,ignored
images/a.jpg,Whippet,0.8,Borzoi,ignored
images/c.jpg,,0.1,"Pug, small",ignored
"""


@pytest.fixture
def table(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def truth(table):
    return table("truth.csv", TRUTH)


@pytest.fixture
def predictions(table):
    return table("predictions.csv", PREDICTIONS)


def scores_of(figures):
    return {name: figures[name] for name in ("cacc", "siou", "siou_hyphen")}


def test_every_row_is_scored_by_sample_id(predictions, truth):
    figures = evaluate(predictions, truth, encoder=[])
    assert list(figures) == ["zero_shot", "coop"]
    assert scores_of(figures["zero_shot"]) == {"cacc": 66.6667, "siou": 33.3333, "siou_hyphen": 33.3333}
    assert scores_of(figures["coop"]) == {"cacc": 100, "siou": 83.3333, "siou_hyphen": 83.3333}


def test_table_on_stdout(predictions, truth, capsys):
    evaluate(predictions, truth, split="test", encoder=[], resamples=0)
    assert capsys.readouterr().out.splitlines() == [
        "2 photos, 2 classes, split test",
        f"columns: zero_shot_name, coop_name of {predictions}; class_name of {truth}",
        "left out: 1 prediction of other photos",
        "",
        "            cACC   sIOU  sIOU (hyphens split)",
        "zero_shot   50.0   50.0                  50.0",
        "coop       100.0  100.0                 100.0",
    ]


def test_photos_without_a_name_are_counted(predictions, truth, capsys):
    evaluate(predictions, truth, encoder=[])
    assert "scored as an empty name: 1 photo of row zero_shot\n" in capsys.readouterr().out


def test_output_says_how_it_was_scored(predictions, truth, tmp_path):
    figures = evaluate(predictions, truth, split="training", encoder=[], output=tmp_path / "new" / "metrics.json")
    written = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert written["coop"]["scoring"]["split"] == "support"  # the name that fgvr has for it
    assert written["coop"]["scoring"]["photos"] == 1
    assert {row: record["cacc"] for row, record in written.items()} == {row: figures[row]["cacc"] for row in figures}


def test_parquet_equals_csv(predictions, truth, tmp_path):
    columns = {
        "sample_id": ["images/a.jpg", "images/b.jpg", "images/c.jpg"],
        "zero_shot_name": ["Whippet", "Whippet", None],
        "zero_shot_score": [0.8, 0.9, 0.1],
        "coop_name": ["Borzoi", "Whippet", "Pug, small"],
    }
    pq.write_table(pa.table(columns), tmp_path / "predictions.parquet")
    as_categories = pa.array(["Borzoi", "Whippet", "Pug"]).dictionary_encode()
    pq.write_table(
        pa.table({"sample_id": columns["sample_id"], "true_name": as_categories}), tmp_path / "truth.parquet"
    )
    expected = evaluate(predictions, truth, encoder=[])
    assert evaluate(tmp_path / "predictions.parquet", tmp_path / "truth.parquet", encoder=[]) == expected


def test_parquet_without_text(truth, tmp_path):
    pq.write_table(pa.table({"sample_id": [1, 2], "name": [3, 4]}), tmp_path / "p.parquet")
    with pytest.raises(FgvrError, match=r"no column name or prediction .* of text"):
        evaluate(tmp_path / "p.parquet", truth, encoder=[])


@pytest.mark.parametrize("column", ["name", "prediction"])
def test_one_list_of_names(table, truth, column):
    # as a spreadsheet on Windows may have saved it
    path = table(
        "p.csv", f"\ufefffile,{column}\r\nimages\\a.jpg,Borzoi \r\n./images/b.jpg,Whippet\r\nimages/c.jpg,Pug\r\n\r\n"
    )
    assert scores_of(evaluate(path, truth, encoder=[])["predictions"]) == {"cacc": 100, "siou": 100, "siou_hyphen": 100}


@pytest.mark.parametrize("column", ["name", "prediction"])
def test_a_list_of_names_goes_before_columns_that_end_in_name(table, truth, column, capsys):
    text = f"file,model_name,{column}\nimages/a.jpg,gpt,Borzoi\nimages/b.jpg,gpt,Whippet\nimages/c.jpg,gpt,Pug\n"
    path = table("p.csv", text)
    assert scores_of(evaluate(path, truth, encoder=[])["predictions"]) == {"cacc": 100, "siou": 100, "siou_hyphen": 100}
    assert f"columns: {column} of {path}; class_name of {truth}\n" in capsys.readouterr().out


def test_no_encoder_on_this_machine_is_said_unless_none_was_wanted(predictions, truth, capsys, monkeypatch):
    monkeypatch.setattr("fgvr.metrics.contributions.available", lambda encoder: False)
    evaluate(predictions, truth)
    assert "No sACC: there is no sentence encoder on this machine" in capsys.readouterr().out
    evaluate(predictions, truth, encoder=[])
    assert "No sACC" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample_id,name\n", r"p\.csv is empty"),
        ("", r"p\.csv is empty"),
        ("photo,name\na,b\n", "no column sample_id or file of text; it has: photo, name"),
        ("file,label\na,b\n", "no column name or prediction or <row>_name .*coop_name"),
        ("file,name\nimages/a.jpg,x\n,x\n", "row 3: the photo's id is empty"),
        ("file,name\nimages/a.jpg,x\nimages/b.jpg,x\nimages/a.jpg,y\n", "row 4: 'images/a.jpg' is in row 2 already"),
        ("file,name\nimages/a.jpg,Pug, small\n", "row 2: 3 cells, but the header has 2.*in quotes"),
        ("file,name,name\nimages/a.jpg,x,y\n", "row 1: column 'name' is there twice"),
        (
            "file,name\nimages/a.jpg,x\nz.jpg,x\n",
            r"no prediction for 2 of 3 photos of .*, the first 'images/b\.jpg'",
        ),
        ('file,name\nimages/a.jpg,"x\n', "row 2: not CSV"),
    ],
)
def test_broken_predictions(table, truth, text, message):
    with pytest.raises(FgvrError, match=message):
        evaluate(table("p.csv", text), truth, encoder=[])


@pytest.mark.parametrize(
    ("text", "split", "message"),
    [
        (
            'file,class_name\nimages/a.jpg,"Borzoi\nimages/b.jpg,Pug"\n',
            None,
            "row 2: the column 'class_name' holds a line",
        ),
        (TRUTH, "val", "no photo of split 'val'; it has: support, test"),
        ("file,class_name\nimages/a.jpg,Borzoi\n", "test", "no column split"),
        ("file,class_name\nimages/a.jpg,Borzoi\nimages/b.jpg,\n", None, r"row 3: 'images/b\.jpg' has no true name"),
        ("file,label\nimages/a.jpg,Borzoi\n", None, "no column class_name or true_name"),
    ],
)
def test_broken_truth(table, predictions, text, split, message):
    with pytest.raises(FgvrError, match=message):
        evaluate(predictions, table("t.csv", text), split=split, encoder=[])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b"", r"ends in \.csv or \.parquet"),
        ("p.parquet", b"no Parquet", "not a Parquet file"),
        ("p.csv", b"file,name\nimages/a.jpg,Caf\xe9\n", "line 2: not UTF-8"),
    ],
)
def test_unreadable_file(tmp_path, truth, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FgvrError, match=message):
        evaluate(tmp_path / name, truth)


def test_missing_file(tmp_path, truth):
    with pytest.raises(FgvrError, match="There is no"):
        evaluate(tmp_path / "p.csv", truth)


def test_command_line(predictions, truth, tmp_path, capsys):
    output = tmp_path / "metrics.json"
    arguments = ["--predictions", str(predictions), "--truth", str(truth), "--encoder", "[]", "--output", str(output)]
    assert main(arguments) == 0
    assert "coop" in capsys.readouterr().out
    assert list(json.loads(output.read_text())) == ["zero_shot", "coop"]


@pytest.mark.parametrize(
    "option", [["--encoder", "no-such-encoder"], ["--encoder+", "no-such-encoder", "--encoder+", "no-other"]]
)
def test_encoders_on_the_command_line(predictions, truth, option):
    with pytest.raises(FgvrError, match="'no-such-encoder' is neither"):
        main(["--predictions", str(predictions), "--truth", str(truth), *option])


def test_help_comes_from_the_docstring(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "Score the photos of this split only" in capsys.readouterr().out


@pytest.mark.parametrize(
    "paths",
    [
        ("C:\\data\\images\\a.jpg", "C:\\data\\images\\b.jpg", "C:\\data\\images\\c.jpg"),
        ("/data/images/a.jpg", "./images/b.jpg", "c.jpg"),
        ("a.jpg", "b.jpg", "c.jpg"),
        ("Images/A.jpg", "images/b.jpg", "s3://bucket/images/c.jpg"),
    ],
)
def test_predictions_by_other_paths(table, truth, paths):
    rows = "".join(f"{path};{name}\n" for path, name in zip(paths, ["Borzoi", "Whippet", "Pug"], strict=True))
    figures = evaluate(table("others.csv", f"file;name\n{rows}"), truth, encoder=[])
    assert figures["predictions"]["siou"] == 100


def test_predictions_that_two_paths_may_mean(table, truth):
    names = "file,name\nb.jpg,Whippet\nc.jpg,Pug\n"
    with pytest.raises(FgvrError, match=r"row 5: 'y/images/a\.jpg' may be 'images/a\.jpg', and so may that of row 4"):
        evaluate(table("p.csv", f"{names}x/images/a.jpg,Borzoi\ny/images/a.jpg,Pug\n"), truth, encoder=[])
    with pytest.raises(FgvrError, match=r"row 2: 'a\.jpg' may be 'x/a\.jpg' or 'y/a\.jpg'; give the whole path"):
        evaluate(
            table("p.csv", "file,name\na.jpg,Pug\n"), table("t.csv", "file,class_name\nx/a.jpg,Pug\ny/a.jpg,Pug\n")
        )


def test_accents_and_encodings(tmp_path):
    (tmp_path / "truth.csv").write_bytes("file;class_name\nCaf\u00e9.jpg;K\u00e4fer\n".encode("cp1252"))
    predicted = "file\tname\nCafe\u0301.jpg\tKa\u0308fer\n"
    (tmp_path / "marked.csv").write_text(predicted, encoding="utf-16")
    with pytest.raises(FgvrError, match=r"truth\.csv, line 2: not UTF-8.*set encoding"):
        evaluate(tmp_path / "marked.csv", tmp_path / "truth.csv", encoder=[])
    figures = evaluate(tmp_path / "marked.csv", tmp_path / "truth.csv", encoder=[], encoding="cp1252")
    assert figures["predictions"]["cacc"] == 100


def test_intervals_are_printed_and_written(predictions, truth, tmp_path, capsys):
    evaluate(predictions, truth, encoder=[], output=tmp_path / "m.json")
    out = capsys.readouterr().out
    assert "coop       100.0 ±0.0" in out
    assert "\n(±: half of the 95 % interval" in out
    record = read_metrics(tmp_path / "m.json")["zero_shot"]
    assert record["intervals"].keys() == {name for name, value in record.items() if isinstance(value, float)}
    low, high = record["intervals"]["siou"]
    assert low <= record["siou"] <= high
    evaluate(predictions, truth, encoder=[], output=tmp_path / "m.json", resamples=0)
    assert "intervals" not in read_metrics(tmp_path / "m.json")["zero_shot"]
    with pytest.raises(FgvrError, match="resamples is -1"):
        evaluate(predictions, truth, encoder=[], resamples=-1)


def test_scores_of_either_kind_of_file_are_used(predictions, truth, tmp_path, capsys):
    figures = evaluate(predictions, truth, encoder=[], closed=True)
    assert figures["zero_shot"]["ece"] == pytest.approx(100 * (0.1 + 0.8 + 0.1) / 3, abs=1e-3)
    assert "ece" not in figures["coop"], "it has no scores"
    columns = {"sample_id": ["images/a.jpg", "images/b.jpg", "images/c.jpg"], "name": ["Borzoi", "Pug", "Pug"]}
    for score, used in (([0.5, 1.0, 0.0], True), ([0.5, None, 0.0], False), ([None] * 3, False)):
        pq.write_table(pa.table(columns | {"score": pa.array(score, pa.float32())}), tmp_path / "p.parquet")
        capsys.readouterr()
        figures = evaluate(tmp_path / "p.parquet", truth, encoder=[])
        assert ("ece" in figures["predictions"]) is used
        said = "scores not used: row predictions has none from 0 to 1 for 1 photo\n" in capsys.readouterr().out
        assert said is (score == [0.5, None, 0.0])


def test_rows_are_tested_against_one(predictions, truth, tmp_path, capsys):
    output = tmp_path / "m.json"
    evaluate(predictions, truth, encoder=[], against="zero_shot", output=output)
    out = capsys.readouterr().out
    assert "against zero_shot, over the same photos:" in out
    assert "adjusted for 1 row)" in out
    rows = read_metrics(output)
    assert "against" not in rows["zero_shot"]
    assert rows["coop"]["against"]["row"] == "zero_shot"
    test = rows["coop"]["against"]["tests"]["cacc"]
    assert (test["test"], test["difference"], test["p"]) == ("mcnemar", 33.3333, 1.0)
    with pytest.raises(FgvrError, match="against is 'no'"):
        evaluate(predictions, truth, encoder=[], against="no")


def test_all_figures_and_switches_on_the_command_line(predictions, truth, capsys):
    paths = ["--predictions", str(predictions), "--truth", str(truth), "--encoder", "[]"]
    assert main([*paths, "--all-figures", "--closed", "--cacc-resolved", "--against", "coop"]) == 0
    out = capsys.readouterr().out
    for heading in ("accuracy (macro)", "NMI", "too general", "cACC (matched anew)", "right of the surest 50 %"):
        assert f"\n{heading} " in out
    with pytest.raises(FgvrError, match=r"finer_compat .* is none of its 196 classes"):
        main([*paths, "--finer-compat"])


def test_depth_in_wordnet(predictions, truth, tmp_path, capsys):
    paths = ["--predictions", str(predictions), "--truth", str(truth), "--encoder", "[]", "--resamples", "0"]
    assert main([*paths, "--wordnet", str(write_wordnet(tmp_path / "wordnet"))]) == 0
    assert re.search(r"\nin WordNet +0\.0 +0\.0\n", capsys.readouterr().out), "no dog is in this one"
    with pytest.raises(FgvrError, match="wordnet: there is no WordNet in"):
        main([*paths, "--wordnet", str(tmp_path / "other")])
