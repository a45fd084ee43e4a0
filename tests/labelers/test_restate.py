import json
from pathlib import Path

import pytest
from labelers.hosted import Gemini, OpenAI
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.blip2 import Blip2Labeler
from fgvr.labelers.classifier import ClassifierLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.llava import LlavaLabeler
from fgvr.labelers.reconsider import ReconsiderLabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.restate import RestateLabeler, is_doubtful
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.records import ImageRecord, LabelRecord
from fgvr.testing.labelers import check_labeler

REPLIES = {
    "a.jpg": "It is a Beagle.",
    "b.jpg": "Kuvassa makaa pitkä ja matala eläin, jota moni sanoo nimellä Dackel, ainakin täällä päin maata.",
    "c.jpg": "This is a dog.",
    "d.jpg": "I cannot tell which breed this is.",
    "e.jpg": "Kuvassa makaa pitkä ja matala eläin, jota moni sanoo nimellä Dackel, ainakin täällä päin maata.",
    "f.jpg": "Tässä nähdään epäilemättä jälleen kerran se tuttu pieni eläin eli Mops, kuten niin usein ennenkin.",
}
# the last one is invented
NAMES = {"Dackel": "Dackel", "dog": None, "Mops": "Boxer"}
IMAGES = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}") for name in REPLIES]


async def bare_name(body):
    """What ``NAMES`` says of the reply that is shown."""
    text = RestateTask.of_stored(body["prompt"], None, {}).text
    return TinyAnswer({"raw": json.dumps({"name": next(NAMES[word] for word in NAMES if word in text)})})


def reader(url="http://127.0.0.1:1", **options):
    return TinyRemoteLabeler(base_url=url, price_usd=0.2, limits=Limits(concurrency=1, max_attempts=1), **options)


def restate(url="http://127.0.0.1:1", replies=REPLIES):
    return RestateLabeler(TinyLabeler(replies, price_usd=0.1), reader(url))


def record(name, flag="", **fields):
    return LabelRecord("a.jpg", (name,) if name else (), (None,) if name else (), flag=flag, **fields)


@pytest.mark.parametrize(
    ("flag", "doubtful"),
    [
        *(("unparsed", True), ("generic", True)),
        *((flag, False) for flag in ("", "empty", "refusal", "failed", "unasked", "unsure")),
    ],
)
def test_replies_that_the_rules_cannot_read_are_doubtful(flag, doubtful):
    assert is_doubtful(record("Pug", doubtful=True))
    assert is_doubtful(record("" if flag else "Pug", flag)) is doubtful
    assert restate().wanted(1, [[record("Beagle"), record("", flag)]]) == [False, doubtful]


def test_it_keeps_the_contract(tmp_path):
    images = save_images(tmp_path, coloured(2))
    replies = {image.sample_id: raw for image, raw in zip(images, REPLIES.values(), strict=False)}
    with TinyServer(bare_name) as server:
        check_labeler(restate(server.url, replies), images)
        assert len(server.asked) == 1
        labeler = restate(server.url, replies)
        (reply,) = labeler.ask([labeler.request_about(images[1])])
    assert (reply.names, reply.cost_usd) == (("Dackel",), pytest.approx(0.3))


def test_a_model_is_asked_for_the_name_in_what_was_replied(store):
    with TinyServer(bare_name) as server:
        labeler = restate(server.url)
        assert (plan(labeler, IMAGES, store).missing, plan(labeler, IMAGES, store).follow_ups) == (6, 6)
        run = label(labeler, IMAGES, store, progress=False)
        now = plan(labeler, IMAGES, store)
        assert (now.missing, now.requests, now.follow_ups) == (0, 6 + 3, 0)
        assert label(labeler, IMAGES, store, progress=False).asked == 0
        found = read_labels(labeler, IMAGES, store)
    assert [body["pictures"] for body in server.asked] == [[]] * 3, "equal replies are one question"
    assert not any(name in body["prompt"] for body in server.asked for name in REPLIES)
    assert run.cost_usd == pytest.approx(6 * 0.1 + 3 * 0.2)
    assert [label.names for label in found] == [("Beagle",), ("Dackel",), (), (), ("Dackel",), ()]
    assert [label.flag for label in found] == ["", "", "generic", "refusal", "", "unparsed"]
    assert [label.raw for label in found] == list(REPLIES.values())
    assert [label.cost_usd for label in found] == pytest.approx([0.1, 0.3, 0.3, 0.1, 0.1, 0.3])


def test_the_budget_holds_and_the_run_goes_on_later(store):
    with TinyServer(bare_name) as server:
        labeler = restate(server.url)
        with pytest.raises(FgvrError, match="max_cost_usd"):
            label(labeler, IMAGES, store, max_cost_usd=0.6 + 0.3, progress=False)
        assert len(server.asked) == 1
        assert [label.names for label in read_labels(labeler, IMAGES, store)][:2] == [("Beagle",), ("Dackel",)]
        assert label(labeler, IMAGES, store, max_cost_usd=0.4, progress=False).cost_usd == pytest.approx(0.4)
    assert len(server.asked) == 3


