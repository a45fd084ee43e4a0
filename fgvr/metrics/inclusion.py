"""Textual inclusion: whether an answer has the true name in it."""

import re


def includes(answer: str, true: str) -> bool:
    """Whether the answer has the true name in it, whatever their case and the spaces around them.

    It is for answers of some length; a long answer that lists many names is right all the same.

    Args:
        answer: The predicted name, or a whole reply.
        true: The true name.

    Source:
        lmms-owc (Conti et al., "On Large Multimodal Models as Open-World Image Classifiers", 2025),
        ``textual_inclusion``.

    Example:
        >>> includes("It is a boston bull.", "Boston Bull"), includes("elephant", "Ant"), includes("Bull", "Pit Bull")
        (True, True, False)
    """
    return true.lower().strip() in answer.lower().strip()


def includes_words(answer: str, true: str) -> bool:
    """The same where the true name must begin and end as a word does.

    Args:
        answer: The predicted name, or a whole reply.
        true: The true name.

    Example:
        >>> includes_words("It is a boston bull.", "Boston Bull"), includes_words("elephant", "Ant")
        (True, False)
    """
    if not includes(answer, true):
        return False
    return re.search(rf"(?<!\w){re.escape(true.lower().strip())}(?!\w)", answer.lower()) is not None
