import numpy as np
import pytest
from judging.judged import NAMES, image, said, world

from fgvr.judging.answers import judge_answers
from fgvr.judging.cw import CwProtocol
from fgvr.judging.cw_plus import CwPlusProtocol
from fgvr.judging.figures import by_group, by_option, by_position, by_repeat, figures
from fgvr.judging.mc import McProtocol


def judge(answers, protocol=None):
    return judge_answers(answers, protocol or CwPlusProtocol(), world(templates=("{}",)))


def test_figures_by_hand():
    """Of six: one right, one mapped rightly, one mapped wrongly, one wrong, one without answer, one without labels."""
    texts = ("Pug", "gup", "oxerb", "Saluki", "")
    answers = [said(image(f"{number}.jpg"), text) for number, text in enumerate(texts)]
    answers.append(said(image("n.jpg", labels=()), "a sofa"))
    found = figures(judge(answers), maps=True)
    assert found["accuracy"] == pytest.approx(100 * 3 / 6, abs=1e-4)
    assert found["outside"] == pytest.approx(100 * 3 / 6, abs=1e-4)
    assert found["no_answer"] == pytest.approx(100 / 6, abs=1e-4)
    assert found["mapped_right"] == 50, "the photo without labels does not count"
    assert all(low <= found[name] <= high for name, (low, high) in found["intervals"].items())


def test_figures_agree_with_a_slow_reference():
    draw = np.random.default_rng(3)
    texts = [*NAMES, "gup", "lukisa", "", "zzz"]
    answers = [
        said(image(f"{n}.jpg", labels=(int(draw.integers(5)),)), texts[draw.integers(len(texts))], repeat=repeat)
        for repeat in range(2)
        for n in range(100)
    ]
    found = judge(answers)
    right = outside = missing = mapped = 0
    for each in found:
        right += NAMES[each.said.asked.judged.own] == NAMES[each.label] and each.label >= 0
        outside += each.said.text not in (*NAMES, "")
        missing += each.said.text == ""
        mapped += each.said.text not in (*NAMES, "") and each.label == each.said.asked.judged.own
    got = figures(found, maps=True)
    assert got["accuracy"] == pytest.approx(right / 2, abs=1e-4)
    assert got["outside"] == pytest.approx(outside / 2, abs=1e-4)
    assert got["no_answer"] == pytest.approx(missing / 2, abs=1e-4)
    assert got["mapped_right"] == pytest.approx(100 * mapped / outside, abs=1e-4)


def test_the_interval_of_what_is_mapped_counts_answers():
    """One photo is outside and mapped rightly ten times, nine others wrongly once each."""
    answers = [said(image("0.jpg"), "gup", repeat=repeat) for repeat in range(10)]
    for number in range(1, 10):
        texts = ["oxerb", *["Pug"] * 9]
        answers += [said(image(f"{number}.jpg"), text, repeat=repeat) for repeat, text in enumerate(texts)]
    found = figures(judge(answers), maps=True)
    assert found["mapped_right"] == pytest.approx(100 * 10 / 19, abs=1e-4)
    low, high = found["intervals"]["mapped_right"]
    assert low < found["mapped_right"] < high


def test_all_outside():
    answers = [said(image(f"{number}.jpg"), "a sofa") for number in range(4)]
    assert figures(judge(answers, CwProtocol()), maps=False) == {
        "accuracy": 0.0,
        "outside": 100.0,
        "no_answer": 0.0,
        "intervals": {"accuracy": [0.0, 0.0], "outside": [100.0, 100.0], "no_answer": [0.0, 0.0]},
    }


def test_groups_places_and_repeats_by_hand():
    answers = [
        said(image("s.jpg", labels=(0,)), "Pug", position=1),
        said(image("t.jpg", labels=(1,), own=0), "Pug", position=2),
        said(image("m.jpg", labels=(0, 1)), "Boxer", position=1),
        said(image("n.jpg", labels=()), "", position=2),
    ]
    found = judge(answers)
    assert {name: (each["photos"], each["accuracy"]) for name, each in by_group(found).items()} == {
        "A": (4, 75.0),
        "S": (2, 50.0),
        "S+": (1, 100.0),
        "S-": (1, 0.0),
        "M": (1, 100.0),
        "M+": (1, 100.0),
        "N": (1, 100.0),
    }
    assert [each["accuracy"] for each in by_position(found).values()] == [100.0, 50.0]
    twice = [said(image("s.jpg"), text, repeat=repeat) for repeat, text in enumerate(("Pug", "Boxer"))]
    assert by_repeat(judge(twice)) == [100.0, 0.0]


def test_bias_by_the_place_of_options():
    """Whoever always says the first option."""
    answers = [
        said(image("a.jpg"), "Pug", ("Pug", "Boxer")),
        said(image("b.jpg"), "Boxer", ("Boxer", "Pug")),
        said(image("c.jpg"), "Boxer", ("Boxer", "Pug")),
        said(image("d.jpg"), "a sofa", ("Boxer", "Pug")),
    ]
    # no option is right, and whatever is chosen counts as right
    answers.append(said(image("n.jpg", labels=(), own=0), "Boxer", ("Pug", "Boxer")))
    found = by_option(judge(answers, McProtocol(choices=2)), NAMES)
    assert found == {
        "1": {"chosen": 100.0, "holds_right": 25.0, "accuracy": 100.0},
        "2": {"chosen": 0.0, "holds_right": 75.0, "accuracy": 0.0},
    }
    assert by_option(judge([said(image("a.jpg"), "Pug")]), NAMES) == {}
