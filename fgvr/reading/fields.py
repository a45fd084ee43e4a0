"""What the key of a field says: a name stands under it, a Latin name, a confidence, a list, or an aside."""

import re
from collections.abc import Iterable
from functools import cache

from fgvr.reading.words import words_of
from fgvr.vocabulary.build import fold_name

_NAME_KEYS = (
    "commonname", "name", "label", "class", "answer", "prediction", "guess", "breed", "model", "species",
    "identification", "classification", "result", "candidate", "common", "vernacularname", "englishname", "variety",
    "cultivar", "entity", "title", "category", "verdict", "conclusion", "match",
)  # fmt: skip
_MORE_NAME_KEYS = (
    "vernacular", "subcategory", "subclass", "subtype", "subspecies", "taxon", "finalanswer", "identifiedas",
    "recognizedas", "recognisedas", "classifiedas", "identity", "ypred", "pred", "cls", "mostlikely", "bestmatch",
    "winner", "hypothesis", "decision", "finaldecision", "selection", "choice", "correction", "correctanswer",
    "possibility", "fine", "finegrained",
)  # fmt: skip
LATIN_KEYS = ("scientificname", "latinname", "binomialname", "binomial", "scientific", "latin", "botanicalname")
_LATIN_ENDS = LATIN_KEYS[:3]
_LIST_KEYS = ("candidates", "names", "labels", "predictions", "answers", "results", "classes", "guesses", "breeds",
              "hypotheses", "options", "choices")  # fmt: skip
_OTHERS = (
    "alternat", "otherpossib", "runnerup", "secondchoice", "possible", "lesslikely", "notselected", "secondary",
    "unlikely", "unselected", "nextbest",
)  # fmt: skip
"""How keys of further possibilities begin: "alternatives", "alternative_names", "alternates"."""
_NO_NAME_KEYS = (
    "filename", "functionname", "toolname", "familyname", "ordername", "username", "hostname", "groupname",
    "superclass", "superclassname", "coarseclass", "coarselabel", "coarsecategory", "supercategory", "modelname",
    "modelid", "classid", "labelid",
)  # fmt: skip
_CONFIDENCE = ("confidence", "probability", "certainty", "likelihood", "score", "prob")
# keys of what is no answer: "reasoning", "draft", "ruled_out"
ASIDE = re.compile(
    r"reason|thought|think|analy|descri|explan|feature|observ|evidence|note|draft|initial|prelim|reject|exclu|ruledout"
    r"|similar|lookalike|confus|notthis|why|justif|trait|charact|habitat|range|error|usage|metadata"
    r"|meta$|image$|photo$|picture$|file$|thing$|comment|remark|^not|warning|insteadof|previous|"
    r"discarded|wrong|summary|caption"
)
# keys of programs and of looks: no value of theirs is an answer
_TECHNICAL = re.compile(
    r"(?:finishreason|stopreason|blockreason|finish|path|url|uri|href|src|id|uuid|query|region|factor|"
    r"status|statuscode|code|"
    r"role|created|timestamp|date|time|version|format|mime|mimetype|encoding|lang|language|locale|"
    r"source|tool|tokens|token|"
    r"index|rank|position|order|number|count|total|size|width|height|length|weight|age|sex|gender|"
    r"colou?r|shape|material|"
    r"country|location|place|origin|year|family|genus|kingdom|phylum|suborder|superfamily|tribe|domain|division|"
    r"bbox|box|coordinates|x|y|level|success|ok|done|message|msg|detail|details|loc|logprobs|object|systemfingerprint|"
    r"provider|maker|manufacturer|make|brand|group|coarse|kind|type|text|content|action|thing|"
    r"background|scene|pose|plumage|"
    r"lighting|quality|resolution|input|prompt|question|instruction|user|system|category|unit|units|"
    r"required|properties|"
    r"letter|function|args|arguments|parameters|param|callid|toolcallid|grade|verified|subject|behaviou?r|season)$"
)
_WEAK = re.compile(r"^(?:object|type|text|content|message|subject|thing|kind|value|data|group|detail|label|item)$")
_PLACE = re.compile(
    r"(?:rank|top|no|number|option|choice|guess|candidate|prediction|name|label|answer|species|breed|"
    r"class|possibility|match|"
    r"hypothesis|result|pick)?(?P<number>[1-9]|10)(?:st|nd|rd|th)?(?:choice|guess|prediction|"
    r"candidate|option|pick|place|answer)?"
)
_PLACE_WORDS = {
    "first": 1, "primary": 1, "top": 1, "best": 1, "main": 1, "mostlikely": 1, "second": 2, "secondary": 2, "third": 3,
    "tertiary": 3, "fourth": 4, "fifth": 5, "firstchoice": 1, "secondchoice": 2, "thirdchoice": 3, "firstguess": 1,
    "secondguess": 2, "thirdguess": 3, "bestguess": 1, "topguess": 1, "topchoice": 1, "topprediction": 1,
    "bestmatch": 1,
}  # fmt: skip


