"""The contract of a labeler as a check that plugin authors call in their own tests."""

import inspect
import json
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from fgvr.labelers.asking.sender import Question
from fgvr.labelers.base import Labeler
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.reading.replies import ParsedReply
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.registry import option_names

_SECRET_PARAMETERS = {"key", "api_key", "access_key", "secret_key", "token", "api_token", "secret", "password"}
_SECRET_SUFFIXES = ("_KEY", "_TOKEN", "_SECRET")
_SHORTEST_SECRET = 8  # the value of an empty or short variable is found in any text by chance


def check_labeler(labeler: Labeler, images: Sequence[ImageRecord]) -> None:
    r"""Check that ``labeler`` keeps the contract of ``fgvr.labelers.base``, be it simple, local, remote or combined.

    It is asked about every photo, and about one that does not exist: with a paid server that costs what the requests
    cost. Of a remote labeler, which is asked through the engine, these are checked too: no limit is part of the
    identity, and no reply costs more than ``worst_usd``. Values of environment variables whose names end in ``_KEY``,
    ``_TOKEN`` or ``_SECRET`` must appear nowhere.

    Args:
        labeler: The labeler, as its constructor left it.
        images: A few photos with digests that it can label; two are enough.

    Raises:
        AssertionError: It breaks the contract; the message says where.

    Example:
        >>> from tempfile import mkdtemp
        >>> from fgvr.labelers.fixed import FixedLabeler
        >>> table = Path(mkdtemp(), "names.csv")
        >>> _ = table.write_text("file,name\na.jpg,Beagle\n")
        >>> image = ImageRecord(sample_id="a.jpg", path=Path("a.jpg"), split="support", digest="0" * 64)
        >>> check_labeler(FixedLabeler(table), [image])
    """
    assert images, "check_labeler needs at least one photo"
    _check_constructor(labeler)
    identity = _check_identity(labeler)
    blind = [replace(image, true_name=None) for image in images]
    labeler.check_images(blind)
    lost = replace(blind[0], sample_id="no/such/photo.jpg", path=Path("no/such/photo.jpg"), digest="f" * 64)
    requests = [
        LabelRequest(image, labeler.prompt, index) for image in [*blind, lost] for index in range(labeler.answers)
    ]
    estimate = labeler.estimate_usd(requests)
    assert estimate is None or 0 <= estimate < math.inf, f"estimate_usd is {estimate!r}, not an amount of dollars"
    assert not list(labeler.ask([])), "ask replied though nothing was asked"
    replies = list(_ask(labeler, requests))
    for reply in replies:
        _check_reply(reply)
        _check_reading(labeler, reply)
    for request in requests:
        count = sum(reply.request == request for reply in replies)
        which = f"{request.image.sample_id!r}, answer {request.answer}"
        assert count == 1, f"{count} replies for {which}: expected one, with the request that was given"
    assert len(replies) == len(requests), f"{len(replies)} replies for {len(requests)} requests"
    assert not all(reply.error for reply in replies), f"every request failed, the first with {replies[0].error!r}"
    assert labeler.identity() == identity, "identity changed while the labeler worked"
    if isinstance(labeler, RemoteLabeler):
        _check_server(labeler)
        _check_limits(labeler)
        for reply in replies:
            _check_worst(labeler, reply)


def _check_constructor(labeler: Labeler) -> None:
    kind = type(labeler)
    declared, options = inspect.signature(kind).parameters, option_names(kind)
    for parameter in declared.values():
        handed_on = parameter.kind == parameter.VAR_KEYWORD and set(options) - declared.keys()
        named = handed_on or parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert named, f"the constructor takes {parameter}: such options cannot be checked or listed in the help"
    for name in options:
        public = name not in _SECRET_PARAMETERS
        assert public, f"the constructor takes {name!r}: keys come from the environment, never from configs"
    arguments = _arguments(labeler)
    if arguments is not None:
        with _no_network(), patch.dict(os.environ):
            for name in _secrets():
                del os.environ[name]
            kind(**arguments)


def _arguments(labeler: Labeler) -> dict[str, Any] | None:
    """What the labeler was made with; ``None`` where its attributes do not tell."""
    names = option_names(type(labeler))
    return {name: getattr(labeler, name) for name in names} if all(hasattr(labeler, name) for name in names) else None


