"""kill -9 at random moments of every command and stage: nothing is lost, nothing is paid for twice, results are equal.

    python scripts/kill_matrix.py --kills 200 --seed 0
    python scripts/kill_matrix.py --kills 10 --stage remote --stage sweep

Each stage is run once undisturbed. Then it is started in an empty folder and killed (the process alone or with all that
it has started, in turn), up to three times, at moments drawn evenly over the time that it takes; each time it goes on
as a person would let it: with the newest checkpoint, or the same command again. What comes of it must be what came
undisturbed. The servers of the labelers are on loopback, and count.

Processes are forked from one that has imported fgvr, except those of ``ddp``, which Lightning starts.
"""

import argparse
import base64
import contextlib
import csv
import email.parser
import email.policy
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from PIL import Image

from fgvr.runs import RunFolder
from fgvr.sweeps.launch import resume_args

COLOURS = {"House Finch": (200, 60, 60), "Blue Jay": (60, 60, 200), "Monk Parakeet": (60, 180, 60)}
SUPPORT, TEST = 5, 2
IN_FLIGHT = 3
_KILLS_IN_A_ROW = 3
_PATIENCE_SECONDS = 300.0
_OUTLIVE_SECONDS = 20.0
_PRELOADED = (
    *(
        "fgvr.cli.launched",
        "fgvr.config.cli",
        "fgvr.api",
        "fgvr.methods.coop",
        "fgvr.heads.prompt",
        "fgvr.losses.proden",
    ),
    *(
        "fgvr.reports.recorder",
        "fgvr.candidates.knn",
        "fgvr.labelers.openai.labeler",
        "fgvr.testing.tiny",
        "kill_matrix",
    ),
    *("openai", "transformers", "sentence_transformers.models", "wandb", "pandas", "timm", "sklearn.metrics"),
)
"""What a run imports, so that a fork need not."""
_NOT_COMPARED = ("seconds", "label_seconds")


