import logging

import pytest
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler

from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelling.labelling import label
from fgvr.labelling.reply_watch import ReplyWatch
from fgvr.records import ImageRecord

NAMES = [
    f"{colour} {kind}"
    for colour in ("Red", "Blue", "Grey", "Black", "Green")
    for kind in ("Finch", "Wren", "Owl", "Jay")
]


@pytest.fixture(autouse=True)
def _listen(caplog):
    caplog.set_level(logging.WARNING)


def watched(replies, folder=lambda number: "", at_end=True, labeler=None):
    """What is warned of: replies are texts, or errors as exceptions."""
    watch = ReplyWatch(labeler or TinyLabeler({}))
    for number, reply in enumerate(replies):
        sample_id = f"{folder(number)}{number}.jpg"
        request = LabelRequest(ImageRecord(sample_id=sample_id, path=None, split="support"), "?")
        watch.add([Reply(request, error=str(reply)) if isinstance(reply, Exception) else Reply(request, raw=reply)])
    if at_end:
        watch.finish()


@pytest.mark.parametrize(
    ("reply", "said", "advice"),
    [
        ("", "20 are empty", "max_output_tokens"),
        ("I'm sorry, I can't help with that.", "20 refuse", "style expert"),
        ("A dog.", "20 name no fine-grained class", "Say what the photos show"),
        ("one two three four five six seven eight nine", "20 have no name that can be read", "the name alone"),
        (ValueError("The reply was cut off before its end: raise it."), "20 failed", "error"),
    ],
)
def test_replies_that_name_nothing(caplog, reply, said, advice):
    watched([reply] * 60, at_end=False)
    [line] = caplog.messages
    assert said in line
    assert "of the first 20 replies" in line
    assert advice in line
    assert "Such as 0.jpg" in line
    assert "Control-C" in line


@pytest.mark.parametrize(
    ("useless", "warns"), [(10, True), (20, True), (9, False), (0, False)], ids=lambda value: str(value)
)
def test_half_of_the_first_replies_are_enough(caplog, useless, warns):
    watched(["" if number < useless else NAMES[number] for number in range(20)] + NAMES)
    assert len(caplog.messages) == warns


def test_one_warning_a_run(caplog):
    watched([""] * 1000)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("replies", "warns"),
    [
        ([""] * 4, True),
        (["Beagle", "", "", ""], True),
        (["Beagle", "", "I can't tell.", "Pug"], True),
        (["Beagle", "Pug", "", "Boxer"], False),
        ([""], False),  # the summary says so
        ([*NAMES[:19], *["" for _ in range(40)]], True),
        ([ValueError("no")] * 5, False),  # of failures, whoever asks tells at the end
        ([ValueError("no")] * 5 + ["Beagle", "Pug", "Boxer"], False),
    ],
)
def test_few_replies_are_judged_at_the_end(caplog, replies, warns):
    watched(replies)
    assert len(caplog.messages) == warns
    assert all("of the first" not in line for line in caplog.messages)


def test_replies_that_are_alike(caplog):
    watched(["A beagle."] * 19 + ["Pug"], folder=lambda number: f"{number // 2}/", at_end=False)
    [line] = caplog.messages
    assert "19 give the same name, of the first 20 replies" in line
    assert "'A beagle.'" in line
    assert "Does the model see the photos?" in line


@pytest.mark.parametrize(
    ("replies", "folder"),
    [
        (["Beagle"] * 60, lambda number: "beagle/"),
        (["Beagle"] * 19, lambda number: f"{number}/"),
        (["Beagle", "Beagle", "Beagle", "Pug"] * 10, lambda number: f"{number}/"),
        (["Beagle"] * 20 + NAMES * 3, lambda number: f"{number // 20}/"),  # photos come class by class
        (["Beagle"] * 20 + NAMES, lambda number: ""),
    ],
    ids=["one folder", "too few", "three of four", "the first class", "the first of a flat folder"],
)
def test_replies_that_are_alike_because_photos_are(caplog, replies, folder):
    watched(replies, folder, at_end=len(set(replies)) > 1 or len(replies) < 20)
    assert not caplog.messages


def test_without_folders_likeness_is_judged_at_the_end(caplog):
    watched(["Beagle"] * 40, at_end=False)
    assert not caplog.messages
    watched(["Beagle"] * 40)
    assert "40 give the same name, of 40 replies" in caplog.text


def test_descriptions_may_be_alike(caplog):
    labeler = TinyRemoteLabeler("http://127.0.0.1:1", task=DescribeImageTask("bird"))
    watched(["a small bird"] * 40, labeler=labeler)
    assert not caplog.messages
    watched([""] * 40, labeler=labeler)
    assert "20 are empty" in caplog.text
    assert "style expert" not in caplog.text


def test_an_example_is_one_short_line(caplog):
    watched(["I can't\n\x1b[2J tell. " + "x" * 5000] * 5)
    [line] = caplog.messages
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 700


def test_a_run_says_so_before_the_rest_is_asked(caplog, store, tmp_path, monkeypatch):
    images = save_images(tmp_path, coloured(30))
    labeler = TinyLabeler({image.sample_id: "" for image in images})
    asked = []
    monkeypatch.setattr(logging.Logger, "warning", lambda *args: asked.append(len(labeler.asked)))
    label(labeler, images, store, progress=False)
    assert asked == [20]


def test_stored_replies_are_no_news(caplog, store, tmp_path):
    images = save_images(tmp_path, coloured(30))
    labeler = TinyLabeler({image.sample_id: "" for image in images})
    label(labeler, images, store, progress=False)
    assert len(caplog.messages) == 1
    label(labeler, images, store, progress=False)
    assert len(caplog.messages) == 1
