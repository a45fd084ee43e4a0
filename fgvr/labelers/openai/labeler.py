"""Names from OpenAI's models, or from any server that speaks their protocol."""

import base64
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, Question
from fgvr.labelers.hosts import hosted
from fgvr.labelers.hosts.api_keys import check_variable, read_key
from fgvr.labelers.hosts.error_bodies import ServerError, read_json
from fgvr.labelers.hosts.image_tokens import openai_image_tokens
from fgvr.labelers.hosts.json_values import first_item, get_count, get_path, get_text
from fgvr.labelers.hosts.prices import PriceList, Tokens
from fgvr.labelers.hosts.server_errors import redacted, retry_after, transport_failure
from fgvr.labelers.hosts.stop_reasons import ending_of
from fgvr.labelers.hosts.tool_calls import called_in_vain, read_calls
from fgvr.labelers.openai.batches import ENDPOINT, OpenAIBatches
from fgvr.labelers.openai.errors import error_inside, error_of
from fgvr.records import LabelRequest, Reply

_OWN_SERVER = "https://api.openai.com/v1"
_OPTIONAL = ("max_completion_tokens", "max_tokens", "temperature", "seed", "reasoning_effort", "response_format")
_LENGTHS = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|extra.forbidden",
    re.IGNORECASE,
)
# "Unsupported parameter: 'max_tokens'", "unexpected ['max_tokens']",
# "Unrecognized request argument supplied: max_tokens", "max_tokens is not supported", and what pydantic says
_BLAMED = (
    r"(?:{words})[ \w]{{0,40}}:?\s*[\['\"`\\]+{name}\b",
    r"(?:{words})[ \w]{{0,20}}\b(?:parameter|argument|field|option)s?(?: supplied)?:? {name}\b",
    r"\b{name}\b['\"`\\]*(?: is unsupported| is not (?:supported|permitted|allowed)|: extra inputs)",
    r"'loc': [\[(]'body', '{name}'[\])]",
)
_MAX_TEXT = 10_000
_LOG = logging.getLogger(__name__)


@dataclass
class Connection(hosted.Connection):
    """An open client, and what was learned of the server."""

    def adapt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """``body`` without the parameters that the server does not take; the length of a reply is renamed."""
        adapted = dict(body)
        for name in self.dropped:
            if name in adapted:
                value = adapted.pop(name)
                if name in _LENGTHS:
                    adapted[_LENGTHS[name]] = value
        return adapted

    def drop(self, error: ServerError, sent: Mapping[str, Any]) -> bool:
        """Learn from a 400 that the server does not take a parameter; ``False`` if it is about something else."""
        if "response_format" in sent and self.drop_schema(error, "response_format"):
            return True
        text = f"{error.names} {error.body}"[:_MAX_TEXT]
        if error.status not in (400, 422) or not _UNSUPPORTED.search(text):
            return False
        param = get_text(error.body, "error", "param") or get_text(error.body, "param")
        named = [name for name in _OPTIONAL if name in sent and (param == name or _is_blamed(name, text))]
        # "Unsupported parameter: 'max_tokens'": of several, the one that is called the parameter
        named.sort(key=lambda name: param != name)
        if not named or _LENGTHS.get(named[0]) in self.dropped:
            return False
        if named[0] not in self.dropped:
            self.dropped.append(named[0])
            _LOG.warning("The server does not take %s: it is asked without it.", named[0])
        return True


