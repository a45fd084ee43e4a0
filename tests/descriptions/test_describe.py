import base64
import io
import json
from collections import Counter

import numpy as np
import pytest
from labelers.batch_servers import FakeOpenAI
from PIL import Image
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.groups import draw_groups
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Labeler
from fgvr.labelers.classifier import ClassifierLabeler
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.vote import VoteLabeler
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import Description, ImageRecord

CLASSES = ("Blue Jay", "Wren", "Auk")
LABELS = np.array([0] * 6 + [1] * 3)


@pytest.fixture
def images(tmp_path):
    records = []
    for number in range(len(LABELS)):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (40, 40), (20 * number + 20, 0, 0)).save(path)
        records.append(
            ImageRecord(
                sample_id=f"true/{number}.png", path=path, split="support", digest=f"{number:064x}", true_name="Secret"
            )
        )
    return records


@pytest.fixture
def describe(tmp_path, images):
    def describe(options, labeler=None, max_cost_usd=None, images=images, labels=LABELS):
        store = tmp_path / "labels.sqlite"
        return Descriptions(options, labeler, images, CLASSES, lambda: labels, store, max_cost_usd)

    return describe


class Painter:
    """A server that describes what it is shown by its width, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.failing = 0

    async def answer(self, body):
        (picture,) = body["pictures"]
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        self.asked.append((body["prompt"], image.size))
        if self.failing:
            self.failing -= 1
            return TinyAnswer("down", 500)
        return TinyAnswer({"raw": f"Sure, here is a description: **{len(self.asked)}th text** of {image.size[0]}."})


@pytest.fixture
def painter():
    painter = Painter()
    with TinyServer(painter.answer) as server:
        painter.url = server.url
        yield painter


def no_labels():
    raise AssertionError("nobody needs pseudo-labels here")


def test_one_labeler_describes_photos_and_groups(describe, painter, images):
    labeler = TinyRemoteLabeler(painter.url, price_usd=0.01, task=NameTask())
    descriptions = describe(DescribeOptions(domain="bird", group_size=4, groups_per_class=2), labeler)
    plans = descriptions.plan()
    assert {kind: (plan.requests, plan.missing, plan.estimate_usd) for kind, plan in plans.items()} == {
        "image": (9, 9, pytest.approx(0.09)),
        "group": (3, 3, pytest.approx(0.03)),
    }
    assert "9 requests: 0 stored, 9 to ask, about $0.09" in str(plans["image"])
    assert not painter.asked
    descriptions.ask()
    assert Counter(painter.asked) == {
        ("Describe the bird in the photo concisely, using less than 20 words.", (40, 40)): 9,
        (
            "Describe the common visual attributes of the bird in all the photos concisely, in fewer than 20 words.",
            (672, 672),
        ): 3,
    }
    known = descriptions.read()
    assert [each.sample_id for each in known.descriptions[:9]] == [image.sample_id for image in images]
    groups = draw_groups(images, LABELS, 4, 2, seed=0)
    assert [(each.class_name, each.members) for each in known.descriptions[9:]] == [
        (CLASSES[group.label], tuple(image.sample_id for image in group.images)) for group in groups
    ]
    assert len(known.texts.group_texts("Blue Jay")) == 2
    assert known.texts.image_text("true/0.png").endswith("text of 40.")
    assert "Sure" not in known.texts.image_text("true/0.png")
    assert str(known.summary).splitlines() == [
        "image descriptions: 9 usable; group descriptions: 3 usable; $0.1200",
        "No description of 1 of 3 classes (Auk).",
    ]
    assert labeler.task.registry_name == "name", "the run's labeler is left as it is"


def test_nothing_is_asked_twice(describe, painter):
    labeler = TinyRemoteLabeler(painter.url)
    describe(DescribeOptions(groups_per_class=2), labeler).ask()
    asked = len(painter.asked)
    again = describe(DescribeOptions(groups_per_class=2), labeler)
    assert [plan.missing for plan in again.plan().values()] == [0, 0]
    again.ask()
    assert len(painter.asked) == asked
    # another group is another question, and the photos are known
    other = describe(DescribeOptions(groups_per_class=2, seed=1), labeler).plan()
    assert (other["image"].missing, other["group"].missing > 0) == (0, True)
    assert [plan.missing for plan in describe(DescribeOptions(domain="dog"), labeler).plan().values()] == [9, 5]


def test_copies_of_a_photo_are_asked_about_once(describe, painter, images):
    copy = ImageRecord(sample_id="true/copy.png", path=images[0].path, split="support", digest=images[0].digest)
    labeler = TinyRemoteLabeler(painter.url)
    descriptions = describe(DescribeOptions(groups=False), labeler, images=[*images, copy], labels=None)
    assert descriptions.plan()["image"].requests == 9
    descriptions.ask()
    known = descriptions.read()
    assert len(known.descriptions) == 10
    assert known.texts.image_text("true/copy.png") == known.texts.image_text("true/0.png")


def test_the_model_sees_no_true_name_and_the_hint_only_where_it_is_wanted(describe, painter):
    labeler = TinyRemoteLabeler(painter.url)
    descriptions = describe(DescribeOptions(domain="bird", hint=True, groups=False), labeler)
    assert all(image.true_name is None for part in descriptions.parts for r in part.requests for image in r.images)
    descriptions.ask()
    assert Counter(prompt for prompt, _ in painter.asked) == {
        "Describe the Blue Jay bird in the photo concisely, less than 20 words.": 6,
        "Describe the Wren bird in the photo concisely, less than 20 words.": 3,
    }


def test_other_words(describe, painter):
    options = DescribeOptions(image_prompt="What land is it?", group_prompt="What do they share?", hint=True)
    describe(options, TinyRemoteLabeler(painter.url)).ask()
    assert Counter(prompt for prompt, _ in painter.asked) == {"What land is it?": 9, "What do they share?": 5}


def test_another_labeler_for_groups(describe, painter):
    cheap, dear = TinyRemoteLabeler(painter.url, 0.01), TinyRemoteLabeler(painter.url, 1.0, model="large")
    plans = describe(DescribeOptions(labeler=cheap, group_labeler=dear), None).plan()
    assert [plan.estimate_usd for plan in plans.values()] == pytest.approx([0.09, 5.0])


def test_one_budget_for_both_kinds(describe, painter):
    labeler = TinyRemoteLabeler(painter.url, price_usd=0.01)
    with pytest.raises(FgvrError, match=r"stopped before it passes \$0\.0[0-9]+.*start the same run again"):
        describe(DescribeOptions(), labeler, max_cost_usd=0.10).ask()
    assert len(painter.asked) == 10
    describe(DescribeOptions(), labeler, max_cost_usd=0.10).ask()
    assert len(painter.asked) == 14


def test_what_failed_is_missing_and_asked_again(describe, painter, caplog):
    painter.failing = 2
    labeler = TinyRemoteLabeler(painter.url, limits=Limits(concurrency=1, max_attempts=1))
    descriptions = describe(DescribeOptions(groups=False), labeler)
    descriptions.ask()
    assert "2 of 9 requests failed; the first: true/" in caplog.text
    known = descriptions.read()
    assert "2 failed" in str(known.summary)
    assert "No description of 2 of 9 photos" in str(known.summary)
    patient = TinyRemoteLabeler(painter.url, limits=Limits(max_attempts=2))
    describe(DescribeOptions(groups=False), patient).ask()
    assert describe(DescribeOptions(groups=False), patient).read().summary.missing == ""


def test_no_reply_at_all_is_an_error(describe):
    with pytest.raises(FgvrError, match=r"None of the 9 image descriptions has a reply of TinyLabeler"):
        describe(DescribeOptions(TinyLabeler({}), groups=False)).ask()


def test_refusals_are_no_texts(describe, images):
    said = {image.sample_id: "A small bird." for image in images}
    said["true/0.png"] = "I'm sorry, I can't help with that."
    descriptions = describe(DescribeOptions(TinyLabeler(said), groups=False))
    descriptions.ask()
    known = descriptions.read()
    assert str(known.summary).startswith("image descriptions: 8 usable, 1 refusal")
    assert known.texts.image_text("true/0.png") is None
    with LabelStore(descriptions.store) as store:
        assert sum(1 for _ in store.rows()) == 9


def test_recorded_descriptions_of_photos_and_groups(describe, images, tmp_path):
    options = {"groups_per_class": 2, "group_size": 4}
    lines = [{"image": f"{number}.png", "raw": f"Photo {number}."} for number in range(9)]
    for number, group in enumerate(draw_groups(images, LABELS, 4, 2, seed=0)):
        lines.append({"image": [image.sample_id for image in group.images][::-1], "raw": f"Group {number}."})
    path = tmp_path / "said.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    descriptions = describe(DescribeOptions(labeler=RecordedLabeler(path), **options))
    descriptions.ask()
    texts = descriptions.read().texts
    assert texts.image_text("true/7.png") == "Photo 7."
    assert texts.group_texts("Blue Jay") == ("Group 0.", "Group 1.")
    assert texts.group_texts("Wren") == ("Group 2.",)


def test_fixed_descriptions_are_those_of_photos(describe, tmp_path):
    path = tmp_path / "said.csv"
    path.write_text("file,name\n" + "".join(f"{number}.png,Photo {number}.\n" for number in range(9)))
    descriptions = describe(DescribeOptions(labeler=FixedLabeler(path), groups=False))
    descriptions.ask()
    assert descriptions.read().texts.image_text("true/3.png") == "Photo 3."
    with pytest.raises(FgvrError, match=r"fixed cannot be asked about groups.*data\.describe\.group_labeler"):
        describe(DescribeOptions(labeler=FixedLabeler(path))).plan()


def test_a_file_is_taken_and_nobody_is_asked(tmp_path, images, caplog):
    path = tmp_path / "classes.csv"
    path.write_text("class_name,description\nblue jay,Blue.\nWren,Small.\nDodo,Extinct.\n")
    naming = TinyLabeler({})
    store = tmp_path / "labels.sqlite"
    descriptions = Descriptions(DescribeOptions(file=path), naming, images, CLASSES, no_labels, store)
    assert descriptions.plan() == {}
    descriptions.ask()
    known = descriptions.read()
    assert known.descriptions == (
        Description("group", "Blue.", class_name="Blue Jay"),
        Description("group", "Small.", class_name="Wren"),
    )
    assert "1 class (Dodo)" in caplog.text
    assert "9 of 9 photos" in known.summary.missing
    assert "1 of 3 classes (Auk)" in known.summary.missing
    silent = Descriptions(DescribeOptions(file=path, images=False), naming, images, CLASSES[:2], no_labels, store)
    assert silent.read().summary.missing == ""
    assert str(silent.read().summary) == "group descriptions: 2 usable; $0.0000"


def test_what_a_file_lacks_is_asked_of_a_labeler_that_is_named_with_it(describe, painter, tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("class_name,description\nWren,Small.\n")
    descriptions = describe(DescribeOptions(labeler=TinyRemoteLabeler(painter.url), file=path))
    assert list(descriptions.plan()) == ["image"]
    descriptions.ask()
    assert len(descriptions.read().descriptions) == 10


@pytest.mark.parametrize(
    ("labeler", "message"),
    [
        (None, r"Nobody describes the photos: set data\.describe\.labeler"),
        (TinyLabeler({}), r"TinyLabeler names photos and describes none"),
        (ClassifierLabeler(), r"classifier names photos and describes none"),
        (VoteLabeler([TinyLabeler({}), TinyLabeler({})]), r"vote compares names"),
    ],
)
def test_who_cannot_describe(describe, labeler, message):
    with pytest.raises(FgvrError, match=message):
        describe(DescribeOptions(), labeler).plan()


def test_who_looks_at_single_photos_gets_no_groups(describe):
    assert not Labeler.of_groups
    with pytest.raises(FgvrError, match=r"TinyLabeler cannot be asked about groups"):
        describe(DescribeOptions(labeler=TinyLabeler({}))).plan()


def test_by_batch(describe, httpserver, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    server = FakeOpenAI(httpserver)
    labeler = OpenAILabeler(base_url=server.url, price=Price(2.0, 8.0))
    descriptions = describe(DescribeOptions(), labeler)
    assert descriptions.estimate_batch_usd() > 0
    sent = descriptions.ask_batch(wait=False)
    assert [run.submitted for run in sent] == [9, 5]
    assert [plan.waiting for plan in descriptions.plan().values()] == [9, 5]
    server.finish()
    collected = describe(DescribeOptions(), labeler).ask_batch()
    assert [run.collected for run in collected] == [9, 5]
    assert server.created == 2
    known = descriptions.read()
    assert known.texts.group_texts("Wren") == ("Bea gle",)
    assert known.summary.cost_usd > 0
    with pytest.raises(FgvrError, match="TinyRemoteLabeler cannot be asked by batch"):
        describe(DescribeOptions(), TinyRemoteLabeler("http://127.0.0.1:1")).ask_batch()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_size": 1}, r"data\.describe\.group_size is 1; expected 2 to 16"),
        ({"group_size": 17}, r"data\.describe\.group_size is 17"),
        ({"groups_per_class": 0}, r"data\.describe\.groups_per_class is 0"),
        ({"domain": " "}, r"data\.describe\.domain is ' '"),
        ({"images": False, "groups": False}, r"leave out data\.describe"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(FgvrError, match=message):
        DescribeOptions(**options)


def test_pseudo_labels_of_every_photo(describe):
    with pytest.raises(ValueError, match="8 pseudo-labels for 9 photos"):
        describe(DescribeOptions(TinyRemoteLabeler("http://127.0.0.1:1")), labels=LABELS[:8]).plan()
