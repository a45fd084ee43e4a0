"""Photos for the tests."""

import hashlib

import pytest
from fgvr.records import ImageRecord
from PIL import Image


@pytest.fixture
def images(tmp_path):
    records = []
    for name, colour in {"a.png": (210, 40, 40), "b.png": (50, 80, 200), "c.png": (70, 150, 60)}.items():
        path = tmp_path / name
        Image.new("RGB", (32, 24), colour).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(ImageRecord(sample_id=name, path=path, split="support", digest=digest))
    return records
