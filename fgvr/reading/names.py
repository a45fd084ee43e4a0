"""From one span of a reply ("a **House Finch** (*Haemorhous mexicanus*)") to a class name and its Latin name."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from fgvr.reading.words import words_of
from fgvr.vocabulary.individuals import FIRST, INDIVIDUALS, LAST

MAX_CHARACTERS = 60
MAX_WORDS = 8
_MAX_SPAN = 400

# "close-up photo of", "rear view of"; "View of" alone may open the name of a painting
_VIEW_OF = (
    r"(?:(?:(?:close-?up|front|rear|side|back|partial|black-and-white|colou?r)\s+)?"
    r"(?:view|shot|photo|photograph|image|picture|portrait)|close-?up)\s+of(?=\s+(?:(?:an?|the)\b|[*\"]))"
)
LEADING = re.compile(
    rf"(?:[\s,:]|(?:{_VIEW_OF}|without\s+(?:a\s+|any\s+)?doubt|beyond\s+doubt|i\s+(?:think|believe)|two|three|four|five|several|an?|the|this|that|it|some|either|another|of|to|be|most|very|more|likely|probably|"
    r"possibly|perhaps|maybe|potentially|indeed|clearly|definitely|definitively|undoubtedly|unmistakably|certainly|"
    r"almost|evidently|obviously|actually|specifically|best|also|called|named|"
    r"(?-i:classic|typical|delicious|beautiful|lovely|cute|gorgeous|stunning|adorable|majestic)|pure-?bred|such\s+as|member\s+of|closely\s+related|"
    r"(?:type|kind|sort|species|breed|variety|form|example|pair|group|couple|flock|herd|bunch|plate|bowl|"
    r"serving|portion|slice|cup|glass)s?\s+of)(?![\w'-]))*",
    re.IGNORECASE,
)
"""Articles, hedges and modifiers before a name, "most likely a young" in "most likely a young Beagle".

