"""How fast and how exact candidate sets of many photos are; the last line of the output is JSON.

    python benchmarks/candidates.py --photos 1000000 --threads 2

Makes unit vectors of a mixture of classes, each a direction plus noise, builds ``knn`` sets with k = 3, and compares
them with an exact search for 2,000 photos. Every photo has a name of its own, so that its candidates are its neighbours
themselves; the photo itself is not counted as found. The time of the flat search of all photos is extrapolated from
those 2,000. Exits with 1 where the recall is below 0.98, or building takes longer than 15 minutes or the process more
than 6 GB.
"""

import argparse
import json
import logging
import os
import resource
import sys
import time

import faiss
import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import NamedImages
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.nearest import nearest
from fgvr.candidates.search import recall_of

K = 3
TARGETS = {"recall": 0.98, "seconds": 900.0, "peak_gb": 6.0}
BLOCK = 2**15


def mixture(images: int, dim: int, classes: int, noise: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors, block by block: the direction of a class plus noise of length ``noise`` on average, normalised.

    Returns:
        The vectors, and the class of each.
    """
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((classes, dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    features = np.empty((images, dim), dtype=np.float32)
    true = np.empty(images, dtype=np.int64)
    for start in range(0, images, BLOCK):
        block = features[start : start + BLOCK]
        generator.standard_normal(block.shape, dtype=np.float32, out=block)
        block *= noise / dim**0.5
        true[start : start + BLOCK] = generator.integers(classes, size=len(block))
        block += centres[true[start : start + BLOCK]]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return features, true


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Build the sets, and compare a sample with the exact search."""
    features, _ = mixture(options.photos, options.dim, options.classes, options.noise)
    images = NamedImages(
        sample_ids=tuple(f"{number}.jpg" for number in range(options.photos)),
        labels=[(number,) for number in range(options.photos)],
        num_classes=options.photos,
        features=features,
    )
    started = time.perf_counter()
    cpu_started = time.process_time()
    sets = KnnCandidates(k=K).build(images)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started

    queries = np.random.default_rng(7).choice(options.photos, min(options.sample, options.photos), replace=False)
    started = time.perf_counter()
    truth = nearest(features, np.arange(options.photos), K, queries)
    flat_s = (time.perf_counter() - started) * options.photos / len(queries)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "recall": recall_of(sets.padded()[0][queries], truth, queries),
        "flat_s_extrapolated": flat_s,
        "times_as_fast_as_flat": flat_s / seconds,
    }


def main() -> int:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--noise", type=float, default=0.8, help="mean length, where a class's direction has 1")
    parser.add_argument("--sample", type=int, default=2000, help="photos that the exact search is done for")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    faiss.omp_set_num_threads(options.threads)
    load = os.getloadavg()[0]
    figures = measure(options)
    print(
        f"{options.photos:,} x {options.dim}, {options.classes:,} classes, noise {options.noise}, "
        f"{options.threads} threads, load of the machine {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    )
    for name, value in figures.items():
        target = f"   target {TARGETS[name]:,.2f}" if name in TARGETS else ""
        print(f"{name:24} {value:12,.3f}{target}")
    print("(flat: the exact search of the sample, times photos / sample)")
    result = {
        "photos": options.photos,
        "dim": options.dim,
        "classes": options.classes,
        "noise": options.noise,
        "threads": options.threads,
        "sample": min(options.sample, options.photos),
        **{name: round(value, 4) for name, value in figures.items()},
        "target_ratios": {
            name: round(figures[name] / target if name == "recall" else target / figures[name], 2)
            for name, target in TARGETS.items()
        },
    }
    print(json.dumps(result))
    return 0 if min(result["target_ratios"].values()) >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
