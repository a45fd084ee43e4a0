"""Kinds of replies that say the name in words: bare names, conclusions, sentences."""

import re
from dataclasses import replace

from fgvr.reading.conclusions import conclude, lower_case_name
from fgvr.reading.kinds import ReplyKind
from fgvr.reading.marked_names import HEADING, names_beside_latin
from fgvr.reading.names import Reading, read_name
from fgvr.reading.no_answers import flag_of, refuses
from fgvr.reading.phrases import from_phrase, is_short, named_first, without_bullet, without_key
from fgvr.reading.prose import SENTENCE_END, names_in_prose
from fgvr.reading.sentences import names_in_sentences
from fgvr.reading.words import words_of
from fgvr.vocabulary.build import fold_name

# the beginning of "The mineral in the photo is malachite."
_NAMED = re.compile(
    rf"(?:the|this|these)\s+(?:(?:{'|'.join(sorted(words_of('kinds')))}|answer|stone|gem)(?:e?s)?\b|name\s+of)"
    r"[^.!?,\n]{0,60}?\b(?:is|are)\s+[^.!?,\n]{1,40}[.!]?\Z",
    re.IGNORECASE,
)
_NO_OPENING = re.compile(
    r"[\s*_]*(?:not|no|neither|what|wait|these|those|sure|possibilities|confidence)\b", re.IGNORECASE
)
# "Horned Puffin" of "Horned Puffin is the species shown here",
# "A white Tesla Model 3" of "A white Tesla Model 3 is parked"
_SUBJECT = re.compile(
    r"(?:[Aa]n?\s+|[Tt]he\s+)?(?:[a-z-]+\s){0,2}"
    r"(?!(?:This|That|These|It|There|Here|The|My|We|I|What|Which|Based|Given|Looking|Without|Due|Because|If|As)\b)"
    r"([A-Z][\w'.-]*(?:\s(?:[A-Z\d][\w'.-]*|of|and|the)){0,5})\s+"
    r"(?:is|are|would\s+be|fits?|stands|sits|flies|perches|rests|swims|lies|walks)\b"
)
# "2009", but not in "2009s", "1990-2009", "2009 or later"
_YEAR = r"(?<![\d-])(?:19|20)\d\d(?![\d-]|s\b|\s+or\s+later|\s+onwards?\b)"
# "2009 to 2012", "2009-12"
_YEAR_RANGE = re.compile(r"\b(?:19|20)\d\d\s*(?:[-/]|to|through|and|or|until)\s*(?:19|20)?\d\d\b")
# "a 2009 model", "the model year is likely 2009"
_MODEL_YEARS = (
    re.compile(rf"({_YEAR})\s+(?:model|production)\b", re.IGNORECASE),
    re.compile(rf"\b(?:model|production)\s+years?\b[^.\n]{{0,80}}?(?<!from )(?<!between )({_YEAR})", re.IGNORECASE),
)


def read_text(text: str) -> list[Reading]:
    """The names that a text says, best first, or one reading with the flag that says why there is none.

    Args:
        text: Text without tags, not blank.
    """
    for kind in TEXTS:
        if (found := kind.read(text)) is not None:
            return found
    return [Reading("", None, "unparsed")]


