import json
import re

import pytest
from labelers.hosted import OpenAI
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.blip2 import Blip2Labeler
from fgvr.labelers.fieldguide import FieldguideLabeler
from fgvr.labelers.finer import FinerLabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.restate import RestateLabeler
from fgvr.labelers.tasks.describe_attribute import DescribeAttributeTask
from fgvr.labelling.image_labels import ImageLabels
from fgvr.labelling.labelling import label, needed_requests, plan, read_labels
from fgvr.labelling.plan import summary
from fgvr.labelling.store.keys import request_key
from fgvr.records import LabelRequest
from fgvr.testing.labelers import check_labeler

ATTRIBUTES = ["tail shape", "bill color"]
LIST = json.dumps({"attributes": ATTRIBUTES})
GUESS = '{"Whippet": ["It is slim."], "Saluki": ["It has long ears."], "Borzoi": ["It is tall."]}'


class Model:
    """Answers what the labeler ``finer`` asks; photos are told apart by the order in which they come."""

    def __init__(self, categories=("dog",) * 9, attributes=LIST, guess=GUESS):
        self.categories = categories
        self.attributes = attributes
        self.guess = guess
        self.seen = {}
        self.failing = ()

    async def __call__(self, body):
        kind, prompt = kind_of(body), body["prompt"]
        photo = self.seen.setdefault(tuple(body["pictures"]), len(self.seen)) if body["pictures"] else None
        if (kind, photo) in self.failing:
            return TinyAnswer("out of order", status=500)
        if kind == "super_category":
            return TinyAnswer({"raw": self.categories[photo]})
        if kind == "attributes":
            return TinyAnswer({"raw": self.attributes})
        if kind == "guess":
            return TinyAnswer({"raw": self.guess})
        attribute = re.search(r": (.+)\. Say only", prompt)
        return TinyAnswer({"raw": f"photo {photo} {attribute[1] if attribute else 'as a whole'}"})


def kind_of(body):
    prompt = body["prompt"]
    if "End your reply with a JSON object" in prompt:
        return "guess"
    if "What kind of thing" in prompt:
        return "super_category"
    return "attributes" if '"attributes": [' in prompt else "describe"


def remote(url="http://127.0.0.1:1", **options):
    return TinyRemoteLabeler(base_url=url, price_usd=0.1, limits=Limits(concurrency=1, max_attempts=1), **options)


def kinds(server):
    return [kind_of(body) for body in server.asked]


@pytest.fixture
def images(tmp_path):
    return save_images(tmp_path, coloured(3))


def test_it_keeps_the_contract(images):
    with TinyServer(Model()) as server:
        check_labeler(FinerLabeler(remote(server.url)), images[:2])
        assert kinds(server).count("attributes") == 1, "the same question of all photos"


def test_each_question_is_asked_once_and_names_come_from_the_answers(store, images):
    with TinyServer(Model()) as server:
        labeler = FinerLabeler(remote(server.url), remote(server.url, model="text"), unit="breed", max_attributes=5)
        run = label(labeler, images, store, progress=False)
        assert kinds(server) == ["super_category"] * 3 + ["attributes"] + ["describe"] * 9 + ["guess"] * 3
        assert label(labeler, images, store, progress=False).asked == 0
        found = read_labels(labeler, images, store)
        assert len(server.asked) == 16
    assert (run.asked, run.cost_usd) == (16, pytest.approx(1.6))
    assert [len(body["pictures"]) for body in server.asked] == [1] * 3 + [0] + [1] * 9 + [0] * 3
    assert "kind: dog. By them one breed of dog" in server.asked[3]["prompt"]
    assert "the dog in this photo in a short phrase: tail shape." in server.asked[7]["prompt"]
    last = server.asked[-1]["prompt"]
    assert '"general description": "photo 2 as a whole"' in last
    assert '"bill color": "photo 2 bill color"' in last
    assert [label.names for label in found] == [("Whippet", "Saluki", "Borzoi")] * 3
    assert [label.raw for label in found] == [GUESS] * 3
    assert [label.requests for label in found] == [6, 5, 5], "the question of all photos is the first one's"
    assert sum(label.cost_usd for label in found) == pytest.approx(1.6)
    assert summary(found).follow_ups is None, "nothing was asked again"


