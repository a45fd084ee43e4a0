"""What a server says is wrong, whatever shape the body has, and what that means for this request and all others."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, ServerBusyError
from fgvr.labelers.hosts.json_values import get_path
from fgvr.labelers.hosts.server_errors import redacted

Kind = Literal["credit", "key", "model", "busy", "request", "again"]

_MAX_BODY = 10_000
_MAX_DEPTH = 5
_MAX_PARTS = 3
# where words are, in the order in which they are shown: of OpenAI, FastAPI, problem details (RFC 9457), AWS, ...
_WORDS = (
    *("error", "errors", "title", "message", "Message", "msg", "detail", "error_message", "error_msg", "errorMessage"),
    *("base_resp", "status_msg", "metadata", "raw"),
)
_NAMES = ("code", "type", "status", "error_type", "error_code", "__type")
_NUMBERS = ("code", "status", "status_code", "statusCode", "http_status", "error_code")
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^<>]{0,300}>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]*>([^<>]{1,300})</title", re.IGNORECASE)

_BY_STATUS: dict[int, Kind] = {
    401: "key", 402: "credit", 403: "key", 404: "model", 429: "busy", 502: "busy", 503: "busy", 529: "busy",
}  # fmt: skip
_UNKNOWN_COST = (408, 499, 504)  # behind a gateway that gave up waiting, the model may have replied

# What is said beside a status that tells little, or none. That a quota is exceeded means credit, a minute or a day, so
# it is not in here.
_CREDIT = re.compile(
    r"insufficient[ _-]?(?:quota|credit|balance|fund)|(?:requires?|needs?|not enough|out of) (?:more )?credit"
    r"|credit balance|credits? (?:is|are|have been) (?:depleted|exhausted|used up)|payment[ _]required"
    r"|billing_(?:hard_limit_reached|not_active)|access_terminated|\barrearage\b",
    re.IGNORECASE,
)
_BUSY = re.compile(
    r"overloaded|rate[ _-]?limit|too[ _-]?many[ _-]?requests|throttl|resource[ _]?exhausted|at (?:full )?capacity"
    r"|temporarily (?:unavailable|out of)|service[ _-]?unavailable|bad[ _]gateway|currently loading|server is busy",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"\b(?:invalid|incorrect|missing|wrong|expired|no)\b.{0,20}\bapi[ _-]?key|invalid_api_key|\bapi[ _-]?key\b.{0,20}"
    r"\b(?:invalid|not valid|missing|expired|required)|unauthori[sz]ed|unauthenticated|not authenticated"
    r"|(?:invalid|failed) (?:authentication|credentials)|authentication[ _]?(?:error|failed|required)"
    r"|permission[ _]?denied",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"\bmodel\b[^.]{0,80}\b(?:not found|not exist|doesn't exist|is not available|not loaded|not a valid model)"
    r"|\b(?:unknown|invalid|no such) model\b|\bnot a valid model\b|\bno models? (?:is |are )?loaded|model_?not_?found",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"not support|unsupported|not permitted|not allowed|bad[ _]?request|invalid[ _]?(?:request|argument)|validation",
    re.IGNORECASE,
)
_SPOKEN: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("credit", _CREDIT), ("busy", _BUSY), ("key", _KEY), ("model", _MODEL), ("request", _REQUEST),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says is wrong.

    Attributes:
        status: HTTP status or, of an error inside a 200, the one that its body states; 0 where that has none.
        said: Its words, in one short line, without keys.
        names: What it calls the error, such as ``"insufficient_quota"``.
        body: The body, parsed where it is JSON.
        retry_after: Seconds that it asks to wait; ``None`` if it does not say.
    """

    status: int
    said: str
    names: tuple[str, ...] = ()
    body: Any = None
    retry_after: float | None = None

    @property
    def kind(self) -> Kind:
        """What it means.

        ``"credit"``, ``"key"`` and ``"model"``: no request can succeed. ``"busy"``: wait. ``"again"``: this request
        may succeed when it is sent again. ``"request"``: this request is wrong.
        """
        text = " ".join((*self.names, self.said))
        spoken = next((kind for kind, pattern in _SPOKEN if pattern.search(text)), None)
        if spoken == "credit":
            return "credit"
        if self.status in _BY_STATUS:
            return _BY_STATUS[self.status]
        if self.status >= 500 or self.status in (408, 409, 425, 499):
            return "busy" if spoken == "busy" else "again"
        return spoken or ("request" if self.status else "again")


