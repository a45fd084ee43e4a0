"""The runs of a grid, side by side where devices allow, and one table of them all."""

import json
import os
import queue
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from fgvr import checksums
from fgvr.checksums import replacing_noted
from fgvr.data.loader_processes import usable_cores
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics
from fgvr.pipeline.processes import SKIP_FAILED
from fgvr.runs import RunFolder, only_writer
from fgvr.sweeps.grid import Grid, Variant
from fgvr.sweeps.launch import Launcher, command_line, launching, resume_args
from fgvr.sweeps.requirements import Requirements, requirements_of
from fgvr.sweeps.result import Tidy, own_row, tidy_rows, write_tidy
from fgvr.text import visible

_TAIL_LINES = 6


@dataclass(frozen=True, eq=False)
class SweepRun:
    """One run of the sweep.

    Attributes:
        variant: Its point of the grid.
        seed: Its seed.
        folder: Where it is.
        needs: See there.
    """

    variant: Variant
    seed: int
    folder: RunFolder
    needs: Requirements

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.path.name

    @property
    def record(self) -> Path:
        """What the run was started with."""
        return self.folder.path / "sweep_run.json"

    @property
    def log(self) -> Path:
        """The output of its process."""
        return self.folder.path / "sweep.log"

    @property
    def done(self) -> bool:
        """Whether it has its whole result table."""
        return self.folder.metrics.is_file() and set(self.needs.compared) <= read_metrics(self.folder.metrics).keys()


class Sweep:
    """The runs of a grid.

    Args:
        grid: The grid.
        folder: Folder of the sweep, which has a folder for each run.

    Raises:
        FgvrError: ``fit`` would refuse the options of a variant.
    """

    def __init__(self, grid: Grid, folder: Path) -> None:
        self.grid = grid
        self.folder = folder
        self.runs = [
            SweepRun(variant, seed, RunFolder(folder / f"{variant.slug}-seed{seed}"), needs)
            for variant, needs in [(variant, requirements_of(grid, variant)) for variant in grid.variants]
            for seed in grid.seeds
        ]
        self._rows: dict[SweepRun, list[dict[str, Any]]] = {}

    def fit_args(self, run: SweepRun) -> list[str]:
        """Arguments of ``fgvr`` that begin a run."""
        return [
            *("fit", "--config", str(self.grid.base), *self.grid.options(run.variant, run.seed)),
            *(f"--run.root={self.folder.parent}", f"--run.name={self.folder.name}", f"--run.version={run.name}"),
        ]

    def asking_args(self) -> list[list[str]]:
        """Arguments of ``fgvr`` that label, then describe, what the runs need which are not done; each need once."""
        label: dict[tuple[str, int | None], list[str]] = {}
        describe: dict[tuple[str, int | None], list[str]] = {}
        for run in self.runs:
            if run.done:
                continue
            args = ["--config", str(self.grid.base), *self.grid.options(run.variant, run.seed)]
            # what is drawn by the seed must be asked about for each of them
            seed = run.seed if self.grid.seeded else None
            if run.needs.labels:
                label.setdefault((run.needs.labels, seed), ["label", *args])
            # a run that goes on has its descriptions
            goes_on = run.folder.descriptions.is_file() and resume_args(run.folder) is not None
            if run.needs.descriptions and not goes_on:
                place = (f"--run.root={self.folder}", "--run.name=descriptions")
                options = (*run.needs.describe_options, *place)
                describe.setdefault((run.needs.descriptions, seed), ["describe", *args, *options])
        return [*label.values(), *describe.values()]

    def todo(self) -> list[SweepRun]:
        """The runs that are not done.

        Raises:
            FgvrError: A run was begun with other options.
        """
        self.check_begun()
        return [run for run in self.runs if not run.done]

    def check_begun(self) -> None:
        """Refuse to go on with runs that were begun with other options.

        Raises:
            FgvrError: There is such a run, or one that no sweep has begun; the message says what differs.
        """
        for run in self.runs:
            if not [entry for entry in _entries(run.folder.path) if entry.name != checksums.FILE]:
                continue  # a sweep that was killed may have left the checksum of a record that never came
            ways = f"Give this sweep another name, or remove {str(run.folder.path)!r} to run it again."
            if not run.record.is_file():
                raise FgvrError(f"{str(run.folder.path)!r} holds something that no sweep has made. {ways}")
            then, now = _read_record(run.record, ways), self._record(run)
            if then["base_sha256"] != now["base_sha256"]:
                raise FgvrError(
                    f"{str(run.folder.path)!r} was begun with another text of the base configuration ({then['base']}; "
                    f"now {now['base']}). {ways}"
                )
            if sorted(then["options"]) != sorted(now["options"]):
                had = " ".join(option[2:] for option in then["options"] if option not in now["options"]) or "nothing"
                has = " ".join(option[2:] for option in now["options"] if option not in then["options"]) or "nothing"
                raise FgvrError(
                    f"{str(run.folder.path)!r} was begun with other options: then {had}, now {has} in its place. {ways}"
                )

    def prepare(self, run: SweepRun) -> list[str]:
        """Arguments of ``fgvr`` that go on with a run, or begin it in an empty folder."""
        args = resume_args(run.folder, self.fit_args(run))
        if args is None:
            lock = only_writer(run.folder)  # a run that was started by hand may be going on
            for entry in _entries(run.folder.path):
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry != run.record:  # last, so that what is left of it is never a stranger's
                    entry.unlink()
            lock.release()
            with replacing_noted(run.record) as path:
                path.write_text(json.dumps(self._record(run), indent=2) + "\n", encoding="utf-8")
            args = self.fit_args(run)
        return args

    def write(self, finished: SweepRun | None = None) -> Tidy:
        """Write the tidy table of the runs that have results.

        Args:
            finished: A run whose results are new; those of the others are read once.
        """
        for run in self.runs:
            if run.folder.metrics.is_file() and (run is finished or run not in self._rows):
                self._rows[run] = tidy_rows(run.folder, run.variant.values, run.seed)
        tidy = Tidy(self.grid.columns, tuple(row for run in self.runs for row in self._rows.get(run, [])))
        if tidy.rows:
            write_tidy(tidy, self.folder)
        return tidy

    def _record(self, run: SweepRun) -> dict[str, Any]:
        options = self.grid.options(run.variant, run.seed)
        return {"base": self.grid.base.name, "base_sha256": self.grid.base_digest(), "options": options}


