import pickle
from dataclasses import replace

import pytest
from PIL import Image
from tiny.images import save_images

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.local import LocalLabeler, require
from fgvr.labelling.requests import ask_requests


class WidthLabeler(LocalLabeler):
    """Replies with each photo's width; a batch of more than ``memory`` pixels in a row does not fit."""

    memory = 10_000
    message = "CUDA out of memory. Tried to allocate 20.00 MiB"

    def load(self, device):
        self.loads = getattr(self, "loads", 0) + 1
        self.batches = []
        return device

    def answer(self, loaded, questions):
        widths = [question.pictures[0].width for question in questions]
        self.batches.append(widths)
        if 13 in widths:
            raise ValueError("13 pixels are too few")
        if sum(widths) > self.memory:
            raise RuntimeError(self.message)
        return [
            Reply(question.request, raw=str(width), model=str(loaded))
            for question, width in zip(questions, widths, strict=True)
        ]


@pytest.fixture
def requests(tmp_path):
    def make(*widths):
        images = save_images(tmp_path, [Image.new("RGB", (width, 20)) for width in widths])
        return [LabelRequest(image, "What?") for image in images]

    return make


def test_batches_in_order(requests):
    labeler = WidthLabeler("m", batch_size=2, device="cpu")
    asked = requests(20, 30, 40, 50, 60)
    replies = list(labeler.ask(asked))
    assert [reply.request for reply in replies] == asked
    assert [reply.raw for reply in replies] == ["20", "30", "40", "50", "60"]
    assert labeler.batches == [[20, 30], [40, 50], [60]]
    assert {reply.model for reply in replies} == {"cpu"}
    assert all(reply.seconds > 0 for reply in replies)
    assert replies[0].seconds == replies[1].seconds, "their share of the batch's time"


def test_replies_come_batch_by_batch(requests):
    labeler = WidthLabeler("m", batch_size=2)
    replies = labeler.ask(requests(20, 30, 40, 50))
    next(replies)
    assert len(labeler.batches) == 1


def test_weights_are_loaded_once_and_let_go(requests):
    labeler = WidthLabeler("m")
    assert not list(labeler.ask([]))
    assert not hasattr(labeler, "loads")
    list(labeler.ask(requests(20)))
    list(labeler.ask(requests(20)))
    assert labeler.loads == 1
    labeler.close()
    list(labeler.ask(requests(20)))
    assert labeler.loads == 2


def test_a_labelling_run_leaves_no_weights_behind(requests, store):
    labeler = WidthLabeler("m")
    run = ask_requests(labeler, requests(20, 30), store, progress=False)
    assert (run.asked, run.failed) == (2, 0)
    assert labeler._loaded is None


def test_a_copy_for_another_process_has_no_weights(requests):
    labeler = WidthLabeler("m")
    list(labeler.ask(requests(20)))
    assert labeler._loaded is not None
    copy = pickle.loads(pickle.dumps(labeler))
    assert copy._loaded is None
    assert copy.identity() == labeler.identity()


@pytest.mark.parametrize(
    "message", ["CUDA out of memory.", "MPS backend out of memory", "DefaultCPUAllocator: can't allocate memory: x"]
)
def test_a_batch_that_does_not_fit_is_halved(requests, message):
    labeler = WidthLabeler("m", batch_size=4)
    labeler.memory, labeler.message = 100, message
    replies = list(labeler.ask(requests(30, 31, 32, 33, 34, 35)))
    assert [reply.raw for reply in replies] == ["30", "31", "32", "33", "34", "35"]
    assert labeler.batches == [[30, 31, 32, 33], [30, 31], [32, 33], [34, 35]]


def test_one_photo_that_does_not_fit_slows_nobody_down(requests):
    labeler = WidthLabeler("m", batch_size=2)
    labeler.memory = 100
    replies = list(labeler.ask(requests(20, 200, 30, 40)))
    assert [reply.raw for reply in replies] == ["20", "", "30", "40"]
    assert "does not fit into memory" in replies[1].error
    assert labeler.batches[-1] == [30, 40]


def test_other_errors_of_the_model_are_not_hidden(requests):
    labeler = WidthLabeler("m", batch_size=2)
    labeler.memory, labeler.message = 0, "CUDA error: device-side assert triggered"
    with pytest.raises(RuntimeError, match="device-side assert"):
        list(labeler.ask(requests(20)))


def test_a_photo_that_cannot_be_read_fails_alone(requests):
    asked = requests(20, 30, 40)
    asked[1].image.path.write_bytes(asked[1].image.path.read_bytes()[:30])
    asked[2] = replace(asked[2], image=replace(asked[2].image, path=asked[2].image.path.with_name("none.png")))
    replies = {reply.request: reply for reply in WidthLabeler("m").ask(asked)}
    assert replies[asked[0]].raw == "20"
    assert "cannot be read" in replies[asked[1]].error
    assert "no such file" in replies[asked[2]].error


def test_a_photo_that_the_model_refuses_fails_alone(requests):
    replies = list(WidthLabeler("m", batch_size=3).ask(requests(20, 13, 40)))
    assert [reply.raw for reply in replies] == ["20", "", "40"]
    assert replies[1].error == "the model cannot look at the photo: ValueError: 13 pixels are too few"


def test_more_pictures_than_the_model_can_look_at(requests):
    first, second, third = requests(20, 30, 40)

    class OnePicture(WidthLabeler):
        max_pictures = 1

    pair = replace(first, others=(second.image,))
    replies = {reply.request: reply for reply in OnePicture("m").ask([pair, third])}
    assert "2 pictures were shown at once, m can look at 1" in replies[pair].error
    assert replies[third].raw == "40"


def test_what_is_no_number_or_device(requests):
    with pytest.raises(FgvrError, match="batch_size is 0"):
        WidthLabeler("m", batch_size=0)
    with pytest.raises(FgvrError, match="device is 'gpu'"):
        list(WidthLabeler("m", device="gpu").ask(requests(20)))


def test_a_missing_package():
    require("json", extra="llava")
    with pytest.raises(FgvrError, match=r"no_such_package is not installed: pip install 'fgvr\[llava\]'"):
        require("json", "no_such_package", extra="llava")
