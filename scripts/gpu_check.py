"""What only a GPU can tell, in minutes; ends with one line of JSON. ``make gpu-check`` runs it.

    python scripts/gpu_check.py

Each part is a process of its own with a time limit, so that one that fails leaves the others their figures:

- tests: those that are marked ``gpu``.
- quickstart: the quickstart's method under bf16-mixed and 16-mixed; cACC and seconds.
- features: photos per second into the feature store, and the share of the time in which the GPU waits.
- prompts: a step of prompt learning, against the matrix products that its tokens need at this GPU's rate.
- latteclip: a step of LatteCLIP at ViT-B/32 with 128 photos.
- two_processes: two processes on the one GPU have the candidate sets of one, to the byte.

Without a GPU it says so, and ends well. --device cpu tries the parts on a CPU, with less to do.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
DRIVER = Path("/proc/driver/nvidia/version")
LIMIT = 150.0
"""Seconds that a part may take."""
ALL = 470.0
"""Seconds that all of them may take."""

_OF_A_JOB = ("SLURM_", "TORCHELASTIC_", "LOCAL_", "NODE_", "GROUP_", "ROLE_", "RANK", "WORLD_SIZE", "MASTER_", "PL_")
"""Variables of a scheduler that has started this script; the parts start jobs of their own."""

Figures = dict[str, Any]


class Part:
    """Runs the processes of one part, in a folder of its own.

    Args:
        folder: An empty folder.
        device: ``cuda`` or ``cpu``.
        seconds: That it may take.
    """

    def __init__(self, folder: Path, device: str, seconds: float = LIMIT) -> None:
        self.folder = folder
        self.device = device
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._logs: dict[subprocess.Popen[str], Path] = {}

    @property
    def trainer(self) -> list[str]:
        return ["--trainer.accelerator", "gpu" if self.device == "cuda" else "cpu", "--trainer.devices", "1"]

    def start(self, *command: str, log: str = "log", **environment: str) -> "subprocess.Popen[str]":
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OF_A_JOB)}
        path = [str(ROOT), inherited.get("PYTHONPATH", "")]
        own = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "FGVR_CACHE": str(self.folder / "cache")}
        with (self.folder / log).open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env={**inherited, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", **own, **environment},
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._logs[process] = self.folder / log
        return process

    def wait(self, *processes: "subprocess.Popen[str]") -> str:
        """What the first one has printed.

        Raises:
            RuntimeError: One failed, or they took too long; the message ends with what it printed last.
        """
        try:
            while running := [process for process in processes if process.poll() is None]:
                if any(process.returncode for process in processes):
                    break
                if time.monotonic() > self._until:
                    raise RuntimeError(f"more than {self._seconds:.0f} s; {self._end(running[0])}")
                time.sleep(0.1)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        for process in processes:
            if process.returncode > 0:
                raise RuntimeError(f"exit status {process.returncode}; {self._end(process)}")
        return self._logs[processes[0]].read_text(encoding="utf-8")

    def run(self, *command: str) -> str:
        return self.wait(self.start(*command))

    def fit(self, name: str, *options: str) -> tuple[Path, float]:
        """Run folder and seconds of a run of the quickstart without its compared rows."""
        start = time.perf_counter()
        own = ["--compare", "null", "--data.direct", "false", "--run.name", name]
        self.run("-m", "fgvr", "fit", "--config", "quickstart.yaml", *own, *self.trainer, *options)
        return self.folder / "runs" / name / "0", time.perf_counter() - start

    def _end(self, process: "subprocess.Popen[str]") -> str:
        return self._logs[process].read_text(encoding="utf-8")[-600:]


def tests(part: Part) -> Figures:
    # a machine may lack what the tests of other parts import
    files = sorted(str(path) for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text("utf-8"))
    said = part.run("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *files)
    return {"said": said.strip().splitlines()[-1]}


def quickstart(part: Part) -> Figures:
    found = {}
    for precision in ("bf16-mixed", "16-mixed"):
        if part.device == "cpu" and precision == "16-mixed":
            continue  # which Lightning refuses there
        folder, seconds = part.fit(precision, "--trainer.precision", precision)
        rows = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        found[precision] = {row: rows[row]["cacc"] for row in rows} | {"seconds": round(seconds, 1)}
    return found


def features(part: Part) -> Figures:
    options = ["--model", "ViT-B-32", "--photos", "4096", "--loaders", "auto", "--repeats", "2"]
    if part.device == "cpu":
        options = ["--photos", "64", "--free-photos", "256", "--repeats", "1"]
    figures = _benchmark(part, "features.py", "--device", part.device, *options)
    return {**figures, "share_of_time_waiting": round(1 - figures["share_of_encoder"], 3)}


def prompts(part: Part) -> Figures:
    options = ["--classes", "200"] if part.device == "cuda" else ["--classes", "4", "--repeats", "1"]
    return _benchmark(part, "prompt_encoding.py", "--device", part.device, *options)


def latteclip(part: Part) -> Figures:
    options = ["--model", "ViT-B-32", "--batch", "128", "--classes", "100"]
    if part.device == "cpu":
        options = ["--batch", "8", "--classes", "4", "--repeats", "1"]
    return _benchmark(part, "latteclip_step.py", "--device", part.device, *options)


def two_processes(part: Part) -> Figures:
    short = ["--trainer.max_epochs", "2", "--data.dataset.test", "2"]
    one, _ = part.fit("one", *short)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = str(listening.getsockname()[1])
    # two machines of one device each, which are the same one; NCCL refuses a device that is used twice
    ddp = ["--trainer.strategy", "lightning.pytorch.strategies.DDPStrategy", "--trainer.num_nodes", "2"]
    ddp += ["--trainer.strategy.process_group_backend", "gloo", "--run.name", "two", "--compare", "null"]
    ddp += ["--data.direct", "false", *part.trainer, *short]
    start = time.perf_counter()
    ranks = [
        part.start(
            *("-m", "fgvr", "fit", "--config", "quickstart.yaml", *ddp),
            log=f"rank{rank}",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
            NODE_RANK=str(rank),
            LOCAL_RANK="0",
            FGVR_CACHE=str(part.folder / "shared_cache"),
        )
        for rank in range(2)
    ]
    part.wait(*ranks)
    two = part.folder / "runs" / "two" / "0"
    same = (one / "candidates.parquet").read_bytes() == (two / "candidates.parquet").read_bytes()
    if not same:
        raise RuntimeError("one process and two have other candidate sets")
    return {"same_candidates": same, "seconds": round(time.perf_counter() - start, 1)}


PARTS: dict[str, Callable[[Part], Figures]] = {
    part.__name__: part for part in (tests, quickstart, features, prompts, latteclip, two_processes)
}


def _benchmark(part: Part, script: str, *options: str) -> Figures:
    printed = part.run(str(ROOT / "benchmarks" / script), *options)
    figures: Figures = json.loads(printed.strip().splitlines()[-1])
    return figures


def main(device: str, names: Sequence[str]) -> int:
    """Exit status: 1 where a part has failed."""
    if device == "cuda" and not torch.cuda.is_available():
        if DRIVER.exists():
            print(
                f"There is a GPU here, but PyTorch {torch.__version__} of {sys.executable} does not see it: run this "
                "script with a Python whose PyTorch fits the driver (make gpu-check PYTHON=...). Nothing was checked."
            )
            return 1
        print("There is no GPU here, so that nothing was checked.")
        return 0
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    report: Figures = {"device": name, "torch": torch.__version__}
    until = time.monotonic() + ALL
    for part in names:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                report[part] = PARTS[part](Part(Path(folder), device, min(LIMIT, until - time.monotonic())))
            except Exception as error:  # the other parts can still tell something
                report[part] = {"failed": f"{type(error).__name__}: {error}"}
        print(f"{part} ({time.perf_counter() - start:.0f} s): {report[part]}", flush=True)
    print(json.dumps(report))
    return int(any("failed" in report[part] for part in names))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    sys.exit(main(args.device, args.parts))
