import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS, SUPPORT, TEST
from tower_run import QUIET

import fgvr
from fgvr.cli import main
from fgvr.metrics.files import read_metrics

pytestmark = QUIET

IMAGES = len(COLOURS) * TEST
DATA = [*OPTIONS[:4], "--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
RECORDED = [*OPTIONS[4:8], "--judge.split", "support"]
TOWER = ["--protocol.encoder", "backbone"]


def seen(picture):
    """Which bird a picture shows, by its colour."""
    mean = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture)))).reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda name: np.abs(mean - COLOURS[name]).sum())


def reply(names):
    return names[0] if len(names) == 1 else json.dumps({str(number): name for number, name in enumerate(names, 1)})


async def right(body):
    return TinyAnswer({"raw": reply([seen(picture).upper() for picture in body["pictures"]])})


@pytest.fixture
def birds(tiny_run):
    """A server that sees right, and the options that ask it; ``birds.answer`` may be another one."""

    class Birds:
        answer = staticmethod(right)

        def __init__(self):
            labeler = {
                "class_path": "tiny.remote.TinyRemoteLabeler",
                "init_args": {"base_url": server.url, "price_usd": 0.01, "task": "name"},
            }
            Path("birds.yaml").write_text(yaml.safe_dump({"data": {"labeler": labeler}}))
            self.server = server

        def judge(self, protocol, *options):
            return main(["judge", "--config", "birds.yaml", *DATA, "--protocol", protocol, *options])

    async def answer(body):
        return await birds.answer(body)

    with TinyServer(answer) as server:
        birds = Birds()
        yield birds


def result(capsys):
    """The figures of the newest row, its answers and what was said."""
    out = capsys.readouterr().out
    folder = Path(out.splitlines()[-1])
    ((row, record),) = read_metrics(folder / "metrics.json").items()
    return row, record, pq.read_table(folder / "judged.parquet").to_pylist(), out


def test_a_dry_run_asks_nothing_and_leaves_nothing(birds, capsys):
    assert birds.judge("cw", "--judge.photos_per_request", "5", "--dry-run") == 0
    out = capsys.readouterr().out
    assert f"cw_TinyRemoteLabeler: {IMAGES} photos, 3 requests: 0 stored, 3 to ask, about $0.03" in out
    assert "prompt about 5 photos: There are 5 photos" in out
    assert "prompt about 2 photos:" in out
    assert "\n".join(sorted(COLOURS)) in out
    assert not birds.server.asked
    assert not Path("runs/judge").exists()


def test_closed_world_and_its_plus_share_their_replies(birds, capsys):
    async def answer(body):
        names = [seen(picture).upper() for picture in body["pictures"]]
        return TinyAnswer({"raw": reply(["HouseFinch!" if name == "HOUSE FINCH" else name for name in names])})

    birds.answer = answer
    assert birds.judge("cw", "--judge.photos_per_request", "5") == 0
    row, record, rows, out = result(capsys)
    assert row == "cw_TinyRemoteLabeler"
    assert (record["accuracy"], record["outside"], record["no_answer"]) == (75.0, 25.0, 0.0)
    assert "mapped_right" not in record
    assert record["encoder"] is None
    assert record["cost_usd"] == pytest.approx(0.03)
    assert sum(each["cost_usd"] for each in rows) == pytest.approx(0.03)
    assert [each["position"] for each in rows] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
    assert {each["answer"] for each in rows if each["outside"]} == {"HouseFinch!"}
    assert "protocol cw: 12 photos of split test, 4 classes, 5 photos a request, 1 repeat" in out
    assert "place in the request 5: photos 2" in out
    asked = len(birds.server.asked)
    assert birds.judge("cw_plus", "--judge.photos_per_request", "5", *TOWER) == 0
    row, plus, _, _ = result(capsys)
    assert len(birds.server.asked) == asked == 3
    assert plus["outside"] == 25.0
    assert plus["accuracy"] == 75.0 + plus["mapped_right"] / 4
    assert plus["encoder"] == "TinyBackbone text tower"