class OtherLanguageReply(ReplyKind):
    """A sentence in another language than English."""

    examples = (
        ("Das ist ein Dackel.", "Dackel"),
        ("Auf dem Bild ist ein Gartenrotschwanz (Phoenicurus phoenicurus) zu sehen.", "Gartenrotschwanz"),
        ("Il s'agit d'une mésange charbonnière.", "mésange charbonnière"),
        ("La flor de la foto es una amapola.", "amapola"),
        ("A ave na foto é um bem-te-vi (Pitangus sulphuratus).", "bem-te-vi"),
        ("Questo fungo è il porcino (Boletus edulis).", "porcino"),
        ("\u041d\u0430 фотографии изображён обыкновенный снегирь.", "обыкновенный снегирь"),
        ("这是一只柴犬。", "柴犬"),
        ("これは柴犬です。", "柴犬"),
        ("이것은 진돗개입니다.", "진돗개"),
        ("الطائر في الصورة هو الهدهد.", "الهدهد"),
        ("यह फूल गेंदा है।", "गेंदा"),
        ("这张图片中没有动物。", ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        return names_in_sentences(text) or None


class NoAnswerReply(ReplyKind):
    """What is no answer from its first words: a refusal, an error of a server or a program."""

    examples = (
        ("Lo siento, no puedo identificar la especie.", ""),
        ("Désolé, je ne peux pas identifier cette espèce.", ""),
        ("Leider kann ich die Art nicht erkennen.", ""),
        ("抱歉\uff0c我无法识别这张图片。", ""),
        ("죄송합니다", ""),
        ("Não consigo identificar", ""),
        ("\u041a сожалению, определить породу невозможно.", ""),
        ("Internal Server Error", ""),
        ("Error: rate limit exceeded", ""),
        ("No image provided", ""),
        ("No animal detected", ""),
        ("Forget-me-not", "Forget-me-not"),
        ("Apache trout", "Apache trout"),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        flag = flag_of(text)
        return [Reading("", None, flag)] if flag else None


class PhraseReply(ReplyKind):
    """A bare name, or several: "Label: House Finch", "a House Finch or a Purple Finch"."""

    examples = (
        ("Label: House Finch", "House Finch"),
        ("a House Finch or a Purple Finch", "House Finch"),
        ("Sylvia atricapilla, commonly known as the Eurasian Blackcap", "Eurasian Blackcap"),
        ("Male fern", "Male fern"),
        ("Adult male Northern Pintail (*Anas acuta*) in breeding plumage", "Northern Pintail"),
        ("F-16C", "F-16C"),
        ("An insect on a leaf.", ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        text = without_bullet(text)
        if not is_short(without_key(text)):
            return None
        first, *others = from_phrase(text)
        return [_dated(first, text) if first.name else first, *others]


class ConclusionReply(ReplyKind):
    """Reasoning first, and the answer in a conclusion, which wins over what was said on the way."""

    examples = (
        (
            "1. **Bill:** heavy.\n2. **Back:** streaked.\n\nTherefore, the exact species is the **Corn Bunting**.",
            "Corn Bunting",
        ),
        (
            "**Body:** long.\n\nConclusion: this is definitively a **male Corn Bunting** (*Emberiza calandra*).",
            "Corn Bunting",
        ),
        (
            "It has a ring, unlike *Suillus granulatus*.\n\n"
            "These features together point to Slippery Jack (*Suillus luteus*).",
            "Slippery Jack",
        ),
        ("Two doors.\n\n**Conclusion: 2018 Ford Mustang GT**", "Ford Mustang GT 2018"),
        ("**Leaves**: narrow\n\n**Answer**\n\nSaffron Crocus", "Saffron Crocus"),
        ("This looks like a Honda Civic... actually, no. So: Honda Accord.", "Honda Accord"),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        found = conclude(text)
        if not found:
            return None
        if stated := _stated(text):
            before, after = stated[0], found[0]
            if after.doubtful and not before.doubtful:
                found = list(stated)
            elif _is_finer(before, after):
                found[0] = replace(before, scientific=before.scientific or after.scientific)
            elif fold_name(before.name) == fold_name(after.name):
                found[0] = replace(after, scientific=after.scientific or before.scientific)
        return [_dated(found[0], text), *found[1:]]


class ProseReply(ReplyKind):
    """English sentences: a name first and words about it behind, or "The dog in the photo appears to be a ..."."""

    examples = (
        ("House Finch\n\nThis bird has a red head.", "House Finch"),
        ("The dog appears to be a **Whippet**. **Coat:** fawn.", "Whippet"),
        ("The bird belongs to the genus **Ophrys**. The species is the bee orchid, *Ophrys apifera*.", "bee orchid"),
        ("The plant is ***Digitalis purpurea***, commonly known as **common foxglove**.", "common foxglove"),
        ("# Lamborghini Countach\n\nThe Lamborghini Countach has doors that open upwards.", "Lamborghini Countach"),
        ("I cannot tell the breed.", ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        if stated := _stated(text):
            return [_dated(stated[0], text), *stated[1:]]
        title = _title(text)
        if title:
            return [title]
        found = names_in_prose(text)
        if beside := names_beside_latin(text):
            return [replace(beside, doubtful=True)]
        if (subject := _SUBJECT.match(text)) and subject[1][:1].isupper() and (reading := read_name(subject[1])).name:
            return [replace(reading, doubtful=True)]
        if _NAMED.match(text) and (last := lower_case_name(text)):
            return [last]
        if refuses(text[:150]) or (not found.generic and refuses(text)):
            return [Reading("", None, "refusal")]
        return [Reading("", None, "generic" if found.generic else "unparsed")]


TEXTS: tuple[ReplyKind, ...] = (
    OtherLanguageReply(),
    NoAnswerReply(),
    PhraseReply(),
    ConclusionReply(),
    ProseReply(),
)
"""Kinds of text in the order in which they are tried."""


def _stated(text: str) -> list[Reading]:
    """The names that a text begins with, or that running text states, or a last line that is nothing but a name."""
    if first := named_first(text):
        return first
    prose = names_in_prose(text)
    found = list(prose.readings)
    sure = bool(found) and not found[0].doubtful and not prose.weak
    opening = _opening(text)
    if opening and not (sure and _is_other(opening[0], found[0], text)):
        return opening
    if found and not found[0].doubtful:
        return found
    last = _last_line(text)
    return [last] if last else found


def _opening(text: str) -> list[Reading]:
    """The names of a first sentence that is none: "House Finch" before words about it."""
    opening = SENTENCE_END.split(text, maxsplit=1)[0]
    short = (
        is_short(opening) and len(opening.split()) <= 6 and not opening.endswith(":") and not _NO_OPENING.match(opening)
    )
    found = from_phrase(opening) if short and not HEADING.search(opening) else []
    return found if found and found[0].name else []


def _is_other(opening: Reading, stated: Reading, text: str) -> bool:
    """Whether an opening is no name, for the text states another, and speaks of it no more."""
    first, second = (set(reading.name.lower().split()) for reading in (opening, stated))
    return first.isdisjoint(second) and text.lower().count(opening.name.lower()) == 1


def _last_line(text: str) -> Reading | None:
    """The name that is the last line of a text of several; ``None`` where that is something else."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip(" *_#>\"'.!=-\u2192\u27a1")
    if len(lines) < 2 or not last[:1].isupper() or not is_short(last) or len(last.split()) > 6 or HEADING.search(last):
        return None
    if refuses(text) and " " not in last:
        return None  # "I cannot say, sorry.\nReally."
    reading = read_name(last)
    return reading if reading.name and ":" not in last else None


def _title(text: str) -> Reading | None:
    """The "Pug" of "# Pug", where the text says more of the Pug, or there is no other heading of its rank."""
    for line in text.splitlines()[:6]:
        title = read_name(line)
        if line.startswith("#") and title.name and not HEADING.search(title.name):
            return title if text.count(title.name) > 1 or not line.startswith("###") else None
    return None


def _is_finer(stated: Reading, concluded: Reading) -> bool:
    """Whether a name that was stated before says all that the conclusion says but looks ("Harlequin Great Dane")."""
    looks = words_of("looks")
    before, after = (set(reading.name.lower().split()) for reading in (stated, concluded))
    return after < before or (before < after and looks.issuperset(after - before))


def _dated(reading: Reading, text: str) -> Reading:
    """The reading with the model year behind its name, where the reply states exactly one."""
    text = _YEAR_RANGE.sub(" ", text)
    years = {year for pattern in _MODEL_YEARS for year in pattern.findall(text)}
    if len(years) != 1 or re.search(_YEAR, reading.name):
        return reading
    return replace(reading, name=read_name(f"{reading.name} {years.pop()}").name or reading.name)