def test_a_plan_says_what_may_follow_and_then_what_is_left(store, images):
    with TinyServer(Model()) as server:
        labeler = FinerLabeler(remote(server.url), max_attributes=5)
        first = plan(labeler, images, store)
        assert (first.missing, first.follow_ups) == (3, 1 + 3 * 6 + 3)
        assert "3 to ask, about $0.30; then up to 22 more, about $2.20" in str(first)
        with pytest.raises(FgvrError, match="max_cost_usd"):
            label(labeler, images, store, max_cost_usd=0.3 + 0.1, progress=False)
        known = plan(labeler, images, store)
        assert (known.stored, known.missing, known.follow_ups) == (4, 3 * 3, 3)
        needed = needed_requests(labeler, images, store)
        assert sum(len(each.requests) for each in needed if not each.follow_ups) == 4 + 9
        label(labeler, images, store, progress=False)
        done = plan(labeler, images, store)
        assert (done.stored, done.missing, done.follow_ups) == (16, 0, 0)


def test_what_is_given_is_not_asked(store, images):
    with TinyServer(Model()) as server:
        labeler = FinerLabeler(remote(server.url), super_category="dog", attributes=[*ATTRIBUTES, "Tail shape"])
        assert (plan(labeler, images, store).missing, plan(labeler, images, store).follow_ups) == (9, 3)
        label(labeler, images, store, progress=False)
        assert kinds(server) == ["describe"] * 9 + ["guess"] * 3
        assert not labeler.compares_names
        half = FinerLabeler(remote(server.url), super_category="dog")
        label(half, images, store, progress=False)
        assert kinds(server)[12:] == ["attributes"], "the questions about the photos are the same"
        part = FinerLabeler(remote(server.url), attributes=ATTRIBUTES)
        label(part, images, store, progress=False)
        assert kinds(server)[13:] == ["super_category"] * 3


def test_the_budget_holds_and_no_reply_is_paid_twice(store, images):
    with TinyServer(Model()) as server:
        labeler = FinerLabeler(remote(server.url))
        for _ in range(4):
            with pytest.raises(FgvrError, match="max_cost_usd"):
                label(labeler, images, store, max_cost_usd=0.35, progress=False)
        label(labeler, images, store, max_cost_usd=0.45, progress=False)
        assert len(server.asked) == 16
        assert len({json.dumps(body) for body in server.asked}) == 16
        assert [len(label.names) for label in read_labels(labeler, images, store)] == [3, 3, 3]


def test_names_wait_for_a_question_that_failed(store, images):
    model = Model()
    with TinyServer(model) as server:
        model.failing = [("describe", 1)]
        labeler = FinerLabeler(remote(server.url))
        run = label(labeler, images, store, progress=False)
        assert (run.failed, kinds(server).count("guess")) == (3, 2)
        found = read_labels(labeler, images, store)
        assert [label.flag for label in found] == ["", "failed", ""]
        model.failing = ()
        again = FinerLabeler(patient(server.url))
        assert label(again, images, store, progress=False).asked == 3 + 1
        assert [len(label.names) for label in read_labels(again, images, store)] == [3, 3, 3]


def patient(url):
    return TinyRemoteLabeler(base_url=url, price_usd=0.1, limits=Limits(concurrency=1, max_attempts=2))


@pytest.mark.parametrize(
    ("said", "most", "asked"),
    [
        (["A dog.", "cats", "The photo shows a dog on grass."], 1, ["dog", "dog", "dog"]),
        (["cat", "dog", "I don't know."], 1, ["cat", "cat", "cat"]),
        (["dog", "cat", "Dogs"], 2, ["dog", "cat", "dog"]),
    ],
)
def test_most_photos_say_what_the_super_category_is(store, images, said, most, asked):
    with TinyServer(Model(said)) as server:
        labeler = FinerLabeler(remote(server.url), max_super_categories=most)
        label(labeler, images, store, progress=False)
        assert plan(labeler, images, store).missing == 0
    shown = [body["prompt"] for body in server.asked if body["prompt"].startswith("Describe what can be seen")]
    assert [re.search(r"of the (\w+) in", prompt)[1] for prompt in shown] == asked
    assert kinds(server).count("attributes") == len(set(asked))


