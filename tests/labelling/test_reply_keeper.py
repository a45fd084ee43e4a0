"""A disk that is full while replies come in: what was paid for is stored, saved elsewhere, or said to be lost."""

import re
import shlex
import tempfile

import pytest
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Reply
from fgvr.labelling.labelling import label
from fgvr.labelling.reply_keeper import ReplyKeeper
from fgvr.labelling.store.label_store import LabelStore

PHOTOS = 24


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("photos"), coloured(PHOTOS))


@pytest.fixture(autouse=True)
def temporary_files(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def path(small_disk):
    path = small_disk.path / "labels.sqlite"
    with LabelStore(path):
        pass
    return path


async def answer(body):
    return TinyAnswer({"raw": "Pug " * 1000, "model": "tiny-1"})


def run(path, url, images):
    labeler = TinyRemoteLabeler(url, price_usd=0.25, limits=Limits(concurrency=8))
    with LabelStore(path) as store:
        label(labeler, images, store, progress=False)


def stored(path):
    with LabelStore(path) as store:
        return len(list(store.rows()))


def test_replies_on_a_full_disk_are_saved_elsewhere_and_paid_once(images, path, small_disk):
    with TinyServer(answer) as server:
        small_disk.leave(110_000)
        with pytest.raises(FgvrError) as caught:
            run(path, server.url, images)
        message = str(caught.value)
        assert "\n" not in message
        came = len(server.asked)
        assert 8 <= came < PHOTOS, "nothing more was asked"
        small_disk.free()
        kept = came - stored(path)
        assert kept > 0
        assert f"{kept} replies that came and cost ${kept * 0.25:.4f} are not in it but in " in message
        [command] = re.findall("`(.*?)`", message)
        assert main(shlex.split(command)[1:]) == 0
        assert stored(path) == came
        run(path, server.url, images)
        assert len(server.asked) == PHOTOS


def test_a_disk_that_has_room_again_gets_them(images, path, small_disk):
    labeler = TinyLabeler({})
    replies = [Reply(labeler.request_about(image, 0), raw="Pug " * 1000) for image in images]
    with LabelStore(path) as store:
        keeper = ReplyKeeper(store, labeler.identity(), "api.example")
        small_disk.leave(0)
        keeper.put(replies[:9], {"2026-11-30": 9})
        assert "disk is full" in str(keeper.problem())
        small_disk.free()
        keeper.put(replies[9:], {"2026-11-30": 15})
        with pytest.raises(
            FgvrError, match=r"Nothing more was asked\. Every reply that came is stored\. When the store"
        ):
            keeper.finish({})
        assert store.requests_on("api.example", "2026-11-30") == PHOTOS
    assert stored(path) == PHOTOS


@pytest.mark.parametrize("room", [0, 4096, 20_000, 40_000])
def test_a_store_on_a_full_disk_is_read_or_is_one_line(path, small_disk, capfd, room):
    small_disk.leave(room)
    code = main(["store", "stats", "--store", str(path)])
    lines = capfd.readouterr().err.splitlines()
    assert (code, len(lines)) in ((0, 0), (2, 1))
    (path.parent / "other").mkdir()
    with pytest.raises(FgvrError, match="disk is full"):
        LabelStore(path.parent / "other/labels.sqlite")
    assert list((path.parent / "other").iterdir()) == []


def test_replies_that_nothing_has_room_for_are_counted_and_priced(images, path, small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk.path))
    with TinyServer(answer) as server:
        small_disk.leave(40_000)
        with pytest.raises(FgvrError) as caught:
            run(path, server.url, images)
        small_disk.free()
        lost, message = len(server.asked) - stored(path), str(caught.value)
        assert f"{lost} replies that came and cost ${lost * 0.25:.4f} are lost, and are asked and paid" in message
        run(path, server.url, images)
        assert (stored(path), len(server.asked)) == (PHOTOS, PHOTOS + lost)


def test_a_labeler_in_this_process_stops_too(images, path, small_disk):
    labeler = TinyLabeler({image.sample_id: "Pug " * 1000 for image in images})
    small_disk.leave(40_000)
    with (
        LabelStore(path) as store,
        pytest.raises(FgvrError, match=r"1 reply that came and cost \$0\.0000 is not in it"),
    ):
        label(labeler, images, store, progress=False)
    small_disk.free()
    assert stored(path) == len(labeler.asked) - 1 < PHOTOS