def test_a_reader_that_fails_leaves_what_the_rules_read(store):
    async def answer(body):
        return TinyAnswer("out of order", status=500)

    with TinyServer(answer) as server:
        labeler = restate(server.url)
        run = label(labeler, IMAGES, store, progress=False)
        found = read_labels(labeler, IMAGES, store)
    assert (run.failed, "500: out of order" in run.first_error) == (3, True)
    assert [label.flag for label in found] == ["", "unparsed", "generic", "refusal", "unparsed", "unparsed"]


@pytest.mark.parametrize("host", [OpenAI, Gemini])
def test_recorded_replies_are_mended_by_a_hosted_model(httpserver, host, keys, tmp_path, store):
    lines = [json.dumps({"image": name, "raw": raw, "model": "unknown-1"}) for name, raw in REPLIES.items()]
    (tmp_path / "replies.jsonl").write_text("\n".join(lines))
    httpserver.expect_request(host.path).respond_with_json(host.reply('{"name": "Dackel", "scientific_name": null}'))
    labeler = RestateLabeler(
        RecordedLabeler(tmp_path / "replies.jsonl"), host.make(httpserver, price=Price(2.0, 8.0), max_output_tokens=100)
    )
    estimate = plan(labeler, IMAGES, store).follow_ups_usd / 6
    assert 60 * 8e-6 < estimate < (100 * 8 + 500 * 2) * 1e-6, "of the text alone"
    assert label(labeler, IMAGES, store, max_cost_usd=1, progress=False).asked == 6 + 3
    sent = [request.get_json() for request, _ in httpserver.log]
    assert len(sent) == 3
    for body in map(json.dumps, sent):
        assert "The label" not in body
        assert "<reply>" in body
        assert '"scientific_name"' in body
        assert not any(word in body for word in ("image_url", "inlineData", "inline_data", "base64"))
    found = read_labels(labeler, IMAGES, store)
    assert [label.names for label in found] == [("Beagle",), ("Dackel",), (), (), ("Dackel",), ()]
    assert found[1].model == "unknown-1"
    assert found[1].cost_usd > 0


def test_the_labeler_itself_reads_where_no_reader_is_given(tmp_path, store):
    images = save_images(tmp_path, coloured(2))

    async def answer(body):
        return await bare_name(body) if not body["pictures"] else TinyAnswer({"raw": REPLIES["b.jpg"]})

    with TinyServer(answer) as server:
        labeler = RestateLabeler(reader(server.url))
        label(labeler, images, store, progress=False)
        assert [len(body["pictures"]) for body in server.asked] == [1, 1, 0]
        assert [label.names for label in read_labels(labeler, images, store)] == [("Dackel",)] * 2


@pytest.mark.parametrize(
    ("labeler", "reader", "kind"),
    [
        (TinyLabeler({}), None, "TinyLabeler"),
        (reader(), TinyLabeler({}), "TinyLabeler"),
        (reader(), Blip2Labeler(), "blip2"),
        (ClassifierLabeler(), None, "classifier"),
    ],
)
def test_who_cannot_be_asked_about_texts(labeler, reader, kind):
    with pytest.raises(FgvrError, match=rf"{kind} cannot be asked about texts: set data\.labeler\.reader .* openai"):
        RestateLabeler(labeler, reader)


def test_a_list_to_choose_from_is_kept():
    with pytest.raises(FgvrError, match="has the task choose"):
        RestateLabeler(reader(task=ChooseTask(["Pug", "Boxer"])))


def test_all_parts_are_in_its_identity():
    kinds = [
        restate(),
        RestateLabeler(reader()),
        RestateLabeler(reader(model="small")),
        RestateLabeler(reader(), reader(model="small")),
        RestateLabeler(reader(), LlavaLabeler()),
    ]
    assert len({json.dumps(kind.identity(), sort_keys=True) for kind in kinds}) == len(kinds)


def test_names_of_mended_replies_can_be_reconsidered(store):
    async def answer(body):
        # the task same_class asks about names, restate about a reply
        return await bare_name(body) if "<reply>" in body["prompt"] else TinyAnswer({"raw": '{"name": "Beagle"}'})

    with TinyServer(answer) as server:
        mended = RestateLabeler(TinyLabeler(REPLIES), reader(server.url))
        labeler = ReconsiderLabeler(mended, reader(server.url), shared=3, show_photo=False)
        label(labeler, IMAGES, store, progress=False)
        found = read_labels(labeler, IMAGES, store)
    assert [label.names for label in found][1] == ("Dackel",)
    assert found[0].names == ("Dackel",), "two photos against one"
