"""Names that the look of a text points at: in bold, or with a Latin name in a bracket behind."""

import re
from dataclasses import replace
from itertools import islice

from fgvr.reading.cues import GENUS
from fgvr.reading.names import Reading, read_name

_MAX = 120
_WINDOW = 250

# " (*Larus argentatus*)" behind a name
_LATIN_BRACKET = re.compile(
    r"[\s,]*\(\s{0,2}[*_]{0,3}([A-Z][a-z\u00eb-]{2,} (?:x )?[a-z\u00eb-]{3,}(?: [a-z-]{3,})?)[*_]{0,3}[^()\n]{0,60}\)"
)
_COMPARED = re.compile(
    r"\b(?:not|unlike|than|exclud\w+|rul(?:e|ed|es|ing)\s+out|instead\s+of|rather\s+than|similar|confus\w+"
    r"|resembl\w+|compared?|versus|vs|consider\w*|differ\w*|distinguish\w*|lacks?|closest|alternativ\w+|look-?alikes?"
    r"|tell\s+it\s+from|relat\w+|except|eliminat\w+)\b[^.;\n]{0,80}$",
    re.IGNORECASE,
)
_OUT = re.compile(
    r"[^.;\n]{0,60}\b(?:excluded|ruled\s+out|eliminated|would\s+(?:be|have|show)|lacks|has\s+no|differs?"
    r"|is\s+not|was\s+(?:the\s+)?closest|does\s+not)\b",
    re.IGNORECASE,
)
_FUNCTION = frozenset((
    "a", "an", "the", "is", "are", "was", "be", "to", "as", "it", "this", "that", "like", "by", "from", "with", "for",
    "in", "on", "at", "or", "and", "but", "not", "of", "most", "likely", "probably", "your", "my", "its", "their",
    "species", "bird", "dog", "cat", "flower", "plant", "fish", "insect", "mushroom", "tree", "either", "named",
    "called", "male", "female", "adult", "juvenile", "immature", "indeed", "here",
))  # fmt: skip
_MARKED_BEFORE = re.compile(r"(?:\*{2,3}|[\"`])([^*\"`\n]{2,100})(?:\*{2,3}|[\"`])\s{0,2}$")
# "**Basenji**", "**Basenji** (Congo dog)", but not "**Coat**: short"
_BOLD = re.compile(r"\*\*([^*\n:]{1,100})\*\*(?!\s*:)(\s*\([^()\n]{0,150}\))?")
HEADING = re.compile(
    r"#|\b(?:key|note|step|features?|characteristics|identification|conclusion|description|analysis|summary|overview|"
    r"observations?|reasoning|why|how|what|comparison|details|evidence|visual)\b",
    re.IGNORECASE,
)
"""What is a heading, or may be one, where a name is looked for."""


def names_beside_latin(text: str) -> Reading | None:
    """The last name with a Latin name in a bracket beside it that is not only compared with; ``None`` where none is."""
    found = None
    for latin in islice(_LATIN_BRACKET.finditer(text), _MAX):
        line = text[max(0, latin.start() - _WINDOW) : latin.start()].rpartition("\n")[2]
        marked = _MARKED_BEFORE.search(line)
        words = re.split(r"(?<=[.!?:;,])\s|[*\"]|\s-\s", line)[-1].split()
        taken: list[str] = []
        for word in reversed(words[-6:]):
            within = word in ("of", "the", "and") and taken and taken[-1][:1].isupper()  # "Lily of the Valley"
            if word.lower() in _FUNCTION and (word.islower() or not taken) and not within:
                break
            taken.append(word)
        taken.reverse()
        capital = next((place for place, word in enumerate(taken) if word[:1].isupper()), 0)
        name = marked[1] if marked else " ".join(taken[capital:])
        before = line[: line.rfind(name)] if name else line
        if _COMPARED.search(before) or _OUT.match(text, latin.end()):
            continue
        reading = read_name(f"{name} ({latin[1]})")
        if reading.name:
            found = reading
    return found


def bold_names(text: str) -> list[Reading]:
    """The bold spans that are names and no headings; one behind the word genus has it as ``genus``, too."""
    readings = []
    for bold in islice(_BOLD.finditer(text), _MAX):
        reading = read_name(bold[0])
        if reading.name and not reading.name.islower() and not HEADING.search(reading.name):
            is_genus = GENUS.search(text[max(0, bold.start() - 20) : bold.start()])
            readings.append(replace(reading, genus=reading.name) if is_genus else reading)
    return readings
