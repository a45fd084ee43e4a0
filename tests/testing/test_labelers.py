"""What ``check_labeler`` finds in labelers that show photos to a model; the simple ones are in tests/labelers."""

from contextlib import asynccontextmanager

import pytest
from tiny.images import coloured, save_images

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Reply
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasks.pictures import open_pictures
from fgvr.reading.replies import ParsedReply
from fgvr.records import LabelRecord
from fgvr.testing.labelers import check_labeler

SECRET = "sk-test-0123456789"


@pytest.fixture
def images(tmp_path):
    return save_images(tmp_path, coloured(2, side=20), true_name="Pug")


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
def test_labelers_of_every_kind_pass(labeler, images):
    check_labeler(labeler, images)


def remote(**members):
    return type("Broken", (Remote,), members)


def replying(**fields):
    """Replies with these fields, of no cost."""

    async def send(self, client, question):
        return Reply(question.request, **{"raw": "It is a Pug.", **fields})

    return remote(send=send)


class LimitsInIdentity(Remote):
    def identity(self):
        return {**super().identity(), "concurrency": self.limits.concurrency}


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
        (remote(server=property(lambda self: f"a {self.limits.timeout_seconds}")), "server depends on limits"),
        (remote(server=None), "server is None, not a str"),
        (remote(server=" "), "server is blank"),
        (remote(server=f"a?{SECRET}"), "server holds the value of the environment variable EXAMPLE_API_KEY"),
        (remote(worst_usd=lambda self, question: 0.2), r"cost \$0\.5 in 1 attempts, and worst_usd is \$0\.2"),
        (
            replying(raw=f"Your {SECRET}"),
            r"'[01]\.png': raw holds the value of the environment variable EXAMPLE_API_KEY",
        ),
        (replying(usage={"a": {"b": SECRET}}), "usage holds the value of the environment variable EXAMPLE_API_KEY"),
        (replying(model=SECRET), "model holds the value of the environment variable EXAMPLE_API_KEY"),
        (KeyInError, r"'1\.png': error holds the value of the environment variable EXAMPLE_API_KEY"),
        (ReadsNothing, "expected either names or a flag"),
        (ReadsText, "not as a ParsedReply"),
    ],
)
def test_a_breach_of_the_contract_is_found(kind, message, images, monkeypatch):
    monkeypatch.setenv("EXAMPLE_API_KEY", SECRET)
    with pytest.raises(AssertionError, match=message):
        check_labeler(kind("m"), images)


def test_a_labeler_without_a_price_passes(images):
    check_labeler(remote(worst_usd=lambda self, question: None)(), images)
