import numpy as np

from fgvr.datasets.support import sample_support
from fgvr.records import ImageRecord
from fgvr.selections.random import RandomSelection

NONE = np.zeros((0, 0), dtype=np.float32)


def test_a_photo_is_drawn_or_not_whatever_else_is_there():
    ids = [f"{number}.jpg" for number in range(200)]
    drawn = {ids[number] for number in RandomSelection(50).choose(ids, NONE)}
    others = {ids[:100][number] for number in RandomSelection(50).choose(ids[:100], NONE)}
    assert drawn & set(ids[:100]) <= others


def test_photos_are_drawn_uniformly():
    ids = [f"{number}.jpg" for number in range(20)]
    counts = np.zeros(20)
    for seed in range(400):
        counts[RandomSelection(5, seed).choose(ids, NONE)] += 1
    assert counts.sum() == 2000
    assert 60 < counts.min() <= counts.max() < 145  # 100 on average, with a deviation of 8.7


def test_shots_of_large_classes_are_no_more_likely():
    """Shots are those photos of a class that have the lowest hashes: in large classes lower than in small ones."""
    records = [
        ImageRecord(sample_id=f"{name}/{number}.jpg", path=f"{number}.jpg", split="support", true_name=name)
        for name, size in [*((f"small {i}", 3) for i in range(50)), *((f"large {i}", 100) for i in range(50))]
        for number in range(size)
    ]
    support = sample_support(records, shots=3, seed=0)
    chosen = RandomSelection(100, seed=0).choose([record.sample_id for record in support], NONE)
    large = sum(support[number].true_name.startswith("large") for number in chosen)
    assert 35 < large < 65
