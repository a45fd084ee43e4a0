import json
from pathlib import Path

import numpy as np
import pytest
from labelers.hosted import Gemini, OpenAI
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.reconsider import ReconsiderLabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.tasks.same_class import SameClassTask
from fgvr.labelling.image_labels import ImageLabels
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord, LabelRecord
from fgvr.testing.labelers import check_labeler

NAMES = {
    "a.jpg": "Audi R8",
    "b.jpg": "audi r8",
    "c.jpg": "Audi R8 Spyder",
    "d.jpg": "BMW M5",
    "e.jpg": "I cannot tell.",
}
IMAGES = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}") for name in NAMES]
CHOICES = {"c.jpg": "Audi R8", "d.jpg": "BMW M5", "e.jpg": "Audi R8"}


def record(name, sample_id="a.jpg", **fields):
    return LabelRecord(
        sample_id, (name,) if name else (), (None,) if name else (), flag="" if name else "refusal", **fields
    )


def reconsider(choices=CHOICES, **options):
    return ReconsiderLabeler(TinyLabeler(NAMES), TinyLabeler(choices, prompt="Which?"), **options)


def wanted(names, features=None, **options):
    return reconsider(**options).wanted(1, [[record(name) for name in names]], features)


def test_it_keeps_the_contract():
    check_labeler(reconsider(), IMAGES)


def test_photos_whose_name_is_rare_or_missing_are_asked_about_again():
    names = ["Pug", "pug", "Boxer", None, "Beagle", "Beagle", "Beagle"]
    assert wanted(names) == [False, False, True, True, False, False, False]
    assert wanted(names, shared=3) == [True, True, True, True, False, False, False]
    assert wanted(names, shared=1) == [False, False, False, True, False, False, False]


def test_there_must_be_two_names_to_choose_from():
    assert wanted(["Pug", None]) == [False, False]
    assert wanted([None, None]) == [False, False]
    assert wanted([]) == []


def test_photos_whose_name_no_neighbour_has_are_doubted():
    features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.5, 1]], dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    names = ["Pug", "Pug", "Boxer", "Boxer", "Pug"]
    assert wanted(names, features, neighbours=1) == [False, False, False, False, True]
    assert wanted(names, features) == [False] * 5
    assert reconsider(neighbours=1).needs_features
    assert not reconsider().needs_features


def test_what_is_chosen_takes_the_place_of_the_name():
    labels = [
        [
            record("Audi R8 Spyder", cost_usd=1.0),
            record(None, cost_usd=1.0),
            record("Fiat", cost_usd=1.0),
            record("Pug"),
        ],
        [record("Audi R8", cost_usd=2.0), record("Audi R8", cost_usd=2.0), record(None, cost_usd=2.0), None],
    ]
    first, second, third, fourth = reconsider().combine(labels)
    assert (first.names, first.alternatives, first.cost_usd) == (("Audi R8",), ("Audi R8 Spyder",), 3.0)
    assert (second.names, second.alternatives, second.cost_usd) == (("Audi R8",), (), 3.0)
    assert (third.names, third.cost_usd) == (("Fiat",), 3.0)
    assert fourth.names == ("Pug",)


def test_each_reply_is_stored_once_and_the_budget_holds(tmp_path):
    labeler = ReconsiderLabeler(TinyLabeler(NAMES, price_usd=0.1), TinyLabeler(CHOICES, price_usd=0.2, prompt="Which?"))
    with LabelStore(tmp_path / "labels.sqlite") as store:
        assert (plan(labeler, IMAGES, store).missing, plan(labeler, IMAGES, store).follow_ups) == (5, 5)
        with pytest.raises(FgvrError, match="max_cost_usd"):
            label(labeler, IMAGES, store, max_cost_usd=0.75, progress=False)
        assert [request.image.sample_id for request in labeler.parts[1].asked] == ["c.jpg"]
        run = label(labeler, IMAGES, store, progress=False)
        assert run.cost_usd == pytest.approx(0.4)
        assert label(labeler, IMAGES, store, progress=False).asked == 0
        found = read_labels(labeler, IMAGES, store)
    assert [record.names for record in found] == [("Audi R8",), ("audi r8",), ("Audi R8",), ("BMW M5",), ("Audi R8",)]
    assert found[2].alternatives == ("Audi R8 Spyder",)
    assert sum(record.cost_usd for record in found) == pytest.approx(5 * 0.1 + 3 * 0.2)


