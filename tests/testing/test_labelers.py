"""What ``check_labeler`` finds in labelers that show photos to a model; the simple ones are in tests/labelers."""

import hashlib
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from PIL import Image

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Reply
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.reading.replies import ParsedReply
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasks.pictures import open_pictures
from fgvr.records import ImageRecord, LabelRecord
from fgvr.testing.labelers import check_labeler

SECRET = "sk-test-0123456789"


@pytest.fixture
def photos(tmp_path):
    records = []
    for number in range(2):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (20, 20), (number, 0, 0)).save(path)
        records.append(ImageRecord(path.name, path, "support", hashlib.sha256(path.read_bytes()).hexdigest(), "Pug"))
    return records


class Remote(RemoteLabeler):
    def __init__(self, model="m", limits=None):
        super().__init__(model, limits=limits)

    @property
    def server(self):
        return f"example.org {self.model}"

    @asynccontextmanager
    async def connect(self):
        yield SECRET

    async def send(self, client, question):
        return Reply(question.request, raw="It is a Pug.", model="m-1", cost_usd=0.5)

    def worst_usd(self, question):
        return 0.5


class Local(ModelLabeler):
    def ask(self, requests):
        for request in requests:
            try:
                open_pictures(request, self.task, self.pictures)
            except OSError as error:
                yield Reply(request, error=str(error))
            else:
                yield Reply(request, raw="It is a Pug.", model=self.model)


class Both(CombinedLabeler):
    def combine(self, labels):
        return [column[0] or LabelRecord("", (), (), "failed") for column in zip(*labels, strict=True)]


@pytest.mark.parametrize(
    "labeler",
    [Remote(limits=Limits(concurrency=2)), Local("m"), Both([Local("m"), Remote()])],
    ids=["remote", "local", "combined"],
)
def test_labelers_of_every_kind_pass(labeler, photos):
    check_labeler(labeler, photos)


class LimitsInIdentity(Remote):
    def identity(self):
        return {**super().identity(), "concurrency": self.limits.concurrency}


class LimitsInServer(Remote):
    @property
    def server(self):
        return f"example.org {self.limits.timeout_seconds}"


class NoServer(Remote):
    server = None


class BlankServer(Remote):
    server = " "


class KeyInServer(Remote):
    server = f"example.org?key={SECRET}"


class TooDear(Remote):
    def worst_usd(self, question):
        return 0.2


class NoWorst(Remote):
    def worst_usd(self, question):
        return None


class Replying(Remote):
    fields: ClassVar = {}

    async def send(self, client, question):
        return Reply(question.request, **{"raw": "It is a Pug.", **self.fields})


class KeyInReply(Replying):
    fields: ClassVar = {"raw": f"Your key is {SECRET}"}


class KeyInUsage(Replying):
    fields: ClassVar = {"usage": {"headers": {"authorization": SECRET}}}


class KeyInModel(Replying):
    fields: ClassVar = {"model": SECRET}


class KeyInError(Local):
    def ask(self, requests):
        for number, request in enumerate(requests):
            yield Reply(request, error=f"401: bad key {SECRET}") if number else Reply(request, raw="Pug")


class ReadsNothing(Local):
    def read(self, reply):
        return ParsedReply((), (), "")


class ReadsText(Local):
    def read(self, reply):
        return reply.raw


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (LimitsInIdentity, "identity depends on limits"),
        (LimitsInServer, "server depends on limits"),
        (NoServer, "server is None, not a str"),
        (BlankServer, "server is blank"),
        (KeyInServer, "server holds the value of the environment variable EXAMPLE_API_KEY"),
        (TooDear, r"cost \$0\.5 in 1 attempts, and worst_usd is \$0\.2"),
        (KeyInReply, r"'[01]\.png': raw holds the value of the environment variable EXAMPLE_API_KEY"),
        (KeyInUsage, "usage holds the value of the environment variable EXAMPLE_API_KEY"),
        (KeyInModel, "model holds the value of the environment variable EXAMPLE_API_KEY"),
        (KeyInError, r"'1\.png': error holds the value of the environment variable EXAMPLE_API_KEY"),
        (ReadsNothing, "expected either names or a flag"),
        (ReadsText, "not as a ParsedReply"),
    ],
)
def test_a_breach_of_the_contract_is_found(kind, message, photos, monkeypatch):
    monkeypatch.setenv("EXAMPLE_API_KEY", SECRET)
    with pytest.raises(AssertionError, match=message):
        check_labeler(kind("m"), photos)


def test_a_labeler_without_a_price_passes(photos):
    check_labeler(NoWorst(), photos)
