"""A data set of a few coloured photos, recorded replies for it, and the options of a run on them."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLOURS = {
    "House Finch": (200, 60, 60),
    "Blue Jay": (60, 60, 200),
    "Monk Parakeet": (60, 180, 60),
    "Atlantic Canary": (220, 210, 60),
}
SUPPORT, TEST = 4, 3


def write_images(root: Path, names: dict[str, str] | None = None) -> None:
    """Photos and manifest; ``names`` maps a true class to the name that the manifest states for it."""
    noise = np.random.default_rng(0)
    rows = []
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(SUPPORT + TEST):
            file = f"photos/{number}_{i}.png"
            (root / "photos").mkdir(parents=True, exist_ok=True)
            pixels = np.clip(np.array(colour) + noise.normal(0, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / file)
            stated = name if names is None else names[name]
            rows.append({"file": file, "class_name": stated, "split": "support" if i < SUPPORT else "test"})
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "class_name", "split"])
        writer.writeheader()
        writer.writerows(rows)


def write_replies(path: Path) -> None:
    """One reply a support photo; one in four names another bird, and one refuses."""
    draw = random.Random(0)
    with path.open("w") as stream:
        for number, name in enumerate(COLOURS):
            for i in range(SUPPORT):
                said = draw.choice([n for n in COLOURS if n != name]) if i == 0 else name
                raw = "I'm sorry, I cannot identify it." if (number, i) == (2, 1) else f"The bird is a **{said}**."
                stream.write(json.dumps({"image": f"{number}_{i}.png", "model": "gpt-test", "raw": raw}) + "\n")


OPTIONS = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds"],
    *["--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl", "--data.batch_size", "5"],
    *["--model", "coop", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.head", "prompt"],
    *["--model.head.n_ctx", "4", "--model.lr", "0.1", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "6"],
]


def started_on_two_devices(options):
    """``fgvr fit`` as a user starts it on two devices."""
    ddp = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    subprocess.run([sys.executable, "-m", "fgvr", "fit", *options, *ddp], check=True, timeout=300)


@pytest.fixture
def tiny_run(tmp_path, monkeypatch):
    """A working directory with photos and replies; the options of a run in it are ``OPTIONS``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    write_images(tmp_path / "birds")
    write_replies(tmp_path / "replies.jsonl")
    return tmp_path
