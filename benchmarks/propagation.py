"""How long label propagation of very many photos and classes takes; the last line of the output is JSON.

    python benchmarks/propagation.py --photos 1000000 --classes 10000

Makes a graph of ten neighbours a photo, of which ``--far`` are of any class, and gives four photos in ten the name of
another class. Solves for ``--solved`` of the classes, and extrapolates to all of them: the time is that of blocks of
classes, one after the other. Seconds are those of the processor.
"""

import argparse
import json
import resource
import time

import numpy as np
from scipy import sparse

from fgvr.candidates.propagation import normalised_graph, propagate

NEIGHBOURS = 10
WRONG = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--solved", type=int, default=64)
    parser.add_argument("--far", type=float, default=0.02)
    parser.add_argument("--alpha", type=float, default=0.99)
    options = parser.parse_args()
    random, photos, classes = np.random.default_rng(0), options.photos, options.classes
    true = random.permutation(photos) % classes
    members = np.argsort(true, kind="stable")
    start, size = np.searchsorted(true[members], np.arange(classes)), np.bincount(true, minlength=classes)
    near = members[start[true, None] + (random.random((photos, NEIGHBOURS)) * size[true, None]).astype(np.int64)]
    far = random.random((photos, NEIGHBOURS)) < options.far
    near = np.where(far, random.integers(photos, size=near.shape), near)
    graph = normalised_graph(near, random.random(near.shape) ** 3)
    named = np.where(random.random(photos) < WRONG, random.integers(classes, size=photos), true)
    solved = np.flatnonzero(named < options.solved)
    ones = np.ones(len(solved), dtype=np.float32)
    given = sparse.csr_matrix((ones, (solved, named[solved])), shape=(photos, classes))
    del near, far
    started = time.process_time()
    propagate(graph, given, options.alpha, 3)
    seconds = time.process_time() - started
    result = {
        **vars(options),
        "cpu_seconds": round(seconds, 1),
        "cpu_hours_extrapolated": round(seconds * classes / options.solved / 3600, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
