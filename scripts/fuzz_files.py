"""Damages files that fgvr reads, one at a time, runs a command that reads them, and says what came of it.

    python scripts/fuzz_files.py --cases 1000 --write docs/explanation/what-is-safe.md

A small world is made once: photos, a manifest, recorded replies, a label store, stored features, a trained run with a
checkpoint, a sweep. Each case copies it, damages one file (flipped bits, a cut, spans of zeros or of anything, rubbish
behind, another file in its place; values of other kinds where the form is known), and runs one command in a process of
its own. Commands on the undamaged world are what it is compared with.

Files of a run folder are damaged with and without their checksums: without, a value that was changed is a value.
The table is printed; the last line is JSON. ``--keep`` is a folder for what failed: the damaged file and the output.
``--kind`` (several times) takes some kinds alone.
"""

import argparse
import csv
import io
import json
import multiprocessing
import os
import random
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- begin outcomes -->\n).*?(<!-- end outcomes -->)", re.DOTALL)
OUTCOMES = {
    "refused": "one line that says what is wrong, exit code 2",
    "explained": "refused with an explanation of several lines, exit code 2: of a configuration",
    "same": "the same result as with the undamaged file",
    "warned": "the same result, and a line that says so",
    "said": "another result, and a line that names the file",
    "other content": "another result: the file may hold that, as its user's or as one without a checksum",
    "SILENT": "another result from a file that fgvr has written, without a word",
    "TRACEBACK": "an exception, or a killed process",
    "HANG": "no end in the time or the memory that is allowed",
}
FAILURES = ("SILENT", "TRACEBACK", "HANG")
CPU_SECONDS, WALL_SECONDS, MEMORY = 60, 240, 12 * 2**30
COLOURS = {"House Finch": (200, 60, 60), "Blue Jay": (60, 60, 200), "Monk Parakeet": (60, 180, 60)}
SUPPORT, TEST = 4, 2
RUN, SWEPT, TOWERS = "runs/run/0", "runs/grid/*-seed0", "runs/towers/0"
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
AGAIN = ["fit", "--config", f"{RUN}/config.yaml", "--ckpt_path", f"{RUN}/checkpoints/last.ckpt"]
AGAIN_TOWERS = ["fit", "--config", f"{TOWERS}/config.yaml", "--ckpt_path", f"{TOWERS}/checkpoints/last.ckpt"]
PREDICT = ["predict", *AGAIN[1:], "--run.name=predicted"]
TESTED = ["test", *AGAIN[1:], "--run.name=tested"]
REPORT = ["report", RUN]
CANDIDATES = ["candidates", "--config", "birds.yaml", "--run.name=sets"]
PRICE = ["label", "--config", "birds.yaml", "--dry-run"]
SWEEP = ["sweep", "--config", "grid.yaml"]
SCORES = ["evaluate", "--truth", "birds/manifest.csv", "--split", "test", "--encoder", "[]", "--output", "scores.json"]


@dataclass(frozen=True)
class Kind:
    """Files that are damaged in the same ways.

    Attributes:
        files: File (or a pattern that one file matches) -> the commands that read it.
        form: How values in it are changed, where that is known: a key of ``CHANGES``.
        own: Whether fgvr writes them.
    """

    files: Mapping[str, Sequence[Sequence[str]]]
    form: str = ""
    own: bool = True


