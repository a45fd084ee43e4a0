"""The batch APIs of OpenAI and Google, as far as fgvr uses them, on loopback."""

import itertools
import json
import re
from typing import ClassVar

from labelers.hosted import Gemini, OpenAI
from werkzeug import Response


def answer(content, status=200, headers=None):
    return Response(json.dumps(content), status, headers, content_type="application/json")


def lines_of_json(rows):
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


class FakeBatches:
    """What both servers have: files, batches, and a test that says what becomes of them.

    Attributes:
        files: File id -> bytes.
        batches: Batch id -> {"nonce", "file", "state", "output"}.
        created: How many batches were created.
        lose_next: Answer the next creation with a 500 after it was done.
        deleted: Ids of files that were deleted; their content stays for the test to look at.
        keep: Refuse to delete.
    """

    def __init__(self, httpserver):
        self.httpserver = httpserver
        self.files = {}
        self.batches = {}
        self.numbers = itertools.count(1)
        self.created = 0
        self.lose_next = False
        self.statuses = []
        self.deleted = []
        self.keep = False

    @property
    def lines(self):
        """The lines of all batches, in the order in which they were sent."""
        return [line for batch in self.batches.values() for line in self.lines_of(batch)]

    def lines_of(self, batch):
        return [json.loads(line) for line in self.files[batch["file"]].splitlines()]

    def add_file(self, content):
        name = f"file-{next(self.numbers)}"
        self.files[name] = content
        return name

    def add_batch(self, nonce, file):
        name = f"batch-{next(self.numbers)}"
        self.batches[name] = {"nonce": nonce, "file": file, "state": "running", "output": None, "errors": None}
        self.created += 1
        if self.lose_next:
            self.lose_next = False
            return answer({}, 500)
        return answer(self.batch(name))

    def get(self, request):
        if self.statuses:
            return answer({"error": {"message": "busy"}}, self.statuses.pop())
        name = request.path.rsplit("/", 1)[1]
        if name not in self.batches:
            return answer({"error": {"code": 404, "message": "No such batch"}}, 404)
        return answer(self.batch(name))

    def delete(self, request):
        if self.keep:
            return answer({"error": {"code": 403, "message": "No", "status": "PERMISSION_DENIED"}}, 403)
        name = request.path.rsplit("/", 1)[1]
        self.deleted.append(name)
        return answer({"id": name, "object": "file", "deleted": True})

    def finish(self, state="done", replies=None, names=None):
        """End all running batches; ``replies``: how many of the requests of each have one."""
        for name, batch in self.batches.items():
            if batch["state"] == "running" and (names is None or name in names):
                lines = self.lines_of(batch)
                count = len(lines) if replies is None else replies
                # neither server says that replies come in the order of requests
                batch["output"] = self.add_file(self.output(reversed(lines[:count])))
                batch["state"] = state
                if count < len(lines):
                    batch["errors"] = self.add_file(self.unprocessed(lines[count:]))


