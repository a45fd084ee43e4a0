from pathlib import Path

import pytest

from fgvr.datasets.support import sample_support
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


def images(classes=4, each=6):
    return [
        ImageRecord(sample_id=f"{c}/{i}.jpg", path=Path(f"{c}/{i}.jpg"), split="support", true_name=f"class {c}")
        for c in range(classes)
        for i in range(each)
    ]


def ids(records):
    return [record.sample_id for record in records]


def test_everything_without_a_draw():
    assert ids(sample_support(images()[::-1])) == sorted(ids(images()))


def test_m_shots_of_each_class():
    drawn = sample_support(images(), shots=2)
    assert [sum(r.true_name == f"class {c}" for r in drawn) for c in range(4)] == [2] * 4
    assert len(sample_support(images(each=1), shots=2)) == 4


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    assert ids(sample_support(images(), shots=2)) == ids(sample_support(images()[::-1], shots=2))
    assert ids(sample_support(images(), shots=2)) != ids(sample_support(images(), shots=2, seed=1))


def test_draws_are_nested_and_a_class_does_not_depend_on_the_others():
    assert set(ids(sample_support(images(), shots=2))) < set(ids(sample_support(images(), shots=3)))
    assert set(ids(sample_support(images(classes=1), shots=2))) < set(ids(sample_support(images(), shots=2)))


def test_a_number_of_photos_in_all():
    nameless = [ImageRecord(sample_id=f"{i}.jpg", path=Path(f"{i}.jpg"), split="support") for i in range(20)]
    assert len(sample_support(nameless, size=5)) == 5
    with pytest.raises(FgvrError, match="support_size"):
        sample_support(nameless, shots=3)


def test_contradictions():
    with pytest.raises(FgvrError, match="not both"):
        sample_support(images(), shots=1, size=1)
    with pytest.raises(FgvrError, match=r"^data\.shots is 0; expected 1 or more"):
        sample_support(images(), shots=0)
