"""Predicted and true names to score: drawn ones, and those at the edges."""

import numpy as np

EDGES = {
    "more names than classes": (["a", "b", "c", "d", "e"], ["x", "x", "y", "y", "x"]),
    "one name for two classes": (["a"] * 5, ["x", "x", "x", "y", "y"]),
    "empty answers": (["", "", "x", ""], ["x", "y", "x", "y"]),
    "all empty": ([""] * 3, ["x", "y", "z"]),
    "ties": (["a", "a", "b", "b"], ["x", "y", "x", "y"]),
    "all outside": (["p", "q", "r"], ["x", "y", "z"]),
    "one photo": (["x"], ["x"]),
    "one class": (["a", "b", "a"], ["x", "x", "x"]),
    "one name and one class": (["a", "a"], ["x", "x"]),
    "all right": (["x", "y", "z", "x"], ["x", "y", "z", "x"]),
}
"""What it is -> predicted and true names."""


def drawn(seed: int, photos: int = 60) -> tuple[list[str], list[str]]:
    """Names of which some are right, some are another class's and some are nobody's."""
    random = np.random.default_rng(seed)
    classes = [f"class {letter}" for letter in "abcdefg"[: random.integers(2, 8)]]
    names = [*classes, "class", "other", ""]
    true = [classes[number] for number in random.integers(len(classes), size=photos)]
    guess = [names[number] for number in random.integers(len(names), size=photos)]
    return [
        one if right else two for one, two, right in zip(true, guess, random.random(photos) < 0.5, strict=True)
    ], true
