import pytest
import torch
from slow_tfup import slow_selection, unit

from fgvr.methods import tfup_selection
from fgvr.methods.tfup_selection import photos_a_class, typical_photos


@pytest.mark.parametrize("cells", [1, 200, 2**22])
def test_it_equals_a_slow_reference_in_blocks_of_any_size(monkeypatch, cells):
    monkeypatch.setattr(tfup_selection, "_CELLS", cells)
    images, classes = unit(30, 8), unit(6, 8, seed=1)
    assert typical_photos(images, classes, 4).tolist() == slow_selection(images, classes, 4)
    assert typical_photos(images.float(), classes.float(), 4).tolist() == slow_selection(images, classes, 4)


@pytest.mark.parametrize(("photos", "classes", "size"), [(1, 1, 1), (1, 3, 2), (4, 9, 1), (5, 1, 9), (3, 2, 2)])
def test_fewer_photos_than_classes_or_than_are_to_be_kept(photos, classes, size):
    images, texts = unit(photos, 8), unit(classes, 8, seed=1)
    rows = typical_photos(images, texts, size)
    assert rows.shape == (classes, min(size, photos))
    if classes > 1:  # with one class all photos are alike in what it says of them
        assert rows.tolist() == slow_selection(images, texts, size)
    assert all(len(set(own)) == len(own) for own in rows.tolist())


def test_a_class_that_no_photo_shows_has_photos_of_others():
    near = torch.nn.functional.normalize(torch.eye(3)[[0, 0, 0, 1, 1, 1]] + 0.1 * unit(6, 3).float(), dim=-1)
    rows = typical_photos(near, torch.eye(3), 2)
    assert set(rows[0].tolist()) <= {0, 1, 2}
    assert set(rows[1].tolist()) <= {3, 4, 5}
    assert len(set(rows[2].tolist())) == 2


@pytest.mark.parametrize(
    ("photos", "classes", "floor", "expected"),
    [
        (600, 200, None, 3),
        (600, 200, 9, 9),
        (199, 200, None, 1),
        (199, 200, 9, 9),
        (1, 1, None, 1),
        (2900, 100, None, 9),
        (3400, 100, None, 10),
        (9000, 100, None, 16),
        (9000, 100, 1, 16),
        (300, 100, 1, 1),
    ],
)
def test_the_size_of_the_cache(photos, classes, floor, expected):
    """int(0.3 N / C) from 9 to 16, as in the paper, and at most N / C unless a floor is set."""
    assert photos_a_class(photos, classes, 0.3, floor, 16) == expected
    assert floor is not None or expected <= max(1, photos / classes)


def test_the_refined_set_has_no_upper_bound():
    assert photos_a_class(9000, 100, 0.75) == 67
    assert photos_a_class(300, 100, 0.75) == 3
    assert photos_a_class(300, 100, 0.75, floor=9) == 9