def _check_identity(labeler: Labeler) -> dict[str, Any]:
    identity = labeler.identity()
    try:
        text = json.dumps(identity, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"identity is not JSON: {error}.") from error
    assert json.loads(text) == identity, f"identity changes on its way through JSON: {identity!r}"
    assert labeler.identity() == identity, "identity differs from call to call"
    for name, value in _secrets().items():
        assert value not in text, f"identity holds the value of the environment variable {name}"
    return identity


def _ask(labeler: Labeler, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
    try:
        yield from labeler.ask(requests)
    except Exception as error:
        raise AssertionError(
            f"ask raised {error!r} though only one photo is missing; the failure of one photo is a Reply with error."
        ) from error


def _check_reply(reply: Reply) -> None:
    place = f"the reply for {reply.request.image.sample_id!r}"
    for field in ("raw", "error", "model"):
        value = getattr(reply, field)
        assert isinstance(value, str), f"{place}: {field} is {value!r}, not a str"
    if reply.names is not None:
        valid = isinstance(reply.names, tuple) and all(isinstance(name, str) for name in reply.names)
        assert valid, f"{place}: names is {reply.names!r}, neither a tuple of str nor None"
    for field in ("cost_usd", "seconds"):
        value = getattr(reply, field)
        valid = isinstance(value, int | float) and math.isfinite(value) and value >= 0
        assert valid, f"{place}: {field} is {value!r}, not a finite number of 0 or more"
    try:
        usage = json.dumps(reply.usage, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{place}: usage is not JSON: {error}") from error
    for name, value in _secrets().items():
        for field, text in (("raw", reply.raw), ("error", reply.error), ("model", reply.model), ("usage", usage)):
            assert value not in text, f"{place}: {field} holds the value of the environment variable {name}"


def _check_reading(labeler: Labeler, reply: Reply) -> None:
    if reply.error:
        return
    parsed = labeler.read(reply)
    place = f"the reply for {reply.request.image.sample_id!r}"
    assert isinstance(parsed, ParsedReply), f"{place} is read as {parsed!r}, not as a ParsedReply"
    assert bool(parsed.names) != bool(parsed.flag), f"{place} is read as {parsed!r}: expected either names or a flag"


def _check_server(labeler: RemoteLabeler) -> None:
    server = labeler.server
    assert isinstance(server, str), f"server is {server!r}, not a str"
    assert server.strip(), "server is blank: requests per day are counted under this name"
    for name, value in _secrets().items():
        assert value not in server, f"server holds the value of the environment variable {name}"


def _check_limits(labeler: RemoteLabeler) -> None:
    arguments = _arguments(labeler)
    if arguments is None or "limits" not in arguments:
        return
    limits = labeler.limits
    others = replace(
        limits,
        concurrency=limits.concurrency + 1,
        requests_per_minute=(limits.requests_per_minute or 0) + 1,
        tokens_per_minute=(limits.tokens_per_minute or 0) + 1,
        requests_per_day=(limits.requests_per_day or 0) + 1,
        max_attempts=limits.max_attempts + 1,
        timeout_seconds=limits.timeout_seconds + 1,
        patience_seconds=limits.patience_seconds + 1,
    )
    other = type(labeler)(**{**arguments, "limits": others})
    assert other.identity() == labeler.identity(), "identity depends on limits: with others all replies are paid anew"
    assert other.server == labeler.server, "server depends on limits: with others the day's requests are counted anew"


def _check_worst(labeler: RemoteLabeler, reply: Reply) -> None:
    if reply.error:
        return
    question = Question(reply.request, encode_pictures(reply.request, labeler.task, labeler.pictures))
    worst = labeler.worst_usd(question)
    if worst is None:
        return
    assert 0 <= worst < math.inf, f"worst_usd is {worst!r}, not an amount of dollars"
    assert reply.cost_usd <= worst * reply.attempts + 1e-9, (
        f"the reply for {reply.request.image.sample_id!r} cost ${reply.cost_usd} in {reply.attempts} attempts, and "
        f"worst_usd is ${worst}: a budget could be passed"
    )


def _secrets() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper().endswith(_SECRET_SUFFIXES) and len(value) >= _SHORTEST_SECRET
    }


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("the constructor opens a network connection; do that in ask.")

    with patch.object(socket.socket, "connect", refuse), patch.object(socket, "getaddrinfo", refuse):
        yield
