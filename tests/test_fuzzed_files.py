"""scripts/fuzz_files.py: damaged files are refused, or change nothing, or it is said."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from fgvr.candidates.files import read_candidates, write_candidates
from fgvr.candidates.neighbours import Neighbours, read_neighbours, write_neighbours
from fgvr.descriptions.files import Origin, read_descriptions, read_origin, write_descriptions
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file, write_labels
from fgvr.metrics.evaluate import evaluate
from fgvr.metrics.files import read_metrics, write_metrics
from fgvr.records import CandidateSets, Description, LabelRecord, Prediction
from fgvr.relabelling.files import read_relabelling, write_relabelling
from fgvr.relabelling.gate import Verdict
from fgvr.reports.predictions import read_prediction_table, write_predictions
from fgvr.reports.table import format_table
from fgvr.selections.doubt_table import DoubtfulPhoto, read_doubt_table, write_doubt_table
from fgvr.vocabulary.build import build_vocabulary
from fgvr.vocabulary.files import read_vocabulary, write_vocabulary
from fgvr.vocabulary.name_files import read_class_names

SCRIPT = "fuzz_files"
CASES = 26
ROOT = Path(__file__).parents[1]


def test_damaged_files_give_no_traceback_and_no_silent_difference(tmp_path):
    command = [sys.executable, ROOT / "scripts/fuzz_files.py", "--cases", str(CASES), "--jobs", "2", "--keep", tmp_path]
    # a process of its own: this one has threads, which those that are forked from it would lack
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    kept = "\n".join(path.read_text()[-3000:] for path in tmp_path.glob("*/output.txt"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{kept}"
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["cases"] == CASES
    assert figures["refused"] > 5


def test_damage_is_drawn_by_the_seed_and_every_command_has_its_turn(script):
    data = bytes(range(256)) * 20
    for damage in script.DAMAGES:
        assert damage(data, random.Random(3)) == damage(data, random.Random(3))
    text = yaml.safe_dump({"a": {"b": [1, {"c": "x"}]}, "d": None}).encode()
    changed = {script.change_yaml(text, random.Random(seed)) for seed in range(200)}
    assert len(changed) > 50
    assert b"d: null\n" in changed
    kinds = list(script.KINDS)
    found = {(case.file, tuple(case.args)) for case in script.cases(kinds, 13 * len(kinds))}
    kinds = script.KINDS.values()
    assert found == {(file, tuple(args)) for kind in kinds for file, each in kind.files.items() for args in each}


@pytest.mark.parametrize(
    ("code", "text", "made", "outcome"),
    [
        (0, "done 2", {"a": 1}, "same"),
        (0, "done 3\nx.bin is damaged", {"a": 1}, "warned"),
        (0, "done 3\nx.bin: 2 rows", {"a": 2}, "said"),
        (0, "done 3", {"a": 2}, "SILENT"),
        (2, "fgvr: error: x.bin is damaged.", {}, "refused"),
        (2, "fgvr: error: x\nTo see every option: fgvr fit --help", {}, "refused"),
        (2, "fgvr: error: x.bin\nis damaged.", {}, "explained"),
        (2, "usage: fgvr", {}, "TRACEBACK"),
        (1, "", {}, "TRACEBACK"),
        (-11, "", {}, "TRACEBACK"),
        (0, "Traceback (most recent call last):\n ...", {"a": 1}, "TRACEBACK"),
        (-1, "", {}, "HANG"),
    ],
)
def test_outcomes(script, code, text, made, outcome):
    pristine = script.Result(0, "done 1", {"a": 1})
    assert script.outcome_of(script.Result(code, text, made), pristine, "x.bin") == outcome


def test_the_page_has_a_place_for_the_table(script):
    page = (ROOT / "docs/explanation/what-is-safe.md").read_text(encoding="utf-8")
    assert "| file | cases |" in script.with_table(page, "| file | cases |")
    with pytest.raises(ValueError, match="0 places"):
        script.with_table("nothing", "")


# readers alone, which a thousand damaged files take seconds


def write_run(folder):
    """The files of a run and tables beside it -> how each is read."""
    ids = [f"a/{number}.jpg" for number in range(20)]
    labels = [
        LabelRecord(each, ("Pug", "Auk"), (None, "Alca"), "", "raw", "m", 0.5, 1.0, 0.9, ("Emu",)) for each in ids
    ]
    vocabulary = build_vocabulary(labels)
    sets = CandidateSets.from_lists(ids, [[0, 1]] * len(ids))
    verdict = Verdict(True, 0.5, None, 0.4, "why")
    texts = [*(Description("image", each, sample_id=each) for each in ids), Description("group", "x", class_name="Pug")]
    fusion = {"visual": "ridge", "text": "zero_shot", "weight_by": "option", "text_weight": 0.5}
    selected = {"by": "x", "figure": 0.5, "epoch": 1, "epochs": 2, "photos": 3, "held_out": True}
    row = {"cacc": 60.0, "agreement": 3.0, "agreement_of": "seen", "shared_names": 30.0, "scoring": {"photos": 3}}
    write_labels(labels, folder / "labels.parquet")
    write_vocabulary(vocabulary, folder / "vocabulary.json")
    write_candidates(sets, vocabulary.names, folder / "candidates.parquet")
    write_relabelling("em", verdict, sets, sets, vocabulary.names, folder / "relabelling.parquet")
    write_neighbours([Neighbours(each, ("b", "c"), (0.4, 0.5)) for each in ids], folder / "neighbours.parquet")
    write_descriptions(texts, folder / "descriptions.parquet", Origin(0.5, simulated=False))
    doubts = [DoubtfulPhoto(each, "Pug", 1.5, 0.5, -1.5, "named") for each in ids]
    write_doubt_table(doubts, folder / "doubt.parquet")
    predictions = [Prediction(each, "test", "Pug", {"coop": "Pug"}, {"coop": 0.5}) for each in ids]
    write_predictions(predictions, folder / "predictions.parquet")
    write_metrics(folder / "metrics.json", {"coop": {**row, "fusion": fusion, "selected": selected, "warning": "w"}})
    (folder / "truth.csv").write_text("file,class_name\n" + "".join(f'{each},"Pug, grey"\n' for each in ids))
    (folder / "names.yaml").write_text("- Pug\n- Auk\n- House Finch\n")

    def as_table(path):
        read_prediction_table(path)
        return path, folder / "truth.csv"

    return {
        "labels.parquet": read_labels_file,
        "vocabulary.json": read_vocabulary,
        "candidates.parquet": lambda path: read_candidates(path, vocabulary.names),
        "relabelling.parquet": read_relabelling,
        "neighbours.parquet": read_neighbours,
        "descriptions.parquet": lambda path: (read_origin(path), read_descriptions(path)),
        "doubt.parquet": read_doubt_table,
        "predictions.parquet": lambda path: evaluate(*as_table(path), encoder=[]),
        "metrics.json": lambda path: format_table(read_metrics(path)),
        "truth.csv": lambda path: evaluate(folder / "predictions.parquet", path, encoder=[]),
        "names.yaml": lambda path: read_class_names(path, "data.class_names"),
    }


def refusal(read, path):
    """Why a file is refused; ``""`` where it is read."""
    try:
        read(path)
    except FgvrError as error:
        return str(error)
    return ""


def test_readers_refuse_in_one_line_that_names_the_file(script, tmp_path):
    refused = Counter()
    for name, read in write_run(tmp_path).items():
        whole, (form,) = tmp_path / name, [each for each in script.CHANGES if name.endswith(each)]
        read(whole)
        path = tmp_path / "damaged" / name
        path.parent.mkdir(exist_ok=True)
        for seed in range(60):
            chance, data = random.Random(seed), whole.read_bytes()
            change = script.CHANGES[form] if seed % 2 else chance.choice(script.DAMAGES)
            path.write_bytes(change(data, chance))
            message = refusal(read, path)
            assert "\n" not in message, seed
            assert not message or (name in message and len(message) < 1000), seed
            refused[name] += bool(message)
    assert all(refused.values()), refused