def test_replies_that_lack_photos_or_number_too_many_are_no_answers(birds, capsys):
    async def answer(body):
        names = [seen(picture) for picture in body["pictures"]]
        # of five photos one is left out; of two there is one too many
        return TinyAnswer({"raw": reply(names[:-1] if len(names) == 5 else [*names, "Auk"])})

    birds.answer = answer
    assert birds.judge("cw", "--judge.photos_per_request", "5") == 0
    _, record, rows, out = result(capsys)
    assert "no answer was found in the replies about 4 photos, the first: '{" in out
    assert record["no_answer"] == pytest.approx(100 * 4 / 12, abs=1e-4)
    assert record["accuracy"] == pytest.approx(100 * 8 / 12, abs=1e-4)
    assert [number for number, each in enumerate(rows) if not each["answer"]] == [4, 9, 10, 11]


def test_a_stopped_run_goes_on_and_pays_nothing_twice(birds, capsys):
    left = 7

    async def answer(body):
        nonlocal left
        left -= 1
        return await right(body) if left >= 0 else TinyAnswer("no more", 401)

    birds.answer = answer
    assert birds.judge("cw") == 2
    assert "refuses the key" in capsys.readouterr().err
    assert not Path("runs/judge").exists()
    left = 100
    assert birds.judge("cw") == 0
    _, record, _, _ = result(capsys)
    paid = [json.dumps(body) for body in birds.server.answered]
    assert record["accuracy"] == 100.0
    assert len({*paid}) == IMAGES
    before = len(paid)
    assert birds.judge("cw") == 0
    assert len(birds.server.asked) == before


def test_the_budget_holds(birds, capsys):
    assert birds.judge("cw", "--data.max_cost_usd", "0.05") == 2
    assert len(birds.server.answered) <= 5
    assert "$0.05" in capsys.readouterr().err


def test_multiple_choice_with_a_bias_for_the_first_option(birds, capsys):
    async def first(body):
        options = re.search(r"Options:\n(.+)", body["prompt"])[1]
        return TinyAnswer({"raw": options})

    birds.answer = first
    assert birds.judge("mc", "--protocol.choices", "3", "--judge.repeats", "4", "--judge.seed", "5") == 0
    _, record, rows, out = result(capsys)
    assert len(rows) == 4 * IMAGES
    right_at_first = sum(each["options"][0] == each["labels"][0] for each in rows)
    assert record["accuracy"] == pytest.approx(100 * right_at_first / len(rows), abs=1e-4)
    assert [place["chosen"] for place in record["by_option"].values()] == [100.0, 0.0, 0.0]
    assert len(record["by_repeat"]) == 4
    assert all(each["labels"][0] in each["options"] and len({*each["options"]}) == 3 for each in rows)
    assert "option 1: chosen 100.0, holds right" in out
    asked = len(birds.server.asked)
    assert birds.judge("mc", "--protocol.choices", "3", "--judge.repeats", "4", "--judge.seed", "5") == 0
    assert len(birds.server.asked) == asked, "a seed draws the same requests"


def test_multiple_choice_by_letters_with_confusions_of_another_labeler(birds, capsys):
    names = "\n".join(
        f"{number}_{i}.png,{'Blue Jay' if name == 'House Finch' else name}"
        for number, name in enumerate(COLOURS)
        for i in range(SUPPORT, SUPPORT + TEST)
    )
    Path("confused.csv").write_text(f"file,name\n{names}\n")

    async def letter(body):
        options = dict(re.findall(r"([A-Z])\) (.+)", body["prompt"]))
        name = seen(body["pictures"][0])
        return TinyAnswer({"raw": next(f"{key})" for key, option in options.items() if option == name)})

    birds.answer = letter
    confused = ["--protocol.distractors", "confused", "--protocol.confusion_labeler", "fixed"]
    confused += ["--protocol.confusion_labeler.path", "confused.csv"]
    assert birds.judge("mc", "--protocol.choices", "2", "--protocol.form", "letters", *confused) == 0
    _, record, rows, out = result(capsys)
    assert record["accuracy"] == 100.0
    assert f"confusions: {IMAGES} photos" in out
    finches = [each["options"] for each in rows if each["labels"] == ["House Finch"]]
    assert all({*options} == {"House Finch", "Blue Jay"} for options in finches)


