import json

import pytest
from labelers.batch_servers import FakeOpenAI
from labelers.hosted import Gemini, OpenAI
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.descriptions.class_texts import ClassSentences, DataSetTemplates, is_about_another, longer_names
from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.tasks.class_sentences import ClassSentencesTask
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.parse_stored import is_about_text, read_stored
from fgvr.methods.sentences import read_sentences
from fgvr.methods.templates import template_list

ODD = ("{0} {name}", 'The "Best" Rose', "柴犬", "Сибирская хаски", "House_Finch", "a\\b", "../../etc")


def asked_name(prompt):
    return ClassSentencesTask.of_stored(prompt, None, {"count": 2}).name


class Writer:
    """A server that writes two sentences about the name that it is asked for, and fails where it is told to."""

    def __init__(self):
        self.failing = set()

    async def answer(self, body):
        assert body["pictures"] == []
        name = asked_name(body["prompt"])
        if name in self.failing:
            return TinyAnswer("down", 500)
        return TinyAnswer(
            {"raw": f"1. A {name} has a red head.\n2. It sings.\n3. A {name} has two wings.", "cost_usd": 0.01}
        )


@pytest.fixture
def writer():
    writer = Writer()
    with TinyServer(writer.answer) as server:
        writer.url, writer.asked = server.url, server.asked
        yield writer


@pytest.fixture
def sentences(tmp_path, writer):
    def make(names, max_cost_usd=None, labeler=None, **options):
        limits = Limits(concurrency=1, max_attempts=1)
        labeler = labeler or TinyRemoteLabeler(writer.url, price_usd=0.01, limits=limits)
        return ClassSentences(names, labeler, tmp_path / "labels.sqlite", max_cost_usd, **{"count": 2, **options})

    return make


def test_each_name_has_its_own_sentences_and_is_asked_about_once(sentences, writer, tmp_path):
    asking = sentences(ODD)
    assert "7 class names, 7 requests: 0 stored, 7 to ask, about $0.07" in str(asking.plan()["sentences"])
    asking.ask()
    found = asking.read()
    spoken = {name: name.replace("_", " ") for name in ODD}
    assert found.texts == {
        name: (f"A {spoken[name]} has a red head.", f"A {spoken[name]} has two wings.") for name in ODD
    }
    assert (found.missing, found.left_out, found.flags) == ((), 7, {"": 7})
    assert str(found) == "replies: 7 usable; $0.0700\n14 sentences, 7 left out"
    sentences(ODD).ask()
    assert len(writer.asked) == 7
    asking.write(found, tmp_path / "sentences.json")
    assert json.loads((tmp_path / "sentences.json").read_text(encoding="utf-8")) == {
        name: list(texts) for name, texts in found.texts.items()
    }
    assert len(read_sentences(tmp_path / "sentences.json", "model.sentences")) == 7


def test_replies_are_in_the_store_and_read_without_the_labeler(sentences):
    asking = sentences(["Pug", "柴犬"])
    asking.ask()
    with LabelStore(asking.store) as store:
        rows = sorted(store.rows(), key=lambda row: row.sample_id)
    assert [row.sample_id for row in rows] == ["Pug", "柴犬"]
    assert all(map(is_about_text, rows))
    assert read_stored(rows[1]).names == ("A 柴犬 has a red head.", "A 柴犬 has two wings.")


def test_a_budget_stops_and_the_same_again_goes_on(sentences, writer):
    names = [f"Bird {number}" for number in range(9)]
    with pytest.raises(FgvrError, match=r"may spend data\.max_cost_usd"):
        sentences(names, max_cost_usd=0.04).ask()
    assert len(writer.asked) == 4
    assert len(sentences(names).read().texts) == 4
    assert sentences(names).plan()["sentences"].missing == 5
    sentences(names, max_cost_usd=0.05).ask()
    assert sorted(asked_name(body["prompt"]) for body in writer.asked) == names