It matches everywhere, if need be the empty string.
"""
# "a type of" in "a type of warbler"
KIND_OF = re.compile(r"\s*(?:(?:an?|the|some)\s+)?(?:type|kind|sort|species|variety|member)s?\s+of\b", re.IGNORECASE)

KINDS = words_of("kinds")
"""Words for a thing so general that no fine-grained class has such a word for its name, whatever its colour or size."""
_GROUPS = words_of("groups")
_QUALIFIERS = words_of("qualifiers")
_LOOKS = words_of("looks")
_UNKNOWN = frozenset(("unknown", "unidentified", "uncertain", "unclear", "other", "unsure"))
_ABSTAINED = frozenset(("none", "null", "n/a", "na", "nan"))
_NO_NAME_ENDINGS = words_of("no_name_endings")
_NO_NAMES = words_of("no_names")
_ASIDES = words_of("asides")
# "late 1990s", "model year 2012", "image contains a Pug", "Final Answer", "www.example.org"
_NO_NAME = re.compile(
    r"^(?:final\s+)?(?:answer|label|identification|prediction|output|result|response)$|"
    r"\b\d{1,3}0(?-i:s)\b|^model\s+year\b|^(?:image|photo|picture)\s+(?-i:[a-z]+)\s|www\.",
    re.IGNORECASE,
)
# "mixed terrier", "German Shepherd mix", "Poodle cross"
_MIXED = re.compile(r"^mixed\b|\b(?:mix(?:es)?|cross|crossbreed|mixed[- ]breed|mixture)$", re.IGNORECASE)

# " puppies" in "Beagle puppies", " dog breed" in "Saluki dog breed", " model year" in "Audi A4 model year"
_TRAILING = re.compile(
    r"[\s,]+(?:(?-i:dog|cat|bird|car|plant|flower|fish)\s+)?"
    r"(?:breed|species|models?(?:\s+year)?|pupp(?:y|ies)|pups?|kittens?|chicks?|juveniles?)$",
    re.IGNORECASE,
)
# "Maltese dog" is the breed "Maltese", but "Australian Cattle Dog" and "Bernese mountain dog" are whole names. So are
# "Hot dog" and "Sand cat", and most names of one word and "bird", "flower" or "plant": "Secretary bird".
_TRAILING_KIND = re.compile(
    r"\b(?!(?:Hot|Corn|Prairie|Raccoon|Bush|Wild|Sand|Jungle|Fishing|Sports|Race|Racing)\b)"
    r"([^\W\d_a-z][\w'.-]*)\s+(?:dogs?|cats?|cars?|vehicles?)$"
    r"|(?<=\s)([^\W\d_a-z][\w'.-]*)\s+(?:birds?|flowers?|plants?)$"
    r"|(?<![\w-])([\w-]*\d[\w-]*)\s+(?:aircraft|airplanes?|aeroplanes?|planes?|airliners?|jets?|locomotives?|vehicles?)$"
)
# " from the ..." in "Boxer from the 1990s", " sitting on ..." in "Pug sitting on a sofa", " - ..." in "House Finch - a
# small bird", ": ..." in "Pug: a small dog"
_AFTERWARDS = re.compile(
    r"(?:\s(?:from|with|in)\s+the\s|\s-\s|[,;]|:(?=\s|$)"
    r"|\s(?:[a-z]{2,20}ing|perched|parked|seated)"
    r"\s+(?:on|in|at|near|by|over|under|through|against|along|next|from|to|an?|the|its)\s).*"
)

_PLUMAGE = re.compile(r"[\s,]+in\s+(?:[a-z-]+\s+){0,3}(?:plumage|flight|dress)$", re.IGNORECASE)
# " on a leaf" of "insect on a leaf"
_PLACE = re.compile(r"\s(?:on|at|in|near|against|beside|under|with|from)\s.*")

# "(Carlin)" in "Pug (Carlin)", also where the reply was cut off: "Pug (Carl"
_BRACKETS = re.compile(r"[(\[]([^()\[\]]{0,200})[)\]]?")
# "Larus argentatus", "Salix x sepulcralis", "Canis lupus dingo"; "Larus sp." is no species, and birds that share it
# are not one class
_LATIN = re.compile(r"[A-Z][a-zë-]{2,}(?: x)? [a-z][a-zë-]{2,}(?: [a-z][a-z-]{2,})?")
_LATIN_OPENINGS = frozenset((
    "also", "often", "formerly", "commonly", "sometimes", "male", "female", "adult", "juvenile", "note", "such", "more",
    "previously", "usually", "either", "possibly", "probably", "likely", "and", "the", "now", "known", "here", "based",
    "not", "unknown", "unidentified", "unspecified", "undetermined", "uncertain", "unclear", "unable", "cannot", "none",
    "various", "multiple",
))  # fmt: skip
_NO_LATIN_ENDING = re.compile(r"\s(?:species|spp|hybrid|unknown|unidentified)$")  # "Larus species"
LATIN_ENDING = re.compile(r"(?:us|um|is|ii|ae|ans|ens|a|i|os|on|ix|ea|as|es|ax|ur|or|ps)$")
"""How most Latin names end, and few English names of their shape ("House finch")."""
_LATIN_GENUS = re.compile(
    r"(?:us|as|es|is|os|ys|a|o|er|um|[aeioy]x|ps|or)$"
)  # "Larus", "Passer", not "American", "Great"
_ITALIC = re.compile(r"\s*(?:\*(?!\*)|_)")  # "*Larus argentatus*", "_Larus argentatus_", not "**Herring Gull**"
_KNOWN_AS = re.compile(r".*\b(?:known\s+as|called|common\s+name:?)\s+")  # of "(commonly known as the House Finch)"
_AUTHOR = re.compile(r"\bLinnaeus\b|\b1[789]\d\d\b")  # of "Passer domesticus (Linnaeus, 1758)"
# "**Pug**", "`Pug`", "'Pug'", but not the apostrophe in "Anna's"
_MARKUP = re.compile(r"[*`\"#|~\\\u00ab\u00bb\u2039\u203a\u201e\u3008-\u3011]+|(?<!\w)'|'(?!\w)")
_EDGES = " ,.;:?-。"
_SIGNS = " '.&/+-\u00b7\u30fb\u200c\u200d\u0f0b"  # "St. Bernard", "Land Rover/Range Rover", joiners within a word
# "A320", "C-130", "747-400", "M8", "F/A-18", "Q400", not "2009", "10-20", "3D"
_CODE = re.compile(
    r"(?=[^\d]*\d)(?:[A-Za-z]{1,4}(?:[./-]?[A-Za-z\d]{1,4}){0,4}\.?|[A-Za-z]{1,4}[ -]\d{1,4}[A-Za-z]{0,3}"
    r"|\d{3}-\d{1,4}[A-Z]{0,3}|\d{3} [A-Z]{1,2}|\d{1,4}[A-Z]{1,3}\d{1,4})"
)
_YEARS = re.compile(r"(?:19|20)\d\d-(?:19|20)?\d\d")
# "L." and "Huds." of "Ophrys apifera Huds."
_AUTHORED = re.compile(
    r"([A-Z][a-z\u00eb-]{2,} [a-z\u00eb-]{2,}(?:us|um|is|ii|ae|ns|a|i|os|on|ix))[*_]*,? "
    r"(?:\([^()]{1,40}\) ?)?[A-Z][\w'-]{0,12}\.(?: ?(?:&|ex|et) ?[A-Z][\w.'-]{0,20})?$"
)
# "(L.) Scop." of "Chamaenerion angustifolium (L.) Scop. (fireweed)"
_AUTHORS = re.compile(
    r"([A-Z][a-z\u00eb-]{2,} [a-z\u00eb-]{2,}(?:us|um|is|ii|ae|ns|a|i|os|on|ix|e)[*_]{0,3})\s*"
    r"\([A-Z][^()]{0,30}\)\s*[A-Z][\w'-]{0,12}\.(?=\s*(?:\(|-\s|$))"
)
_DASHED_LATIN = re.compile(
    r"(.{2,60}?) - ([A-Z][a-z\u00eb-]{2,} [a-z\u00eb-]{2,}(?:us|um|is|ii|ae|ans|ens|a|i|os|on|ix|ea))"
)  # "Sessile Oak - Quercus petraea"
# "var. guessowii" of "Amanita muscaria var. guessowii", "Italica" of "Populus nigra 'Italica'"
_RANKED = re.compile(
    r"^([A-Z][a-z\u00eb-]{2,} [a-z\u00eb-]{2,})(?: (?:var|subsp|ssp|f)\.? ([a-z-]{3,})| '?[A-Z][a-z]+'?)$"
)
_SHARE = re.compile(
    r"^\s*~?\d{1,3}(?:\.\d+)?\s?%\s+|\s*[~(]{0,2}\d{1,3}(?:\.\d+)?\s?%\)?$"
)  # "80% " of "80% Curve-billed Thrasher"
_SOME_SPECIES = re.compile(r"(?<=[a-z]) (?:sp|spp|species)$")  # of "Ophrys sp."
_YEAR_BEHIND = re.compile(r",(?=\s?(?:19|20)\d\d\b)")  # "," in "Acura RL, 2009"
_YEAR_FIRST = re.compile(r"((?:19|20)\d\d)\s+(\D.*)")  # "2009 Acura RL"
_YEAR = re.compile(r"(?:19|20)\d\d")
_YEARS_FIRST = re.compile(
    r"^(?:19|20)\d\d(?:-|\s*(?:or|and|to|/)\s*)(?:19|20)?\d\d\s+(?=\D)"
)  # "1995 or 1996 Dodge Neon"
_FROM_YEAR = re.compile(r"\s+(?:from|of\s+the\s+year|model\s+year)\s+(?=(?:19|20)\d\d$)")  # "Acura Integra from 1998"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a span of a reply turned out to be.

    Attributes:
        name: The class name; ``""`` where the span has none.
        scientific: Latin name given beside it.
        flag: ``""`` for a name, else ``"generic"``, ``"refusal"``, ``"error"`` or ``"unparsed"``.
        confidence: How sure the reply says it is of the name, in [0, 1].
        genus: The genus, where one is stated apart from the Latin name.
        individual: Sex, age and plumage that stood in the name: "adult male".
        doubtful: Whether no more than the look of a text says that this is its answer.
    """

    name: str
    scientific: str | None = None
    flag: str = ""
    confidence: float | None = None
    genus: str | None = None
    individual: str = ""
    doubtful: bool = False


