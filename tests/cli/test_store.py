import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fgvr.cli import main
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

IDENTITY = {"labeler": "openai", "model": "gpt-4o", "task": "name", "schema": None}
ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\u2066 \r\n  hidden"


def ask(name):
    digest = hashlib.sha256(name.encode()).hexdigest()
    return LabelRequest(ImageRecord(sample_id=name, path=Path(name), split="support", digest=digest), "What is it?")


REPLIES = [
    Reply(
        ask("dogs/a.jpg"),
        raw="A **Beagle**.",
        model="gpt-4o-2024-08-06",
        cost_usd=0.25,
        seconds=1.5,
        usage={"prompt_tokens": 10},
    ),
    Reply(
        ask("dogs/b.jpg"),
        raw="I can't tell which breed this is.",
        model="gpt-4o-2024-08-06",
        usage={"prompt_tokens": 5},
    ),
    Reply(ask("dogs/c.jpg"), error="500 for request 17 of dogs/c.jpg", attempts=5),
    Reply(ask("dogs/d.jpg"), error="500 for request 18 of dogs/d.jpg", attempts=5),
    Reply(ask(f"dogs/{ESCAPES}.jpg"), raw=f"{ESCAPES}Pug", model=f"gpt-6{ESCAPES}"),
    Reply(ask("dogs/e.jpg"), raw="Pug", model="gpt-4o-2024-08-06"),
]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LabelStore(Path("runs/labels.sqlite")) as store:
        store.put_many(IDENTITY, REPLIES)
        store.put({"labeler": "fieldguide"}, Reply(ask("x.jpg"), raw="Pug", cost_usd=1.0, usage={"simulated": True}))
        yield store