def test_a_failed_request_leaves_one_name_without_and_is_asked_again(sentences, writer, caplog):
    writer.failing = {"Pug"}
    asking = sentences(["Boxer", "Pug"])
    asking.ask()
    found = asking.read()
    assert (set(found.texts), found.missing, found.flags) == ({"Boxer"}, ("Pug",), {"": 1, "failed": 1})
    assert "No sentence about 1 of 2 class names (Pug)." in str(found)
    assert "1 of 2 requests failed" in caplog.text
    writer.failing = set()
    with LabelStore(asking.store) as store:
        store.retry_failed()
    asking.ask()
    assert set(asking.read().texts) == {"Boxer", "Pug"}


def test_no_reply_at_all_is_an_error(sentences, writer):
    writer.failing = {"Pug"}
    with pytest.raises(FgvrError, match=r"No list of texts has a reply of .*TinyRemoteLabeler.* 500"):
        sentences(["Pug"]).ask()


def test_spellings_of_one_name_are_asked_once(sentences, writer):
    asking = sentences(["House Finch", "house-finch", "HOUSE_FINCH"])
    asking.ask()
    assert len(writer.asked) == 1
    assert list(asking.read().texts) == ["House Finch"]


def test_another_number_of_sentences_is_another_question(sentences, writer):
    sentences(["Pug"]).ask()
    assert sentences(["Pug"]).plan()["sentences"].missing == 0
    assert sentences(["Pug"], count=3).plan()["sentences"].missing == 1
    assert sentences(["Pug"], domain="dog").plan()["sentences"].missing == 1


def recorded(path, *lines):
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    return RecordedLabeler(path, question_key="question")


def test_recorded_replies_are_found_by_a_short_question(sentences, tmp_path):
    labeler = recorded(
        tmp_path / "said.jsonl",
        {"question": "sentences: Pug", "raw": '["A Pug has a flat face."]'},
        {"question": "sentences: 柴犬", "raw": "I'm sorry, I cannot say what a 柴犬 is."},
        {"question": "sentences: Boxer", "raw": '["A Pug has a flat face."]'},
        {"question": "templates", "raw": "- a photo of a {}.\n- a {name} in a park"},
    )
    asking = sentences(["Pug", "柴犬", "Boxer", "Emu"], labeler=labeler)
    asking.ask()
    found = asking.read()
    assert found.texts == {"Pug": ("A Pug has a flat face.",)}, "no sentence is written under another name"
    assert found.flags == {"": 1, "refusal": 1, "unparsed": 1, "failed": 1}
    assert found.left_out == 1
    templates = DataSetTemplates(["Pug", "柴犬"], labeler, tmp_path / "labels.sqlite")
    templates.ask()
    templates.write(templates.read(), tmp_path / "templates.json")
    assert template_list(json.loads((tmp_path / "templates.json").read_text())) == [
        "a photo of a {}.",
        "a {} in a park",
    ]
    assert str(templates.read()) == "replies: 1 usable; $0.0000\n2 templates"


def test_sentences_about_a_longer_name_are_not_the_shorter_ones(sentences, tmp_path):
    said = ["A Royal Tern has a crest.", "Unlike the Royal Tern, a Tern has none.", "Terns are white."]
    lines = [{"question": f"sentences: {name}", "raw": json.dumps(said)} for name in ("Tern", "Royal Tern")]
    asking = sentences(["Tern", "Royal Tern"], labeler=recorded(tmp_path / "said.jsonl", *lines), count=5)
    asking.ask()
    assert asking.read().texts == {"Tern": tuple(said[1:]), "Royal Tern": tuple(said[:2])}


def test_longer_names_are_found_by_words():
    names = ["Tern", "Royal Tern", "American Royal Tern", "Lantern", "Pug"]
    assert {name: set(longer) for name, longer in longer_names(names).items()} == {
        "Tern": {"Royal Tern", "American Royal Tern"},
        "Royal Tern": {"American Royal Tern"},
    }
    assert not is_about_another("A Royal Tern.", "Royal Tern", ())
    assert is_about_another("American Royal Terns are big.", "Tern", ["Royal Tern", "American Royal Tern"])


