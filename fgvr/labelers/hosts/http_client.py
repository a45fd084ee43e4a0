"""The HTTP client of hosted labelers: whom it may talk to, and how much it reads."""

import zlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError
from fgvr.labelers.hosts.addresses import origin_of
from fgvr.text import visible

MEGABYTE = 1_000_000
_ERROR_BYTES = 256_000  # of a body that tells of an error, whose words stand at its beginning
_PIECE = 65_536
# one layer of what Python unpacks piece by piece; more would be asked for where other packages are installed
_ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_ACCEPTED = "gzip, deflate"
# what another server needs in order to understand a request: no key, no cookie, nothing of an account
_IMPERSONAL = {
    *("host", "accept", "accept-encoding", "connection", "user-agent", "expect"),
    *("content-type", "content-length", "content-encoding", "transfer-encoding", "range"),
    "x-stainless-raw-response",  # by which OpenAI's SDK tells itself what to return
}
_longest: ContextVar[int | None] = ContextVar("longest", default=None)


class ReplyTooLongError(AttemptFailedError):
    """A reply is longer than what is read of one. The model may have been paid for it, so what it cost is unknown."""


def http_client(address: str, redirects_to: Collection[str], reply_bytes: int) -> httpx2.AsyncClient:
    """A client that talks to one server.

    Requests to another origin are refused before anything is sent there, whether a redirect or an address in a reply
    leads to it; those to ``redirects_to`` carry no key. A reply is read up to ``reply_bytes``, unpacked, whatever its
    headers say; of one that tells of an error, the beginning is enough.

    Args:
        address: Of the server.
        redirects_to: Origins of other servers that requests may be handed on to.
        reply_bytes: Longest reply; ``reading_up_to`` allows others.
    """
    home = origin_of(address)

    async def check_address(request: httpx2.Request) -> None:
        request.headers["Accept-Encoding"] = _ACCEPTED
        origin = origin_of(str(request.url))
        if origin == home:
            return
        if origin not in redirects_to:
            there = visible(origin, 200)
            raise FgvrError(
                f"{home} hands the request on to {there}, which would get what is sent. If that is right, set "
                f"data.labeler.redirects_to to ['{there}'], or data.labeler.base_url to an address there."
            )
        for name in set(request.headers) - _IMPERSONAL:
            if not name.startswith("x-goog-upload-"):
                del request.headers[name]

    async def bound_body(response: httpx2.Response) -> None:
        encoding = ",".join(response.headers.get_list("content-encoding", split_commas=True)).strip().lower()
        response.headers.pop("content-encoding", None)  # what comes out of the stream is unpacked
        longest = None if response.status_code >= 300 else _longest.get() or reply_bytes
        response.stream = _BoundedBody(response.stream, encoding, longest)  # type: ignore[arg-type]

    hooks: dict[str, Any] = {"request": [check_address], "response": [bound_body]}
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(limits=limits, follow_redirects=True, event_hooks=hooks)


@contextmanager
def reading_up_to(size: int) -> Iterator[None]:
    """Let the replies to what is asked in here be of this many bytes."""
    token = _longest.set(size)
    try:
        yield
    finally:
        _longest.reset(token)


class _BoundedBody(httpx2.AsyncByteStream):
    """A body, unpacked, up to a length.

    Args:
        body: As it comes.
        encoding: How it is packed.
        longest: Bytes that may come out; ``None`` for an error, of which the beginning is read and no more.
    """

    def __init__(self, body: httpx2.AsyncByteStream, encoding: str, longest: int | None) -> None:
        self._body = body
        self._encoding = "" if encoding == "identity" else encoding
        self._longest = longest
        self._left = _ERROR_BYTES if longest is None else longest

    @property
    def elapsed(self) -> Any:
        """How long the reply took, once it is read."""
        return getattr(self._body, "elapsed", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._unpack() if self._encoding else self._body:
                if len(piece) > self._left:
                    longest = (self._longest or 0) / MEGABYTE
                    yield piece[: self._left]
                    raise ReplyTooLongError(f"the reply is longer than {longest:g} MB", cost_usd=None)
                self._left -= len(piece)
                yield piece
        except AttemptFailedError:
            if self._longest is not None:
                raise

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._body.aclose()

    async def _unpack(self) -> AsyncIterator[bytes]:
        if self._encoding not in _ENCODINGS:
            how = visible(self._encoding, 40)
            raise AttemptFailedError(f"the reply is packed as {how}, which nobody asked for", cost_usd=None)
        unpacker = zlib.decompressobj(_ENCODINGS[self._encoding])
        begun = False
        async for packed in self._body:
            rest, piece = packed, b""
            while (rest or len(piece) == _PIECE) and not unpacker.eof:
                try:
                    piece = unpacker.decompress(rest, _PIECE)
                except zlib.error:
                    if begun or self._encoding != "deflate":
                        raise AttemptFailedError("the reply cannot be unpacked", cost_usd=None) from None
                    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers leave out the header
                    begun = True
                    continue
                begun, rest = True, unpacker.unconsumed_tail
                if piece:
                    yield piece
            if unpacker.eof:
                return
        if not unpacker.eof and begun:
            raise AttemptFailedError("the reply ends before its end", cost_usd=None)