@cache
def _folded(file: str) -> frozenset[str]:
    return frozenset(map(fold_name, words_of(file)))


def is_field(key: str) -> bool:
    """Whether a key is one under which a name stands, or a Latin name, a confidence or a list of names."""
    folded = fold_name(key)
    return bool(name_keys([folded])) or is_latin(folded) or is_list(folded) or is_confidence(key)


def is_name_field(key: str) -> bool:
    """Whether a key is one under which a name stands."""
    return bool(name_keys([fold_name(key)]))


def is_confidence(key: str) -> bool:
    """Whether a key is one under which a confidence stands."""
    folded = fold_name(key)
    return folded.startswith(_CONFIDENCE) or folded in _folded("confidence_fields") or folded.endswith(_CONFIDENCE)


def is_latin(key: str) -> bool:
    """Whether a folded key is one under which a Latin name stands."""
    return (
        key in LATIN_KEYS
        or key.endswith(_LATIN_ENDS)
        or key.startswith("scientificname")
        or key in _folded("latin_fields")
    )


def is_list(key: str) -> bool:
    """Whether a folded key is one under which several names stand."""
    return key.endswith(_LIST_KEYS)


def is_further(key: str) -> bool:
    """Whether a folded key is one of further possibilities."""
    return key.startswith(_OTHERS)


def is_aside(key: str) -> bool:
    """Whether what stands under a folded key is no answer: a reason, a note, a draft."""
    return bool(ASIDE.search(key)) or key in _folded("aside_fields")


def is_technical(key: str) -> bool:
    """Whether what stands under a folded key is of programs, of looks or of a rank above that of the answer."""
    return bool(_TECHNICAL.fullmatch(key))


def is_weak(key: str) -> bool:
    """Whether a folded key is so plain that its value may be the answer where there is no other: "text", "value"."""
    return bool(_WEAK.fullmatch(key))


def place_of(key: str) -> int | None:
    """The place that a folded key gives: 1 of "first", "rank1", "1st", "guess1"; ``None`` for others."""
    if key in _PLACE_WORDS:
        return _PLACE_WORDS[key]
    match = _PLACE.fullmatch(key)
    return int(match["number"]) if match else None


def name_keys(keys: Iterable[str]) -> list[str]:
    """The keys that hold a name, best first: "label" before "bestfinegrainedlabel", and "bird" last."""
    bare = {key: key.rstrip("0123456789") for key in keys}
    bare = {
        key: base
        for key, base in bare.items()
        if base and not (is_latin(key) or base.endswith((*_LATIN_ENDS, *_NO_NAME_KEYS)) or is_further(base))
    }
    exact = [key for wanted in (*_NAME_KEYS, *_MORE_NAME_KEYS) for key in bare if bare[key] == wanted]
    ends = [key for wanted in _NAME_KEYS for key in bare if bare[key].endswith(wanted) and key not in exact]
    finer = [key for key in (*exact, *ends) if bare[key].startswith("fine")]
    final = [key for key in (*exact, *ends) if key.startswith(("final", "correct"))]
    other = [key for key in bare if bare[key] in _folded("name_fields") and key not in (*exact, *ends)]
    kinds = [
        key
        for key in bare
        if bare[key] in words_of("kinds") and not is_technical(bare[key]) and key not in (*exact, *ends, *other)
    ]
    ordered = dict.fromkeys((*final, *finer, *exact, *ends, *other, *kinds))
    return [key for key in ordered if key in final or not is_aside(key)]