class OpenAILabeler(OpenAIBatches):
    """Asks a multimodal model of OpenAI, or of a server with the same protocol (vLLM, Ollama, LM Studio, ...).

    The key is read from the environment: ``OPENAI_API_KEY`` for OpenAI's own server. Another server gets no key, unless
    ``api_key_env`` names its variable. Needs ``pip install 'fgvr[openai]'``.

    Args:
        model: Model id with its date, so that replies of different snapshots are kept apart. The default, which is the
            model of the FGVR paper, is shut down on 2027-01-14.
        base_url: Address of another server of the same protocol; ``None`` is OpenAI's own.
        api_key_env: Environment variable that holds the key.
        detail: How finely a picture is looked at: ``low`` costs the fewest tokens, ``auto`` leaves it to the server.
        reasoning_effort: Of models that reason, such as ``none``, ``low`` or ``high``; ``None`` is not sent.
        **kwargs: Arguments of ``HostedLabeler``.

    Raises:
        FgvrError: ``base_url`` is no address, ``api_key_env`` no name of a variable, or ``answers`` is below 1.
    """

    own_server: ClassVar[str] = _OWN_SERVER

    def __init__(
        self,
        model: str = "gpt-4o-2024-11-20",
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        detail: Literal["auto", "low", "high", "original"] = "auto",
        reasoning_effort: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, base_url=base_url, **kwargs)
        if api_key_env is not None:
            check_variable(api_key_env)
        self.api_key_env = api_key_env
        self.detail = detail
        self.reasoning_effort = reasoning_effort and reasoning_effort.lower()
        self._leave_room_for_thoughts()

    @property
    def prices(self) -> PriceList:
        """OpenAI's, or those of the server that is asked."""
        return PriceList("openai", None if _is_openai(self.base_url) else self.base_url, self.price)

    def identity(self) -> dict[str, Any]:
        """The server, the model, and all that shapes its replies."""
        return {
            "labeler": "openai",
            "detail": self.detail,
            "reasoning_effort": self.reasoning_effort,
            **super().identity(),
        }

    @property
    def thinks(self) -> bool:
        """All models of OpenAI since o1 and GPT-5 do, unless told not to; of other models it is not known."""
        name = self.model.rpartition("/")[2].removeprefix("ft:")
        known = _is_openai(self.base_url) or re.match(r"gpt-[5-9]|o\d", name) is not None
        return (
            known and not name.startswith(("gpt-4", "chatgpt-4o")) and self.reasoning_effort not in ("none", "minimal")
        )

    def image_tokens(self, width: int, height: int) -> tuple[float, float]:
        """As far as it is known of the model's family."""
        return openai_image_tokens(self.model, self.detail, width, height)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open the SDK's client.

        Raises:
            FgvrError: The SDK is not installed, or the key is not set.
        """
        try:
            import genai_prices  # noqa: F401 - a run must not find out at its end that it cannot say what it cost
            import openai

            from fgvr.labelers.hosts.http_client import http_client
        except ImportError as error:
            raise FgvrError(f"The openai labeler needs the package {error.name}: pip install 'fgvr[openai]'") from error
        key = self._key()
        sdk = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=self.address,  # the SDK would look for one in the environment
            max_retries=0,
            http_client=http_client(self.address, self.redirects_to, self.limits.reply_bytes),
            timeout=self.limits.timeout_seconds,
        )
        async with sdk:
            yield Connection(sdk, key, self.api_key_env or "OPENAI_API_KEY")

    async def send(self, client: Connection, question: Question) -> Reply:
        """Send one request once; again where the server does not take one of its parameters.

        Raises:
            ServerBusyError: 429, 502, 503 or 529, be it inside a 200.
            ServerAbsentError: No connection.
            AttemptFailedError: A time-out, a server error, or a reply that makes no sense.
            FgvrError: A bad key, no credit, an unknown model.
        """
        import openai

        body = self.body(question)
        begin = time.perf_counter()
        while True:
            sent = client.adapt(body)
            try:
                answer = await client.sdk.chat.completions.with_raw_response.create(**sent)
                content = read_json(answer.http_response.content, client.key)
                wrong = error_inside(content, client.key, retry_after(answer.http_response.headers))
            except openai.APIStatusError as error:
                wrong = error_of(error, client)
            except openai.APIConnectionError as error:
                raise transport_failure(error) or AttemptFailedError(redacted(error, client.key), None) from None
            if wrong is None:
                break
            if not client.drop(wrong, sent):
                return self.failed_reply(question.request, wrong, client, time.perf_counter() - begin)
        reply = self.reply(question.request, content, time.perf_counter() - begin, question, client)
        if reply is None:
            raise AttemptFailedError("the reply has no message", cost_usd=None)
        if reply.usage is not None and answer.request_id:
            reply.usage["request_id"] = answer.request_id  # type: ignore[index]
        return reply

    def body(self, question: Question) -> dict[str, Any]:
        """The request, as the API documents it."""
        content: list[dict[str, Any]] = [{"type": "text", "text": question.request.prompt}]
        for picture in question.pictures:
            image = {"url": f"data:image/jpeg;base64,{base64.b64encode(picture.data).decode()}"}
            if self.detail != "auto":
                image["detail"] = self.detail
            content.append({"type": "image_url", "image_url": image})
        schema = self.task.schema()
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_completion_tokens" if _is_openai(self.base_url) else "max_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "reasoning_effort": self.reasoning_effort,
            "response_format": schema
            and {
                "type": "json_schema",
                "json_schema": {"name": self.task.registry_name, "strict": True, "schema": schema},
            },
        }
        return {name: value for name, value in body.items() if value is not None}

    def reply(
        self,
        request: LabelRequest,
        content: Any,
        seconds: float = 0.0,
        question: Question | None = None,
        client: hosted.Connection | None = None,
    ) -> Reply | None:
        """The reply that a completion holds; see the base class.

        Raises:
            AttemptFailedError: The server broke the reply off.
        """
        choice = first_item(get_path(content, "choices"))
        message = get_path(choice, "message")
        if not isinstance(message, dict):
            return None
        model = get_text(content, "model") or ""
        tokens = _tokens(get_path(content, "usage"))
        reason = get_text(choice, "finish_reason")
        usage = self._usage(
            tokens,
            reasoning_tokens=get_count(content, "usage", "completion_tokens_details", "reasoning_tokens"),
            finish_reason=reason,
            system_fingerprint=get_text(content, "system_fingerprint"),
            dropped=list(client.dropped) if client is not None and client.dropped else None,
        )
        cost_usd = self._usd(question, model, tokens, usage, batch=client is None)
        raw, called = _text(message)
        ending, error = ending_of(reason), ""
        if ending == "blocked":
            usage["blocked"] = reason
        elif ending == "broken":
            raise AttemptFailedError(f"the server broke the reply off ({redacted(reason)})", cost_usd=cost_usd)
        elif ending == "cut":
            error = self._cut_off(raw, "reasoning_effort")
        elif called and not raw.strip():
            error = called_in_vain(called)
        self._warn_of_another(model, client)
        return Reply(request, raw, None, error, model, cost_usd, seconds, usage)

    def batch_line(self, key: str, question: Question) -> dict[str, Any]:
        """As OpenAI's Batch API wants it; without a schema that might be refused, because there is no second try."""
        body = self.body(question)
        if self.tries_schema:
            del body["response_format"]
        return {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}

    def _key(self) -> str:
        name = self.api_key_env or ("OPENAI_API_KEY" if _is_openai(self.base_url) else "")
        key = read_key(name) if name else ""
        if name and not key:
            raise FgvrError(
                f"The environment variable {name} is not set: put the key for {self.server} into it, or set "
                "data.labeler.base_url to a server that needs none."
            )
        return key