def test_a_model_is_shown_its_own_names(tmp_path, draw):
    for number, name in enumerate(NAMES):
        draw(name, (40 * number, 200, 20))
    images = [
        ImageRecord(sample_id=name, path=tmp_path / name, split="support", digest=f"digest-{name}") for name in NAMES
    ]
    replies = iter(NAMES.values())

    async def answer(body):
        if "options" not in body["prompt"]:
            return TinyAnswer({"raw": next(replies)})
        return TinyAnswer({"raw": "Audi R8"})

    with TinyServer(answer) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        labeler = ReconsiderLabeler(TinyRemoteLabeler(base_url=server.url, limits=Limits(concurrency=1)))
        label(labeler, images, store, progress=False)
        asked = [body["prompt"] for body in server.asked if "options" in body["prompt"]]
        found = read_labels(labeler, images, store)
    assert len(asked) == 3
    assert all("Audi R8, Audi R8 Spyder, BMW M5." in prompt for prompt in asked)
    assert {record.names for record in found[2:]} == {("Audi R8",)}


def test_a_labeler_without_tasks_needs_a_chooser(tmp_path):
    with pytest.raises(FgvrError, match=r"fixed cannot be asked to choose .* data\.labeler\.chooser"):
        ReconsiderLabeler(FixedLabeler(tmp_path / "names.csv"))
    with pytest.raises(FgvrError, match=r"data\.labeler\.shared is 0"):
        reconsider(shared=0)
    with pytest.raises(FgvrError, match=r"data\.labeler\.neighbours is -1"):
        reconsider(neighbours=-1)
    with pytest.raises(FgvrError, match=r"data\.labeler\.near is -1"):
        reconsider(near=-1)
    named = FixedLabeler(tmp_path / "names.csv")
    for options in ({}, {"chooser": TinyLabeler(CHOICES)}):
        kind = "TinyLabeler" if options else "fixed"
        with pytest.raises(FgvrError, match=rf"{kind} cannot be asked about texts: .* such as openai"):
            ReconsiderLabeler(named, show_photo=False, **options)


def test_when_it_asks_again_is_part_of_what_it_is():
    identities = [reconsider(**options).identity() for options in ({}, {"shared": 3}, {"neighbours": 2})]
    assert identities[0] == reconsider().identity()
    identities += [by_text(**options).identity() for options in ({}, {"near": 3})]
    assert all(one != other for number, one in enumerate(identities) for other in identities[:number])


CATS = {
    "a.jpg": "Cougar",
    "b.jpg": "cougar",
    "c.jpg": "Puma",
    "d.jpg": "Lynx",
    "e.jpg": "I cannot tell.",
}
SAME = {"Puma": "Cougar", "Lynx": None, "Mountain lion": "puma"}


def by_text(url="http://127.0.0.1:1", names=CATS, **options):
    chooser = TinyRemoteLabeler(base_url=url, price_usd=0.2, limits=Limits(concurrency=1))
    return ReconsiderLabeler(TinyLabeler(names, price_usd=0.1), chooser, show_photo=False, **options)


async def same(body):
    """What ``SAME`` says of the name that is asked about."""
    task = SameClassTask.of_stored(body["prompt"], None, {})
    return TinyAnswer({"raw": json.dumps({"name": SAME[task.name]})})


def images_of(names):
    return [ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}") for name in names]


def test_without_the_photo_names_alone_are_sent(store):
    images = images_of(CATS)  # there are no such files
    with TinyServer(same) as server:
        labeler = by_text(server.url)
        assert (plan(labeler, images, store).missing, plan(labeler, images, store).follow_ups) == (5, 5)
        run = label(labeler, images, store, progress=False)
        assert label(labeler, images, store, progress=False).asked == 0
        found = read_labels(labeler, images, store)
    assert run.cost_usd == pytest.approx(5 * 0.1 + 2 * 0.2)
    assert [body["pictures"] for body in server.asked] == [[], []], "neither of the photo without a name nor of Cougar"
    assert not any(name in body["prompt"] for body in server.asked for name in CATS)
    asked = [SameClassTask.of_stored(body["prompt"], None, {}) for body in server.asked]
    assert {task.name: task.others for task in asked} == {"Puma": ["Cougar", "Lynx"], "Lynx": ["Cougar", "Puma"]}
    assert [record.names for record in found] == [("Cougar",), ("cougar",), ("Cougar",), ("Lynx",), ()]
    assert (found[2].alternatives, found[4].flag) == (("Puma",), "refusal")
    assert sum(record.cost_usd for record in found) == pytest.approx(run.cost_usd)


