"""How long cACC of very many names takes, and how much memory; the last line of the output is JSON.

    python benchmarks/cacc.py

Photos of 10,000 classes are given 20,000 names in four ways: ``agree``, seven in ten the name of their class;
``random``, names that say nothing of the class; ``half``, of each a half; and ``star``, nine in ten photos are of one
class. The metric of ``fgvr.metrics.cacc`` is held against the table of all names by all names
(``linear_sum_assignment``, as it was before) at a tenth of the names and photos and, with ``--table``, at the full size
too, for at most ``--patience`` seconds each. Every measurement is a process of its own, and memory is all that it had
at most, 0.8 GB of it for libraries and names. Exits with 1 where figures differ, or where the metric takes more than 10
seconds or 1 GB.
"""

import argparse
import json
import multiprocessing as mp
import resource
import sys
import time
from multiprocessing.connection import Connection

import numpy as np
from scipy.optimize import linear_sum_assignment

from fgvr.metrics.cacc import ClusteringAccuracy

KINDS = ("agree", "random", "half", "star")
MOST = {"seconds": 10.0, "gb": 1.0}
Names = tuple[list[str], list[str]]


def drawn(kind: str, photos: int, names: int, classes: int) -> Names:
    """Predicted and true names of photos."""
    random = np.random.default_rng(0)
    true = random.integers(classes, size=photos)
    other = random.integers(names, size=photos)
    if kind == "star":
        true[random.random(photos) < 0.9] = 0
    share = {"agree": 0.7, "half": 0.5}.get(kind, 0.0)
    predicted = np.where(random.random(photos) < share, true, other)
    return [f"name {number}" for number in predicted], [f"class {number}" for number in true]


def by_metric(predicted: list[str], true: list[str]) -> float:
    return float(ClusteringAccuracy()(predicted, true))


def by_table(predicted: list[str], true: list[str]) -> float:
    """By the table of all names by all names."""
    names, rows = np.unique(predicted, return_inverse=True)
    classes, columns = np.unique(true, return_inverse=True)
    counts = np.bincount(rows * len(classes) + columns, minlength=len(names) * len(classes))
    counts = counts.reshape(len(names), len(classes))
    return float(100 * counts[linear_sum_assignment(counts, maximize=True)].sum() / len(true))


def child(way: str, names: Names, answer: Connection) -> None:
    """Send the figure, the seconds and the memory of one way."""
    by_metric(["warm"], ["up"])
    started = time.perf_counter()
    figure = by_metric(*names) if way == "metric" else by_table(*names)
    seconds = time.perf_counter() - started
    gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    answer.send({"cacc": figure, "seconds": seconds, "gb": gb})


def measure(way: str, names: Names, patience: float) -> dict[str, float]:
    """What a process of its own has measured; only ``seconds`` where it had to be ended."""
    context = mp.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(way, names, sending))
    process.start()
    sending.close()
    try:
        found: dict[str, float] = receiving.recv() if receiving.poll(patience) else {"seconds": patience}
    finally:
        process.kill()
        process.join()
    return {name: round(value, 4) for name, value in found.items()}


def main() -> int:
    """Measure, print a line a case and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument("--names", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="only the tenth of the size")
    parser.add_argument("--table", action="store_true", help="the table of all names at the full size, too: 4 GB")
    parser.add_argument("--patience", type=float, default=250.0, help="seconds that a table may take")
    options = parser.parse_args()
    full = (options.photos, options.names, options.classes)
    tenth = (full[0] // 10, full[1] // 10, full[2] // 10)
    result: dict[str, dict[str, object]] = {}
    good = True
    for size in [tenth] if options.quick else [tenth, full]:
        for kind in KINDS:
            names = drawn(kind, *size)
            metric = measure("metric", names, options.patience)
            good = good and all(metric[name] <= most for name, most in MOST.items())
            line: dict[str, object] = {"metric": metric}
            text = f"{metric['seconds']:.2f} s, {metric['gb']:.3f} GB"
            if size == tenth or options.table:
                table = measure("table", names, options.patience)
                line |= {"table": table, "table_seconds_ratio": round(table["seconds"] / metric["seconds"], 1)}
                if "cacc" in table:
                    good = good and abs(table["cacc"] - metric["cacc"]) < 1e-3
                    text += f"; by the table {table['seconds']:.2f} s, {table['gb']:.3f} GB"
                else:
                    text += f"; by the table no result in {options.patience:.0f} s"
            result[f"{kind} {size[1]}x{size[2]}"] = line
            print(f"{kind}, {size[0]:,} photos, {size[1]:,} x {size[2]:,} names: {text}", flush=True)
    print(json.dumps(result))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
