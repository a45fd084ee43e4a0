import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.selections.doubt_table import DoubtfulPhoto, write_doubt_table
from fgvr.selections.uncertain import UncertainSelection

NOTHING = np.zeros((0, 0), np.float32)


@pytest.fixture
def doubts(tmp_path):
    """Leaves ``(name, doubt, asked)`` of photos 0, 1, ... in a run; gives their ids and the run."""

    def leave(photos):
        (tmp_path / "config.yaml").write_text("")
        ids = [f"{number}.jpg" for number in range(len(photos))]
        rows = zip(ids, photos, strict=True)
        table = [DoubtfulPhoto(each, name, 0.0, None, doubt, asked) for each, (name, doubt, asked) in rows]
        write_doubt_table(table, tmp_path / "doubt.parquet")
        return ids, tmp_path

    return leave


def chosen(doubts, photos, n, **options):
    ids, run = doubts(photos)
    return UncertainSelection(n, run=run, **options).choose(ids, NOTHING).tolist()


def slow(photos, n):
    """The rule, photo by photo; no two doubts are equal."""
    found = []
    for turn in ("unasked", "nameless", "named"):
        left = n - len(found)
        waiting = sorted((-doubt, number) for number, (_, doubt, asked) in enumerate(photos) if asked == turn)
        by_class = {}
        for _, number in waiting:
            by_class.setdefault(photos[number][0], []).append(number)
        each = left // max(len(by_class), 1)
        first = [number for members in by_class.values() for number in members[:each]]
        rest = [number for _, number in waiting if number not in first]
        found += [*first, *rest][:left]
    return sorted(found)


@pytest.mark.parametrize("n", [1, 3, 8, 20, 45, 70])
def test_it_is_the_rule_of_dual_prompt_active_clip(doubts, n):
    generator = np.random.default_rng(1)
    kinds = ["unasked", "nameless", "named", "given"]
    photos = [
        ("abcd"[min(generator.integers(6), 3)], float(np.float32(generator.normal())), kinds[generator.integers(4)])
        for _ in range(60)
    ]
    assert chosen(doubts, photos, n) == slow(photos, n)


def test_each_predicted_class_gets_its_share_before_the_most_doubtful_of_all(doubts):
    photos = [("a", 9.0, "unasked"), ("a", 8.0, "unasked"), ("a", 7.0, "unasked"), ("b", -1.0, "unasked")]
    assert chosen(doubts, photos, 2) == [0, 3]
    assert chosen(doubts, photos, 3) == [0, 1, 3]


def test_fewer_questions_than_classes_go_to_the_most_doubtful_of_all(doubts):
    photos = [("a", 9.0, "unasked"), ("a", 8.0, "unasked"), ("b", 1.0, "unasked"), ("c", 0.0, "unasked")]
    assert chosen(doubts, photos, 2) == [0, 1]


def test_photos_that_nobody_was_asked_about_come_first(doubts):
    photos = [("a", 9.0, "named"), ("a", 1.0, "unasked"), ("a", 5.0, "nameless")]
    assert chosen(doubts, photos, 1) == [1]
    assert chosen(doubts, photos, 2) == [1, 2]


def test_a_name_that_no_model_gave_is_not_asked_about(doubts):
    assert chosen(doubts, [("a", 9.0, "given"), ("a", 1.0, "named")], 2) == [1]


def test_an_infinite_doubt_comes_first(doubts):
    assert chosen(doubts, [("a", 9.0, "unasked"), ("a", np.inf, "unasked")], 1) == [1]


def test_the_seed_decides_among_equals(doubts):
    photos = [("a", 1.0, "unasked")] * 20
    assert chosen(doubts, photos, 5) == chosen(doubts, photos, 5)
    assert chosen(doubts, photos, 5) != chosen(doubts, photos, 5, seed=1)


def test_keep_adds_what_was_asked_about_before(doubts):
    photos = [("a", 9.0, "named"), ("a", 1.0, "unasked"), ("a", 0.0, "unasked"), ("a", 5.0, "given")]
    assert chosen(doubts, photos, 1, keep=True) == [0, 1, 3]


def test_what_was_named_since_is_chosen_but_not_asked_about(doubts):
    ids, run = doubts([("a", 9.0, "unasked"), ("a", 1.0, "unasked"), ("a", 0.0, "unasked")])
    selection = UncertainSelection(2, run=run)
    selection.named_since = frozenset(ids[:1])
    assert selection.choose(ids, NOTHING).tolist() == [1]


def test_a_run_without_doubts_says_how_to_make_them(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(FgvrError, match=r"doubt\.parquet.*To have it: the label stage with the selection uncertain"):
        UncertainSelection(2, run=tmp_path).choose(["a.jpg"], NOTHING)


def test_a_photo_that_the_run_knows_nothing_of_is_refused(doubts):
    ids, run = doubts([("a", 9.0, "unasked")])
    with pytest.raises(FgvrError, match=r"no row for the photo 'other\.jpg'"):
        UncertainSelection(1, run=run).choose([*ids, "other.jpg"], NOTHING)
