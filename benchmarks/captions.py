"""How long an index of captions takes to build and to search, and how much memory; ends with a line of JSON.

    python benchmarks/captions.py --glosses                 # WordNet's, by the text tower of lite: minutes
    python benchmarks/captions.py --captions 1000000        # made up, by a stand-in for a text tower of 512 numbers

Building and searching run in processes of their own, whose peak memory is that of all they have loaded. The stand-in
gives each text two rows of tables of random numbers, by a hash of the text, so ``captions_s`` is how many captions a
second are read, stored, checked and cut into words, without any tower. Searching is that of the ten nearest captions to
photos whose features are random, and the candidate words of these captions: ``photos_s`` photos a second, and
``photos_cpu_s`` a second of the processor, which says more where other programs run. With ``--folder`` the index is
kept, and one that is begun is gone on with: then its seconds are those of the rest.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.backbones.lite import LiteBackbone
from fgvr.captions.build import build_index
from fgvr.captions.index import CaptionIndex
from fgvr.captions.sources import file_captions, wordnet_captions
from fgvr.captions.words import WordnetWords, candidate_words, distinct
from fgvr.testing.tiny import TinyBackbone

NEAREST = 10
BATCHES = (32, 256)
WIDTH = 512
PRIMES = (4093, 4099)
WORDS = 50_000


class HashedTower(TinyBackbone):
    """Text features from a hash of the text."""

    def __init__(self) -> None:
        super().__init__(embed_dim=WIDTH)
        random = np.random.default_rng(0)
        self.tables = [torch.from_numpy(random.normal(size=(prime, WIDTH)).astype(np.float32)) for prime in PRIMES]

    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        hashes = torch.tensor([zlib.crc32(text.encode()) for text in texts])
        first, second = self.tables
        return F.normalize(first[hashes % PRIMES[0]] + second[hashes // PRIMES[0] % PRIMES[1]], dim=-1)


def write_captions(path: Path, count: int) -> None:
    """Made-up captions of five to twenty words, the words as frequent as those of a language."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, random.integers(3, 10))) for _ in range(WORDS)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            drawn = (WORDS ** random.random(random.integers(5, 21))).astype(int) - 1
            stream.write(json.dumps({"caption": f"{' '.join(words[each] for each in drawn)} {number}"}) + "\n")


def measured(started: tuple[float, float]) -> dict[str, float]:
    """Seconds since then, of the clock and of the processor, and the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    return {"s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_gb": round(peak, 2)}


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def build(folder: Path, captions: Path | None) -> dict[str, Any]:
    backbone: Backbone = LiteBackbone() if captions is None else HashedTower()
    backbone.load()
    source = wordnet_captions() if captions is None else file_captions(captions)
    started = now()
    index = build_index(source, backbone, folder)
    figures = measured(started)
    rate = len(index) / figures["s"]
    return {"captions": len(index), "width": index.width, "cut": index.cut, "captions_s": round(rate), **figures}


def search(folder: Path) -> dict[str, Any]:
    started = now()
    index, words = CaptionIndex.open(folder), WordnetWords()
    figures: dict[str, Any] = {"open_s": round(time.perf_counter() - started[0], 1)}
    for batch in BATCHES:
        queries = F.normalize(torch.randn(3, batch, index.width, generator=torch.Generator().manual_seed(0)), dim=-1)
        index.search(queries[0], NEAREST)  # features are read, and perhaps kept
        began = now()
        for photos in queries:
            rows, _ = index.search(photos, NEAREST)
            stays = distinct(index.features(rows)).numpy()
            for row, stay in zip(rows, stays, strict=True):
                candidate_words(index.texts(row[stay]), words.keeps)
        wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        total = batch * len(queries)
        figures[f"batch_{batch}"] = {"photos_s": round(total / wall), "photos_cpu_s": round(total / cpu)}
    return figures | measured(started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glosses", action="store_true")
    parser.add_argument("--captions", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", choices=("build", "search"), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.part:
        print(json.dumps(build(args.folder, args.file) if args.part == "build" else search(args.folder)))
        return
    if args.glosses == (args.captions is not None):
        parser.error("give --glosses or --captions N")
    with tempfile.TemporaryDirectory() as name:
        folder = args.folder or Path(name) / "index"
        command = [sys.executable, __file__, "--folder", str(folder), "--threads", str(args.threads)]
        if args.captions is not None:
            file = Path(name) / "captions.jsonl"
            write_captions(file, args.captions)
            command += ["--file", str(file)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        figures: dict[str, Any] = {"threads": args.threads, "load": round(os.getloadavg()[0], 1)}
        for part in ("build", "search"):
            done = subprocess.run(
                [*command, "--part", part], check=True, stdout=subprocess.PIPE, text=True, env=environment
            )
            figures[part] = json.loads(done.stdout.splitlines()[-1])
            print(f"{part}: {figures[part]}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
