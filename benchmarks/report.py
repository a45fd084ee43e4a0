"""Size of a report, and seconds to write it and to open it in Chromium; the last line of the output is JSON.

    python benchmarks/report.py --photos 2000

Makes photos of 500 x 375 pixels with shapes and noise (as JPEG, about 60 kB each), and a run folder with labels,
candidate sets, neighbours and predictions for them. Exits with 1 where the report is larger than 15 MB, or takes longer
than 3 s to open. Needs Debian's chromium and chromium-driver.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from fgvr.candidates.files import write_candidates
from fgvr.candidates.neighbours import find_neighbours, write_neighbours
from fgvr.datasets.images import Images
from fgvr.labelling.files import write_labels
from fgvr.metrics.files import write_metrics
from fgvr.records import CandidateSets, ImageRecord, LabelRecord, Prediction
from fgvr.reports.html import write_report
from fgvr.reports.predictions import write_predictions
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices
from fgvr.vocabulary.files import write_vocabulary

WIDTHS = (1280, 390)
LIMITS = {"size_mb": 15.0} | {f"load_s_{width}px": 3.0 for width in WIDTHS}

FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
REPLY = "The bird in the photo is a {0}. It has a short bill, a barred tail and a pale throat, which are typical. " * 3


def make_image(path: Path, random: np.random.Generator) -> None:
    """Write one photo: blurred shapes, and noise like a camera's."""
    image = Image.new("RGB", (500, 375), tuple(random.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = random.integers(0, [500, 375, 200, 150]).tolist()
        draw.ellipse((x - w, y - h, x + w, y + h), fill=tuple(random.integers(0, 255, 3).tolist()))
    image = image.filter(ImageFilter.GaussianBlur(2))
    noisy = np.asarray(image, dtype=np.float32) + random.normal(0, 14, (375, 500, 1)).astype(np.float32)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=88)


def make_run(root: Path, images: int, classes: int) -> tuple[RunFolder, Images]:
    """A run whose photos are all support photos, and every second one is evaluated too."""
    random = np.random.default_rng(0)
    names = [f"Long-tailed Example Warbler {number}" for number in range(classes)]
    (root / "photos").mkdir()
    splits: dict[str, list[ImageRecord]] = {"support": [], "test": []}
    truth = {}
    for number in range(images):
        split = "test" if number % 2 else "support"
        name = names[number // 2 % classes]
        sample_id = f"photos/{name.replace(' ', '_')}/{number:05}.jpg"
        path = root / "photos" / f"{number:05}.jpg"
        make_image(path, random)
        splits[split].append(ImageRecord(sample_id=sample_id, path=path, split=split))
        truth[sample_id] = name
    # every photo is a support photo, as in a folder of unlabelled ones: the most that a report of them can hold
    support = [*splits["support"], *splits["test"]]
    folder = RunFolder(root / "runs" / "benchmark" / "0")
    folder.path.mkdir(parents=True)
    folder.config.write_text("seed_everything: 0\n")
    ids = [record.sample_id for record in support]
    said = [truth[i] if random.random() < 0.6 else names[random.integers(classes)] for i in ids]
    labels = [LabelRecord(i, (name,), (None,), "", REPLY.format(name), "m") for i, name in zip(ids, said, strict=True)]
    write_labels(labels, folder.labels)
    vocabulary = build_vocabulary(labels)
    write_vocabulary(vocabulary, folder.vocabulary)
    own = [row[0] for row in labels_as_indices(labels, vocabulary)]
    sets = [list(dict.fromkeys([c, *random.integers(0, len(vocabulary), 2).tolist()])) for c in own]
    write_candidates(CandidateSets.from_lists(ids, sets), vocabulary.names, folder.candidates)
    features = random.normal(size=(len(ids), 64)).astype(np.float32)
    write_neighbours(
        find_neighbours(ids, features / np.linalg.norm(features, axis=1, keepdims=True)), folder.neighbours
    )

    def guess(sample_id: str, accuracy: float) -> str:
        return truth[sample_id] if random.random() < accuracy else names[random.integers(classes)]

    tested = [record.sample_id for record in splits["test"]]
    predictions = [
        Prediction(
            *(i, "test", truth[i]),
            {"zero_shot": guess(i, 0.6), "coop": guess(i, 0.7)},
            {"zero_shot": float(random.random()), "coop": float(random.random())},
        )
        for i in tested
    ]
    write_predictions(predictions, folder.predictions)
    write_metrics(folder.metrics, {"zero_shot": {"cacc": 60.0}, "coop": {"cacc": 70.0}})
    log = folder.path / "logs" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("epoch,step,train/loss\n" + "".join(f"{e},{e},{4 / (e + 1)}\n" for e in range(50)))
    images_of = {split: tuple(records) for split, records in splits.items()}
    return folder, Images(images_of, truth, tuple(names), {})


def open_page(page: Path, profile: Path, width: int) -> dict[str, float]:
    """Seconds from the start of the navigation in a new browser, as the browser measures them."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900"]:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        start = time.perf_counter()
        browser.get(page.resolve().as_uri())
        wall = time.perf_counter() - start
        script = "const p = performance.getEntriesByName('first-contentful-paint')[0]; return p ? p.startTime : null"
        paint = WebDriverWait(browser, 30).until(lambda _: browser.execute_script(script))
        load = browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
        return {"load": load / 1000, "first_paint": paint / 1000, "wall": wall}
    finally:
        browser.quit()


def above_limits(result: Mapping[str, float]) -> list[str]:
    """A sentence for each figure that is above its limit."""
    return [f"{key} is {result[key]}: the limit is {limit:g}" for key, limit in LIMITS.items() if result[key] > limit]


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--openings", type=int, default=3, help="the median is printed")
    parser.add_argument("--keep", type=Path, help="copy the report there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder, images = make_run(root, args.photos, args.classes)
        start, start_cpu = time.perf_counter(), time.process_time()
        write_report(folder, images)
        result = {"photos": args.photos, "write_s": round(time.perf_counter() - start, 2)}
        result["write_cpu_s"] = round(time.process_time() - start_cpu, 2)
        result["size_mb"] = round(folder.report.stat().st_size / 1e6, 2)
        for width in WIDTHS:
            opened = [open_page(folder.report, root / f"profile{width}{n}", width) for n in range(args.openings)]
            for figure in opened[0]:
                result[f"{figure}_s_{width}px"] = round(statistics.median(entry[figure] for entry in opened), 2)
        if args.keep:
            shutil.copy(folder.report, args.keep)
    seconds = f"{result['write_s']} s ({result['write_cpu_s']} s of CPU)"
    print(f"{args.photos} photos: {result['size_mb']} MB, written in {seconds}")
    for width in WIDTHS:
        load, paint = result[f"load_s_{width}px"], result[f"first_paint_s_{width}px"]
        print(f"opened {width} px wide: load event after {load} s, first paint after {paint} s")
    missed = above_limits(result)
    print("\n".join(missed or ["within the limits"]))
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