def test_open_world_of_recorded_replies_says_that_the_question_was_an_open_one(birds, capsys):
    assert birds.judge("ow", *RECORDED, "--protocol.mapped", "false") == 0
    row, record, rows, out = result(capsys)
    assert (row, record["question"]) == ("ow_recorded", "open")
    # one in four names another bird, and one refuses
    assert (record["accuracy"], record["outside"]) == (100 * 11 / 16, 0.0)
    assert record["no_answer"] == 100 / 16
    assert "these replies answer the labeler's own question" in out
    assert {each["answer"] for each in rows} == {*COLOURS, ""}
    assert birds.judge("cw_plus", *RECORDED, *TOWER) == 0
    assert result(capsys)[1]["accuracy"] == 100 * 11 / 16
    for protocol, options in (("mc", []), ("ow", ["--judge.repeats", "2"])):
        assert birds.judge(protocol, *RECORDED, *options) == 2
    err = capsys.readouterr().err
    assert "recorded cannot be asked the question of the protocol 'mc'" in err
    assert "judge.repeats is 2" in err


def test_replies_about_another_split_say_so(birds, capsys, tmp_path):
    (tmp_path / "replies.jsonl").write_text('{"image": "0_0.png", "raw": "House Finch"}\n')
    recorded = ["--data.labeler", "recorded", "--data.labeler.path", str(tmp_path / "replies.jsonl")]
    assert birds.judge("ow", *recorded, "--protocol.mapped", "false") == 2
    assert "Or judge those of split support, which it has: set judge.split to support." in capsys.readouterr().err


def test_labels_of_a_table_and_photos_that_are_skipped(birds, capsys):
    rows = "".join(f"{n}_{i}.png,{'Blue Jay' if n == 1 else ''}\n" for n in range(2) for i in range(SUPPORT, 7))
    Path("truth.csv").write_text(f"sample_id,class_name\n{rows}")
    assert birds.judge("cw", "--judge.truth", "truth.csv") == 0
    _, record, _, _ = result(capsys)
    assert record["accuracy"] == 100.0
    assert {name: each["photos"] for name, each in record["by_group"].items()} == {"A": 6, "S": 3, "S+": 3, "N": 3}
    assert birds.judge("cw", "--judge.truth", "truth.csv", "--judge.empty", "skip") == 0
    assert result(capsys)[1]["judged"]["photos"] == 3


def test_sorted_requests_are_marked(birds, capsys):
    assert birds.judge("cw", "--judge.photos_per_request", "3", "--judge.order", "sorted", "--judge.photos", "9") == 0
    _, record, rows, out = result(capsys)
    assert (record["judged"]["order"], record["judged"]["photos"]) == ("sorted", 9)
    assert "which inflates accuracy" in out
    assert [each["labels"][0] for each in rows] == sorted(each["labels"][0] for each in rows)


def test_predictions_can_be_evaluated_and_a_configuration_repeated(birds, capsys):
    assert birds.judge("cw") == 0
    folder = Path(result(capsys)[3].splitlines()[-1])
    assert main(["evaluate", "--predictions", str(folder / "predictions.parquet"), "--truth", "birds/manifest.csv",
                 "--split", "test", "--encoder", "[]"]) == 0  # fmt: skip
    assert "cw_TinyRemoteLabeler" in capsys.readouterr().out
    asked = len(birds.server.asked)
    assert main(["judge", "--config", str(folder / "config.yaml")]) == 0
    assert len(birds.server.asked) == asked


def test_from_python(birds):
    judged = fgvr.judge(
        "birds.yaml",
        dataset={"class_path": "manifest", "init_args": {"root": "birds"}},
        method={"class_path": "zero_shot", "init_args": {"backbone": "fgvr.testing.tiny.TinyBackbone"}},
        protocol="cw",
        judge={"photos_per_request": 4},
    )
    assert judged.figures["accuracy"] == 100.0
    assert judged.answers.num_rows == IMAGES
    assert "cw_TinyRemoteLabeler" in str(judged.table)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "No protocol is set"),
        (["--protocol", "wc"], "'wc' is not one of the fgvr.protocols"),
        (["--protocol", "cw", "--judge.photos_per_request", "0"], "judge.photos_per_request is 0"),
        (["--protocol", "cw", "--data.class_names", "labels"], "set it to dataset"),
        (["--protocol", "mc", "--protocol.choices", "9"], "lower it"),
        (["--protocol", "cw", "--judge.split", "val"], "needs photos in the split 'val'"),
    ],
)
def test_mistakes(birds, capsys, options, said):
    assert main(["judge", "--config", "birds.yaml", *DATA, *options]) == 2
    assert said in capsys.readouterr().err
