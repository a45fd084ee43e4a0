"""Names from Google's Gemini models."""

import base64
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, Question
from fgvr.labelers.gemini.batches import GeminiBatches
from fgvr.labelers.gemini.errors import error_inside, error_of, raise_for
from fgvr.labelers.hosts.api_keys import read_key
from fgvr.labelers.hosts.error_bodies import read_json
from fgvr.labelers.hosts.hosted import Connection
from fgvr.labelers.hosts.image_tokens import gemini_image_tokens
from fgvr.labelers.hosts.json_values import first_item, get_count, get_path, get_text
from fgvr.labelers.hosts.prices import PriceList, Tokens
from fgvr.labelers.hosts.server_errors import redacted, transport_failure
from fgvr.labelers.hosts.stop_reasons import ending_of
from fgvr.labelers.hosts.tool_calls import called_in_vain, read_calls
from fgvr.records import LabelRequest, Reply

_OWN_SERVER = "https://generativelanguage.googleapis.com/"
_SCHEMA_OPTION = "responseJsonSchema"


class GeminiLabeler(GeminiBatches):
    """Asks a Gemini model of Google through the Gemini API.

    The key is read from the environment, ``GOOGLE_API_KEY`` or else ``GEMINI_API_KEY``. Needs
    ``pip install 'fgvr[gemini]'``. Google's day begins at midnight in ``America/Los_Angeles``: see
    ``limits.day_starts_in``.

    Args:
        model: Model id. Retired ids are answered, and billed, as another model, of which a warning tells.
        base_url: Address of a proxy; ``None`` is Google's own server.
        media_resolution: How finely a picture is looked at; ``low`` costs the fewest tokens, ``None`` leaves it to the
            model.
        thinking_level: Of Gemini 3 and later, such as ``low`` or ``high``; ``None`` is not sent.
        thinking_budget: Of Gemini 2.5: tokens for thoughts, 0 for none; ``None`` is not sent.
        **kwargs: Arguments of ``HostedLabeler``.

    Raises:
        FgvrError: ``base_url`` is no address, or ``answers`` is below 1.
    """

    own_server: ClassVar[str] = _OWN_SERVER

    def __init__(
        self,
        model: str = "gemini-3.8-flash",
        *,
        base_url: str | None = None,
        media_resolution: Literal["low", "medium", "high"] | None = None,
        thinking_level: str | None = None,
        thinking_budget: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model.removeprefix("models/"), base_url=base_url, **kwargs)
        self.media_resolution = media_resolution
        self.thinking_level = thinking_level and thinking_level.lower()
        self.thinking_budget = thinking_budget
        self._leave_room_for_thoughts()

    @property
    def prices(self) -> PriceList:
        """Google's: it also bills the requests of a proxy."""
        return PriceList("google", price=self.price)

    def identity(self) -> dict[str, Any]:
        """The server, the model, and all that shapes its replies."""
        return {
            "labeler": "gemini",
            "media_resolution": self.media_resolution,
            "thinking_level": self.thinking_level,
            "thinking_budget": self.thinking_budget,
            **super().identity(),
        }

    @property
    def thinks(self) -> bool:
        """All models since Gemini 2.5 do, unless told not to."""
        return self.thinking_budget != 0 and not re.match(r"gemini-(1\.|2\.0)|gemma", self.model)

    def image_tokens(self, width: int, height: int) -> tuple[float, float]:
        """As far as it is known of the model's family."""
        return gemini_image_tokens(self.model, self.media_resolution, width, height)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open the SDK's client.

        Raises:
            FgvrError: The SDK is not installed, or the key is not set.
        """
        try:
            import genai_prices  # noqa: F401 - a run must not find out at its end that it cannot say what it cost
            from google import genai
            from google.genai import types

            from fgvr.labelers.hosts.http_client import http_client
        except ImportError as error:
            name = error.name or "google-genai"
            raise FgvrError(f"The gemini labeler needs the package {name}: pip install 'fgvr[gemini]'") from error
        key = read_key("GOOGLE_API_KEY", "GEMINI_API_KEY")
        if not key:
            raise FgvrError("Neither GEMINI_API_KEY nor GOOGLE_API_KEY is set: put the key of the Gemini API into one.")
        # without a client the SDK takes aiohttp where that is installed, so that errors would depend on it
        async with http_client(self.address, self.redirects_to, self.limits.reply_bytes) as http:
            client = genai.Client(
                vertexai=False,
                api_key=key,
                http_options=types.HttpOptions(
                    base_url=self.address,  # the SDK would look for one in the environment
                    timeout=round(self.limits.timeout_seconds * 1000),
                    retry_options=types.HttpRetryOptions(attempts=1),
                    httpx_async_client=http,
                ),
            )
            async with client.aio as sdk:
                yield Connection(sdk, key)

    async def send(self, client: Connection, question: Question) -> Reply:
        """Send one request once; again where the model honours no schema.

        Raises:
            ServerBusyError: 429, 502 or 503, be it inside a 200.
            ServerAbsentError: No connection.
            DayOverError: The day's quota is used up.
            AttemptFailedError: A time-out, a server error, or a reply that makes no sense.
            FgvrError: A bad key, no credit, an unknown model, an option that the model does not take.
        """
        from google.genai import errors, types

        parts: list[Any] = [types.Part.from_bytes(data=p.data, mime_type="image/jpeg") for p in question.pictures]
        begin = time.perf_counter()
        while True:
            options = self._options(plain=_SCHEMA_OPTION in client.dropped)
            config = types.GenerateContentConfig.model_validate(
                # one call must be one request; the reply is read as it came, as in a batch
                {**options, "automatic_continuation": False, "should_return_http_response": True}
            )
            try:
                answer = await client.sdk.models.generate_content(
                    model=self.model, contents=[*parts, question.request.prompt], config=config
                )
                content = read_json(answer.sdk_http_response.body, client.key)
                wrong = error_inside(content, client, answer.sdk_http_response.headers)
            except errors.APIError as error:
                wrong = error_of(error, client)
            except AttemptFailedError:
                raise
            except Exception as error:
                failure = transport_failure(error)
                if failure is None:
                    raise
                raise failure from None
            if wrong is None:
                return self.reply(question.request, content, time.perf_counter() - begin, question, client)
            if not (_SCHEMA_OPTION in options and client.drop_schema(wrong, _SCHEMA_OPTION)):
                said = raise_for(wrong, self.server)
                return Reply(question.request, error=said, seconds=time.perf_counter() - begin)

    def body(self, question: Question) -> dict[str, Any]:
        """The request, as the REST API documents it."""
        parts: list[dict[str, Any]] = [
            {"inlineData": {"mimeType": "image/jpeg", "data": base64.b64encode(picture.data).decode()}}
            for picture in question.pictures
        ]
        parts.append({"text": question.request.prompt})
        return {"contents": [{"role": "user", "parts": parts}], "generationConfig": self._options()}

    def reply(
        self,
        request: LabelRequest,
        content: Any,
        seconds: float = 0.0,
        question: Question | None = None,
        client: Connection | None = None,
    ) -> Reply:
        """The reply that a response holds; see the base class.

        Raises:
            AttemptFailedError: It holds none.
        """
        counts, candidate = get_path(content, "usageMetadata"), first_item(get_path(content, "candidates"))
        tokens = _tokens(counts)
        model = get_text(content, "modelVersion") or ""
        reason, blocked = get_text(candidate, "finishReason"), get_text(content, "promptFeedback", "blockReason")
        usage = self._usage(
            tokens,
            reasoning_tokens=get_count(counts, "thoughtsTokenCount"),
            finish_reason=reason,
            response_id=get_text(content, "responseId"),
            dropped=list(client.dropped) if client is not None and client.dropped else None,
            blocked=blocked or (reason if ending_of(reason) == "blocked" else None),
        )
        if not isinstance(content, dict) or not (candidate or blocked):
            raise AttemptFailedError("the reply has no candidate", cost_usd=None)
        cost_usd = self._usd(question, model, tokens, usage, batch=client is None)
        self._warn_of_another(model, client)
        raw, called = _text(get_path(candidate, "content", "parts"))
        if "blocked" in usage:
            return Reply(request, raw, (), "", model, cost_usd, seconds, usage)
        ending, error = ending_of(reason), ""
        if ending == "cut":
            error = self._cut_off(raw, "thinking_level")
        elif called and not raw.strip():
            error = called_in_vain(called)
        elif ending == "broken" or (not raw and reason != "STOP"):
            what = "the server broke the reply off" if raw else "the reply is empty"
            raise AttemptFailedError(f"{what} ({redacted(reason)})", cost_usd=cost_usd)
        return Reply(request, raw, None, error, model, cost_usd, seconds, usage)

    def batch_line(self, key: str, question: Question) -> dict[str, Any]:
        """As the Gemini Batch API wants it; without a schema that might be refused, because there is no second try."""
        request = self.body(question)
        if self.tries_schema:
            request["generationConfig"] = self._options(plain=True)
        return {"key": key, "request": request}

    def _options(self, plain: bool = False) -> dict[str, Any]:
        """``generationConfig``, as the REST API documents it; ``plain`` is without a schema."""
        thinking = {"thinkingLevel": self.thinking_level, "thinkingBudget": self.thinking_budget}
        if thinking["thinkingLevel"]:
            thinking["thinkingLevel"] = str(thinking["thinkingLevel"]).upper()
        schema = None if plain else self.task.schema()
        options: dict[str, Any] = {
            "maxOutputTokens": self.max_output_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "mediaResolution": self.media_resolution and f"MEDIA_RESOLUTION_{self.media_resolution.upper()}",
            "thinkingConfig": {name: value for name, value in thinking.items() if value is not None} or None,
            "responseMimeType": schema and "application/json",
            _SCHEMA_OPTION: schema,
        }
        return {name: value for name, value in options.items() if value is not None}


def _text(parts: Any) -> tuple[str, str]:
    """The reply without the model's thoughts, in words or by calling a tool, and the tool's name."""
    said = [part for part in parts if not get_path(part, "thought")] if isinstance(parts, list) else []
    text = "".join(part["text"] for part in said if isinstance(get_path(part, "text"), str))
    passed, called = read_calls(get_path(part, "functionCall") for part in said)
    return (text if not passed else f"{text}\n{passed}".strip()), called


def _tokens(counts: Any) -> Tokens | None:
    sent = get_count(counts, "promptTokenCount")
    if sent is None:
        return None
    received = sum(get_count(counts, name) or 0 for name in ("candidatesTokenCount", "thoughtsTokenCount"))
    return Tokens(sent, received, get_count(counts, "cachedContentTokenCount") or 0)