KINDS = {
    "label store (SQLite)": Kind(
        {"runs/labels.sqlite": [["store", "stats"], ["store", "show", "--limit", "0"], CANDIDATES, PRICE]}
    ),
    "digests of photos (SQLite)": Kind({"cache/photos.sqlite": [CANDIDATES, PRICE, TESTED]}),
    "index of features (SQLite)": Kind({"cache/features/*/index.sqlite": [CANDIDATES, TESTED]}),
    "features": Kind({"cache/features/*/vectors.f16": [CANDIDATES, TESTED, PREDICT]}),
    "checkpoint": Kind({f"{RUN}/checkpoints/last.ckpt": [TESTED, PREDICT, AGAIN]}),
    "configuration of a run (YAML)": Kind({f"{RUN}/config.yaml": [PREDICT, REPORT, AGAIN]}, "yaml"),
    "configuration (YAML)": Kind({"birds.yaml": [CANDIDATES, PRICE], "grid.yaml": [SWEEP]}, "yaml", own=False),
    "JSON of a run": Kind(
        {
            f"{RUN}/vocabulary.json": [REPORT, AGAIN],
            f"{RUN}/metrics.json": [REPORT],
            f"{SWEPT}/metrics.json": [SWEEP],
            f"{SWEPT}/sweep_run.json": [SWEEP],
        },
        "json",
    ),
    "Parquet of a run": Kind(
        {
            f"{RUN}/labels.parquet": [REPORT, AGAIN],
            f"{RUN}/candidates.parquet": [REPORT, AGAIN],
            f"{RUN}/relabelling.parquet": [REPORT, AGAIN],
            f"{RUN}/neighbours.parquet": [REPORT],
            f"{RUN}/predictions.parquet": [REPORT, [*SCORES, "--predictions", f"{RUN}/predictions.parquet"]],
            f"{TOWERS}/descriptions.parquet": [AGAIN_TOWERS],
        },
        "parquet",
    ),
    "photo (JPEG)": Kind({"birds/photos/0_1.jpg": [CANDIDATES], "birds/photos/1_5.jpg": [TESTED]}, own=False),
    "photo (PNG)": Kind({"birds/photos/0_0.png": [CANDIDATES, PRICE], "birds/photos/1_4.png": [TESTED]}, own=False),
    "table (CSV)": Kind(
        {
            "birds/manifest.csv": [CANDIDATES, PRICE, [*SCORES, "--predictions", "predicted.csv"]],
            "predicted.csv": [[*SCORES, "--predictions", "predicted.csv"]],
            "review.csv": [["store", "review", "review.csv", "--apply"]],
            "texts.csv": [AGAIN_TOWERS],
        },
        "csv",
        own=False,
    ),
    "replies (JSON lines)": Kind({"replies.jsonl": [["label", "--config", "asked_anew.yaml"]]}, own=False),
}


# the world


def make_world(folder: Path) -> None:
    """Photos, tables and configurations, and what commands make of them."""
    photos = folder / "birds/photos"
    photos.mkdir(parents=True)
    noise = np.random.default_rng(0)
    rows, replies = [], []
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(SUPPORT + TEST):
            file = f"{number}_{i}.{('png', 'jpg')[i % 2]}"
            pixels = np.clip(np.array(colour) + noise.normal(0, 25, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(photos / file)
            rows.append([f"photos/{file}", name, "support" if i < SUPPORT else "test"])
            said = f"The bird is a **{list(COLOURS)[number - 1] if i == 2 else name}**."
            replies.append({"image": file, "model": "tiny", "raw": "I'm sorry." if (number, i) == (2, 1) else said})
    write_csv(folder / "birds/manifest.csv", [["file", "class_name", "split"], *rows])
    write_csv(folder / "predicted.csv", [["file", "name"], *([row[0], "Blue Jay"] for row in rows)])
    texts = [[row[0], f"A small bird, number {number}."] for number, row in enumerate(rows) if row[2] == "support"]
    write_csv(folder / "texts.csv", [["file", "description"], *texts])
    (folder / "replies.jsonl").write_text("".join(f"{json.dumps(reply)}\n" for reply in replies))
    data = {
        "dataset": {"class_path": "manifest", "init_args": {"root": "birds"}},
        "labeler": {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}},
        "candidates": "knn",
        "batch_size": 6,
    }
    backbone = {"backbone": "fgvr.testing.tiny.TinyBackbone"}
    head = {"class_path": "prompt", "init_args": {"n_ctx": 2}}
    coop = {"class_path": "coop", "init_args": {**backbone, "head": head}}
    birds = {"seed_everything": 0, "data": data, "model": coop, "trainer": {"max_epochs": 2, "accelerator": "cpu"}}
    write_yaml(folder / "birds.yaml", birds)
    write_yaml(folder / "asked_anew.yaml", {**birds, "data": {**data, "label_store": "runs/anew.sqlite"}})
    grid = {"base": "birds.yaml", "seeds": [0], "set": {"trainer.max_epochs": 1}}
    write_yaml(folder / "grid.yaml", {**grid, "vary": {"data.candidates": ["single"]}})
    relabelled = ["--run.name=run", "--data.relabelling=em", "--data.relabelling.min_agreement=0"]
    towers = ["--run.name=towers", "--data.class_names=dataset", "--data.describe.file=texts.csv", "--model=latteclip"]
    towers += ["--model.texts=[class, image]", f"--model.backbone={backbone['backbone']}", "--trainer.max_epochs=1"]
    for args in (
        ["fit", "--config", "birds.yaml", *relabelled, *QUIET],
        ["fit", "--config", "birds.yaml", *towers, *QUIET],
        SWEEP,
        ["store", "review", "review.csv"],
    ):
        code, text = run_command(args, folder)
        if code != 0:
            raise RuntimeError(f"fgvr {' '.join(args)} ended with {code}:\n{text}")
    for file in (file for kind in KINDS.values() for file in kind.files):
        if not list(folder.glob(file)):
            raise RuntimeError(f"no command has made {file}")


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))