class Server:
    """OpenAI's protocol on loopback, chat and batches; says which colour a photo has.

    Attributes:
        asked: Digest of a request -> how often it came by chat.
        sent: The same -> how often it was part of a batch.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request: the same for the same request."""
        pictures = re.findall(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", json.dumps(body))
        name = "nothing"
        if pictures:
            pixel = Image.open(io.BytesIO(base64.b64decode(pictures[0]))).convert("RGB").resize((1, 1)).getpixel((0, 0))
            assert isinstance(pixel, tuple)
            distance = {
                each: sum(abs(a - b) for a, b in zip(pixel, colour, strict=True)) for each, colour in COLOURS.items()
            }
            name = min(distance, key=lambda each: distance[each])
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": f"The bird is a **{name}**."},
        }
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "tiny-1",
            "choices": [choice],
            "usage": usage,
        }

    def batch(self, name: str) -> dict[str, Any]:
        """A batch as the server shows it: done at once."""
        return {
            **{"id": name, "object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
            **{"created_at": 1, "status": "completed", "request_counts": {"total": 1, "completed": 1, "failed": 0}},
            **self.batches[name],
        }

    def create_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a batch, and answer all of it."""
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        output = b""
        for line in lines:
            self.sent[_digest(line["body"])] += 1
            response = {"status_code": 200, "body": self.chat(line["body"])}
            output += json.dumps({"id": "r", "custom_id": line["custom_id"], "response": response}).encode() + b"\n"
        out, name = f"file-{next(self.numbers)}", f"batch-{next(self.numbers)}"
        self.files[out] = output
        self.batches[name] = {
            "metadata": body["metadata"],
            "input_file_id": body["input_file_id"],
            "output_file_id": out,
        }
        return self.batch(name)


class _Handler(BaseHTTPRequestHandler):
    """One connection to a server; a client that was killed is no error."""

    server_of: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """See the base class."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        """Chat, files and batches."""
        server, content = self.server_of, self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/files"):
            kind = self.headers["content-type"].encode()
            parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
                b"content-type: " + kind + b"\r\n\r\n" + content
            )
            [file] = [
                part for part in parts.iter_parts() if part.get_param("name", header="content-disposition") == "file"
            ]
            name = f"file-{next(server.numbers)}"
            server.files[name] = file.get_payload(decode=True)
            self._answer(
                {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch"}
            )
            return
        body = json.loads(content)
        with server.lock:
            if self.path.endswith("/batches"):
                answer = server.create_batch(body)
            else:
                server.asked[_digest(body)] += 1
                answer = server.chat(body)
        time.sleep(random.uniform(0.01, 0.04))
        self._answer(answer)

    def do_GET(self) -> None:
        """Batches, and the content of files."""
        server, parts = self.server_of, self.path.partition("?")[0].strip("/").split("/")
        if parts[-1] == "content":
            self._answer(server.files[parts[-2]])
        elif parts[-1] == "batches":
            self._answer({"object": "list", "data": [server.batch(name) for name in server.batches], "has_more": False})
        else:
            self._answer(server.batch(parts[-1]))

    def do_DELETE(self) -> None:
        """Files, which stay."""
        self._answer({"id": "x", "object": "file", "deleted": True})

    def _answer(self, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


# the stages

DATA = ["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.batch_size", "5"]
METHOD = [
    *("--model", "coop", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.head", "prompt"),
    *("--model.head.n_ctx", "2", "--model.lr", "0.1", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "5"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false", "--seed_everything", "0"),
    *("--run.name", "matrix"),
]
RECORDED = ["--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl"]
FIXED = ["--data.labeler", "fixed", "--data.labeler.path", "names.csv"]


def _remote(url: str) -> dict[str, Any]:
    options = {"model": "tiny-1", "base_url": url, "limits": {"concurrency": IN_FLIGHT}}
    return {
        "class_path": "openai",
        "init_args": {**options, "price": {"input_per_million": 1.0, "output_per_million": 1.0}},
    }


@dataclass(frozen=True, eq=False)
class Stage:
    """One row of the matrix.

    Attributes:
        name: Of the row.
        args: Of the command.
        config: Content of ``stage.yaml``, with ``URL`` where the address of the server goes.
        fresh: Whether it needs an interpreter of its own.
        share: How many kills it gets, in relation to others.
        elsewhere: Whether the runs are on another disk than all else.
    """

    name: str
    args: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    fresh: bool = False
    share: float = 1.0
    elsewhere: bool = False

    @property
    def is_fit(self) -> bool:
        """Whether it may go on with a checkpoint."""
        return self.args[0] == "fit"


def stages() -> dict[str, Stage]:
    """All of them, by name."""
    labelled = {"data": {"labeler": _remote("URL")}}
    both = [_remote("URL"), {"class_path": "fixed", "init_args": {"path": "names.csv"}}]
    combined = {"data": {"labeler": {"class_path": "vote", "init_args": {"labelers": both}}}}
    configured = ("--config", "stage.yaml", *DATA, *METHOD)
    rows = {"plain": {"data.candidates": "single"}, "means": {"model": "class_means"}}
    drawn = ("--data.dataset", "fieldguide", "--data.dataset.species", "4", "--data.dataset.support", "3")
    simulated = (*drawn, "--data.dataset.test", "1", "--data.labeler", "fieldguide", "--data.batch_size", "5")
    local = ("--data.labeler", "llava", "--data.labeler.model", "llava", "--data.labeler.max_output_tokens", "120")
    described = {"data": {**labelled["data"], "describe": {"domain": "bird", "groups_per_class": 2, "group_size": 2}}}
    known = (*DATA, *METHOD, "--data.class_names", "dataset")
    found = [
        Stage("label", ("label", *configured), labelled, share=2),
        Stage("remote", ("fit", *configured), labelled, share=3),
        Stage("local", ("fit", *DATA, *METHOD, *local)),
        Stage("fixed", ("fit", *DATA, *METHOD, *FIXED)),
        Stage("simulated", ("fit", *simulated, *METHOD)),
        Stage("combined", ("fit", *configured), combined, share=2),
        Stage("recorded", ("fit", *DATA, *METHOD, *RECORDED), share=2),
        Stage("describe", ("describe", "--config", "stage.yaml", *known), described),
        Stage("batch", ("label", *configured, "--batch"), labelled, share=2),
        Stage("compare", ("fit", *configured, *RECORDED), {"compare": rows}, share=0.5),
        Stage("sweep", ("sweep", "--config", "grid.yaml", "--jobs", "1"), share=0.5),
        Stage(
            "ddp",
            ("fit", *DATA, *METHOD, *RECORDED, "--trainer.devices", "2", "--trainer.strategy", "ddp"),
            fresh=True,
            share=0.5,
        ),
        Stage("elsewhere", ("fit", *DATA, *METHOD, *RECORDED), share=2, elsewhere=True),
    ]
    return {stage.name: stage for stage in found}


def write_world(folder: Path, stage: Stage, url: str, model: Path | None) -> None:
    """What a stage starts from."""
    draw = random.Random(0)
    (folder / "birds").mkdir(parents=True)
    rows, replies, names = [], [], []
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(SUPPORT + TEST):
            file = f"{number}_{i}.png"
            image = Image.new("RGB", (16, 16))
            image.putdata([tuple(min(255, max(0, round(draw.gauss(c, 25)))) for c in colour) for _ in range(256)])
            image.save(folder / "birds" / file)
            rows.append((file, name, "support" if i < SUPPORT else "test"))
            said = list(COLOURS)[number - 1] if i == 0 else name
            replies.append(json.dumps({"image": file, "model": "gpt-test", "raw": f"The bird is a **{said}**."}))
            names.append((file, said))
    for path, content in (
        ("birds/manifest.csv", [("file", "class_name", "split"), *rows]),
        ("names.csv", [("file", "name"), *names]),
    ):
        with (folder / path).open("w", newline="") as stream:
            csv.writer(stream).writerows(content)
    (folder / "replies.jsonl").write_text("\n".join(replies[: SUPPORT + TEST] + replies[SUPPORT + TEST :]) + "\n")
    (folder / "stage.yaml").write_text(yaml.safe_dump(stage.config).replace("URL", url))
    (folder / "base.yaml").write_text(yaml.safe_dump({"seed_everything": 0}))
    options = dict(
        zip([key[2:] for key in (*DATA, *METHOD, *RECORDED)[::2]], (*DATA, *METHOD, *RECORDED)[1::2], strict=True)
    )
    options = {key: yaml.safe_load(value) for key, value in options.items() if not key.startswith(("seed", "run."))}
    grid = {"base": "base.yaml", "seeds": [0, 1], "set": options, "vary": {"data.candidates": ["single", "knn"]}}
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    if stage.name == "local" and model is not None:
        shutil.copytree(model, folder / "llava")


# processes


def forked(args: Sequence[str], folder: str, variables: dict[str, str]) -> None:
    """What a forked process does."""
    from fgvr.cli import main  # this file is imported by processes that run nothing
    from fgvr.labelling.batch_run import label_batch

    os.setsid()
    os.chdir(folder)
    os.environ.update(variables)
    tempfile.tempdir = None
    # nobody waits a minute here for a server that is done at once
    label_batch.__defaults__ = tuple(0.2 if value == 60.0 else value for value in label_batch.__defaults__ or ())
    with Path("output.log").open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.argv = ["fgvr", *args]
    sys.exit(main(list(args)))


class Machine:
    """Starts commands, in forks of a process that has imported everything."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_PRELOADED))

    def start(self, stage: Stage, args: Sequence[str], folder: Path) -> Any:
        """The process, with ``pid``, ``wait(seconds)`` and ``poll()`` as a ``Popen`` has them."""
        variables = {
            **{"FGVR_CACHE": str(folder / "cache"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
            **{"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", "OPENAI_API_KEY": "sk-none"},
        }
        (folder / "tmp").mkdir(exist_ok=True)
        if stage.fresh:
            with (folder / "output.log").open("ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "fgvr", *args],
                    cwd=folder,
                    env={**os.environ, **variables},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        import kill_matrix  # by its name, which the forked process can import

        process = self._context.Process(target=kill_matrix.forked, args=(list(args), str(folder), variables))
        process.start()
        return _Fork(process)


class _Fork:
    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    def poll(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("fgvr", timeout or 0.0)
        return int(self._process.exitcode)


def outlived(session: int) -> list[int]:
    """Processes of a session that still run, once those have ended that end by themselves."""
    deadline = time.monotonic() + _OUTLIVE_SECONDS
    while (left := _session(session)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _, _, sid = stat.read_text().rpartition(")")[2].split()[:4]
            if int(sid) == session and state != "Z":
                found.append(int(stat.parent.name))
    return found


# what came of it


@dataclass
class Outcome:
    """What kills did to a stage.

    Attributes:
        kills: How often it was killed.
        runs: How often it was run from an empty folder to its end.
        lost: Stored replies that were gone or other ones afterwards.
        paid_twice: Requests that were sent again, though one was answered or on its way before.
        in_flight: The most replies that a kill found on their way, or arrived and not stored.
        too_many: Kills that lost more than may be in flight.
        unequal: Runs with other results than undisturbed.
        stuck: Runs that could not go on.
        outlived: Processes that were still there after their starter.
        stray: Temporary files that stayed.
        seconds: Of all.
        notes: What was wrong, in words.
    """

    kills: int = 0
    runs: int = 0
    lost: int = 0
    paid_twice: int = 0
    in_flight: int = 0
    too_many: int = 0
    unequal: int = 0
    stuck: int = 0
    outlived: int = 0
    stray: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Count another one in."""
        self.in_flight = max(self.in_flight, other.in_flight)
        self.notes += other.notes
        for name in (
            "kills",
            "runs",
            "lost",
            "paid_twice",
            "too_many",
            "unequal",
            "stuck",
            "outlived",
            "stray",
            "seconds",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def failures(self) -> int:
        """What must not be."""
        return self.lost + self.too_many + self.unequal + self.stuck + self.outlived


def stored(folder: Path) -> dict[str, tuple[str, str]]:
    """Key of a request -> its reply in the label store."""
    path = folder / "runs/labels.sqlite"
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(path, timeout=60)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchall():
            return {}
        return {key: (raw, error) for key, raw, error in database.execute("SELECT key, raw, error FROM replies")}


def results(folder: Path) -> dict[str, Any]:
    """What a stage has left that is the same each time."""
    found: dict[str, Any] = {"replies": sorted(stored(folder).values())}
    newest: dict[str, Path] = {}
    for path in sorted((folder / "runs").rglob("metrics.json"), key=lambda path: path.stat().st_mtime):
        newest[_place(folder, path.parent)] = path.parent
    for place, run in newest.items():
        rows = json.loads((run / "metrics.json").read_text())
        found[f"{place}/metrics"] = {
            row: {key: value for key, value in figures.items() if key not in _NOT_COMPARED}
            for row, figures in rows.items()
        }
        found[f"{place}/predictions"] = pq.read_table(run / "predictions.parquet").to_pylist()
    for path in sorted((folder / "runs").rglob("descriptions.parquet"), key=lambda path: path.stat().st_mtime):
        found["descriptions"] = [
            {key: value for key, value in row.items() if key not in _NOT_COMPARED}
            for row in pq.read_table(path).to_pylist()
        ]
    if tidy := list((folder / "runs").rglob("sweep.parquet")):
        rows = pq.read_table(tidy[0]).to_pylist()
        found["sweep"] = [{k: v for k, v in row.items() if k not in _NOT_COMPARED} for row in rows]
    return json.loads(json.dumps(found, default=str))


def _place(folder: Path, run: Path) -> str:
    """Where a run is, but for the number of its version."""
    return re.sub(r"matrix/\d+", "matrix", str(run.relative_to(folder)))


def next_args(stage: Stage, folder: Path) -> list[str]:
    """What a person types after a kill: the newest run goes on where it has a checkpoint."""
    if stage.is_fit:
        runs = sorted((folder / "runs/matrix").glob("[0-9]*"), key=lambda path: int(path.name))
        if runs and (args := resume_args(RunFolder(runs[-1].relative_to(folder)))) is None:
            args = resume_args(RunFolder(runs[-1]))
            if args is not None:
                return [each.replace(f"{folder}/", "") for each in args]
    return list(stage.args)


class Matrix:
    """All stages, with the folders that they are run in.

    Args:
        folder: Where all is done.
        machine: Starts the commands.
        disk: A folder on another disk, for ``elsewhere``.
    """

    def __init__(self, folder: Path, machine: Machine, disk: Path | None) -> None:
        self.folder = folder
        self.machine = machine
        self.disk = disk
        self.model: Path | None = None
        self._numbers = itertools.count()
        self._references: dict[str, tuple[float, dict[str, Any]]] = {}

    @contextlib.contextmanager
    def _world(self, stage: Stage) -> Iterator[tuple[Path, Server]]:
        folder = self.folder / f"{stage.name}-{next(self._numbers)}"
        server = Server()
        try:
            write_world(folder, stage, server.url, self.model)
            if stage.elsewhere and self.disk is not None:
                other = self.disk / folder.name
                other.mkdir()
                (folder / "runs").symlink_to(other)
            yield folder, server
        finally:
            server.close()

    def warm_up(self) -> None:
        """Import all that is forked later, so that no stage is measured with it."""
        (self.folder / "warm").mkdir()
        self.machine.start(stages()["fixed"], ["--version"], self.folder / "warm").wait(_PATIENCE_SECONDS)

    def reference(self, stage: Stage) -> tuple[float, dict[str, Any]]:
        """How long a stage takes, and what it leaves."""
        if stage.name not in self._references:
            with self._world(stage) as (folder, _):
                begin = time.monotonic()
                code = self.machine.start(stage, stage.args, folder).wait(_PATIENCE_SECONDS)
                if code != 0:
                    raise SystemExit(f"{stage.name} fails without a kill ({code}): {_tail(folder)}")
                self._references[stage.name] = time.monotonic() - begin, results(folder)
                shutil.rmtree(folder, ignore_errors=True)
        return self._references[stage.name]

    def episode(self, stage: Stage, kills: int, seed: int) -> Outcome:
        """One run from an empty folder to its end, killed so many times on its way."""
        seconds, expected = self.reference(stage)
        draw, outcome, begin = random.Random(f"{stage.name} {seed}"), Outcome(runs=1), time.monotonic()
        with self._world(stage) as (folder, server):
            before: dict[str, tuple[str, str]] = {}
            for kill in range(kills):
                asked = sum(server.asked.values())
                args = next_args(stage, folder)
                process = self.machine.start(stage, args, folder)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draw.uniform(0.0, seconds))
                code = process.poll()
                if code is None:
                    kill_process(process.pid, with_children=bool(kill % 2))
                    process.wait(_PATIENCE_SECONDS)
                    outcome.kills += 1
                if left := outlived(process.pid):
                    outcome.outlived += len(left)
                    outcome.notes.append(f"processes outlived {' '.join(args)[:80]}")
                    for pid in left:
                        kill_process(pid)
                after = stored(folder)
                changed = sum(after.get(key) != reply for key, reply in before.items() if not reply[1])
                outcome.lost += changed
                # replies of labelers that are not asked over the network cost nothing
                flying = max(0, sum(server.asked.values()) - asked - (len(after) - len(before)))
                outcome.in_flight = max(outcome.in_flight, flying)
                outcome.too_many += flying > IN_FLIGHT
                before = after
                if code is not None:
                    break
            code = self.machine.start(stage, next_args(stage, folder), folder).wait(_PATIENCE_SECONDS)
            outcome.paid_twice = sum(count - 1 for count in (*server.asked.values(), *server.sent.values()))
            outcome.too_many += any(count > 1 for count in server.sent.values())
            if code != 0:
                outcome.stuck += 1
                outcome.notes.append(f"exit code {code}: {_tail(folder)}")
            else:
                found = results(folder)
                wrong = [key for key in expected if found.get(key) != expected[key]]
                outcome.unequal += bool(wrong)
                if wrong:
                    outcome.notes.append(f"seed {seed}: other {', '.join(wrong)}")
            strays = [
                path for path in (folder / "runs").rglob(".*") if path.is_file() and not path.name.endswith("lock")
            ]
            outcome.stray = len(strays)
            if not outcome.failures:
                shutil.rmtree(folder, ignore_errors=True)
        outcome.seconds = time.monotonic() - begin
        return outcome


def kill_process(pid: int, with_children: bool = False) -> None:
    """Kill a process that may have ended by itself, or, just forked, may have no group of its own yet."""
    for kill in (os.killpg, os.kill) if with_children else (os.kill,):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
            break


def _tail(folder: Path) -> str:
    log = folder / "output.log"
    return " | ".join(log.read_text(errors="replace").replace("\r", "\n").splitlines()[-4:]) if log.is_file() else ""


def shares(chosen: Sequence[Stage], kills: int) -> dict[Stage, int]:
    """How often each stage is killed, at least once."""
    total = sum(stage.share for stage in chosen)
    return {stage: max(1, round(kills * stage.share / total)) for stage in chosen}


def run(names: Sequence[str], kills: int, seed: int, jobs: int, folder: Path) -> dict[str, Outcome]:
    """Kill each of the stages, and say what came of it.

    Args:
        names: Of the stages; all if empty.
        kills: In all.
        seed: Of the moments.
        jobs: Runs side by side.
        folder: Where all is done.
    """
    known = stages()
    chosen = [known[name] for name in names or known]
    disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=disk if os.access(disk, os.W_OK) else None) as other:
        matrix = Matrix(folder, Machine(), Path(other))
        if any(stage.name == "local" for stage in chosen):
            sys.path.append(str(Path(__file__).parents[1] / "tests"))
            from tiny.mllm import save_tiny_mllm

            matrix.model = save_tiny_mllm(folder / "llava")
        matrix.warm_up()
        outcomes = {stage.name: Outcome() for stage in chosen}

        def of_stage(stage: Stage, share: int) -> None:
            matrix.reference(stage)
            for number in itertools.count():
                if (left := share - outcomes[stage.name].kills) <= 0 or number > 3 * share:
                    break
                outcome = outcomes[stage.name]
                outcome.add(matrix.episode(stage, min(left, _KILLS_IN_A_ROW), seed * 1000 + number))
                # a whole matrix takes long, and may be stopped
                print(
                    f"{stage.name}: {outcome.kills} of {share}, {outcome.failures} failures",
                    file=sys.stderr,
                    flush=True,
                )

        with ThreadPoolExecutor(jobs) as pool:
            ordered = sorted(shares(chosen, kills).items(), key=lambda item: item[0].share)
            for done in [pool.submit(partial(of_stage, stage, share)) for stage, share in ordered]:
                done.result()
    return outcomes


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--stage", action="append", default=[], choices=list(stages()))
    args = parser.parse_args(argv)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        outcomes = run(args.stage, args.kills, args.seed, args.jobs, Path(folder))
    columns = (
        "kills",
        "runs",
        "lost",
        "paid_twice",
        "in_flight",
        "too_many",
        "unequal",
        "stuck",
        "outlived",
        "stray",
        "seconds",
    )
    print(f"{'stage':<10}" + "".join(f"{column:>11}" for column in columns))
    for name, outcome in outcomes.items():
        print(f"{name:<10}" + "".join(f"{round(getattr(outcome, column)):>11}" for column in columns))
    for name, outcome in outcomes.items():
        for note in outcome.notes:
            print(f"{name}: {note}")
    failures = sum(outcome.failures for outcome in outcomes.values())
    summary = {"kills": sum(outcome.kills for outcome in outcomes.values()), "seed": args.seed, "failures": failures}
    found = {name: {k: v for k, v in asdict(outcome).items() if k != "notes"} for name, outcome in outcomes.items()}
    print(json.dumps({**summary, "seconds": round(time.monotonic() - begin), "stages": found}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import kill_matrix

    sys.exit(kill_matrix.main())