def _is_blamed(name: str, text: str) -> bool:
    """Whether an error that is about something unsupported is about this parameter."""
    if name not in _LENGTHS:
        return re.search(rf"\b{name}\b", text) is not None
    # a message about a picture may mention the length, without which a reply has no limit at all on some servers
    pattern = "|".join(_BLAMED).format(words=_UNSUPPORTED.pattern, name=name)
    return re.search(pattern, text, re.IGNORECASE) is not None


def _text(message: Mapping[str, Any]) -> tuple[str, str]:
    """What a message says, in words or by calling a tool, and the tool's name."""
    content, refusal = message.get("content"), message.get("refusal")
    parts = content if isinstance(content, list) else []  # some servers answer in parts
    text = "".join(part["text"] for part in parts if isinstance(get_path(part, "text"), str))
    text = content if isinstance(content, str) else text
    calls = message.get("tool_calls")
    listed = calls if isinstance(calls, list) else []
    used = [part for part in parts if get_path(part, "type") == "tool_use"]
    passed, called = read_calls([*listed, message.get("function_call"), *used])
    said = "\n".join(each for each in (text, passed) if each.strip())
    return said or (refusal if isinstance(refusal, str) else ""), called


def _tokens(usage: Any) -> Tokens | None:
    sent, received = get_count(usage, "prompt_tokens"), get_count(usage, "completion_tokens")
    if sent is None or received is None:
        return None
    details = get_path(usage, "prompt_tokens_details")
    return Tokens(
        sent, received, get_count(details, "cached_tokens") or 0, get_count(details, "cache_write_tokens") or 0
    )


def _is_openai(base_url: str | None) -> bool:
    """Whether a server is OpenAI's own, of one of its regions included, such as eu.api.openai.com."""
    host = urlsplit(base_url or _OWN_SERVER).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")
