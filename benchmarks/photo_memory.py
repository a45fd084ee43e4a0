"""How much memory large photos take; the last line of the output is JSON.

    python benchmarks/photo_memory.py

Opens photos of 169 megapixels of several kinds, and one of 200, each in a process of its own, and scans 24 photos of 48
megapixels with the threads of a machine that has 64 cores. Exits with 1 where a photo takes more than 1,500 MB, or the
scan more than 2,500 MB. Needs 3 GB of memory and 1 GB of disk.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

LIMITS = {"photo": 1500, "scan": 2500}
SIDE = 13_000
KINDS = ("rgb.jpg", "turned.jpg", "progressive.jpg", "rgb.png", "transparent.png", "deep.tif", "phone.jpg")


def save(path: Path) -> None:
    """Write a photo whose name says its kind."""
    kind, size = path.stem, (SIDE, SIDE)
    exif = Image.Exif()
    if kind == "turned":
        exif[0x0112] = 6
    if kind == "deep":
        photo = Image.fromarray(np.full((SIDE, SIDE), 3000, dtype=np.uint16))
    elif kind == "transparent":
        photo = Image.new("RGBA", size, (200, 0, 0, 100))
    else:
        photo = Image.new("RGB", (16_320, 12_240) if kind == "phone" else size, "teal")
    options = {"exif": exif} if path.suffix == ".jpg" else {"compress_level": 1} if path.suffix == ".png" else {}
    photo.save(path, **options, **({"progressive": True} if kind == "progressive" else {}))


def in_a_process(*arguments: str) -> int:
    """Peak memory of this script with these arguments, in MB, above what it has imported."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def peak() -> int:
    """Of this process, in kB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def work(task: str, path: Path) -> None:
    """Open a photo, or scan a folder, and print what that took."""
    import os

    from fgvr.datasets.folder import FolderDataset
    from fgvr.datasets.scan import scan
    from fgvr.images import UnreadableImageError, open_image

    before = peak()
    if task == "scan":
        os.cpu_count = lambda: 64  # type: ignore[assignment]
        scan(FolderDataset(path).records(), path / "cache", progress=False)
    else:
        try:
            open_image(path)
        except UnreadableImageError as error:
            print(error, file=sys.stderr)
    print((peak() - before) // 1000)


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs=2, metavar=("TASK", "PATH"), help="used by the script itself")
    args = parser.parse_args()
    if args.work:
        work(args.work[0], Path(args.work[1]))
        return 0
    result = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in KINDS:
            path = Path(temporary) / name
            subprocess.run([sys.executable, "-c", f"import {Path(__file__).stem} as m; m.save(m.Path({str(path)!r}))"],
                           check=True, cwd=Path(__file__).parent)  # fmt: skip
            result[path.stem] = in_a_process("--work", "open", str(path))
            print(f"{name}: {result[path.stem]} MB", flush=True)
            path.unlink()
        photos = Path(temporary) / "photos"
        photos.mkdir()
        Image.new("RGB", (8000, 6000), "teal").save(photos / "0.jpg")
        for number in range(1, 24):
            shutil.copy(photos / "0.jpg", photos / f"{number}.jpg")
        result["scan"] = in_a_process("--work", "scan", str(photos))
        print(f"scan of 24 photos of 48 megapixels by 64 threads: {result['scan']} MB")
    missed = [f"{name}: {mb} MB" for name, mb in result.items() if mb > LIMITS["scan" if name == "scan" else "photo"]]
    print("\n".join(["above the limits:", *missed] if missed else ["within the limits"]))
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
