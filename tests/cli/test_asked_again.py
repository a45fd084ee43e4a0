"""What a run does with a labeler that asks again without a photo."""

import json
from pathlib import Path

import pytest
from tiny.server import TinyAnswer, TinyServer
from tiny_run import OPTIONS

import fgvr
from fgvr.cli import main
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.labelers.tasks.same_class import SameClassTask

READER = "tiny.remote.TinyRemoteLabeler"


def without_labeler():
    place = OPTIONS.index("--data.labeler")
    return OPTIONS[:place] + OPTIONS[place + 4 :]


def replied(change):
    """Write the recorded replies anew: what ``change`` makes of the number of a line and its reply."""
    lines = [json.loads(line) for line in Path("replies.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["raw"] = change(number, line["raw"])
    Path("replies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def options(url, kind, part, *more):
    recorded = ["--data.labeler.labeler", "recorded", "--data.labeler.labeler.path", "replies.jsonl"]
    model = [f"--data.labeler.{part}", READER, f"--data.labeler.{part}.base_url", url]
    price = [f"--data.labeler.{part}.price_usd", "0.5"]
    return [*without_labeler(), "--data.labeler", kind, *recorded, *model, *price, *more]


def test_recorded_replies_are_read_by_a_model(tiny_run, capsys):
    german = "Man sieht hier, wie mir scheint, ganz ohne Zweifel und ohne jede Frage wieder den Waldkauz."
    replied(lambda number, raw: german if number in (2, 3) else raw)

    async def answer(body):
        assert RestateTask.of_stored(body["prompt"], None, {}).text == german
        return TinyAnswer({"raw": '{"name": "Waldkauz", "scientific_name": null}'})

    with TinyServer(answer) as server:
        asked = options(server.url, "restate", "reader")
        assert main(["label", *asked, "--dry-run"]) == 0
        assert "then up to 16 more, about $8.00" in capsys.readouterr().out
        assert main(["label", *asked, "--data.max_cost_usd", "0.5"]) == 0
        assert "$0.5000" in capsys.readouterr().out
        assert main(["fit", *asked, "--trainer.max_epochs", "1"]) == 0
    assert len(server.asked) == 1
    run = fgvr.open_run(max(Path("runs/run").iterdir()), trust=True)
    assert "Waldkauz" in run.vocabulary.names
    assert json.loads(run.folder.metrics.read_text())


@pytest.mark.parametrize("command", ["label", "fit"])
def test_names_are_joined_by_what_texts_say(tiny_run, command):
    replied(lambda number, raw: "The bird is a **Kingfisher**." if number == 0 else raw)

    async def answer(body):
        task = SameClassTask.of_stored(body["prompt"], None, {})
        assert (task.name, len(task.others)) == ("Kingfisher", 2)
        return TinyAnswer({"raw": json.dumps({"name": task.others[0]})})

    with TinyServer(answer) as server:
        near = ["--data.labeler.show_photo", "false", "--data.labeler.near", "2"]
        asked = options(server.url, "reconsider", "chooser", *near)
        assert main([command, *asked, *(["--trainer.max_epochs", "1"] if command == "fit" else [])]) == 0
        assert main(["candidates", *asked]) == 0
    assert len(server.asked) == 1, "the names that are near are the same at every stage"
    run = max(Path("runs/run").iterdir())
    names = [entry["name"] for entry in json.loads((run / "vocabulary.json").read_text())["classes"]]
    assert "Kingfisher" not in names