@pytest.fixture
def run(capsys):
    def run(*args, code=0):
        assert main(["store", *args]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return run


def test_show_prints_the_latest_first(store, run):
    shown = run("show", "--limit", "2").split("\n\n")
    assert shown[0].startswith("x.jpg  $1.0000 (simulated)  20")
    assert shown[1].splitlines()[0].startswith("dogs/e.jpg  gpt-4o-2024-08-06  $0.0000  ")
    assert shown[1].splitlines()[1:] == ["  names:  Pug", "  reply:  Pug"]
    assert shown[2] == "The latest 2; more with --limit.\n"


def test_show_filters(store, run):
    assert run("show", "--photo", "a.jpg").splitlines()[1:3] == ["  names:  Beagle", "  reply:  A **Beagle**."]
    assert run("show", "--flag", "refusal").splitlines()[1] == "  flag:   refusal"
    failed = run("show", "--failed", "--limit", "0")
    assert failed.count("failed: 500 for request") == 2
    assert "(attempts: 5)" in failed
    assert "dogs" not in run("show", "--labeler", "fieldguide")
    assert run("show", "--model", "nobody") == "No such reply in runs/labels.sqlite.\n"


def test_show_with_what_a_person_said(store, run):
    store.revise(
        corrections={request_key(IDENTITY, ask("dogs/b.jpg")): ["Boxer"]}, aliases={"beagle": "English Beagle"}
    )
    assert "  names:  Boxer (by a person)\n" in run("show", "--photo", "dogs/b")
    assert "  names:  English Beagle (for Beagle)\n" in run("show", "--photo", "dogs/a")


def test_full_replies(store, run):
    full = run("show", "--photo", "dogs/a.jpg", "--full")
    assert f"  key:    {request_key(IDENTITY, ask('dogs/a.jpg'))}\n" in full
    assert "  asked:  What is it?\n" in full
    assert full.rstrip().endswith("  reply:\n    A **Beagle**.")


@pytest.mark.parametrize("args", [["show"], ["show", "--full"], ["stats"]])
def test_no_reply_and_no_file_name_can_drive_the_terminal(store, run, args):
    store.batches.open(IDENTITY, f"server{ESCAPES}", [ask("a")], 1.0)
    store.revise(corrections={request_key(IDENTITY, ask("dogs/b.jpg")): [f"Boxer{ESCAPES}"]})
    out = run(*args)
    assert {char for char in out if not char.isprintable()} == {"\n"}
    assert "\\x1b" in out


def test_stats(store, run):
    store.batches.open(IDENTITY, "api.example gpt-4o", [ask("a"), ask("b")], 1.25)
    openai, simulated, batch = run("stats").split("\n\n")
    assert json.loads(openai.splitlines()[0]) == IDENTITY
    lines = [line.strip() for line in openai.splitlines()]
    assert "prompt    What is it?" in lines
    assert "replies   4, and 2 failures" in lines
    assert "2 x N for request N of PHOTO" in lines
    assert any(line.startswith("models    gpt-4o-2024-08-06 3, gpt-6") for line in lines)
    assert any(line.startswith("WARNING: gpt-4o was asked for, and gpt-6") for line in lines)
    assert any(line.startswith("flags     usable ") and "refusal 1" in line for line in lines)
    assert "cost      $0.2500" in lines
    assert "tokens    prompt_tokens 15" in lines
    assert "cost      $1.0000 (simulated)" in simulated
    assert batch.startswith("open batch fgvr-")
    assert "submitting, 2 requests to api.example gpt-4o, at most $1.25, since 20" in batch


def test_replies_to_questions_about_texts(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    identity = {**IDENTITY, "task": "restate"}
    with LabelStore(Path("runs/labels.sqlite")) as store:
        for said, read in (
            ("Ein Dackel.", "Dackel"),
            ("Ein Mops.", "Mops"),
            ("Ein Tier.", None),
            ("Ein Hund.", "Mops"),
        ):
            request = replace(ask(f"{said}jpg"), prompt=RestateTask(said).prompt())
            store.put(identity, Reply(request, raw=json.dumps({"name": read, "scientific_name": None}), cost_usd=0.25))
    (block,) = run("stats").strip().split("\n\n")
    assert "replies   4, and 0 failures" in block, "one block, and not one for each prompt"
    assert "usable 2, empty 1, unparsed 1" in block
    assert "names     2 different: Dackel 1, Mops 1" in block
    assert "cost      $1.0000" in block
    assert "names:  Mops" in run("show", "--photo", "Mops")
    assert "flag:   unparsed" in run("show", "--photo", "Hund"), "the name does not stand in the text"
    assert run("review", "review.csv").startswith("review.csv: 0 pairs of names and 0 replies")


@pytest.mark.parametrize(
    ("asked", "answered", "warns"),
    [("gpt-4o", "gpt-4o-2024-08-06", False), ("gpt-4o", "gpt-4o-mini-2024-07-18", True), ("", "anything", False)],
)
def test_another_model_than_asked_for(tmp_path, monkeypatch, run, asked, answered, warns):
    monkeypatch.chdir(tmp_path)
    with LabelStore(Path("runs/labels.sqlite")) as store:
        store.put({"model": asked}, Reply(ask("a"), raw="Pug", model=answered))
    assert ("WARNING" in run("stats")) == warns


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_export_and_import(store, run, ending):
    assert run("export", f"labels.{ending}") == f"labels.{ending}: 7 replies\n"
    assert (
        run("import", f"labels.{ending}", "--store", "other.sqlite") == "7 new, 0 kept as they were in other.sqlite\n"
    )
    assert (
        run("import", f"labels.{ending}", "--store", "other.sqlite") == "0 new, 7 kept as they were in other.sqlite\n"
    )
    with LabelStore(Path("other.sqlite")) as other:
        assert list(other.rows()) == list(store.rows())


def test_an_import_with_a_mistake_imports_nothing(store, run):
    run("export", "labels.jsonl")
    with Path("labels.jsonl").open("a") as stream:
        stream.write("{}\n")
    assert "labels.jsonl, line 8: no 'key'" in run("import", "labels.jsonl", "--store", "other.sqlite", code=2)
    assert not Path("other.sqlite").exists()


def test_retry_failed(store, run):
    assert run("retry-failed", "--error", "request 17") == "1 failure may be asked again. To ask them: fgvr label\n"
    assert run("retry-failed", "--error", "nothing") == "0 failures may be asked again.\n"
    assert [reply.attempts for reply in store.get(IDENTITY, [ask("dogs/c.jpg"), ask("dogs/d.jpg")])] == [0, 5]


def test_review(store, run):
    assert run("review", "review.csv").startswith("review.csv: 0 pairs of names and ")
    text = Path("review.csv").read_text(encoding="utf-8-sig")
    key = request_key(IDENTITY, ask("dogs/b.jpg"))
    rows = [line.replace("which name?,,", "which name?,Boxer,") if key in line else line for line in text.splitlines()]
    Path("review.csv").write_text("\n".join([*rows, "one name?,yes,Pug,1,Mops,1,,,,"]))
    out = run("review", "review.csv", "--apply")
    assert out == "Pug: itself -> Mops\ndogs/b.jpg: as in the reply -> Boxer\n1 name and 1 reply changed.\n"
    assert store.aliases() == {"pug": "Mops"}
    assert run("review", "review.csv", "--apply") == "0 names and 0 replies changed.\n"


@pytest.mark.parametrize("args", [["show"], ["stats"], ["export", "a.csv"], ["retry-failed"], ["review", "a.csv"]])
def test_without_a_store(tmp_path, monkeypatch, run, args):
    monkeypatch.chdir(tmp_path)
    assert "There is no label store 'runs/labels.sqlite': fgvr label makes one" in run(*args, code=2)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    LabelStore(Path("runs/labels.sqlite")).close()
    assert run("show") == run("stats").replace("No replies in", "No such reply in")
    assert run("export", "a.parquet") == "a.parquet: 0 replies\n"
    assert run("import", "a.parquet") == "0 new, 0 kept as they were in runs/labels.sqlite\n"


def test_help_is_fast_and_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["store", "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("show", "stats", "export", "import", "retry-failed", "review"))
    # what takes seconds to import is not
    code = "import sys, fgvr.cli.store; sys.exit(bool({'torch', 'lightning', 'rapidfuzz'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_check_shows_damage_and_takes_it_out_or_takes_it_as_it_is(store, run, capsys):
    assert "Every row of runs/labels.sqlite is as it was stored." in run("check")
    with closing(sqlite3.connect("runs/labels.sqlite")) as other, other:
        other.execute("UPDATE replies SET raw = 'Odd' WHERE sample_id = 'x.jpg'")
    assert main(["store", "check"]) == 2
    captured = capsys.readouterr()
    assert "x.jpg  reply: Odd  labeler:" in captured.out
    assert "1 row of the label store 'runs/labels.sqlite' is damaged. Restore a copy" in captured.err
    assert "x.jpg" in run("stats", code=2)
    assert "1 row taken as they are" in run("check", "--keep")
    with closing(sqlite3.connect("runs/labels.sqlite")) as other, other:
        other.execute("UPDATE replies SET raw = 'Odder' WHERE sample_id = 'x.jpg'")
    assert "1 row taken out of runs/labels.sqlite" in run("check", "--drop")
    assert "x.jpg" not in run("show")
    assert "give --drop or --keep" in run("check", "--drop", "--keep", code=2)
