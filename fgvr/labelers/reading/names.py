"""From one span of a reply ("a **House Finch** (*Haemorhous mexicanus*)") to a class name and its Latin name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_CHARACTERS = 60
MAX_WORDS = 8


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# "close-up photo of", "rear view of"; "View of" alone may open the name of a painting
_VIEW_OF = (
    r"(?:(?:(?:close-?up|front|rear|side|back|partial|black-and-white|colou?r)\s+)?"
    r"(?:view|shot|photo|photograph|image|picture|portrait)|close-?up)\s+of(?=\s+(?:an?|the)\b)"
)
LEADING = re.compile(
    rf"(?:[\s,:]|(?:{_VIEW_OF}|an?|the|this|that|it|some|either|another|of|to|be|most|very|more|likely|probably|"
    r"possibly|perhaps|maybe|potentially|indeed|clearly|definitely|actually|specifically|best|also|called|named|"
    r"young|adult|juvenile|immature|male|female|pure-?bred|such\s+as|member\s+of|closely\s+related|"
    r"(?:type|kind|sort|species|breed|variety|form|example|pair|group|couple|flock|herd|bunch|plate|bowl|"
    r"serving|portion|slice|cup|glass)s?\s+of)(?![\w'-]))*",
    re.IGNORECASE,
)
"""Articles, hedges and modifiers before a name, "most likely a young" in "most likely a young Beagle".

It matches everywhere, if need be the empty string.
"""
# "a type of" in "a type of warbler"
KIND_OF = re.compile(r"\s*(?:(?:an?|the|some)\s+)?(?:type|kind|sort|species|variety|member)s?\s+of\b", re.IGNORECASE)

KINDS = _words(
    "dog puppy pup cat kitten bird animal pet mammal fish insect reptile butterfly moth flower plant tree mushroom "
    "fungus car vehicle automobile truck pickup van minivan sedan suv coupe hatchback convertible wagon aircraft "
    "airplane plane food fruit vegetable product object item breed species class label type kind image photo picture "
    "tabby calico tortoiseshell tuxedo feline canine songbird seabird shorebird waterfowl raptor crossbreed mutt "
    "mongrel hybrid"
)
"""Words for a thing so general that no fine-grained class has such a word for its name, whatever its colour or size."""
_GROUPS = _words(
    "terrier hound spaniel retriever sheepdog shepherd sighthound warbler sparrow finch gull seagull tern duck goose "
    "hawk owl eagle wren flycatcher woodpecker hummingbird swallow nightjar"
)
_QUALIFIERS = _words(
    "small medium large big tiny sized domestic domesticated mixed unknown unidentified unspecified "
    "generic young adult male female juvenile of a an the this other some various similar specific possible"
)
_LOOKS = _words(
    "black white brown gray grey tan orange yellow red blue green cream silver ginger dark light colored coloured "
    "common striped spotted fluffy furry haired coated hair coat short long longhair shorthair cute friendly sporting "
    "sports luxury modern vintage classic wild and or"
)
_UNKNOWN = frozenset(("unknown", "unidentified", "uncertain", "unclear", "other", "unsure"))
_ABSTAINED = frozenset(("none", "null", "n/a", "na", "nan"))
_NO_NAME_ENDINGS = _words(
    "breeds generation model version variant trim edition features feature family genus order group category "
    "coloration color plumage characteristics appearance traits type lineage varieties variety subspecies "
    "ancestry origin body build related like markings pattern patterns"
)
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
)
# " from the ..." in "Boxer from the 1990s", " sitting on ..." in "Pug sitting on a sofa", " - ..." in "House Finch - a
# small bird", ": ..." in "Pug: a small dog"
_AFTERWARDS = re.compile(
    r"(?:\s(?:from|with|in)\s+the\s|\s-\s|[,;]|:(?=\s|$)"
    r"|\s(?:[a-z]{2,20}ing|perched|parked|seated)"
    r"\s+(?:on|in|at|near|by|over|under|through|against|along|next|from|to|an?|the|its)\s).*"
)

# "(Carlin)" in "Pug (Carlin)", also where the reply was cut off: "Pug (Carl"
_BRACKETS = re.compile(r"[(\[]([^()\[\]]{0,200})[)\]]?")
# "Larus argentatus", "Salix x sepulcralis", "Canis lupus dingo"; "Larus sp." is no species, and birds that share it
# are not one class
_LATIN = re.compile(r"[A-Z][a-zë-]{2,}(?: x)? [a-z][a-zë-]{2,}(?: [a-z][a-z-]{2,})?")
_LATIN_OPENINGS = _words(
    "also often formerly commonly sometimes male female adult juvenile note such more previously usually either "
    "possibly probably likely and the now known here based not unknown unidentified unspecified undetermined "
    "uncertain unclear unable cannot none various multiple"
)
_NO_LATIN_ENDING = re.compile(r"\s(?:species|spp|hybrid|unknown|unidentified)$")  # "Larus species"
LATIN_ENDING = re.compile(r"(?:us|um|is|ii|ae|ans|ens|a|i|os|on|ix|ea)$")
"""How most Latin names end, and few English names of their shape ("House finch")."""
_LATIN_GENUS = re.compile(r"(?:us|as|es|is|os|ys|a|o|er|um|ax|ix|yx|ps)$")  # "Larus", "Passer", not "American", "Great"
_ITALIC = re.compile(r"\s*(?:\*(?!\*)|_)")  # "*Larus argentatus*", "_Larus argentatus_", not "**Herring Gull**"
_KNOWN_AS = re.compile(r".*\b(?:known\s+as|called)\s+")  # of "(commonly known as the House Finch)"
_AUTHOR = re.compile(r"\bLinnaeus\b|\b1[789]\d\d\b")  # of "Passer domesticus (Linnaeus, 1758)"
# "**Pug**", "`Pug`", "'Pug'", but not the apostrophe in "Anna's"
_MARKUP = re.compile(r"[*`\"#|~\\]+|(?<!\w)'|'(?!\w)")
_EDGES = " ,.;:?-。"
_CLEAN = re.compile(r"[^\W_][\w\s'.&/+-]*!?")  # "St. Bernard", "Land Rover/Range Rover", "Volkswagen up!"
_YEAR_BEHIND = re.compile(r",(?=\s?(?:19|20)\d\d\b)")  # "," in "Acura RL, 2009"
_YEAR_FIRST = re.compile(r"((?:19|20)\d\d)\s+(\D.*)")  # "2009 Acura RL"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a span of a reply turned out to be.

    Attributes:
        name: The class name; ``""`` where the span has none.
        scientific: Latin name given beside it.
        flag: ``""`` for a name, else ``"generic"``, ``"refusal"`` or ``"unparsed"``.
        confidence: How sure the reply says it is of the name, in [0, 1].
    """

    name: str
    scientific: str | None = None
    flag: str = ""
    confidence: float | None = None