# one command


def preload() -> None:
    """What every command imports; the processes that run commands are forked from one that has done so."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "FGVR_CORES": "1"}
    os.environ |= {"FGVR_CACHE": "cache", "JSONARGPARSE_DEPRECATION_WARNINGS": "off", "COLUMNS": "120"}
    sys.path.insert(0, str(ROOT))
    import fgvr.cli.report
    import fgvr.cli.stages
    import fgvr.cli.store
    import fgvr.cli.sweep
    import fgvr.cli.train
    import fgvr.methods.coop
    import fgvr.methods.latteclip
    import fgvr.metrics.evaluate
    import fgvr.testing.tiny  # noqa: F401


def run_command(args: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run ``fgvr ARGS`` in a folder; the exit code (-1: no end) and what it printed."""
    log = folder / ".output"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            os.chdir(folder)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            from fgvr.cli import main

            code = main(list(args))
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    ended = os.pidfd_open(child)
    in_time = bool(select.select([ended], [], [], WALL_SECONDS)[0])
    os.close(ended)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    return (-1 if not in_time or status in (-signal.SIGXCPU, -signal.SIGKILL) else status), text


@dataclass(frozen=True)
class Result:
    """What a command did.

    Attributes:
        code: Its exit code.
        text: What it printed.
        made: File that it wrote -> what is in it, but for times.
    """

    code: int
    text: str
    made: Mapping[str, Any]

    @property
    def lines(self) -> dict[str, str]:
        """What it said: each line without numbers, which may be times -> the line."""
        lines = [line.rpartition("\r")[2].strip() for line in self.text.splitlines()]
        return {re.sub(r"[\d.,]+", "#", line): line for line in lines}


def result_of(args: Sequence[str], folder: Path) -> Result:
    before = stamps(folder)
    code, text = run_command(args, folder)
    after = stamps(folder)
    made = {name: content(folder / name) for name in sorted(after) if after[name] != before.get(name)}
    if args[0] == "report":
        made["report"] = (folder / RUN / "report.html").read_text()
    if args[0] in ("store", "label"):
        made["output"] = [line for line in text.splitlines() if line and not re.search(r"photo/s|it/s", line)]
    return Result(code, text, {name: value for name, value in made.items() if value is not None})


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): (stat.st_mtime_ns, stat.st_ino) for path, stat in found.items()}


def content(path: Path) -> Any:
    """What a command wrote into a file, but for times; ``None`` for files that hold nothing else."""
    if path.suffix == ".parquet":
        return {name: str(column) for name, column in pq.read_table(path).to_pydict().items() if "seconds" not in name}
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    return None


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if "seconds" not in key}
    return value


# damage


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def span(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.choice((1, 16, 512, 4096, len(data))))


def zeroed(data: bytes, chance: random.Random) -> bytes:
    start, stop = span(data, chance)
    return data[:start] + bytes(stop - start) + data[stop:]


def scrambled(data: bytes, chance: random.Random) -> bytes:
    start, stop = span(data, chance)
    return data[:start] + chance.randbytes(stop - start) + data[stop:]


def doubled(data: bytes, chance: random.Random) -> bytes:
    start, stop = span(data, chance)
    return data[:stop] + data[start:]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flipped,
    flipped,
    lambda data, chance: data[: chance.randrange(len(data))],
    zeroed,
    scrambled,
    doubled,
    lambda data, chance: data + chance.randbytes(chance.choice((1, 100, 5000))),
    lambda data, chance: b"",
)

