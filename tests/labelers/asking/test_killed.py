"""kill -9 in the middle of labelling: nothing is paid for twice, and nothing that was stored is lost.

As a script, this file is the process that is killed: for each line on its input it forks a child that labels, and that
lives as long as the line says. (Python with all imports takes a second to start; a fork takes none.)
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from base64 import b64decode
from pathlib import Path

import pytest
from PIL import Image
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.labelling.labelling import label
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

IMAGES = 500
KILLS = 100
IN_FLIGHT = 8


def read_images(folder):
    return [
        ImageRecord(
            sample_id=path.name, path=path, split="support", digest=hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in sorted(folder.iterdir())
    ]


def labeler_of(url):
    return TinyRemoteLabeler(url, limits=Limits(concurrency=IN_FLIGHT))


def forks(images):
    """For each line ``{"url": ..., "store": ..., "seconds": ...}``, write the exit status of a child that labels."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            try:
                with LabelStore(Path(order["store"])) as store:
                    label(labeler_of(order["url"]), images, store, progress=False)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if order["seconds"] is not None:
            time.sleep(order["seconds"])
            os.kill(child, signal.SIGKILL)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


class Forks:
    """The process that forks."""

    def __init__(self, folder):
        command = [sys.executable, __file__, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def label(self, store, seconds):
        """Exit status of a child, and what it asked: numbers of photos, by their pictures."""
        draw = random.Random(seconds)

        async def answer(body):
            await asyncio.sleep(draw.uniform(0.01, 0.03))
            digest = hashlib.sha256(b64decode(body["pictures"][0])).hexdigest()
            return TinyAnswer({"raw": digest, "model": f"tiny-{digest[0]}", "cost_usd": int(digest[:4], 16) / 1e6})

        with TinyServer(answer) as server:
            order = {"url": server.url, "store": str(store), "seconds": seconds}
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            status = int(self.process.stdout.readline())
        asked = [hashlib.sha256(b64decode(body["pictures"][0])).hexdigest() for body in server.asked]
        return status, asked


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        path = folder / f"{number:03}.png"
        Image.effect_noise((16, 16), 60).convert("RGB").save(path)
    return read_images(folder)


@pytest.fixture
def child(images):
    forks = Forks(images[0].path.parent)
    yield forks
    forks.process.stdin.close()
    assert forks.process.wait(30) == 0
    forks.process.stdout.close()


def stored_replies(path, labeler, requests):
    """Photo's digest -> its stored reply."""
    with LabelStore(path) as store:
        found = store.get(labeler.identity(), requests)
    return {reply.request.image.digest: reply for reply in found if reply is not None}


def essence(replies):
    return {image: (reply.raw, reply.model, reply.cost_usd, reply.error) for image, reply in replies.items()}


@pytest.mark.slow
def test_100_kills_lose_no_stored_reply_and_pay_for_none_twice(images, child, tmp_path):
    labeler = labeler_of("http://nowhere")
    requests = [LabelRequest(image, labeler.prompt) for image in images]
    image_of = {}
    for request in requests:
        [picture] = encode_pictures(request, labeler.task, labeler.pictures)
        image_of[hashlib.sha256(picture.data).hexdigest()] = request.image.digest
    assert len(image_of) == IMAGES

    status, asked = child.label(tmp_path / "undisturbed.sqlite", None)
    undisturbed = essence(stored_replies(tmp_path / "undisturbed.sqlite", labeler, requests))
    assert status == 0
    assert len(undisturbed) == len(asked) == IMAGES
    assert {raw for raw, *_ in undisturbed.values()} == set(image_of)

    draw = random.Random(0)
    kills = finished = 0
    most_lost = 0
    while kills < KILLS or not finished:
        path = tmp_path / f"{finished}.sqlite"
        before, status = {}, None
        while status != 0:
            status, asked = child.label(path, draw.uniform(0, 0.5) if kills < KILLS else None)
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
            asked_images = [image_of[picture] for picture in asked]
            after = essence(stored_replies(path, labeler, requests))
            assert len(set(asked_images)) == len(asked_images), "asked twice in one run"
            assert not before.keys() & set(asked_images), "what was stored was paid for again"
            assert before.items() <= after.items(), "a stored reply has changed"
            assert after.keys() - before.keys() <= set(asked_images)
            lost = set(asked_images) - after.keys()
            most_lost = max(most_lost, len(lost))
            assert len(lost) <= IN_FLIGHT
            before = after
        assert after == undisturbed
        finished += 1
    assert kills == KILLS
    assert most_lost > 0, "no kill came while a request was in flight: this test has tested nothing"


if __name__ == "__main__":
    forks(read_images(Path(sys.argv[1])))