def server_error(body: Any, status: int, key: str = "", retry_after: float | None = None) -> ServerError:
    """What a body says that is known to tell of an error.

    Args:
        body: The body: parsed JSON, or text, be it a page in HTML; untrusted.
        status: HTTP status.
        key: The key that was sent, to be kept out of the words.
        retry_after: As the headers have it.
    """
    if isinstance(body, str):
        body = _parsed(body)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    places = [place for place in (get_path(body, "error"), body) if isinstance(place, dict)]
    if status < 400:
        numbers = (_status(place.get(name)) for place in places for name in _NUMBERS)
        status = next((number for number in numbers if number), 0)
    names = tuple(
        dict.fromkeys(
            name[:100]
            for place in places
            for key_of_name in _NAMES
            if isinstance(name := place.get(key_of_name), str) and not name.isdigit()
        )
    )
    said = redacted(words_of(body), key) or " ".join(names)[:100] or _phrase(status)
    return ServerError(status, said, names, body, retry_after)


def raise_for(error: ServerError, server: str, key_advice: str) -> None:
    """Raise what an error means; return only where it is about this request alone.

    Args:
        error: The error.
        server: Who has answered, for the message.
        key_advice: What to do about a key that is not accepted.

    Raises:
        ServerBusyError: To be sent again later.
        AttemptFailedError: To be sent again.
        FgvrError: No request can succeed.
    """
    said, kind = error.said, error.kind
    if kind == "credit":
        raise FgvrError(
            f"{server} takes no requests without credit ({said}). Add credit to the account, and start the same run "
            "again: every reply is stored."
        ) from None
    if kind == "key":
        raise FgvrError(f"{server} {key_advice.format(said=said)}") from None
    if kind == "model":
        raise FgvrError(
            f"{server} does not know this model or address ({said}). Set data.labeler.model to another one, or check "
            "data.labeler.base_url."
        ) from None
    if kind == "busy":
        raise ServerBusyError(said, error.retry_after) from None
    if kind == "again":
        cost_usd = None if error.status in _UNKNOWN_COST else 0.0
        raise AttemptFailedError(f"{error.status}: {said}" if error.status else said, cost_usd) from None


def read_json(content: bytes | str | None, key: str) -> Any:
    """A reply's body, parsed.

    Args:
        content: The body; untrusted.
        key: The key that was sent, to be kept out of messages.

    Raises:
        AttemptFailedError: It is no JSON.
    """
    try:
        return json.loads(content or "")
    except (ValueError, RecursionError):
        text = content.decode(errors="replace") if isinstance(content, bytes) else content
        words = redacted(words_of(text), key)
        raise AttemptFailedError(f"the reply is no JSON{f': {words}' if words else ''}", cost_usd=None) from None


def words_of(body: Any) -> str:
    """What a body has to say to a person; ``""`` where it says nothing.

    Example:
        >>> words_of({"error": {"message": "No credit", "code": 402}}), words_of({"error": "No images"})
        ('No credit', 'No images')
        >>> words_of({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]})
        'body.seed: Extra inputs are not permitted'
        >>> words_of("<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>")
        '502 Bad Gateway: nginx'
    """
    return ": ".join(list(dict.fromkeys(_parts(body, 0)))[:_MAX_PARTS])


def _parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, str):
        yield from _lines(value)
    elif depth >= _MAX_DEPTH:
        return
    elif isinstance(value, list):
        items = (": ".join(_parts(item, depth + 1)) for item in value[:_MAX_PARTS])
        if text := "; ".join(item for item in items if item):
            yield text
    elif isinstance(value, dict):
        place = value.get("loc")
        where = ".".join(map(str, place[:_MAX_PARTS])) if isinstance(place, list) else ""
        for name in _WORDS:
            for part in _parts(value.get(name), depth + 1):
                yield f"{where}: {part}" if where else part


def _lines(text: str) -> Iterator[str]:
    """A text; of a page in HTML its title and what it shows."""
    text, title = text[:_MAX_BODY], ""
    if text.lstrip()[:1] == "<":
        found = _TITLE.search(text)
        title = " ".join(found[1].split()) if found else ""
        text = _MARKUP.sub(" ", text)
    shown = " ".join(text.split())
    if title and not shown.startswith(title):
        yield title
    if shown:
        yield shown


def _parsed(text: str) -> Any:
    """JSON that a text is, else the text: gateways hand on what others said as a text."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _status(value: Any) -> int:
    """An HTTP status that tells of an error; 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600 else 0


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}" if status else "the server tells of an error, and says nothing about it"
