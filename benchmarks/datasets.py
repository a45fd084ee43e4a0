"""How long a million rows of a manifest and 200,000 photos take to read; the last line of the output is JSON.

    python benchmarks/datasets.py

``manifest`` reads a CSV of photos that are there (empty files; nobody opens them), with a class and a split each.
``scan`` lists a folder of small JPEG files and scans it twice; nothing changes between, so the second time finds all
digests in the cache. Every measurement is a process of its own, and memory is all that it had at most: what it has
before it begins is ``base_gb``. Exits with 1 where the manifest takes more than 30 CPU seconds or 1 GB, or where
the second scan takes more than half of the first.
"""

import argparse
import io
import json
import multiprocessing as mp
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.manifest import ManifestDataset
from fgvr.datasets.scan import scan

MOST = {"manifest_cpu_seconds": 30.0, "manifest_gb": 1.0, "second_scan_share": 0.5}
A_FOLDER = 1000
Figures = dict[str, float]


def photo_paths(count: int) -> list[str]:
    return [f"class {number // A_FOLDER:04d}/photo_{number:07d}.jpg" for number in range(count)]


def make_photos(root: Path, count: int, content: bytes) -> None:
    """Files below ``root``, all alike, where the last one is not there."""
    if (root / photo_paths(count)[-1]).exists():
        return
    for name in photo_paths(count):
        path = root / name
        if name.endswith("000.jpg"):
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def read_manifest(root: Path) -> Figures:
    """List the photos of the CSV."""
    base, started, cpu = peak_gb(), time.perf_counter(), time.process_time()
    records = ManifestDataset(root).records()
    return {
        "photos": len(records),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "gb": peak_gb(),
        "base_gb": base,
    }


def read_folder(root: Path, cache: Path) -> Figures:
    """List and scan the photos of the folder."""
    base, started = peak_gb(), time.perf_counter()
    records = FolderDataset(root / "photos").records()
    listed, cpu = time.perf_counter(), time.process_time()
    found = scan(records, cache, progress=False)
    return {
        "photos": len(found.readable),
        "list_seconds": listed - started,
        "seconds": time.perf_counter() - listed,
        "cpu_seconds": time.process_time() - cpu,
        "gb": peak_gb(),
        "base_gb": base,
    }


def child(task: Callable[..., Figures], folders: tuple[Path, ...], answer: Connection) -> None:
    answer.send(task(*folders))


def measure(task: Callable[..., Figures], *folders: Path) -> Figures:
    """What a process of its own has measured."""
    context = mp.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(task, folders, sending))
    process.start()
    sending.close()
    found: Figures = receiving.recv()
    process.join()
    return {name: round(value, 3) for name, value in found.items()}


def main() -> int:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the manifest; 0 for none")
    parser.add_argument("--photos", type=int, default=200_000, help="to scan; 0 for none")
    parser.add_argument("--folder", type=Path, help="where photos are made and stay; those that are there are taken")
    options = parser.parse_args()
    figures: dict[str, Figures] = {}
    ratios: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        root, caches = options.folder or Path(name), Path(name)
        if options.rows:
            make_photos(root, options.rows, b"")
            lines = [f"{file},{file.partition('/')[0]},train\n" for file in photo_paths(options.rows)]
            (root / "manifest.csv").write_text("".join(["file,class_name,split\n", *lines]), encoding="utf-8")
            del lines
            figures["manifest"] = measure(read_manifest, root)
            print(f"manifest: {figures['manifest']}", flush=True)
            ratios |= {f"manifest_{each}": figures["manifest"][each] for each in ("cpu_seconds", "gb")}
        if options.photos:
            content = io.BytesIO()
            Image.new("RGB", (32, 24), "green").save(content, "JPEG")
            make_photos(root / "photos", options.photos, content.getvalue())
            for scan_name in ("first_scan", "second_scan"):
                figures[scan_name] = measure(read_folder, root, caches)
                print(f"{scan_name}: {figures[scan_name]}", flush=True)
            ratios["second_scan_share"] = figures["second_scan"]["seconds"] / figures["first_scan"]["seconds"]
    missed = [each for each, value in ratios.items() if value > MOST[each]]
    print(json.dumps({**figures, **{each: round(value, 3) for each, value in ratios.items()}, "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
