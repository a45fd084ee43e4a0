"""scripts/reply_agreement.py, which measures the reading of replies."""

import json
from pathlib import Path

import pytest

from fgvr.reading.replies import parse_reply
from fgvr.vocabulary.build import fold_name

SCRIPT = "reply_agreement"
REPOSITORY = Path(__file__).parents[1]
RECORDED = REPOSITORY.parent / "shared" / "data" / "recorded_labels"


def write(path: Path, *rows: tuple[str, str]) -> Path:
    lines = [json.dumps({"raw": raw, "extracted": {"1": theirs} if theirs else {}}) for raw, theirs in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_table_and_the_line_of_json(script, tmp_path, capsys):
    write(
        tmp_path / "pets.jsonl",
        ("The pet is a **Siamese cat**.", "Siamese Cat"),
        ("Pug", "Boxer"),
        ("The pet is a Pug.", "pug"),
        ("The pet is a domestic cat.", "Domestic Cat"),
    )
    write(tmp_path / "cars.jsonl", ("The car is a 2009 Acura RL. It has four doors.", "Acura Rl Sedan 2009"))
    script.main([str(tmp_path), "--differences"])
    first, heading, cars, pets, last = capsys.readouterr().out.splitlines()
    assert first == "pets, line 2: 'Pug', extracted 'Boxer'"
    assert heading.split()[:4] == ["file", "rows", "strict", "%"]
    assert cars.split() == ["cars", "1", "0.0", "100.0", "0.0", "100.0", "0", "make", "and", "model"]
    assert pets.split() == ["pets", "4", "25.0", "75.0", "50.0", "100.0", "1", "name"]
    found = json.loads(last)
    assert found["pets"]["strict_odd"] == 50
    assert found["pets"]["both_unnamed"] == 1


def test_vehicles_are_what_the_option_says(script, tmp_path, capsys):
    path = write(tmp_path / "cars.jsonl", ("Acura RL", "Acura RL Sedan"), ("Audi 80", "Audi 80 Avant"))
    script.main([str(path), "--vehicles"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["cars"]["normalised"] == 50
    script.main([str(path), "--vehicles", "ca"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["cars"]["normalised"] == 100


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("Siamese", "Siamese Cat", True),
        ("Bernese mountain dog", "Bernese Mountain", True),
        ("Anna's Hummingbird", "Annas Hummingbird", True),
        ("Gray Catbird", "Grey Catbird", True),
        ("Mac & Cheese", "Mac and Cheese", True),
        ("Reventón", "Reventon", True),
        ("St. Bernard", "St Bernard", True),
        ("Siamese Cat", "Siamese Dog", False),
        ("Chihuahua", "Long Coated Chihuahua", False),
        ("Cattle Dog", "Cat", False),
    ],
)
def test_which_names_are_the_same(script, ours, theirs, same):
    assert script.same_name(ours, theirs) == same
    assert script.same_name(theirs, ours) == same


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("Acura RL 2009", "Acura Rl Sedan", True),
        ("Audi TT", "Audi T T Coupe 2007", True),
        ("Chevrolet Silverado pickup truck", "Chevrolet Silverado Classic Pickup Truck 2007", True),
        ("Volkswagen Golf", "Volkswagen Golf Mk6 Hatchback 2010", True),
        ("MINI Roadster 2012", "Mini Roadster Convertible 2012", True),
        ("Audi A4", "Audi A45", False),
        ("BMW X5", "BMW X6", False),
        ("BMW", "BMW X6", False),
        ("Sedan 2009", "Coupe 2009", False),
    ],
)
def test_which_vehicles_are_the_same(script, ours, theirs, same):
    assert script.same_vehicle(ours, theirs) == same
    assert script.same_vehicle(theirs, ours) == same


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"raw": "Pug"}', '{"raw": "Pug", "extracted": ["Pug"]}'])
def test_a_line_that_is_no_row_is_named(script, tmp_path, line):
    path = write(tmp_path / "dogs.jsonl", ("Pug", ""))
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(SystemExit, match=r"dogs\.jsonl, line 2: expected a JSON object with"):
        script.main([str(path)])


def test_a_path_without_replies_is_named(script, tmp_path):
    for path in (tmp_path, tmp_path / "missing.jsonl"):
        with pytest.raises(SystemExit, match="expected a file of replies or a folder"):
            script.main([str(path)])


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "rows", "least", "strict", "accuracy", "unnamed"),
    [
        # agreement asked for; then as measured: strict agreement, first name = true name, replies without a name
        ("dogs120", 360, 93, 97.5, 50.5, 2),
        ("cub200", 600, 93, 98.5, 47.8, 1),
        ("pets37", 111, 93, 68.5, 70.2, 8),  # "Siamese" is what the data set says, the second LLM says "Siamese Cat"
        ("cars196", 588, 90, 7.1, 0.5, 2),  # the second LLM adds body style and year from elsewhere
    ],
)
def test_recorded_replies(script, capsys, dataset, rows, least, strict, accuracy, unnamed):
    path = RECORDED / f"{dataset}.qwen2.5-vl-72b.jsonl"
    if not path.is_file():
        pytest.skip(f"no recorded replies at {path}")
    script.main([str(path)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])[path.stem]
    assert found["rows"] == rows
    assert min(found["normalised"], found["normalised_even"], found["normalised_odd"]) >= least
    assert found["strict"] >= strict - 0.5
    recorded = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = [next(iter(parse_reply(row["raw"]).names), "") for row in recorded]
    right = sum(fold_name(name) == fold_name(row["class_name"]) for name, row in zip(names, recorded, strict=True))
    assert 100 * right / rows >= accuracy - 0.5
    assert names.count("") <= unnamed