def read_name(span: str) -> Reading:
    """Read a span that should be one class name.

    Args:
        span: Text with markup, articles, brackets and trailing words still on it.

    Returns:
        The bare name of at most 60 characters and 8 words, or the flag that says why there is none.
    """
    span = _AUTHORS.sub(r"\1", _SHARE.sub(" ", span[:_MAX_SPAN]))
    outside = _SOME_SPECIES.sub("", _bare(_AUTHORED.sub(r"\1", _BRACKETS.sub(" ", span).strip())))
    inside = [_bare(part) for bracket in _BRACKETS.findall(span) for part in re.split("[,;/]|\\sor\\s", bracket)]
    ranked = _RANKED.fullmatch(outside)
    if ranked and (ranked[2] or "'" in span) and _has_latin_endings(ranked[1]):
        outside = ranked[1]
    scientific = next(filter(None, map(latin_name, inside)), None)
    if _has_latin_endings(outside) and not any(map(_has_latin_endings, inside)):
        scientific = None  # "Death cap" of "Amanita phalloides (Death cap)" has the shape of a Latin name, too
    if latin_name(outside):
        italic = bool(_ITALIC.match(span)) and not scientific
        if italic or (_has_latin_endings(outside) and not any(map(_has_latin_endings, inside))):
            common = "" if _AUTHOR.search(span) else _common_name(inside, outside, any_case=italic)
            if italic or common:
                scientific, outside = outside, common or outside
    if joined := _DASHED_LATIN.fullmatch(outside):
        scientific, outside = scientific or joined[2], joined[1]
    name = _finer(strip_words(outside), inside)
    name, individual = _class_and_individual(name, bool(scientific))
    name = _FROM_YEAR.sub(" ", _YEARS_FIRST.sub("", name))
    if (built := next((part for part in inside if _YEAR.fullmatch(part)), "")) and not _YEAR.search(name):
        name = f"{name} {built}"
    if year := _YEAR_FIRST.fullmatch(name):
        name = f"{year[2]} {year[1]}"
    flag = _flag(outside, name)
    if flag:
        return Reading("", None, flag)
    asides = (part.lower() for part in inside if part.lower() in INDIVIDUALS)
    return Reading(name, scientific, individual=" ".join((*individual.split(), *asides)))


