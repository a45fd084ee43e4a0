"""Rate of labelling with a server of 300 ms, against what is possible; the last line of the output is JSON.

    python benchmarks/labelling.py

Starts a server on loopback, in a process of its own, that answers each request 300 ms after it came. Makes small
photos, and labels them as ``fgvr label`` does: pictures are re-encoded, and every reply is on the disk before its slot
asks again. With 64 requests in flight the ideal rate is 64 / 0.3 s; start and end of the run count as well. Exits with
1 where less than 95 % of it is reached. ``--labeler openai`` asks through OpenAI's SDK instead of plain HTTP.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Labeler
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelling.labelling import label
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

LEAST_SHARE = 0.95
ONE_AT_A_TIME = 10  # requests that are sent one after the other, for comparison


def serve(latency: float) -> None:
    """Answer on a free port, whose address is printed, until the input ends."""

    async def answer(body: Any) -> TinyAnswer:
        await asyncio.sleep(latency)
        raw = "This is a **Long-tailed Example Warbler**."
        message = {"index": 0, "message": {"role": "assistant", "content": raw}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 400, "completion_tokens": 12, "total_tokens": 412}
        completion = {"id": "1", "object": "chat.completion", "created": 0, "choices": [message]}
        return TinyAnswer({"raw": raw, "model": "tiny-1", "usage": usage, **completion})

    with TinyServer(answer) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def make_images(folder: Path, count: int) -> list[ImageRecord]:
    """Photos of 160 x 120 pixels with coarse noise, all different."""
    random = np.random.default_rng(0)
    records = []
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        noise = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(path, quality=88)
        records.append(
            ImageRecord(
                sample_id=path.name, path=path, split="support", digest=hashlib.sha256(path.read_bytes()).hexdigest()
            )
        )
    return records


def make_labeler(kind: str, url: str, concurrency: int) -> Labeler:
    """The labeler that asks."""
    limits = Limits(concurrency=concurrency)
    if kind == "openai":
        return OpenAILabeler("tiny-1", base_url=url, limits=limits)
    return TinyRemoteLabeler(url, limits=limits)


def requests_per_second(labeler: Labeler, images: Sequence[ImageRecord], store: Path) -> float:
    """Label all ``images``, into a new store."""
    start = time.perf_counter()
    with LabelStore(store) as labels:
        run = label(labeler, images, labels, progress=False)
    seconds = time.perf_counter() - start
    if run.failed or run.asked != len(images):
        raise SystemExit(f"{run.failed} of {run.asked} requests failed: {run.first_error}")
    return len(images) / seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3840)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds")
    parser.add_argument("--labeler", choices=("tiny", "openai"), default="tiny")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.latency)
        return
    command = [sys.executable, __file__, "--serve", "--latency", str(options.latency)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        (Path(folder) / "photos").mkdir()
        images = make_images(Path(folder) / "photos", options.requests)
        one, many = (make_labeler(options.labeler, url, concurrency) for concurrency in (1, options.concurrency))
        single = requests_per_second(one, images[:ONE_AT_A_TIME], Path(folder) / "single.sqlite")
        rate = requests_per_second(many, images, Path(folder) / "many.sqlite")
        server.stdin.close()
    ideal = options.concurrency / options.latency
    print(f"{options.requests} requests, {options.concurrency} in flight, {options.latency} s each")
    print(f"{rate:.1f} a second, {100 * rate / ideal:.1f} % of the ideal {ideal:.1f}")
    print(f"{rate / single:.1f} times as many as one at a time ({single:.2f} a second)")
    figures = {"requests_per_second": rate, "ideal": ideal, "share": rate / ideal, "times_single": rate / single}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    sys.exit(rate / ideal < LEAST_SHARE)


if __name__ == "__main__":
    main()