def test_a_super_category_that_no_reply_states(store, images):
    with TinyServer(Model(["?", "I cannot see it.", "1"])) as server:
        labeler = FinerLabeler(remote(server.url))
        with pytest.raises(FgvrError, match=r"first one is '\?'\. Set data\.labeler\.super_category to"):
            label(labeler, images, store, progress=False)
        assert len(server.asked) == 3


def test_attributes_that_are_no_list(store, images):
    with TinyServer(Model(attributes="It depends on the breed.")) as server:
        labeler = FinerLabeler(remote(server.url))
        with pytest.raises(FgvrError, match=r"is no list: 'It depends on .*Set data\.labeler\.attributes to a list"):
            label(labeler, images, store, progress=False)
        assert len(server.asked) == 4, "no photo is asked about in vain"
        label(FinerLabeler(remote(server.url), attributes=["tail shape"]), images, store, progress=False)
        assert len(server.asked) == 4 + 6 + 3


def test_a_question_of_all_photos_that_failed_is_asked_again(store, images):
    model = Model()
    model.failing = [("attributes", None)]
    with TinyServer(model) as server:
        run = label(FinerLabeler(patient(server.url)), images, store, progress=False)
        assert (run.asked, run.failed) == (4, 1)
        model.failing = ()
        again = FinerLabeler(TinyRemoteLabeler(server.url, 0.1, limits=Limits(concurrency=1, max_attempts=9)))
        assert label(again, images, store, progress=False).failed == 0
        assert all(label.names for label in read_labels(again, images, store))


def test_a_guess_that_is_no_list_has_no_names(store, images):
    with TinyServer(Model(guess="Summary: it is slim. " * 60)) as server:
        labeler = FinerLabeler(remote(server.url))
        label(labeler, images, store, progress=False)
    found = read_labels(labeler, images, store)
    assert [(label.names, label.flag) for label in found] == [((), "unparsed")] * 3
    assert str(summary(found)).startswith("3 unparsed; 0 different names; $1.6000")


def test_answers_that_say_nothing_are_left_out(store, images):
    async def answer(body):
        if kind_of(body) == "describe":
            return TinyAnswer({"raw": "forked" if "tail shape" in body["prompt"] else ""})
        return await Model()(body)

    with TinyServer(answer) as server:
        labeler = FinerLabeler(remote(server.url), super_category="dog")
        label(labeler, images, store, progress=False)
    guesses = [body["prompt"] for body in server.asked if kind_of(body) == "guess"]
    assert len(guesses) == 1, "equal answers are one question"
    assert '{\n "tail shape": "forked"\n}' in guesses[0]


def test_a_person_corrects_names_and_not_descriptions(store, images):
    with TinyServer(Model()) as server:
        labeler = FinerLabeler(remote(server.url), attributes=["tail shape"])
        label(labeler, images, store, progress=False)
    described = DescribeAttributeTask("dog", None).prompt()
    request = LabelRequest(images[0], described)
    key = request_key(labeler.parts[1].identity(), request)
    (reply,) = store.get(labeler.parts[1].identity(), [request])
    assert reply.raw == "photo 0 as a whole"
    store.revise(corrections={key: ["a slim dog"]})
    first = read_labels(labeler, images, store)[0]
    assert (first.corrected, first.names, first.flag) == (False, (), "failed"), "another question, which has no reply"
    label_of_names = plan(labeler, images, store)
    assert (label_of_names.missing, label_of_names.stored) == (1, 3 + 6 + 2)


def test_a_run_that_needs_names_takes_it(tmp_path):
    labels = ImageLabels(FinerLabeler(remote()), None, tmp_path / "labels.sqlite", None, lambda *_: None)
    labels.require_names()