def test_names_of_all_the_list_are_examples_of_a_question_for_templates(tmp_path):
    names = [f"Bird {number}" for number in range(100)]
    (task,) = DataSetTemplates(names, None, tmp_path / "labels.sqlite").tasks().values()
    assert len(task.examples) == 12
    assert task.examples[-1] == "Bird 99"


def test_a_thousand_names_are_one_look_at_the_store(sentences, writer, monkeypatch):
    names = [f"Bird number {number}" for number in range(1000)]
    asking = sentences(names, labeler=TinyRemoteLabeler(writer.url, limits=Limits(concurrency=50)))
    asking.ask()
    looked = []
    get = LabelStore.get
    monkeypatch.setattr(LabelStore, "get", lambda *args: looked.append(1) or get(*args))
    assert len(asking.read().texts) == 1000
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("labeler", "message"),
    [
        (None, "no labeler is set: set data.labeler to one, such as openai"),
        (lambda path: FixedLabeler(path), "fixed cannot: set data.labeler"),
        (lambda path: RecordedLabeler(path), "recorded cannot: .* or to recorded with its question_key"),
    ],
)
def test_a_labeler_must_be_one_that_writes(tmp_path, labeler, message):
    labeler = labeler and labeler(tmp_path / "file")
    with pytest.raises(FgvrError, match=f"Sentences are written by a labeler .*{message}"):
        ClassSentences(["Pug"], labeler, tmp_path / "labels.sqlite").plan()


@pytest.mark.parametrize("host", [OpenAI, Gemini])
def test_hosted_models_are_asked_without_a_photo(tmp_path, httpserver, monkeypatch, host):
    monkeypatch.setenv(host.key_variable, host.key)
    raw = json.dumps({"sentences": ["A Pug has a flat face."]})
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw))
    asking = ClassSentences(["Pug"], host.make(httpserver), tmp_path / "labels.sqlite", max_cost_usd=1.0)
    assert asking.plan()["sentences"].estimate_usd > 0.0
    asking.ask()
    found = asking.read()
    assert found.texts == {"Pug": ("A Pug has a flat face.",)}
    assert found.cost_usd > 0
    sent = httpserver.log[0][0].get_data().decode()
    assert '\\"Pug\\"' in sent
    assert "image" not in sent


def test_a_list_is_expected_to_cost_more_than_a_name(tmp_path):
    labeler = OpenAILabeler(price=Price(0.0, 1.0))
    costs = [
        ClassSentences(["Pug"], labeler, tmp_path / "labels.sqlite", count=count).plan()["sentences"].estimate_usd
        for count in (10, 50)
    ]
    assert costs == [pytest.approx(300e-6), pytest.approx(1500e-6)]


@pytest.mark.filterwarnings("ignore:.*")
def test_a_batch_is_sent_and_collected(tmp_path, httpserver, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    server = FakeOpenAI(httpserver)
    labeler = OpenAILabeler(base_url=server.url, price=Price(2.0, 8.0))
    asking = ClassSentences(["Bea", "Pug"], labeler, tmp_path / "labels.sqlite")
    assert asking.estimate_batch_usd() > 0
    assert [run.submitted for run in asking.ask_batch(wait=False)] == [2]
    with pytest.raises(FgvrError, match="label, describe or sentences"):
        asking.ask()
    server.finish()
    assert [run.collected for run in asking.ask_batch()] == [2]
    assert asking.read().flags == {"unparsed": 2}


def test_only_openai_and_gemini_have_batches(sentences):
    with pytest.raises(FgvrError, match=r"cannot be asked by batch.* set data\.labeler to openai"):
        sentences(["Pug"]).ask_batch()
