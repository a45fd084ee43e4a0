"""How long a large feature store takes to be looked up with its rows checked; ends with a line of JSON.

    python benchmarks/feature_store.py --gigabytes 1

Fills a store with the code of the store, and looks all photos up in processes of their own. ``lookup_s`` is the first
look-up, which reads and checks every row; ``again_s`` the next one of the same process, which checks only whose the
rows are; ``unchecked_s`` is a look-up in a copy without checksums that cannot be written, as stores were before. All
are seconds of CPU.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from fgvr.data.feature_store import FeatureStore

ROWS_A_TRANSACTION = 20_000


def digests(rows: int) -> list[str]:
    return [f"{number * 2654435761 % 2**32:064x}" for number in range(rows)]


def fill(folder: Path, width: int, rows: int) -> float:
    """Make the store; returns seconds of CPU."""
    store, vectors = FeatureStore(folder, "key", width), np.random.default_rng(0).normal(size=(997, width))
    names, started = digests(rows), time.process_time()
    for start in range(0, rows, ROWS_A_TRANSACTION):
        part = range(start, min(start + ROWS_A_TRANSACTION, rows))
        store.put({(names[number], 0): vectors[number % 997].astype(np.float32) for number in part})
    return time.process_time() - started


def look_up(folder: Path, width: int, rows: int) -> list[float]:
    """Seconds of CPU of two look-ups, one after the other."""
    store, names, seconds = FeatureStore(folder, "key", width), digests(rows), []
    for _ in range(2):
        started = time.process_time()
        assert (store.rows(names) >= 0).all()
        seconds.append(time.process_time() - started)
    return seconds


def without_checksums(folder: Path, width: int) -> None:
    """Take away the checksums, and the way to write them."""
    index_file = FeatureStore(folder, "key", width).index_file
    with closing(sqlite3.connect(index_file)) as index, index:
        index.execute("ALTER TABLE features DROP COLUMN checksum")
        index.execute("ALTER TABLE about DROP COLUMN checksum")
        # what adds checksums fails at this name, also where root may write everything
        index.execute("CREATE TRIGGER unwritten BEFORE UPDATE ON about BEGIN SELECT RAISE(ABORT, 'read only'); END")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--look-up", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    rows = round(args.gigabytes * 1e9 / (2 * args.width))
    if args.look_up:
        print(json.dumps(look_up(args.look_up, args.width, rows)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill_s = fill(folder, args.width, rows)
        command = [sys.executable, __file__, f"--gigabytes={args.gigabytes}", f"--width={args.width}"]

        def measured() -> list[float]:
            done = subprocess.run([*command, "--look-up", folder], check=True, capture_output=True, text=True)
            return list(json.loads(done.stdout))

        first, again = measured()
        without_checksums(folder, args.width)
        unchecked = measured()[1]
    figures = {"rows": rows, "fill_s": fill_s, "lookup_s": first, "again_s": again, "unchecked_s": unchecked}
    print(json.dumps({key: round(value, 2) for key, value in figures.items()} | {"cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
