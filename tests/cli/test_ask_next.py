"""``fgvr label --select uncertain --run RUN``: a finished run chooses whom to ask about next."""

import math
from collections import Counter
from pathlib import Path

import pytest
from tiny_run import COLOURS, OPTIONS, SUPPORT, write_images

from fgvr.cli import main
from fgvr.labelling.files import read_labels_file
from fgvr.selections.doubt_table import read_doubt_table
from fgvr.tables import read_csv, write_csv

IMAGES = len(COLOURS) * SUPPORT
SOME = ["--data.select", "random", "--data.select.n", "6"]
NEXT = ["label", "--select", "uncertain", "--run", "runs/run", "--n"]
FLYP = ["--model", "flyp", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
TRUE_NAMES = [*OPTIONS[:4], "--data.class_names", "dataset", "--data.batch_size", "5", "--trainer.max_epochs", "1"]


def listed(path="runs/run/0/ask_next.csv"):
    return {row.cells["file"]: row.cells["name"] for row in read_csv(Path(path)).rows}


def test_it_asks_about_photos_that_nobody_was_asked_about(tiny_run, capsys):
    assert main(["fit", *OPTIONS, *SOME]) == 0
    capsys.readouterr()
    assert main([*NEXT, "5"]) == 0
    said = capsys.readouterr().out
    assert f"5 photos of {IMAGES} to ask about next: 5 not asked about before" in said
    assert "5 photos, 5 requests: 0 stored, 5 to ask" in said
    unasked = {label.sample_id for label in read_labels_file(Path("runs/run/0/labels.parquet")) if not label.names}
    assert set(listed()) <= unasked
    assert len(listed()) == 5
    assert main([*NEXT, "5"]) == 0
    assert "as the run names them" in capsys.readouterr().out
    assert len(listed()) == 5, "the same photos again"


def test_a_second_run_learns_from_old_and_new_names(tiny_run):
    assert main(["fit", *OPTIONS, *SOME]) == 0
    assert main([*NEXT, "5"]) == 0
    again = ["--data.select", "uncertain", "--data.select.run", "runs/run/0", "--data.select.n", "5"]
    rest = ["--data.select.keep", "true", "--run.name", "second"]
    assert main(["fit", *OPTIONS, *again, *rest]) == 0
    flags = Counter(label.flag == "unasked" for label in read_labels_file(Path("runs/second/0/labels.parquet")))
    assert flags == {False: 11, True: IMAGES - 11}


def test_true_names_choose_nothing(tiny_run):
    chosen = []
    for name in ("run", "wrong"):
        assert main(["fit", *OPTIONS, *SOME, "--run.name", name]) == 0
        assert (
            main(["label", "--select", "uncertain", "--run", f"runs/{name}", "--n", "5", "--list", f"{name}.csv"]) == 0
        )
        chosen.append(Path(f"{name}.csv").read_text())
        write_images(Path("birds"), dict(zip(COLOURS, [*list(COLOURS)[1:], "House Finch"], strict=True)))
    assert chosen[0] == chosen[1]


def test_a_person_fills_the_list_in_and_is_not_asked_again(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    by_hand = [*NEXT, "4", "--by-hand", "--list", "names.csv"]
    assert main(by_hand) == 0
    assert "names.csv: 4 photos to fill in" in capsys.readouterr().out
    write_csv(Path("names.csv"), ["file", "name"], [(file, "Great Auk") for file in listed("names.csv")])
    assert main([*NEXT, "4", "--list", "names.csv"]) == 0
    said = capsys.readouterr().out
    assert "not asked about, because the list has a name: 4" in said
    assert "0 photos, 0 requests" in said
    first = ["--data.labeler", "cascade", "--data.labeler.neighbours", "0", "--data.labeler.first", "fixed"]
    rest = ["--data.labeler.first.path", "names.csv", "--data.labeler.fallback", "recorded"]
    rest += ["--data.labeler.fallback.path", "replies.jsonl", "--run.name", "second"]
    assert main(["fit", *OPTIONS[:4], *OPTIONS[8:], *first, *rest]) == 0
    found = {label.sample_id: label.names for label in read_labels_file(Path("runs/second/0/labels.parquet"))}
    assert {file for file, names in found.items() if names == ("Great Auk",)} == set(listed("names.csv"))
    capsys.readouterr()
    assert main(["label", "--select", "uncertain", "--run", "runs/second", "--n", "99", "--by-hand"]) == 0
    said = capsys.readouterr().out
    assert "never asked about, because a person or a table has named them: 4" in said
    assert not set(listed("names.csv")) & set(listed("runs/second/0/ask_next.csv"))


def test_another_labeler_is_asked_about_what_the_first_one_left_in_doubt(tiny_run, capsys):
    Path("strong.jsonl").write_text(Path("replies.jsonl").read_text().replace("gpt-test", "gpt-strong"))
    assert main(["fit", *OPTIONS]) == 0
    assert main([*NEXT, "3", "--data.labeler.path", "strong.jsonl", "--list", "strong.csv"]) == 0
    said = capsys.readouterr().out
    assert "1 without a usable name, 2 named by a model before" in said
    assert "3 photos, 3 requests: 0 stored, 3 to ask" in said
    assert len(listed("strong.csv")) == 3


def test_a_dry_run_asks_nobody_and_writes_no_list(tiny_run, capsys):
    assert main(["fit", *OPTIONS, *SOME]) == 0
    assert main([*NEXT, "5", "--dry-run"]) == 0
    assert "5 to ask" in capsys.readouterr().out
    assert not Path("runs/run/0/ask_next.csv").exists()


def test_a_run_of_more_photos_doubts_them_anew(tiny_run, capsys):
    assert main(["fit", *OPTIONS, "--data.shots", "2"]) == 0
    assert main([*NEXT, "3"]) == 0
    before = len(read_doubt_table(Path("runs/run/0/doubt.parquet")))
    assert main([*NEXT, "3", "--data.shots", "null"]) == 0
    assert (before, len(read_doubt_table(Path("runs/run/0/doubt.parquet")))) == (8, IMAGES)
    assert f"3 photos of {IMAGES} to ask about next: 3 not asked about before" in capsys.readouterr().out


def test_a_trained_image_tower_encodes_the_photos_anew(tiny_run, caplog):
    assert main(["fit", *TRUE_NAMES, *FLYP]) == 0
    assert main([*NEXT, "3", "--by-hand"]) == 0
    assert f"{IMAGES} support photos are encoded anew" in caplog.text
    assert len(listed()) == 3


def test_an_image_tower_that_was_not_trained_encodes_no_photo_anew(tiny_run, caplog):
    assert main(["fit", *TRUE_NAMES, *FLYP, "--model.train_image_tower", "false"]) == 0
    assert main([*NEXT, "3", "--by-hand"]) == 0
    assert "encoded anew" not in caplog.text
    assert len(listed()) == 3


def test_a_run_without_a_labeler_says_so_before_it_looks_at_photos(tiny_run, capsys):
    assert main(["fit", *TRUE_NAMES, *FLYP]) == 0
    capsys.readouterr()
    assert main([*NEXT, "3"]) == 2
    assert "or leave the names to a person with --by-hand" in capsys.readouterr().err
    assert not Path("runs/run/0/doubt.parquet").exists()


DOUBTED = """
import torch
from fgvr.filters.base import PseudoLabels
from fgvr.filters.peer import PeerFilter
from fgvr.methods.doubting import Doubting
from fgvr.methods.zero_shot import ZeroShotMethod


class Doubted(ZeroShotMethod, Doubting):
    doubt_filter = PeerFilter()

    def said_of(self, features):
        count = len(features.joint)
        margins = torch.arange(count).float().expand(2, 2, count)
        return PseudoLabels(torch.zeros((2, count), dtype=torch.int64), torch.zeros((2, count)), margins)
"""


def test_a_method_with_negative_prompts_doubts_by_its_filter(tiny_run, monkeypatch, capsys):
    Path("doubted.py").write_text(DOUBTED)
    monkeypatch.syspath_prepend(tiny_run)
    data = [*OPTIONS[:4], "--data.class_names", "dataset", "--trainer.accelerator", "cpu"]
    assert main(["fit", *data, "--model", "doubted.Doubted", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]) == 0
    assert main([*NEXT, "3", "--by-hand"]) == 2
    assert "give --config runs/run/0/config.yaml" in capsys.readouterr().err
    assert main([*NEXT, "3", "--by-hand", "--config", "runs/run/0/config.yaml"]) == 0
    photos = read_doubt_table(Path("runs/run/0/doubt.parquet"))
    assert [photo.doubt for photo in photos] == [-number for number in range(IMAGES)]
    assert photos[1].p_clean == pytest.approx(1 / (1 + math.exp(-1)))


def test_a_run_that_learned_since_doubts_anew(tiny_run):
    assert main(["fit", *OPTIONS, *SOME]) == 0
    assert main([*NEXT, "3", "--by-hand"]) == 0
    before = Path("runs/run/0/doubt.parquet").read_bytes()
    last = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["fit", *last, "--trainer.max_epochs", "12"]) == 0
    assert main([*NEXT, "3", "--by-hand"]) == 0
    assert Path("runs/run/0/doubt.parquet").read_bytes() != before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["label", *OPTIONS, "--by-hand"], "--by-hand and --list are for photos that a run doubts"),
        (["label", "--select", "uncertain", "--run", "runs/nope", "--n", "3"], "There is no run 'runs/nope'"),
        (["label", *OPTIONS, "--select", "uncertain", "--n", "3"], "UncertainSelection needs run"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tiny_run, capsys, args, message):
    assert main(args) == 2
    assert message in capsys.readouterr().err


def test_a_run_folder_imports_no_code_that_it_is_not_trusted_with(tiny_run, capsys):
    assert main(["fit", *OPTIONS, *SOME]) == 0
    config = Path("runs/run/0/config.yaml")
    Path("evil.py").write_text("raise SystemExit('imported')\n")
    config.write_text(config.read_text().replace("fgvr.testing.tiny.TinyBackbone", "evil.TinyBackbone"))
    assert main([*NEXT, "3"]) == 2
    assert "evil.TinyBackbone" in capsys.readouterr().err