def latin_name(text: str) -> str | None:
    """The text as a Latin name (``"Larus argentatus"``) where it has the shape of one, else ``None``."""
    bare = _bare(text)
    if not _LATIN.fullmatch(bare) or bare.split()[0].lower() in _LATIN_OPENINGS or _NO_LATIN_ENDING.search(bare):
        return None
    return bare


def strip_words(name: str) -> str:
    """The name without leading articles and modifiers and without trailing words such as "puppy" or "dog breed"."""
    name = _AFTERWARDS.sub("", LEADING.sub("", name, count=1))
    while (shorter := _TRAILING.sub("", name)) != name:
        name = shorter
    name = _TRAILING_KIND.sub(r"\1\2\3", name)
    return name.strip(_EDGES)


def _class_and_individual(name: str, sure: bool) -> tuple[str, str]:
    """The name without sex, age and plumage, and these.

    Args:
        name: A name without articles.
        sure: Whether a Latin name beside it says what is the name. Else words stay that may be a part of it ("Male
            fern", "Adult Swim"): all but those in lower case before a capital ("male House Finch").
    """
    first, last = FIRST.match(name), _PLUMAGE.search(name)
    if last is None and sure:
        last = LAST.search(name)
    end = last.start() if last else len(name)
    if first and not sure and not (first[0].islower() and name[first.end()].isupper()):
        first = None
    if sure and last and (more := LAST.search(name, 0, end)):
        end = more.start()
    start = first.end() if first else 0
    if start >= end or name[start:end].lower() in INDIVIDUALS:
        return name, ""
    aside = f"{name[:start]} {name[end:]}".replace(",", " ").split()
    return name[start:end].strip(_EDGES), " ".join(aside).lower()


@lru_cache(maxsize=10_000)  # the words of a reply are looked at again for each name that it may give
def singular(name: str) -> str:
    """The name with its last word in the singular: "Siberian Huskies" -> "Siberian Husky".

    Latin, and words that end as Latin does, stay: "Solanum viridis", "Iris", "Cosmos".
    """
    if (
        not name.endswith("s")
        or re.search(r"\b(?:des|les|los|las|dos|das)\s+\S+$", name)
        or re.search(r"(?:ss|us|ees|(?<!a)[bdlnrtx]is|psis|chis|[Cc]osmos)$", name)
        or (latin_name(name) and re.search(r"(?:us|um|is|ii|ae|ens|os|on|ix)$", name))
    ):
        return name
    if re.search(r"[^aeou]ises$", name):  # "Irises", not "Tortoises"
        return name[:-2]
    if name.endswith("ies"):
        return name[:-3] + "y"
    if re.search(r"(?:ch|sh|x|ss|us)es$", name):
        return name[:-2]
    return name[:-1]


