import json
from pathlib import Path

import pytest
import yaml
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS
from tower_run import QUIET

from fgvr.cli import main
from fgvr.labelers.tasks.class_sentences import ClassSentencesTask
from fgvr.runs import RunFolder

pytestmark = QUIET

DATA = [*OPTIONS[:4], "--data.class_names", "dataset"]
COMMAND = ["sentences", "--config", "labeler.yaml", *DATA, "--count", "2", "--domain", "bird"]


async def answer(body):
    asked = ClassSentencesTask.of_stored(body["prompt"], None, {"count": 2})
    if asked is None:
        return TinyAnswer({"raw": '{"templates": ["a photo of a {}.", "a blurry photo of the {name}: it is a bird"]}'})
    return TinyAnswer({"raw": f"- A **{asked.name}** sings.\n- The {asked.name} is a bird.", "cost_usd": 0.01})


@pytest.fixture
def server(tiny_run):
    with TinyServer(answer) as server:
        labeler = {
            "class_path": "tiny.remote.TinyRemoteLabeler",
            "init_args": {"base_url": server.url, "price_usd": 0.01},
        }
        Path("labeler.yaml").write_text(yaml.safe_dump({"data": {"labeler": labeler}}))
        yield server


def test_a_dry_run_asks_nothing_and_leaves_nothing(server, capsys):
    before = set(Path().rglob("*.json"))
    assert main([*COMMAND, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "sentences: 4 class names, 4 requests: 0 stored, 4 to ask, about $0.04" in out
    assert "prompt: Write 2 sentences about what this class of bird looks like in a photo" in out
    assert '"task": "class_sentences"' in out
    assert not server.asked
    assert set(Path().rglob("*.json")) == before


def test_sentences_are_written_and_a_run_takes_them(server, capsys):
    assert main(COMMAND) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-3:] == ["replies: 4 usable; $0.0400", "8 sentences", "sentences.json"]
    written = json.loads(Path("sentences.json").read_text())
    assert written == {name: [f"A {name} sings.", f"The {name} is a bird."] for name in COLOURS}
    assert main(COMMAND) == 0
    assert len(server.asked) == 4
    model = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    capsys.readouterr()
    assert main(["fit", *DATA, *model, "--trainer.accelerator", "cpu", "--model.sentences", "sentences.json"]) == 0
    folder = RunFolder(Path(capsys.readouterr().out.splitlines()[-1]))
    assert "zero_shot" in json.loads(folder.metrics.read_text())


def test_templates_are_a_list_that_an_option_takes(server, capsys):
    assert main([*COMMAND, "--kind", "templates", "--output", "texts/bird.json"]) == 0
    assert "templates: 1 data set, 1 request: 0 stored, 1 to ask" in capsys.readouterr().out
    text = Path("texts/bird.json").read_text()
    assert json.loads(text) == ["a photo of a {}.", "a blurry photo of the {}: it is a bird"]
    model = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["fit", *DATA, *model, "--trainer.accelerator", "cpu", "--model.templates", text]) == 0
    folder = RunFolder(Path(capsys.readouterr().out.splitlines()[-1]))
    assert yaml.safe_load(folder.config.read_text())["model"]["init_args"]["templates"] == json.loads(text)


def test_for_names_of_a_file_no_photos_are_needed(server, capsys):
    Path("names.txt").write_text("Emu\nKea\n")
    assert main([*COMMAND, "--data.class_names", "names.txt", "--data.dataset.root", "no photos here"]) == 0
    assert list(json.loads(Path("sentences.json").read_text())) == ["Emu", "Kea"]


def test_a_budget_stops_before_a_file_is_written(server, capsys):
    assert main([*COMMAND, "--data.max_cost_usd", "0.02"]) == 2
    assert "start the same run again, which may spend data.max_cost_usd" in capsys.readouterr().err
    assert not Path("sentences.json").exists()
    assert main([*COMMAND, "--data.max_cost_usd", "0.02"]) == 0
    assert len(server.asked) == 4
    assert len(json.loads(Path("sentences.json").read_text())) == 4


def test_a_file_stays_where_no_reply_is_usable(tiny_run, capsys):
    Path("said.jsonl").write_text('{"question": "sentences: Emu", "raw": "I am sorry, I cannot help with that."}\n')
    Path("sentences.json").write_text('{"Emu": ["An emu is tall."]}')
    labeler = ["--data.labeler", "recorded", "--data.labeler.path", "said.jsonl"]
    command = ["sentences", *OPTIONS[:4], *labeler, "--data.labeler.question_key", "question"]
    assert main([*command, "--data.class_names", "[Emu]"]) == 2
    streams = capsys.readouterr()
    assert "replies: 1 refusal" in streams.out
    assert "No reply has a usable sentence, and nothing was written" in streams.err
    assert "tall" in Path("sentences.json").read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--count", "0"], "count is 0; expected 1 to 100 texts a request"),
        (["--kind", "poems"], "poems"),
        (["--domain", " "], "domain is ' '"),
        (["--output", "texts.yaml"], "--output is 'texts.yaml'; expected the name of a JSON file"),
        (["--engine", "ray"], "--engine ray is for models that run on one's own machines"),
        (["--batch"], "TinyRemoteLabeler cannot be asked by batch"),
        (["--data.class_names", "labels"], "Run the label stage with the same options first"),
        (["--data.labeler", "null"], "Sentences are written by a labeler that can be asked about texts"),
    ],
)
def test_what_goes_wrong_asks_nothing(server, capsys, more, message):
    assert main([*COMMAND, *more]) == 2
    assert message in capsys.readouterr().err
    assert not server.asked
    assert not Path("sentences.json").exists()