class Devices:
    """Who may run where.

    Args:
        gpus: Ids of the GPUs to share, as in ``CUDA_VISIBLE_DEVICES``; empty for the CPU.
        jobs: Runs side by side; one a GPU, or one for two cores, if not given.
    """

    def __init__(self, gpus: Sequence[str], jobs: int | None = None) -> None:
        cores = usable_cores()
        self.gpus = tuple(gpus)
        self.jobs = jobs or len(gpus) or max(1, cores // 2)
        share = str(max(1, cores // self.jobs))
        self._threads = {"FGVR_CORES": share, **({} if gpus else {"OMP_NUM_THREADS": share})}
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for job in range(self.jobs):
            self._free.put(job)

    @property
    def threads(self) -> Mapping[str, str]:
        """Variables that keep jobs from taking each other's cores; none where the user has set them."""
        return {key: value for key, value in self._threads.items() if key not in os.environ}

    @contextmanager
    def taken(self, alone: bool) -> Iterator[Mapping[str, str]]:
        """Variables of a process that has a place of its own, or all devices where it runs alone."""
        if alone:
            yield {}
            return
        job = self._free.get()
        try:
            yield {**self.threads, **({"CUDA_VISIBLE_DEVICES": self.gpus[job % len(self.gpus)]} if self.gpus else {})}
        finally:
            self._free.put(job)


def run_sweep(
    sweep: Sweep, jobs: int | None = None, fork: bool = True, output: Path | None = None
) -> dict[SweepRun, str]:
    """Label, describe, then run what is not done.

    Args:
        sweep: The sweep. Its folder is locked meanwhile.
        jobs: Runs side by side; one a GPU, or one for two cores, if not given.
        fork: See :class:`~fgvr.sweeps.launch.Launcher`.
        output: File for what is printed while labels are asked for; where this process prints if not given.

    Returns:
        For each run that failed, the end of its log.

    Raises:
        FgvrError: Another sweep runs in the folder, or labelling failed, so that nothing was run.
    """
    with _locked(sweep.folder):
        todo = sweep.todo()
        devices = Devices(_gpus() if any(run.needs.gpu for run in todo) else (), jobs)
        return _run(sweep, todo, devices, fork and not devices.gpus, output) if todo else {}


def _run(
    sweep: Sweep, todo: Sequence[SweepRun], devices: Devices, fork: bool, output: Path | None
) -> dict[SweepRun, str]:
    failures: dict[SweepRun, str] = {}
    with launching(fork, environment=devices.threads) as launcher:
        for args in sweep.asking_args():
            if launcher.run(args, devices.threads, output) != 0:
                what = {"label": "Labelling", "describe": "Describing"}[args[0]]
                raise FgvrError(f"{what} failed, so nothing was run. The same by hand: {command_line(args)}")
        done = len(sweep.runs) - len(todo)
        with (
            tqdm(total=len(sweep.runs), initial=done, desc=sweep.folder.name, unit="run") as bar,
            closing(_finished(sweep, todo, devices, launcher)) as finished,
        ):
            for run, code in finished:
                if code != 0 or not run.done:
                    failures[run] = f"{_tail(run.log)}\n  (its process ended with exit code {code})"
                bar.set_postfix_str(_news(run), refresh=False)
                bar.update()
                sweep.write(run)
    return failures


def _finished(
    sweep: Sweep, todo: Sequence[SweepRun], devices: Devices, launcher: Launcher
) -> Generator[tuple[SweepRun, int]]:
    """Run them, and give each with its exit code as soon as it has ended."""
    # those that take several devices are for the end, when nothing else runs
    for alone in (False, True):
        pool = ThreadPoolExecutor(1 if alone else devices.jobs)
        try:
            futures: dict[Future[int], SweepRun] = {
                pool.submit(_run_one, launcher, sweep, run, devices): run for run in todo if run.needs.alone == alone
            }
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _run_one(launcher: Launcher, sweep: Sweep, run: SweepRun, devices: Devices) -> int:
    group = {"WANDB_RUN_GROUP": sweep.folder.name, "WANDB_JOB_TYPE": "fit", "WANDB_NAME": run.name}
    with devices.taken(run.needs.alone) as place:
        return launcher.run(sweep.prepare(run), {**place, **group, **SKIP_FAILED}, run.log, fresh=run.needs.alone)


def _gpus() -> list[str]:
    """Ids of the visible GPUs, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = torch.cuda.device_count()
    return [gpu.strip() for gpu in given.split(",")][:visible] if given else [str(number) for number in range(visible)]


def _news(run: SweepRun) -> str:
    """The newest figure, for the progress bar."""
    if not run.folder.metrics.is_file():
        return f"{run.name} failed"
    metrics = read_metrics(run.folder.metrics)
    cacc = metrics[own_row(metrics)].get("cacc")
    return f"{run.name} done" if cacc is None else f"{run.name} cACC {cacc:.1f}"


def _read_record(path: Path, ways: str) -> dict[str, Any]:
    """What a run was started with.

    Raises:
        FgvrError: The file is damaged.
    """
    checksums.check(path)
    try:
        then: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise FgvrError(f"{path} is damaged ({visible(str(error), 200)}). {ways}") from None
    record: dict[str, Any] = then if isinstance(then, dict) else {}
    texts, options = [record.get("base"), record.get("base_sha256")], record.get("options")
    if not isinstance(options, list) or not all(isinstance(text, str) for text in (*texts, *options)):
        raise FgvrError(f"{path} is damaged: expected the texts base and base_sha256, and a list options. {ways}")
    return record


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, but for the temporary files of a process that was killed."""
    return [entry for entry in folder.glob("*") if not entry.name.startswith(".")] if folder.is_dir() else []


def _tail(log: Path) -> str:
    """The last lines of a log, without what a terminal would take as a command."""
    if not log.is_file():
        return "(it has no output)"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    printable = ["".join(c for c in line if c.isprintable()).rstrip() for line in lines]
    return "\n".join(f"  {line}" for line in [line for line in printable if line][-_TAIL_LINES:])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second sweep out of the folder; the system drops the lock of a process that is killed.

    Raises:
        FgvrError: Another sweep runs in this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise FgvrError(f"Another sweep runs in {str(folder)!r}; wait for it, or give another name.") from None
    try:
        yield
    finally:
        lock.release()
