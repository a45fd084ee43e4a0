"""What is written in the place of a name: refusals, "nothing to see", and errors of servers and programs."""

import re

from fgvr.reading.words import pattern_of

_LOOKED_AT = 600
_SHORT = 120
_EDGES = " \n*_#`\"'.!:;,\u3002\uff01~"
# "cannot tell the breed", "not enough detail", "would need a clearer photo"
_REFUSAL = re.compile(
    r"\b(?:can(?:not|'t|\snot)|unable\sto|not\s(?:able|possible|enough|sufficient|clear)|impossible|"
    r"do(?:es)?(?:\snot|n't)|sorry|apologi[sz]e|(?:would|I'd)\sneed|insufficient|challenging|difficult)\b",
    re.IGNORECASE,
)


def flag_of(text: str) -> str:
    """``"error"`` or ``"refusal"`` where a text is one from its first words, in any language; else ``""``.

    Args:
        text: A reply without tags.
    """
    bare = " ".join(text[:_LOOKED_AT].split()).strip(_EDGES)
    error = pattern_of("errors").search(bare)
    if error and (error.start() == 0 or len(bare) <= _SHORT):
        return "error"
    return "refusal" if pattern_of("refusals").search(bare) else ""


def refuses(text: str) -> bool:
    """Whether a text has English words of a refusal; a name may stand beside them."""
    return bool(_REFUSAL.search(text))
