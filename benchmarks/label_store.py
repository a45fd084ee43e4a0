"""How fast a large label store opens and is looked up; the last line of the output is JSON.

    python benchmarks/label_store.py --rows 1000000

Makes a store of replies of about 400 characters with the store's own code, opens it in a process of its own, and looks
up random requests there; for comparison with one SELECT each. Exits with 1 where opening takes longer than 5 s, fewer
than 20,000 requests are looked up in a second, or more than 1,000 MB are used.
"""

import argparse
import hashlib
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fgvr.labelers.base import PAPER_PROMPT, LabelRequest, Reply
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

IDENTITY = {
    "provider": "openai",
    "base_url": "https://api.openai.com/v1",
    "model": "gpt-4o",
    "task": "name",
    "schema": None,
    "pictures": {"size": 512, "format": "jpeg", "quality": 90},
    "max_output_tokens": 300,
    "temperature": 0.0,
}
REPLY = (
    "The bird in the image appears to be a **Long-tailed Example Warbler {0}** (*Exemplum longicaudatum*).\n\n"
    "Key features that support this are the grey crown, the pale throat with a faint dark line at its side, two "
    "white wing bars, and the long tail that is held up. The similar Short-tailed Example Warbler {1} has a yellow "
    "throat and lacks the second wing bar, so it can be ruled out here. The photo seems to be taken in spring."
)
TARGETS = {"open_s": 5.0, "lookups_per_s": 20_000.0, "peak_mb": 1000.0}
ROWS_A_TRANSACTION = 5000


def request(number: int) -> LabelRequest:
    """The request about photo ``number``."""
    sample_id = f"images/{number % 200:03}.Long_tailed_Example_Warbler/{number:07}.jpg"
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return LabelRequest(
        ImageRecord(sample_id=sample_id, path=Path("/photos") / sample_id, split="support", digest=digest), PAPER_PROMPT
    )


def reply(number: int) -> Reply:
    """The reply to it."""
    return Reply(
        request(number),
        raw=REPLY.format(number, number + 1),
        model="gpt-4o-2024-08-06",
        cost_usd=0.0011,
        seconds=1.9,
        usage={"prompt_tokens": 275, "completion_tokens": 60 + number % 97, "finish_reason": "stop"},
    )


def fill(path: Path, rows: int) -> float:
    """Make the store; returns seconds."""
    started = time.perf_counter()
    with LabelStore(path) as store:
        for first in range(0, rows, ROWS_A_TRANSACTION):
            replies = [reply(number) for number in range(first, min(first + ROWS_A_TRANSACTION, rows))]
            store.put_many(IDENTITY, replies)
    return time.perf_counter() - started


def look_up(path: Path, rows: int, lookups: int) -> dict[str, float]:
    """Open the store and look up random requests; peak memory is of the whole process."""
    started = time.perf_counter()
    store = LabelStore(path)
    found = store.get(IDENTITY, [request(rows - 1)])
    open_s = time.perf_counter() - started
    assert found[0] is not None, "the last reply is not in the store"

    draw = random.Random(0)
    requests = [request(draw.randrange(rows)) for _ in range(lookups)]
    started = time.perf_counter()
    replies = store.get(IDENTITY, requests)
    seconds = time.perf_counter() - started
    assert all(reply is not None and reply.raw for reply in replies), "a reply is not in the store"
    store.close()
    return {
        "open_s": open_s,
        "lookups_per_s": lookups / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def look_up_one_by_one(path: Path, rows: int, lookups: int) -> float:
    """Look-ups a second in the plain way: one key and one SELECT for each request."""
    database = sqlite3.connect(path)
    draw = random.Random(1)
    requests = [request(draw.randrange(rows)) for _ in range(lookups)]
    started = time.perf_counter()
    for each in requests:
        row = database.execute("SELECT * FROM replies WHERE key = ?", (request_key(IDENTITY, each),)).fetchone()
        assert row is not None
    return lookups / (time.perf_counter() - started)


def main() -> int:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=100_000)
    parser.add_argument("--store", type=Path, help="a store that an earlier run with --store made; made if not there")
    parser.add_argument("--read", choices=("get", "select"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read = look_up if options.read == "get" else look_up_one_by_one
        print(json.dumps(read(options.store, options.rows, options.lookups)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = options.store or Path(folder) / "labels.sqlite"
        fill_s = 0.0 if path.exists() else fill(path, options.rows)
        size_mb = path.stat().st_size / 1e6
        one_by_one, figures = (_in_a_process(options, path, way) for way in ("select", "get"))
    ratios = {
        "open_s": TARGETS["open_s"] / figures["open_s"],
        "lookups_per_s": figures["lookups_per_s"] / TARGETS["lookups_per_s"],
        "peak_mb": TARGETS["peak_mb"] / figures["peak_mb"],
    }
    print(f"{options.rows:,} rows, {size_mb:,.0f} MB, written in {fill_s:.0f} s")
    for name, value in figures.items():
        print(f"{name:14} {value:12,.3f}   target {TARGETS[name]:9,.0f}   {ratios[name]:8.1f} times as good")
    print(f"{'one by one':14} {one_by_one:12,.3f}   get is {figures['lookups_per_s'] / one_by_one:.2f} times as fast")
    result = {
        "rows": options.rows,
        "lookups": options.lookups,
        "fill_s": round(fill_s, 1),
        "size_mb": round(size_mb),
        **{name: round(value, 4) for name, value in figures.items()},
        "target_ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "one_by_one_per_s": round(one_by_one),
        "times_one_by_one": round(figures["lookups_per_s"] / one_by_one, 2),
    }
    print(json.dumps(result))
    return 0 if min(ratios.values()) >= 1 else 1


def _in_a_process(options: argparse.Namespace, path: Path, way: str) -> object:
    arguments = ["--read", way, "--store", str(path), "--rows", str(options.rows), "--lookups", str(options.lookups)]
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
