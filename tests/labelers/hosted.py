"""The labelers of OpenAI and Google, and replies as their servers write them, for the tests that ask on loopback."""

import asyncio
import json
from pathlib import Path
from typing import ClassVar

from werkzeug import Response

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.remote import Question
from fgvr.labelers.tasks.pictures import Picture
from fgvr.records import ImageRecord

PICTURE = Picture(b"not really a jpeg", 640, 480)
COST = (1000 * 2 + 100 * 8) / 1e6


def question(labeler, pictures=(PICTURE,)):
    image = ImageRecord(
        sample_id="Beagle/secret_name.jpg", path=Path("secret_name.jpg"), split="support", digest="d" * 64
    )
    return Question(LabelRequest(image, labeler.prompt), pictures)


def send(labeler, *questions):
    async def run():
        async with labeler.connect() as client:
            return [await labeler.send(client, each) for each in questions or [question(labeler)]]

    return asyncio.run(run())


class Host:
    """What ``make`` needs."""

    options: ClassVar = {}

    @classmethod
    def make(cls, httpserver, **options):
        options = {"price": Price(2.0, 8.0), "limits": Limits(timeout_seconds=5), **cls.options, **options}
        return cls.labeler(base_url=httpserver.url_for(cls.root), **options)


class OpenAI(Host):
    """A server of OpenAI's protocol, and a labeler that asks it with a key of its own.

    A request costs ``COST``, at the price of ``make``.
    """

    labeler = OpenAILabeler
    root, path = "/v1", "/v1/chat/completions"
    model = "gpt-4o-2024-11-20"
    key, key_variable, usual_variable = "sk-test-0123456789abcdef", "SERVER_KEY", "OPENAI_API_KEY"
    options: ClassVar = {"api_key_env": key_variable}
    cut_off = "length"

    @staticmethod
    def reply(content="Beagle", finish_reason="stop", model=model, **more):
        message = {"role": "assistant", "content": content, **more}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "finish_reason": finish_reason, "message": message}],
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 100,
                "total_tokens": 1100,
                "completion_tokens_details": {"reasoning_tokens": 60},
            },
        }

    @classmethod
    def call(cls, passed):
        function = {"name": "classify", "arguments": json.dumps(passed)}
        return cls.reply(None, "tool_calls", tool_calls=[{"id": "c1", "type": "function", "function": function}])

    @staticmethod
    def failure(message, code=None, param=None, kind="invalid_request_error"):
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class Gemini(Host):
    """Google's server, and a labeler that asks it."""

    labeler = GeminiLabeler
    root, path = "/", "/v1/models/gemini-3.8-flash:generateContent"
    model = "gemini-3.8-flash"
    key, key_variable, usual_variable = "AIzaTest0123456789abcdef", "GEMINI_API_KEY", "GEMINI_API_KEY"
    cut_off = "MAX_TOKENS"

    @staticmethod
    def reply(text="Beagle", finish_reason="STOP", model=model, **more):
        parts = [{"text": "Long ears...", "thought": True}, {"text": text}] if text else []
        return {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish_reason, "index": 0}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 40, "thoughtsTokenCount": 60},
            "modelVersion": model,
            "responseId": "r1",
            **more,
        }

    @classmethod
    def call(cls, passed):
        reply = cls.reply("", "STOP")
        reply["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": "classify", "args": passed}}]
        return reply

    @staticmethod
    def failure(code, message, status, *details):
        return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}

    @staticmethod
    def quota(*ids):
        violations = [{"quotaMetric": "m", "quotaId": each, "quotaValue": "5"} for each in ids]
        return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def broken_off(request):
    """The beginning of an answer."""
    response = Response('{"choices": [{"mess', content_type="application/json")
    response.headers["Content-Length"] = "500"
    return response
