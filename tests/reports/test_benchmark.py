import runpy
from pathlib import Path

import pytest

pytest.importorskip("selenium")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "report.py"


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, []),
        ({"size_mb": 15.01}, ["size_mb is 15.01: the limit is 15"]),
        ({"load_s_390px": 3.1}, ["load_s_390px is 3.1: the limit is 3"]),
    ],
)
def test_figures_above_the_limits_are_named(change, missed):
    within = {"size_mb": 15.0, "load_s_1280px": 3.0, "load_s_390px": 3.0, "write_s": 100.0}
    assert runpy.run_path(str(SCRIPT))["above_limits"](within | change) == missed