def is_generic(name: str) -> bool:
    """Whether a name says no more than a kind of thing ("domestic cat", "terrier", "mixed breed")."""
    if _MIXED.search(name):
        return True
    words = [word for word in re.findall(r"[^\W_]+", name.lower()) if not word.isdigit()]
    if not words or re.fullmatch(r"(?:Class|Type) \d+", name):  # of locomotives and cars
        return False
    *rest, head = [word if word in KINDS else singular(word) for word in words]
    if head in _GROUPS:
        return _QUALIFIERS.issuperset(rest)
    return head in KINDS and (KINDS | _QUALIFIERS | _LOOKS).issuperset(rest)


def is_description(phrase: str) -> bool:
    """Whether a lower-case phrase only says what a thing looks like ("black and white"); "orange" is also a fruit."""
    words = re.findall(r"[^\W_]+", phrase)
    return phrase.islower() and (_QUALIFIERS | _LOOKS).issuperset(words) and words != ["orange"]


def _has_latin_endings(text: str) -> bool:
    return bool(latin_name(text) and LATIN_ENDING.search(text) and _LATIN_GENUS.search(text.split()[0]))


def _common_name(parts: Iterable[str], latin: str, any_case: bool) -> str:
    """The first of the parts of a bracket behind a Latin name that is a name; ``""`` where none is.

    In lower case it may as well be a description: "Buteo jamaicensis (light morph)". Nor is "Spotted hyena" Latin in
    "Spotted hyena (Laughing hyena)", where both share a word.
    """
    for part in parts:
        part = _KNOWN_AS.sub("", part)
        name = strip_words(part)
        shares_a_word = not any_case and latin.lower().split()[1] in name.lower().split()
        described = not _ASIDES.isdisjoint(name.lower().split()) or name.lower() in INDIVIDUALS
        if not _flag(part, name) and not shares_a_word and (any_case or name[0].isupper() or not described):
            return "" if described and name.lower() in INDIVIDUALS else part
    return ""


def _finer(name: str, parts: Iterable[str]) -> str:
    """The finer name in the bracket behind a name of one word, else the name: "Robin (European Robin)"."""
    if not name or " " in name:
        return name
    stripped = (strip_words(part) for part in parts if not latin_name(part))
    return next((part for part in stripped if part[:1].isupper() and part.lower().endswith(f" {name.lower()}")), name)


def _flag(outside: str, name: str) -> str:
    if outside.lower() in _ABSTAINED:
        return "refusal"
    unnamed = KIND_OF.match(outside) and not re.search(r"[A-Z]", name)
    placed = _PLACE.sub("", name)
    if unnamed or name.lower() in _UNKNOWN or is_generic(outside) or is_generic(name) or is_generic(placed):
        return "generic"
    if is_description(name) or name.lower() in INDIVIDUALS:
        return "generic"
    words = re.split(r"[\s/]", name.lower())
    if len(name) > MAX_CHARACTERS or len(words) > MAX_WORDS or not _is_clean(name):
        return "unparsed"
    if _NO_NAMES.issuperset(word for word in words if not word.isdigit()):
        return "unparsed"
    if re.split(r"[\s-]", name)[-1] in _NO_NAME_ENDINGS or _NO_NAME.search(name) or not _is_worded(name):
        return "unparsed"
    return ""


def _is_clean(name: str) -> bool:
    """Whether a name has nothing but letters of any script with their marks, digits and a few signs."""
    bare = name.removesuffix("!")  # "Volkswagen up!"
    return bare[:1].isalnum() and all(
        char.isalnum() or char in _SIGNS or unicodedata.category(char)[0] == "M" for char in bare
    )


def _is_worded(name: str) -> bool:
    """Whether a name has a word, a character that is a word of its own, or is a type code."""
    if _CODE.fullmatch(name) and not _YEARS.fullmatch(name):
        return True
    letters = [char.isalpha() or unicodedata.category(char)[0] == "M" for char in name]
    if any(first and second for first, second in pairwise(letters)):
        return True
    return any(unicodedata.category(char) == "Lo" for char in name)


def _bare(text: str) -> str:
    text = _MARKUP.sub(" ", _YEAR_BEHIND.sub("", text.replace("_", " ")))
    return " ".join(text.split()).strip(_EDGES)
