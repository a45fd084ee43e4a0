import numpy as np
import pytest

from fgvr.data.batches import BatchSampler
from fgvr.data.holdout import (
    NOTHING_HELD_OUT,
    RowSampler,
    check_holdout,
    draw_held_out,
    held_out_digest,
    split_held_out,
)
from fgvr.errors import FgvrError

NAMES = [f"photo{number}.jpg" for number in range(40)]


def test_a_draw_depends_on_seed_and_names_alone_and_larger_ones_hold_smaller_ones():
    few, more = draw_held_out(NAMES, 0.1, seed=3), draw_held_out(list(reversed(NAMES)), 0.5, seed=3)
    assert (len(few), len(more)) == (4, 20)
    assert few < more
    assert draw_held_out(NAMES, 0.5, seed=4) != more


@pytest.mark.parametrize(("share", "images", "count"), [(0, 5, 0), (0.01, 5, 1), (0.5, 4, 2), (0.99, 5, 4)])
def test_one_photo_at_least_is_on_either_side(share, images, count):
    assert len(draw_held_out(NAMES[:images], share, seed=0)) == count


@pytest.mark.parametrize("share", [-0.1, 1, 2.0, float("nan")])
def test_a_share_is_from_0_to_below_1(share):
    with pytest.raises(FgvrError, match=r"data\.holdout is .*; expected a share"):
        check_holdout(share)


def test_a_single_photo_cannot_be_split():
    with pytest.raises(FgvrError, match="at least two support photos"):
        draw_held_out(NAMES[:1], 0.5, seed=0)


def test_only_photos_with_a_candidate_set_count():
    assert split_held_out(NAMES[:3], frozenset(NAMES[1:2])).tolist() == [False, True, False]
    assert split_held_out([], frozenset()).tolist() == []
    for drawn in (NAMES[:3], NAMES[5:6]):
        with pytest.raises(FgvrError, match="photos with a candidate set are held out"):
            split_held_out(NAMES[:3], frozenset(drawn))


def drawn(sampler):
    sampler.set_epoch(2)
    return [key.indices for key in sampler]


@pytest.mark.parametrize("world_size", [1, 2])
def test_rows_keep_their_numbers(world_size):
    rows = np.array([1, 4, 5, 8, 9])
    samplers = [RowSampler(rows, 2, rank, world_size, seed=1) for rank in range(world_size)]
    seen = [row for sampler in samplers for indices in drawn(sampler) for row in indices]
    assert sorted(seen) == rows.tolist()


def test_all_rows_are_drawn_as_without_holdout():
    assert drawn(RowSampler(np.arange(11), 4, seed=5)) == drawn(BatchSampler(11, 4, seed=5))


def test_the_digest_is_that_of_the_held_out_photos_alone():
    held_out = np.arange(len(NAMES)) % 3 == 0
    digest = held_out_digest(NAMES, held_out)
    assert digest == held_out_digest(NAMES[::-1], held_out[::-1])
    assert digest == held_out_digest(NAMES[::3], np.ones(14, dtype=bool)), "whatever was trained on"
    assert digest != held_out_digest(NAMES[::3], np.arange(14) > 0)
    assert held_out_digest(NAMES, ~held_out & held_out) == NOTHING_HELD_OUT
