"""The perceptual hash on edited photos, and the search for near hashes against one that compares all pairs."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny.images import coloured, noisy, save_images

from fgvr.datasets import near_duplicates as module
from fgvr.datasets.near_duplicates import (
    BOUND,
    NearDuplicate,
    near_duplicates,
    nearest_within_bound,
    perceptual_hash,
    write_near_duplicates,
)
from fgvr.datasets.scan import scan


def compressed(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


EDITS = {
    "compressed": compressed,
    "smaller": lambda image: image.resize((60, 45), Image.Resampling.LANCZOS),
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 1.1 + 5))),
}


@pytest.fixture
def pictures():
    return [picture.resize((120, 90)) for picture in noisy([(64, 64)] * 12)]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_photo_has_nearly_the_same_hash(pictures, edit):
    different = [(perceptual_hash(each) ^ perceptual_hash(edit(each))).bit_count() for each in pictures]
    assert max(different) <= BOUND


def test_another_photo_has_another_hash(pictures):
    hashes = [perceptual_hash(each) for each in pictures]
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > 2 * BOUND


def test_bits_are_brighter_than_their_left_neighbour():
    # one step from dark to light between the third and the fourth column of nine
    step = Image.fromarray(np.repeat([[0] * 3 + [200] * 6], 8, axis=0).astype(np.uint8)).convert("RGB")
    assert perceptual_hash(step) == int("00100000" * 8, 2)
    assert perceptual_hash(Image.new("RGB", (30, 20), "red")) == 0


def by_all_pairs(hashes, queries):
    tells = [BOUND < int(each).bit_count() < 64 - BOUND for each in hashes]
    found = []
    for number, query in enumerate(queries):
        near = [(int(query ^ each).bit_count(), row) for row, each in enumerate(hashes) if tells[row]]
        if BOUND < int(query).bit_count() < 64 - BOUND and near and min(near)[0] <= BOUND:
            found.append((number, min(near)[1], min(near)[0]))
    return found


@pytest.mark.parametrize("together", [2**22, 7])
def test_near_hashes_are_those_of_all_pairs(monkeypatch, together):
    monkeypatch.setattr(module, "_PAIRS_TOGETHER", together)
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 200, dtype=np.uint64)
    hashes[50:60] = hashes[0]
    hashes[60:70] = [0, 1, 2**63, 7, 15, 31, 63, 2**64 - 1, 2**64 - 2, 2**64 - 32]
    queries = np.concatenate([hashes, hashes[::-1], random.integers(0, 2**64, 50, dtype=np.uint64)])
    for number in range(len(queries)):
        for bit in random.permutation(64)[: number % 7]:
            queries[number] ^= np.uint64(1) << np.uint64(bit)
    found = nearest_within_bound(hashes, queries)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == by_all_pairs(hashes, queries)
    assert {1, 2, 3, 4} <= set(found[2].tolist())


def test_nothing_is_near_nothing():
    none = np.zeros(0, dtype=np.uint64)
    some = np.array([0x123456789ABCDEF], dtype=np.uint64)
    for hashes, queries in [(none, none), (none, some), (some, none)]:
        assert [len(each) for each in nearest_within_bound(hashes, queries)] == [0, 0, 0]


def scanned(tmp_path, name, pictures):
    (tmp_path / name).mkdir()
    return scan(save_images(tmp_path / name, pictures), tmp_path / "cache", progress=False).readable


def test_photos_that_look_nearly_the_same(tmp_path, pictures, monkeypatch):
    support = scanned(tmp_path, "support", [*pictures[:4], *coloured(2)])
    others = scanned(tmp_path, "others", [compressed(pictures[2]), pictures[3], pictures[7], *coloured(2)])
    monkeypatch.setattr(module, "open_image", lambda path: pytest.fail(f"{path} is opened again"))
    found = near_duplicates(support, others, tmp_path / "cache")
    # 1.png has the very bytes of a support photo, and is not listed
    assert [(each.sample_id, each.support_id) for each in found] == [("0.png", "2.png")]


def test_hashes_that_an_older_version_has_not_computed_are_computed_once(tmp_path, pictures, monkeypatch):
    support = scanned(tmp_path, "support", pictures[:2])
    others = scanned(tmp_path, "others", [compressed(pictures[0])])
    (tmp_path / "other_cache").mkdir()
    opened = []
    open_image = module.open_image
    monkeypatch.setattr(module, "open_image", lambda path: opened.append(path.name) or open_image(path))
    first = near_duplicates(support, others, tmp_path / "other_cache", progress=False)
    assert first == near_duplicates(support, others, tmp_path / "cache")
    assert first == near_duplicates(support, others, tmp_path / "other_cache")
    assert sorted(opened) == ["0.png", "0.png", "1.png"]


def test_a_photo_that_is_gone_is_like_no_other(tmp_path, pictures):
    support = scanned(tmp_path, "support", pictures[:1])
    others = scanned(tmp_path, "others", [compressed(pictures[0])])
    others[0].path.unlink()
    assert near_duplicates(support, others, tmp_path / "empty", progress=False) == []


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(tmp_path, pictures):
    support = scanned(tmp_path, "support", pictures[:1])
    (tmp_path / "file").write_text("")
    assert near_duplicates(support, support, tmp_path / "file", progress=False) == []


def test_the_list_opens_in_a_spreadsheet(tmp_path):
    write_near_duplicates([NearDuplicate("=1.png", "b.png", 3)], tmp_path / "near.csv")
    assert (tmp_path / "near.csv").read_text("utf-8-sig").splitlines() == [
        "sample_id,support_id,different_bits",
        "'=1.png,b.png,3",
    ]
