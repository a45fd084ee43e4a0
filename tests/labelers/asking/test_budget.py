import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from fgvr.labelers.asking.budget import Budget


def test_ten_dimes_fit_in_a_dollar():
    budget = Budget(1.0)
    assert [budget.reserve(0.1) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(10):
        budget.settle(0.1, 0.1)
    assert budget.spent == pytest.approx(1.0)
    assert not budget.reserve(0.01)
    assert budget.reserve(0.0)


def test_what_was_cheaper_than_reserved_makes_room():
    budget = Budget(1.0)
    assert budget.reserve(0.9)
    assert not budget.reserve(0.2)
    budget.settle(0.9, 0.3)
    assert (budget.spent, budget.reserved) == (0.3, 0.0)
    assert budget.reserve(0.7)


def test_without_a_limit_it_only_counts():
    budget = Budget()
    assert budget.reserve(1e9)
    budget.settle(1e9, 5.0)
    assert budget.spent == 5.0


@pytest.mark.parametrize("seed", range(5))
def test_threads_cannot_race_past_the_limit(seed):
    budget = Budget(3.0)
    most = []

    def spend(number):
        draw = random.Random(seed * 100 + number)
        for _ in range(200):
            worst = draw.random() / 20
            if budget.reserve(worst):
                budget.settle(worst, worst * draw.random())
                most.append(budget.spent)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(spend, range(8)))
    assert 2.9 < max(most) <= 3.0 + 1e-9
    assert budget.reserved == pytest.approx(0.0, abs=1e-9)