VALUES = ("null", "true", "-1", "0", "1e308", f"{2**70}", '""', '"x"', "[]", "{}", "[null]", '{"a": 1}')
WRONG: tuple[Callable[[random.Random], Any], ...] = (
    lambda chance: json.loads(chance.choice(VALUES)),
    lambda chance: json.loads(chance.choice(VALUES)),
    lambda chance: float(chance.choice(("nan", "inf", "-inf"))),
    lambda chance: nested(chance.choice((3, 200))),
    lambda chance: "\ud83d" if chance.random() < 0.5 else "\x1b[2J\u202e",
    lambda chance: "9" * 5000,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, with every key in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def change_tree(value: Any, chance: random.Random) -> Any:
    for _ in range(chance.choice((1, 1, 2))):
        if not (found := list(places(value))):
            return value
        inside, key = chance.choice(found)
        if chance.random() < 0.3:
            del inside[key]
        elif chance.random() < 0.2:
            other, there = chance.choice(found)
            if there in other if isinstance(other, dict) else there < len(other):
                inside[key] = json.loads(json.dumps(other[there]))
        else:
            inside[key] = chance.choice(WRONG)(chance)
    return value


def change_yaml(data: bytes, chance: random.Random) -> bytes:
    return yaml.safe_dump(change_tree(yaml.safe_load(data), chance), sort_keys=False).encode()


def change_json(data: bytes, chance: random.Random) -> bytes:
    return json.dumps(change_tree(json.loads(data), chance), indent=2).encode()


def change_csv(data: bytes, chance: random.Random) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    row = chance.choice(rows)
    match chance.randrange(5):
        case 0:
            cells = ("", '"', "x\ny", "\0", "../../etc", "\x1b[2J", "=1+1", "nan")
            row[chance.randrange(len(row))] = chance.choice(cells)
        case 1:
            column = chance.randrange(len(rows[0]))
            rows = [[cell for number, cell in enumerate(each) if number != column] for each in rows]
        case 2:
            rows.insert(chance.randrange(len(rows) + 1), list(row))
        case 3:
            rows.remove(row)
        case 4:
            row.append("more")
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


def change_parquet(data: bytes, chance: random.Random) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    number = chance.randrange(table.num_columns)
    name, values = table.column_names[number], table.column(number).to_pylist()
    match chance.randrange(6):
        case 0:
            table = table.remove_column(number)
        case 1:
            values[chance.randrange(len(values))] = None
            table = table.set_column(number, name, pa.array(values, table.schema.field(number).type))
        case 2:
            other = chance.choice((1, "x", float("nan"), ["x"]))
            table = table.set_column(number, name, pa.array([other] * len(values)))
        case 3:
            table = table.append_column(name, table.column(number))
        case 4:
            table = table.slice(0, chance.randrange(table.num_rows + 1))
        case 5:
            chance.shuffle(values)
            table = table.set_column(number, name, pa.array(values, table.schema.field(number).type))
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


CHANGES = {"yaml": change_yaml, "json": change_json, "csv": change_csv, "parquet": change_parquet}


def damaged(kind: Kind, path: Path, folder: Path, chance: random.Random) -> bytes:
    """The file with damage; another one's bytes where that is how it is damaged."""
    data = path.read_bytes()
    if kind.form and chance.random() < 0.5:
        return CHANGES[kind.form](data, chance)
    if chance.random() < 0.08:
        others = sorted(each for each in folder.rglob("*") if each.is_file() and each != path)
        return chance.choice(others).read_bytes()
    return chance.choice(DAMAGES)(data, chance)


# cases


@dataclass(frozen=True)
class Case:
    """One damaged file and one command."""

    number: int
    kind: str
    file: str
    args: Sequence[str]
    checked: bool


def cases(kinds: Sequence[str], count: int) -> list[Case]:
    """As many of each kind, of each of its files, and of each command, as the count allows."""
    found = []
    for number in range(count):
        name, turn = kinds[number % len(kinds)], number // len(kinds)
        pairs = [(file, args) for file, commands in KINDS[name].files.items() for args in commands]
        file, args = pairs[turn % len(pairs)]
        # files of a run folder every other time as those of an older version, which have no checksums
        found.append(Case(number, name, file, args, checked=turn // len(pairs) % 2 == 0))
    return found


def run_case(case: Case, seed: int, world: Path, pristine: Result | None, keep: Path | None) -> str:
    """The outcome of a case."""
    chance, kind = random.Random(f"{seed}/{case.number}"), KINDS[case.kind]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = Path(temporary) / "world"
        shutil.copytree(world, folder)
        path = sorted(folder.glob(case.file))[0]
        data = damaged(kind, path, folder, chance)
        sums = path.parent / "checksums.txt"
        noted = sums.is_file() and path.name in sums.read_text().split()
        if noted and not case.checked:
            sums.unlink()
        unchanged = data == path.read_bytes()
        path.write_bytes(data)
        result = result_of(case.args, folder)
        outcome = outcome_of(result, pristine, path.name)
        if outcome == "SILENT" and (not kind.own or (noted and not case.checked)):
            outcome = "other content"
        if unchanged and outcome == "SILENT":
            raise RuntimeError(f"{case}: an undamaged file gave another result; the comparison is at fault")
        if outcome in FAILURES and keep is not None:
            place = keep / f"{outcome}-{case.number}"
            place.mkdir(parents=True, exist_ok=True)
            (place / path.name).write_bytes(data)
            names = sorted({*result.made, *pristine.made})
            differs = [name for name in names if result.made.get(name) != pristine.made.get(name)]
            said = f"{case}\nseed {seed}\nfgvr {' '.join(case.args)}\nexit code {result.code}\ndiffers in {differs}\n\n"
            (place / "output.txt").write_text(said + result.text)
    return outcome


def outcome_of(result: Result, pristine: Result, name: str) -> str:
    """One of ``OUTCOMES``."""
    if result.code == -1 or "MemoryError" in result.text:
        return "HANG"
    if result.code not in (0, 2) or "Traceback (most recent call last)" in result.text:
        return "TRACEBACK"
    if result.code == 2:
        _, mark, error = result.text.rpartition("fgvr: error:")
        told, *more = error.strip().splitlines() or [""]
        return (
            "refused"
            if mark and told and all(line.startswith("To see ") for line in more)
            else "explained"
            if mark
            else "TRACEBACK"
        )
    new = [line for key, line in result.lines.items() if key not in pristine.lines]
    warned = any(re.search("damaged|warn|again|unreadable|left out|cannot be|could not", line) for line in new)
    if result.made == pristine.made:
        return "warned" if warned else "same"
    return "said" if warned or any(name in line for line in new) else "SILENT"


def table(counts: Mapping[str, Counter[str]]) -> str:
    """Kinds and outcomes as Markdown; outcomes that no case has are left out, but for failures."""
    shown = [each for each in OUTCOMES if each in FAILURES or any(count[each] for count in counts.values())]
    lines = [f"| file | cases | {' | '.join(shown)} |", "|---" * (len(shown) + 2) + "|"]
    for kind, count in counts.items():
        lines.append(f"| {kind} | {count.total()} | {' | '.join(str(count[each]) for each in shown)} |")
    whole = sum(counts.values(), Counter())
    lines.append(f"| all | {whole.total()} | {' | '.join(str(whole[each]) for each in shown)} |")
    return "\n".join(lines)


def with_table(page: str, text: str) -> str:
    """A page with the table between its marks.

    Raises:
        ValueError: It has no place for it.
    """
    page, count = BLOCK.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"the page has {count} places between '<!-- begin outcomes -->' and '<!-- end outcomes -->'")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    arguments = parser.parse_args()
    started, kinds = time.monotonic(), arguments.kind or list(KINDS)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-world-") as temporary,
        # forked before anything computes: what is forked from them must not wait for threads that it has not
        ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("fork"), preload) as pool,
    ):
        world = Path(temporary) / "world"
        pool.submit(make_world, world).result()
        todo = cases(kinds, arguments.cases)
        commands = {tuple(case.args): None for case in todo}
        references = dict(zip(commands, pool.map(reference, commands, [world] * len(commands)), strict=True))
        futures = [
            (case, pool.submit(run_case, case, arguments.seed, world, references[tuple(case.args)], arguments.keep))
            for case in todo
        ]
        for case, future in futures:
            outcome = future.result()
            counts[case.kind][outcome] += 1
            if outcome in FAILURES:
                print(f"{outcome}: case {case.number}, {case.file}: fgvr {' '.join(case.args)}", flush=True)
    text = table(counts)
    print(text)
    if arguments.write is not None:
        command = f"    python scripts/fuzz_files.py --cases {arguments.cases} --seed {arguments.seed}"
        page = with_table(arguments.write.read_text(encoding="utf-8"), f"{command}\n\n{text}")
        arguments.write.write_text(page, encoding="utf-8")
    whole = sum(counts.values(), Counter())
    figures = {"cases": whole.total(), "seed": arguments.seed, "seconds": round(time.monotonic() - started)}
    print(json.dumps(figures | {outcome: whole[outcome] for outcome in OUTCOMES}))
    sys.exit(any(whole[outcome] for outcome in FAILURES))


def reference(args: Sequence[str], world: Path) -> Result:
    """What a command does in the undamaged world."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        folder = Path(temporary) / "world"
        shutil.copytree(world, folder)
        result = result_of(args, folder)
    if result.code != 0:
        raise RuntimeError(f"fgvr {' '.join(args)} ended with {result.code} where nothing is damaged:\n{result.text}")
    return result


if __name__ == "__main__":
    main()
