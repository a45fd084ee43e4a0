"""What there is to see of a bird, in the words of a description."""

import random
from collections.abc import Mapping

from fgvr.fieldguide.species import ATTRIBUTES, Species

_PHRASES = {
    "crown": "{} crown",
    "wing": "{} wings",
    "bill": "{} bill",
    "tail": "{} tail",
    "breast": "{} breast",
}


def words_for(seen: Mapping[str, str]) -> str:
    """A noun with its colour and its marks; what is plain, and what is not in ``seen``, goes without saying.

    Args:
        seen: Attribute -> value; see ``fgvr.fieldguide.species.ATTRIBUTES``.

    Example:
        >>> words_for({"build": "jay", "body": "grey", "wing": "blue", "bill": "plain", "tail": "fork"})
        'a grey jay with blue wings and a fork tail'
        >>> words_for({"wing": "blue"})
        'a bird with blue wings'
    """
    noun = _with_article(f"{seen.get('body', '')} {seen.get('build', 'bird')}".strip())
    said = {attribute: phrase.format(seen.get(attribute, "plain")) for attribute, phrase in _PHRASES.items()}
    marks = [
        phrase if attribute == "wing" else _with_article(phrase)
        for attribute, phrase in said.items()
        if seen.get(attribute, "plain") != "plain"
    ]
    listed = f"{', '.join(marks[:-1])} and {marks[-1]}" if len(marks) > 1 else "".join(marks)
    return f"{noun} with {listed}" if marks else noun


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def noticed(bird: Species, draw: random.Random, share: float) -> dict[str, str]:
    """Body and build of a bird, and each of its other attributes with the probability ``share``."""
    return {
        attribute: getattr(bird, attribute)
        for attribute in ATTRIBUTES
        if attribute in ("build", "body") or draw.random() < share
    }


def in_common(birds: list[Species]) -> dict[str, str]:
    """The attributes that more than half of the birds have.

    Example:
        >>> from fgvr.fieldguide.species import Species
        >>> jay = Species("jay", "grey", "blue", "grey", "plain", "fork", "spotted")
        >>> shrike = Species("shrike", "grey", "red", "grey", "plain", "fork", "plain")
        >>> in_common([jay, shrike])
        {'body': 'grey', 'crown': 'grey', 'bill': 'plain', 'tail': 'fork'}
    """
    common: dict[str, str] = {}
    for attribute in ATTRIBUTES:
        values = [getattr(bird, attribute) for bird in birds]
        commonest = max(values, key=values.count)
        if 2 * values.count(commonest) > len(values):
            common[attribute] = commonest
    return common
