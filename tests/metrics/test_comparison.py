import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.metrics.comparison import compare_rows
from fgvr.metrics.contributions import contributions
from fgvr.metrics.paired import holm, mcnemar, paired_bootstrap

TRUTH = ["Pug", "Borzoi", "Whippet"] * 20
ROWS = {
    "zero_shot": ["Pug"] * 60,
    "coop": TRUTH,
    "same": ["Borzoi"] * 60,
}


@pytest.fixture
def rows():
    return {row: contributions(names, TRUTH, encoders=[], closed=True) for row, names in ROWS.items()}


def test_each_figure_has_the_test_of_its_kind(rows):
    found = compare_rows(rows, "zero_shot")
    assert list(found) == ["coop", "same"]
    assert list(found["coop"]) == ["accuracy", "cacc", "siou", "siou_hyphen"]
    for figure, kind in (("accuracy", "mcnemar"), ("cacc", "mcnemar"), ("siou", "paired_bootstrap")):
        ours = [rows[row][figure] for row in ("coop", "same")]
        exact = kind == "mcnemar"
        p_values = [
            mcnemar(each, rows["zero_shot"][figure]) if exact else paired_bootstrap(each, rows["zero_shot"][figure]).p
            for each in ours
        ]
        for row, p, p_holm in zip(("coop", "same"), p_values, holm(p_values), strict=True):
            test = found[row][figure]
            assert (test.test, test.p, test.p_holm) == (kind, p, p_holm)
            assert test.low <= test.difference <= test.high


def test_by_hand(rows):
    coop, same = compare_rows(rows, "zero_shot")["coop"]["cacc"], compare_rows(rows, "zero_shot")["same"]["cacc"]
    assert coop.difference == pytest.approx(66.6667)
    assert coop.p == pytest.approx(2 * 0.5**40)
    assert coop.p_holm == pytest.approx(2 * coop.p)
    # matched with the same class, and with the same photos: one name for three classes is as good by any name
    assert (same.difference, same.p) == (0, 1)


def test_sacc_is_tested_but_not_its_shares():
    rows = {row: {"sacc_mini": np.arange(9.0), "sacc_mini_at_50": np.ones(9), "generic": np.ones(9)} for row in "ab"}
    assert list(compare_rows(rows, "a")["b"]) == ["sacc_mini"]


@pytest.mark.parametrize(("against", "some"), [("no", ("zero_shot", "coop")), ("coop", ("coop",))])
def test_nothing_to_compare_with(rows, against, some):
    with pytest.raises(FgvrError, match=r"expected one of two rows or more, and there (is|are): .*coop"):
        compare_rows({row: rows[row] for row in some}, against)