def test_an_openai_server_is_asked(httpserver, keys, store, images):
    def answer(request):
        body = request.get_json()
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else next(p["text"] for p in content if p["type"] == "text")
        raw = {
            "super_category": "dog",
            "attributes": LIST,
            "describe": "slim",
            "guess": GUESS,
        }[kind_of({"prompt": text})]
        reply = OpenAI.reply(raw)
        return Response(json.dumps(reply), content_type="application/json")

    httpserver.expect_request(OpenAI.path).respond_with_handler(answer)
    labeler = FinerLabeler(OpenAI.make(httpserver, model="gpt-test"))
    assert label(labeler, images, store, max_cost_usd=5, progress=False).asked == 3 + 1 + 9 + 1
    assert [label.names for label in read_labels(labeler, images, store)] == [("Whippet", "Saluki", "Borzoi")] * 3
    sent = [request.get_json() for request, _ in httpserver.log]
    assert sum("image_url" in json.dumps(body) for body in sent) == 12


def test_recorded_replies_of_each_question(tmp_path, store, images):
    lines = [{"question": "attributes", "raw": str(ATTRIBUTES)}]
    for image in images:
        answers = {"super_category": "dog", "description": "a slim dog", "attribute: tail shape": "long"}
        answers |= {"attribute: Bill  Color": "black", "guess": GUESS}
        lines += [{"image": image.sample_id, "question": what, "raw": raw} for what, raw in answers.items()]
    path = tmp_path / "replies.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    labeler = FinerLabeler(RecordedLabeler(path, question_key="question"))
    check_labeler(labeler, images)
    assert label(labeler, images, store, progress=False).failed == 0
    assert [label.names for label in read_labels(labeler, images, store)] == [("Whippet", "Saluki", "Borzoi")] * 3
    path.write_text("\n".join(map(json.dumps, lines[:-2])))
    labeler = FinerLabeler(RecordedLabeler(path, question_key="question"))
    run = label(labeler, images, store, progress=False)
    assert (run.failed, "question 'attribute: bill color'" in run.first_error) == (1, True)


@pytest.mark.parametrize(
    ("vqa", "llm", "message"),
    [
        (TinyLabeler({}), None, r"TinyLabeler cannot be asked about photos .*set data\.labeler\.vqa .* openai"),
        (remote(), TinyLabeler({}), r"TinyLabeler cannot be asked about texts .*set data\.labeler\.llm .* openai"),
        (Blip2Labeler(), None, r"blip2 cannot be asked about texts .*data\.labeler\.llm"),
        (RecordedLabeler("replies.jsonl"), None, r"recorded cannot be asked about photos"),
        (FieldguideLabeler(), None, r"fieldguide cannot be asked"),
    ],
)
def test_who_cannot_be_asked(vqa, llm, message):
    with pytest.raises(FgvrError, match=message):
        FinerLabeler(vqa, llm)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_attributes": 0}, r"data\.labeler\.max_attributes is 0"),
        ({"max_super_categories": 0}, r"data\.labeler\.max_super_categories is 0"),
        ({"guesses": 11}, r"data\.labeler\.guesses is 11; expected a number from 1 to 10"),
        ({"super_category": " "}, r"data\.labeler\.super_category is ' '"),
        ({"unit": ""}, r"data\.labeler\.unit is ''"),
        ({"attributes": []}, r"data\.labeler\.attributes is empty"),
        ({"attributes": ["tail", ""]}, r"data\.labeler\.attributes is ''"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(FgvrError, match=message):
        FinerLabeler(remote(), **options)


def test_all_that_is_asked_is_in_its_identity():
    options = [{}, {"unit": "breed"}, {"super_category": "dog"}, {"attributes": ["tail"]}, {"guesses": 2}]
    options += [{"max_attributes": 9}, {"max_super_categories": 2}, {"llm": remote(model="text")}]
    found = {json.dumps(FinerLabeler(remote(), **each).identity(), sort_keys=True) for each in options}
    assert len(found) == len(options)


def test_its_replies_can_be_mended():
    labeler = FinerLabeler(remote(), super_category="dog", attributes=["tail"])
    assert RestateLabeler(labeler, remote()).combined[1] is labeler
