"""The threshold on a probability, which several filters share."""

import math

from fgvr.errors import FgvrError


def check_threshold(threshold: float) -> float:
    """``threshold``, if it is one.

    Raises:
        FgvrError: It is not above 0 and below 1.
    """
    if not 0 < threshold < 1:
        raise FgvrError(f"filter.threshold is {threshold}; expected a probability above 0 and below 1, such as 0.5.")
    return threshold


def log_odds(threshold: float) -> float:
    """The threshold on log-odds, exact where probabilities round to 1; 0 for 0.5.

    Args:
        threshold: Above 0 and below 1.
    """
    return math.log(threshold / (1 - threshold))