def test_a_name_is_asked_about_once_within_the_budget(store):
    names = {**CATS, "f.jpg": "puma", "g.jpg": "Mountain lion"}
    with TinyServer(same) as server:
        labeler = by_text(server.url, {**names, "h.jpg": "Cougar"}, shared=3)
        images = images_of([*names, "h.jpg"])
        with pytest.raises(FgvrError, match="max_cost_usd"):
            label(labeler, images, store, max_cost_usd=8 * 0.1 + 0.5, progress=False)
        assert len(server.asked) == 2
        run = label(labeler, images, store, max_cost_usd=0.2, progress=False)
        assert (run.asked, run.cost_usd) == (1, pytest.approx(0.2))
        found = read_labels(labeler, images, store)
    assert len(server.asked) == 3, "Puma, Lynx, Mountain lion"
    named = [record.names[0].casefold() for record in found if record.names]
    assert sorted(named) == ["cougar"] * 6 + ["lynx"], "what means Puma means Cougar"
    assert sum(record.cost_usd for record in found) == pytest.approx(8 * 0.1 + 3 * 0.2)


def test_two_names_that_each_mean_the_other_become_one():
    choices = [record("Puma"), record("Cougar"), None, None]
    first, second, third, fourth = by_text().combine(
        [[record("Cougar"), record("Puma"), record("Lynx"), record(None)], choices]
    )
    assert (first.names, second.names) == (("Cougar",), ("Cougar",))
    assert second.alternatives == ("Puma",)
    assert (third.names, fourth.names) == (("Lynx",), ())


@pytest.mark.parametrize("said", ["Puma", "puma", "PUMA"])
def test_what_a_name_means_holds_for_all_photos_that_have_it(said):
    # one of them was doubted because of its looks
    firsts = [record("Cougar"), record("Cougar"), record("Puma"), record("Puma"), record("Puma")]
    combined = by_text(neighbours=1).combine([firsts, [None, record(said), None, None, None]])
    assert [label.names for label in combined] == [("Puma",)] * 5


def test_without_the_photo_only_names_are_doubted():
    features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.5, 1]], dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = [record(name) for name in ("Pug", "Pug", "Boxer", "Boxer", None)]
    assert by_text().wanted(1, [labels]) == [False] * 5
    labels[4] = record("Pug")
    assert by_text(neighbours=1).wanted(1, [labels], features) == [False, False, False, False, True]


def test_the_names_that_are_near_by_text_are_listed(tmp_path):
    angles = {"Cougar": 0.0, "Puma": 0.1, "Lynx": 0.5, "Ocelot": 0.6, "Tiger": 1.5}
    encoded = []

    def text_features(names):
        encoded.append(names)
        return np.array([[np.cos(angles[name]), np.sin(angles[name])] for name in names], dtype=np.float32)

    names = {f"{number}.jpg": name for number, name in enumerate(angles)}
    images = images_of(names)
    for near, listed in ((1, [["Puma"], ["Cougar"], ["Ocelot"], ["Lynx"], ["Ocelot"]]), (0, None), (4, None)):
        labeler = by_text(names=names, near=near)
        labels = ImageLabels(labeler, None, tmp_path / "labels.sqlite", None, None, None, text_features).labeler
        for _ in range(2):
            part = labels.part(1, [[record(None, sample_id=name) for name in names]])
            assert part.request_about(images[0]).image == images[0], "no name is known yet"
            part = labels.part(1, [[record(name, sample_id=image) for image, name in names.items()]])
        tasks = [SameClassTask.of_stored(part.request_about(image).prompt, None, {}) for image in images]
        assert [task.name for task in tasks] == list(angles)
        assert [task.others for task in tasks] == (listed or [sorted({*angles} - {name}) for name in angles])
    assert encoded == [tuple(sorted(angles))], "once, and only where not all are listed"


@pytest.mark.parametrize("host", [OpenAI, Gemini])
def test_a_hosted_model_is_sent_and_billed_for_no_picture(httpserver, host, keys, tmp_path, store):
    lines = [json.dumps({"image": name, "raw": raw}) for name, raw in CATS.items()]
    (tmp_path / "replies.jsonl").write_text("\n".join(lines))
    httpserver.expect_request(host.path).respond_with_json(host.reply('{"name": "Cougar"}'))
    chooser = host.make(httpserver, price=Price(2.0, 8.0), max_output_tokens=100)
    labeler = ReconsiderLabeler(RecordedLabeler(tmp_path / "replies.jsonl"), chooser, show_photo=False)
    images = images_of(CATS)
    estimate = plan(labeler, images, store).follow_ups_usd / 5
    # 1 token is 4 letters of the prompt; a picture would be 500 or more
    assert 60 * 8e-6 < estimate < (100 * 8 + 400 * 2) * 1e-6
    label(labeler, images, store, max_cost_usd=1, progress=False)
    sent = [request.get_data(as_text=True) for request, _ in httpserver.log]
    assert len(sent) == 2
    for body in sent:
        assert "Other photos were given these names" in body
        assert not any(word in body for word in ("image_url", "inlineData", "inline_data", "base64"))
    assert [record.names for record in read_labels(labeler, images, store)][2:4] == [("Cougar",), ("Cougar",)]
