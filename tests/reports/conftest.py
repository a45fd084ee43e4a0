"""Run folders to report on, and a browser to look at the reports with."""

import shutil

import numpy as np
import pytest
from PIL import Image

from fgvr.candidates.files import write_candidates
from fgvr.candidates.neighbours import Neighbours, write_neighbours
from fgvr.datasets.images import Images
from fgvr.labelling.files import write_labels
from fgvr.metrics.files import write_metrics
from fgvr.records import CandidateSets, ImageRecord, LabelRecord, Prediction
from fgvr.reports.html import write_report
from fgvr.reports.predictions import write_predictions
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices
from fgvr.vocabulary.files import write_vocabulary

FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


class Run:
    """A run folder with everything in it: four support photos a class, and as many evaluated ones.

    The first support photo of each class is labelled with the next class's name, and the last evaluated photo of each
    class is taken for the next class; the baseline takes two.
    """

    def __init__(self, root, names=("House Finch", "Blue Jay", "Monk Parakeet"), replies=None, images=4):
        self.folder = RunFolder(root / "runs" / "birds" / "0")
        self.folder.path.mkdir(parents=True)
        self.names = names
        self.replies = replies or [f"The bird is a {name}." for name in names]
        self.ids = {
            split: [f"{split}/{c}_{i}.jpg" for c in range(len(names)) for i in range(images)]
            for split in ("support", "test")
        }
        self.classes = [c for c in range(len(names)) for _ in range(images)]
        self.truth = {
            sample_id: names[c] for ids in self.ids.values() for sample_id, c in zip(ids, self.classes, strict=True)
        }
        self.root = root / "photos"
        noise = np.random.default_rng(0)
        for number, sample_id in enumerate(self.truth):
            path = self.root / sample_id
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = noise.integers(0, 255, (30, 40, 3), dtype=np.uint8) // 4 + np.uint8(number % 190)
            Image.fromarray(pixels).save(path)
        self.write_all(images)

    @property
    def images(self):
        splits = {
            split: tuple(ImageRecord(sample_id=sample_id, path=self.root / sample_id, split=split) for sample_id in ids)
            for split, ids in self.ids.items()
        }
        return Images(splits, self.truth, tuple(sorted(self.names)), {})

    def write_all(self, images):
        following = [*range(1, len(self.names)), 0]
        folder, ids = self.folder, self.ids["support"]
        folder.config.write_text(
            "data:\n  labeler: {class_path: fgvr.labelers.recorded.RecordedLabeler}\n"
            "model: {class_path: fgvr.methods.coop.CoOpMethod}\n"
        )
        said = [following[c] if i % images == 0 else c for i, c in enumerate(self.classes)]
        labels = [
            LabelRecord(sample_id, (self.names[c],), (None,), "", self.replies[c], "model-a", 0.25, 2.0)
            for sample_id, c in zip(ids, said, strict=True)
        ]
        labels[1] = LabelRecord(ids[1], (), (), "refusal", "I'm sorry.", "model-a", 0.25, 2.0)
        write_labels(labels, folder.labels)
        vocabulary = build_vocabulary(labels)
        write_vocabulary(vocabulary, folder.vocabulary)
        own = [row[0] if row else 0 for row in labels_as_indices(labels, vocabulary)]
        others = [own[i + 1 if i + 1 < len(own) else 0] for i in range(len(own))]
        sets = CandidateSets.from_lists(ids, [[a, b] if a != b else [a] for a, b in zip(own, others, strict=True)])
        write_candidates(sets, vocabulary.names, folder.candidates)
        rows = [Neighbours(ids[i], (ids[i - 1], ids[i - 2]), (0.9, 0.8)) for i in range(len(ids))]
        write_neighbours(rows, folder.neighbours)

        def predicted(wrong):
            return [
                self.names[following[c]] if i % images >= images - wrong else self.names[c]
                for i, c in enumerate(self.classes)
            ]

        names = {"zero_shot": predicted(2), "coop": predicted(1)}
        write_predictions(
            [
                Prediction(
                    sample_id,
                    "test",
                    self.truth[sample_id],
                    {row: names[row][i] for row in names},
                    {"zero_shot": 0.5, "coop": min((i + 1) / 64, 1.0)},
                )
                for i, sample_id in enumerate(self.ids["test"])
            ],
            folder.predictions,
        )
        metrics = {"zero_shot": {"cacc": 50.0, "siou": 50.0}, "coop": {"cacc": 75.0, "siou": 75.0, "candidates": "knn"}}
        write_metrics(folder.metrics, metrics)
        log = folder.path / "logs" / "version_0" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("epoch,step,train/loss\n0,2,3.5\n1,5,2.5\n")

    def report(self):
        write_report(self.folder, self.images)
        return self.folder.report.read_text(encoding="utf-8")


@pytest.fixture
def make_run(tmp_path):
    return lambda **options: Run(tmp_path, **options)


@pytest.fixture
def run(make_run):
    return make_run()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium; one for all tests."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--window-size=1280,900"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()
