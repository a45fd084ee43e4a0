from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fgvr.descriptions.groups import draw_groups, draw_groups_by_truth
from fgvr.records import ImageRecord


def images(count, prefix=""):
    return [
        ImageRecord(sample_id=f"{prefix}{n}.jpg", path=Path(f"{n}.jpg"), split="support", digest=f"{prefix}digest{n}")
        for n in range(count)
    ]


def ids(groups):
    return [[image.sample_id for image in group.images] for group in groups]


@pytest.mark.parametrize(("size", "per_class"), [(2, 1), (4, 4), (4, 20), (16, 3)])
def test_photos_of_one_pseudo_label_without_repetition(size, per_class):
    labels = np.array([0] * 20 + [3] * 37 + [1] * 16)
    records = images(len(labels))
    label_of = {record.sample_id: label for record, label in zip(records, labels, strict=True)}
    groups = draw_groups(records, labels, size, per_class, seed=0)
    assert [group.label for group in groups] == sorted(group.label for group in groups)
    for group, members in zip(groups, ids(groups), strict=True):
        assert len(set(members)) == size
        assert {label_of[member] for member in members} == {group.label}
    assert len({frozenset(members) for members in ids(groups)}) == len(groups), "nothing is asked twice"
    expected = {0: per_class, 1: 1 if size == 16 else per_class, 3: per_class}
    assert Counter(group.label for group in groups) == expected


def test_every_photo_has_its_turn_before_one_comes_again():
    groups = draw_groups(images(12), np.zeros(12, np.int64), 4, 3, seed=5)
    assert Counter(member for members in ids(groups) for member in members) == dict.fromkeys(
        [record.sample_id for record in images(12)], 1
    )


def test_a_small_class_has_one_smaller_group():
    groups = draw_groups(images(4), np.array([0, 0, 0, 1]), 4, 4, seed=0)
    assert [(group.label, len(group.images)) for group in groups] == [(0, 3), (1, 1)]


def test_as_many_groups_as_there_are_different_ones():
    groups = draw_groups(images(5), np.zeros(5, np.int64), 4, 100, seed=0)
    assert len(groups) == 5


def test_copies_of_a_file_are_one_photo():
    records = images(4)
    copies = [
        ImageRecord(sample_id=f"copy/{n}.jpg", path=Path("c"), split="support", digest=f"digest{n}") for n in range(4)
    ]
    groups = draw_groups([*copies, *records], np.zeros(8, np.int64), 4, 4, seed=0)
    assert ids(groups) == ids(draw_groups(records, np.zeros(4, np.int64), 4, 4, seed=0))


def test_the_draw_depends_on_bytes_and_seed_alone():
    records, labels = images(30), np.arange(30) % 2
    order = np.random.default_rng(0).permutation(30)
    there = ids(draw_groups(records, labels, 4, 3, seed=1))
    assert ids(draw_groups([records[i] for i in order], labels[order], 4, 3, seed=1)) == there
    assert ids(draw_groups(records, labels, 4, 3, seed=2)) != there
    other_class = np.where(labels == 0, 0, np.arange(30))
    first_class = {record.sample_id for record in records[::2]}
    kept = [members for members in there if members[0] in first_class]
    assert ids(draw_groups(records, other_class, 4, 3, seed=1))[: len(kept)] == kept


@pytest.mark.parametrize("per_class", [10, 250, 1000])
def test_a_photo_that_leaves_changes_few_groups(per_class):
    """In the mean over photos 1 group of its own and 1/(G-1) + ... + 1 that fill gaps, at most, in each round."""
    records, labels = images(1001), np.zeros(1001, np.int64)
    before = {frozenset(members) for members in ids(draw_groups(records, labels, 4, per_class, seed=0))}
    kept = []
    for gone in range(0, 1001, 50):
        moved = labels.copy()
        moved[gone] = 1
        after = draw_groups(records, moved, 4, per_class, seed=0)
        kept.append(len(before & {frozenset(members) for members in ids(after) if len(members) == 4}) / per_class)
    assert np.mean(kept) > 0.95


def test_no_photos():
    assert draw_groups([], np.zeros(0, np.int64), 4, 4, seed=0) == []


@pytest.mark.parametrize("right", [0, 1, 3, 4])
def test_so_many_photos_of_a_group_are_right_by_their_true_names(right):
    records = images(40)
    truth, labels = np.repeat([0, 1, 2, -1], 10), np.tile([0, 1], 20)
    true_of = {record.sample_id: label for record, label in zip(records, truth, strict=True)}
    label_of = {record.sample_id: label for record, label in zip(records, labels, strict=True)}
    groups = draw_groups_by_truth(records, labels, truth, 4, right, 3, seed=0)
    assert Counter(group.label for group in groups) == {0: 3, 1: 3, 2: 3}
    assert len({frozenset(members) for members in ids(groups) if right}) == (9 if right else 0)
    for group, members in zip(groups, ids(groups), strict=True):
        assert len(set(members)) == 4
        assert sum(true_of[member] == group.label for member in members) == right
        wrong = [member for member in members if true_of[member] != group.label]
        if group.label < 2:
            assert {label_of[member] for member in wrong} <= {group.label}, "what a group may have by mistake"
    firsts = {true_of[members[0]] == group.label for group, members in zip(groups, ids(groups), strict=True)}
    assert firsts == {right == 4} or (0 < right < 4 and firsts == {True, False}), "the place says nothing"
    backwards = draw_groups_by_truth(records[::-1], labels[::-1], truth[::-1], 4, right, 3, seed=0)
    assert ids(backwards) == ids(groups)
    assert ids(draw_groups_by_truth(records, labels, truth, 4, right, 3, seed=1)) != ids(groups)


def test_a_class_with_too_few_photos_has_no_group_by_truth():
    records, truth = images(9), np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    drawn = draw_groups_by_truth(records, np.zeros(9, np.int64), truth, 4, 3, 2, seed=0)
    assert [group.label for group in drawn] == [0, 0]
    all_right = draw_groups_by_truth(records[:4], np.zeros(4, np.int64), truth[:4], 4, 4, 2, seed=0)
    assert [group.label for group in all_right] == [0], "there is one such group"
    assert draw_groups_by_truth(records[:4], np.zeros(4, np.int64), truth[:4], 4, 3, 2, seed=0) == []
    copies = [
        ImageRecord(sample_id=f"copy/{n}.jpg", path=Path("c"), split="support", digest=f"digest{n}") for n in range(9)
    ]
    twice = draw_groups_by_truth([*records, *copies], np.zeros(18, np.int64), np.tile(truth, 2), 4, 3, 2, seed=0)
    assert [len({image.digest for image in group.images}) for group in twice] == [4, 4]
