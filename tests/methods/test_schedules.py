import logging
from types import SimpleNamespace

import pytest

from fgvr.methods.schedules import default_epochs, warn_of_schedule


@pytest.mark.parametrize(("steps", "epochs"), [(1, 200), (2, 100), (4, 50), (20, 50), (0, 200), (3, 67)])
def test_few_photos_are_seen_more_often(steps, epochs):
    assert default_epochs(steps) == epochs
    assert default_epochs(steps) * max(steps, 1) >= 200


@pytest.mark.parametrize(
    ("warmup", "total", "steps", "said"),
    [
        (1, 50, 200, []),
        (10, 10, 10, ["never leaves its warm-up"]),
        (1, 4, 8, ["There are 8 training steps"]),
        (5, 5, 5, ["never leaves its warm-up", "There are 5 training steps"]),
        (0, 1, 10, []),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said(caplog, warmup, total, steps, said):
    with caplog.at_level(logging.WARNING):
        warn_of_schedule(
            SimpleNamespace(estimated_stepping_batches=steps), warmup, total, "epochs", "model.warmup_epochs"
        )
    assert len(caplog.records) == len(said)
    assert all(part in caplog.text for part in said)