def read_name(span: str) -> Reading:
    """Read a span that should be one class name.

    Args:
        span: Text with markup, articles, brackets and trailing words still on it.

    Returns:
        The bare name of at most 60 characters and 8 words, or the flag that says why there is none.
    """
    outside = _bare(_BRACKETS.sub(" ", span))
    inside = [_bare(part) for bracket in _BRACKETS.findall(span) for part in re.split("[,;]", bracket)]
    scientific = next(filter(None, map(latin_name, inside)), None)
    if latin_name(outside):
        italic = bool(_ITALIC.match(span)) and not scientific
        if italic or (_has_latin_endings(outside) and not any(map(_has_latin_endings, inside))):
            common = "" if _AUTHOR.search(span) else _common_name(inside, outside, any_case=italic)
            if italic or common:
                scientific, outside = outside, common or outside
    name = _finer(strip_words(outside), inside)
    if year := _YEAR_FIRST.fullmatch(name):
        name = f"{year[2]} {year[1]}"
    flag = _flag(outside, name)
    return Reading("", None, flag) if flag else Reading(name, scientific)


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
    name = _TRAILING_KIND.sub(r"\1\2", name)
    return name.strip(_EDGES)


def singular(name: str) -> str:
    """The name with its last word in the singular: "Siberian Huskies" -> "Siberian Husky"."""
    if re.search(r"(?:ss|us|ees)$", name) or not name.endswith("s"):
        return name
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
    if not words:
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
        shares_a_word = not set(name.lower().split()).isdisjoint(latin.lower().split())
        if not _flag(part, name) and not shares_a_word and (any_case or name[0].isupper()):
            return part
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
    if unnamed or name.lower() in _UNKNOWN or is_generic(outside) or is_generic(name) or is_description(name):
        return "generic"
    if len(name) > MAX_CHARACTERS or len(name.split()) > MAX_WORDS or not _CLEAN.fullmatch(name):
        return "unparsed"
    if re.split(r"[\s-]", name)[-1] in _NO_NAME_ENDINGS or _NO_NAME.search(name) or not re.search(r"[^\W\d_]{2}", name):
        return "unparsed"
    return ""


def _bare(text: str) -> str:
    text = _MARKUP.sub(" ", _YEAR_BEHIND.sub("", text.replace("_", " ")))
    return " ".join(text.split()).strip(_EDGES)
