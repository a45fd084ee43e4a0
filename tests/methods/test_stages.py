import math

import pytest

from fgvr.errors import FgvrError
from fgvr.methods.stages import rate_schedule, stage_of, stages


@pytest.mark.parametrize("epochs", range(4, 40))
@pytest.mark.parametrize(("rounds", "share"), [(1, 0.5), (3, 0.25), (2, 0.0), (1, 0.99)])
def test_stages_are_all_epochs_in_order(epochs, rounds, share):
    if epochs - max(round(epochs * share), 1) < rounds and share:
        with pytest.raises(FgvrError, match=r"trainer\.max_epochs"):
            stages(epochs, rounds, share)
        return
    made = stages(epochs, rounds, share)
    assert [made[0].first, *(stage.last + 1 for stage in made)] == [*(stage.first for stage in made), epochs]
    assert [stage.tunes_tower for stage in made] == [False] * rounds + [True] * (share > 0)
    assert min(stage.epochs for stage in made) >= 1
    lengths = [stage.epochs for stage in made if not stage.tunes_tower]
    assert max(lengths) - min(lengths) <= 1
    assert [stage_of(made, epoch).number for epoch in range(epochs)] == [
        stage.number for stage in made for _ in range(stage.epochs)
    ]
    assert stage_of(made, epochs) is made[-1]


def test_the_rate_goes_through_a_warm_up_and_a_cosine_in_each_stage_and_rests_in_others():
    made = stages(12, 2, 0.5)
    prompts, tower = (rate_schedule(made, tunes, 1, 0.01) for tunes in (False, True))
    cosine = [0.01, 1.0, 0.5]
    assert [prompts(epoch) for epoch in range(12)] == pytest.approx([*cosine, *cosine, *[0] * 6])
    long = [0.01, *(0.5 * (1 + math.cos(math.pi * epoch / 5)) for epoch in range(5))]
    assert [tower(epoch) for epoch in range(12)] == pytest.approx([*[0] * 6, *long])
    assert tower(12) == pytest.approx(0, abs=1e-12), "the step behind the last epoch"


def test_a_stage_of_one_epoch_has_no_warm_up():
    assert rate_schedule(stages(2, 1, 0.5), False, 1, 0.01)(0) == 1