class FakeOpenAI(FakeBatches):
    key_of = "custom_id"
    states: ClassVar = {"running": "in_progress", "done": "completed", "expired": "expired", "failed": "failed"}

    def __init__(self, httpserver):
        super().__init__(httpserver)
        httpserver.expect_request("/v1/files", method="POST").respond_with_handler(self.upload)
        httpserver.expect_request("/v1/batches", method="POST").respond_with_handler(self.create)
        httpserver.expect_request("/v1/batches", method="GET").respond_with_handler(self.list)
        httpserver.expect_request(re.compile("/v1/batches/.+"), method="GET").respond_with_handler(self.get)
        httpserver.expect_request(re.compile("/v1/files/.+/content"), method="GET").respond_with_handler(self.content)
        httpserver.expect_request(re.compile("/v1/files/.+"), method="DELETE").respond_with_handler(self.delete)

    @property
    def url(self):
        return self.httpserver.url_for("/v1")

    def upload(self, request):
        assert request.form["purpose"] == "batch"
        name = self.add_file(request.files["file"].read())
        return answer({"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch"})

    def create(self, request):
        body = request.get_json()
        assert (body["endpoint"], body["completion_window"]) == ("/v1/chat/completions", "24h")
        return self.add_batch(body["metadata"]["fgvr_batch"], body["input_file_id"])

    def list(self, request):
        return answer({"object": "list", "data": [self.batch(name) for name in self.batches], "has_more": False})

    def content(self, request):
        return Response(self.files[request.path.split("/")[3]], content_type="application/octet-stream")

    def batch(self, name):
        batch = self.batches[name]
        failed = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit"}]}
        return {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": 1,
            "input_file_id": batch["file"],
            "status": self.states[batch["state"]],
            "metadata": {"fgvr_batch": batch["nonce"]},
            "output_file_id": batch["output"] if batch["state"] != "failed" else None,
            "error_file_id": batch["errors"],
            "errors": failed if batch["state"] == "failed" else None,
            "request_counts": {"total": 3, "completed": 1, "failed": 0},
        }

    def output(self, lines):
        response = {"status_code": 200, "body": OpenAI.reply("Bea\u2028gle")}
        return lines_of_json({"id": "r", "custom_id": line["custom_id"], "response": response} for line in lines)

    def unprocessed(self, lines):
        error = {"code": "batch_expired", "message": "This request could not be executed before the batch expired."}
        return lines_of_json({"custom_id": line["custom_id"], "response": None, "error": error} for line in lines)


class FakeGemini(FakeBatches):
    key_of = "key"
    states: ClassVar = {"running": "RUNNING", "done": "SUCCEEDED", "expired": "EXPIRED", "failed": "FAILED"}

    def __init__(self, httpserver):
        super().__init__(httpserver)
        httpserver.expect_request(re.compile("/upload/v1.*/files"), method="POST").respond_with_handler(self.begin)
        httpserver.expect_request("/upload-here", method="POST").respond_with_handler(self.upload)
        httpserver.expect_request(re.compile(".*:batchGenerateContent"), method="POST").respond_with_handler(
            self.create
        )
        httpserver.expect_request(re.compile("/v1[^/]*/batches$"), method="GET").respond_with_handler(self.list)
        httpserver.expect_request(re.compile("/v1[^/]*/batches/[^/]+$"), method="GET").respond_with_handler(self.get)
        httpserver.expect_request(re.compile("/.*files/.+:download"), method="GET").respond_with_handler(self.content)
        httpserver.expect_request(re.compile("/v1[^/]*/files$"), method="GET").respond_with_handler(self.list_files)
        httpserver.expect_request(re.compile("/v1[^/]*/files/.+"), method="DELETE").respond_with_handler(self.delete)

    @property
    def url(self):
        return self.httpserver.url_for("/")

    def begin(self, request):
        return answer({}, headers={"X-Goog-Upload-URL": self.httpserver.url_for("/upload-here")})

    def upload(self, request):
        name = self.add_file(request.get_data())
        return answer({"file": {"name": f"files/{name}"}}, headers={"X-Goog-Upload-Status": "final"})

    def create(self, request):
        batch = request.get_json()["batch"]
        file = (batch.get("inputConfig") or batch["input_config"])["fileName"]
        return self.add_batch(batch["displayName"], file.removeprefix("files/"))

    def list(self, request):
        return answer({"operations": [self.batch(name) for name in self.batches]})

    def list_files(self, request):
        files = [{"name": f"files/{batch['file']}", "displayName": batch["nonce"]} for batch in self.batches.values()]
        return answer({"files": [*files, {"name": "files/other", "displayName": "other"}, {"name": "files/none"}]})

    def content(self, request):
        name = request.path.split("files/")[1].removesuffix(":download")
        return Response(self.files[name], content_type="application/octet-stream")

    def batch(self, name):
        batch = self.batches[name]
        metadata = {"displayName": batch["nonce"], "state": f"BATCH_STATE_{self.states[batch['state']]}"}
        if batch["output"]:
            metadata["output"] = {"responsesFile": f"files/{batch['output']}"}
        return {"name": f"batches/{name}", "metadata": metadata}

    def output(self, lines):
        response = Gemini.reply("Bea\u2028gle")
        return lines_of_json({"key": line["key"], "response": response} for line in lines)

    def unprocessed(self, lines):
        return b""
