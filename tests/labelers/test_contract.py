import inspect
import itertools
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from tiny.labeler import TinyLabeler

from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.records import ImageRecord
from fgvr.registry import LABELERS
from fgvr.testing.labelers import check_labeler

NAMES = ["a.jpg", "b.jpg"]
IMAGES = [
    ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}", true_name="Beagle")
    for name in NAMES
]
REPLIES = dict.fromkeys(NAMES, "Beagle")
CALLS = itertools.count()


def recorded(folder):
    path = folder / "replies.jsonl"
    path.write_text("".join(json.dumps({"image": name, "raw": "Beagle"}) + "\n" for name in NAMES))
    return RecordedLabeler(path)


def fixed(folder):
    path = folder / "names.csv"
    path.write_text("file,name\n" + "".join(f"{name},Beagle\n" for name in NAMES))
    return FixedLabeler(path)


def tiny(folder):
    return TinyLabeler(REPLIES, failing=["b.jpg"], price_usd=0.1, answers=2)


@pytest.mark.parametrize("make", [recorded, fixed, tiny])
def test_labelers_that_run_offline_keep_the_contract(make, tmp_path):
    check_labeler(make(tmp_path), IMAGES)


@pytest.mark.parametrize("name", LABELERS)
def test_constructors_touch_neither_files_nor_network(name, monkeypatch):
    part = TinyLabeler(REPLIES)
    values = {"path": Path("no such file"), "labelers": [part, part], "first": part, "fallback": part}
    values["labeler"] = values["vqa"] = LABELERS.load("openai")("gpt-test")
    monkeypatch.setattr(socket, "socket", None)
    kind = LABELERS.load(name)
    parameters = inspect.signature(kind).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    labeler = kind(**{parameter: values[parameter] for parameter in needed})
    if "path" not in needed:
        assert json.loads(json.dumps(labeler.identity())) == labeler.identity()


class Broken(TinyLabeler):
    def __init__(self):
        super().__init__(REPLIES)

    def each(self, requests, **changes):
        return [replace(reply, **changes) for reply in super().ask(requests)]


def breaking(**members):
    return type("Breaking", (Broken,), members)


def replying(**changes):
    """Every reply is changed so."""
    return breaking(ask=lambda self, requests: iter(self.each(requests, **changes)))


class OtherRequests(Broken):
    def ask(self, requests):
        return iter([replace(reply, request=replace(reply.request, prompt="?")) for reply in self.each(requests)])


class RaisesForOneImage(Broken):
    def ask(self, requests):
        for reply in super().ask(requests):
            if reply.error:
                raise FileNotFoundError(reply.request.image.path)
            yield reply


class TakesAKey(Broken):
    def __init__(self, api_key="x"):
        super().__init__()


class TakesAnything(Broken):
    def __init__(self, **options):
        super().__init__()


class Connects(Broken):
    instances = itertools.count()

    def __init__(self):
        super().__init__()
        if next(self.instances):  # not the one that the test makes, but the one that check_labeler makes
            socket.create_connection(("example.org", 443))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (breaking(identity=lambda self: {"sizes": (1, 2)}), "identity changes on its way through JSON"),
        (breaking(identity=lambda self: {"path": Path("a")}), "identity is not JSON"),
        (
            breaking(identity=lambda self: {"call": next(CALLS)}),
            "identity differs from call to call",
        ),
        (
            breaking(identity=lambda self: {"url": "https://example.org?key=sk-test-0123456789"}),
            "identity holds the value of the environment variable EXAMPLE_API_KEY",
        ),
        (
            breaking(ask=lambda self, requests: iter(self.each(requests)[:-1])),
            "0 replies for 'no/such/photo.jpg', answer 0",
        ),
        (
            breaking(ask=lambda self, requests: iter(self.each(requests) + self.each(requests)[:1])),
            "2 replies for 'a.jpg', answer 0",
        ),
        (OtherRequests, "0 replies for 'a.jpg'"),
        (RaisesForOneImage, "ask raised FileNotFoundError"),
        (replying(raw=None), "raw is None, not a str"),
        (replying(names="Beagle"), "names is 'Beagle'"),
        (replying(usage={"tokens": object()}), "usage is not JSON"),
        (replying(cost_usd=-1.0), r"cost_usd is -1\.0"),
        (replying(error="no"), "every request failed, the first with 'no'"),
        (breaking(estimate_usd=lambda self, requests: -1.0), r"estimate_usd is -1\.0"),
        (TakesAKey, "the constructor takes 'api_key'"),
        (TakesAnything, r"the constructor takes \*\*options"),
        (Connects, "the constructor opens a network connection"),
    ],
)
def test_a_breach_of_the_contract_is_found(kind, message, monkeypatch):
    monkeypatch.setenv("EXAMPLE_API_KEY", "sk-test-0123456789")
    labeler = kind()
    with pytest.raises(AssertionError, match=message):
        check_labeler(labeler, IMAGES)
