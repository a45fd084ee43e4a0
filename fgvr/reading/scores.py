"""How sure a reply says it is: numbers, percents, grades, ranks, ticks; and candidates in the order of these."""

import re
from typing import Any

from fgvr.reading.fields import is_confidence, place_of
from fgvr.vocabulary.build import fold_name

_PERCENT = re.compile(r"(?<![\d.,-])(\d{1,3}(?:[.,]\d{1,9})?)\s?(?:%|per\s?cent\b)", re.IGNORECASE)  # of "high (90%)"
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,9})?")
_OF = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s?(?:/|out of)\s?(10|100|5)")
_GRADES = {
    "certain": 8, "very high": 7, "very likely": 7, "almost certain": 7, "most likely": 7, "definite": 7, "high": 6,
    "likely": 6, "probable": 6, "quite likely": 6, "strong": 6, "sure": 6, "quite high": 6, "fairly high": 6, "yes": 6,
    "best match": 7, "best": 7, "good": 5, "moderate": 4, "medium": 4, "fair": 4, "possible": 4, "fairly likely": 5,
    "maybe": 4, "less likely": 3, "low": 2, "unlikely": 2, "weak": 2, "poor": 2, "no": 0, "very low": 1,
    "very unlikely": 1, "hardly": 1, "excluded": 0, "ruled out": 0, "impossible": 0, "rejected": 0,
}  # fmt: skip
_TICKS = {
    "\u2705": 1,
    "\u2714": 1,
    "\u2713": 1,
    "\u2611": 1,
    "x": 1,
    "true": 1,
    "\u274c": 0,
    "\u2717": 0,
    "\u2718": 0,
    "\u2610": 0,
    "false": 0,
}
_CHOSEN = re.compile(
    r"^(?:is)?(?:selected|match|chosen|correct|best|final|answer|top|accepted|winner|bestmatch|selection)$"
)
_RANK = re.compile(r"^(?:rank|ranking|order|position|place|index|no)$")
_VALUE = r"(?:\d{1,3}(?:[.,]\d{1,4})?\s?%|[01][.,]\d{1,4}|\d{1,3}(?:\.\d)?\s?/\s?10{1,2}\b)"
_GRADE_WORD = (
    r"(?:(?:very|quite|fairly|most|less)\s)?"
    r"(?:high|low|medium|moderate|likely|unlikely|certain|possible|probable|hardly)"
)
# "Pug (90%)", "Pug: 0.9", "Pug - 90%", "Pug @ 90%", "90% Pug"
_BEHIND = re.compile(
    rf"(?P<name>\S.{{0,120}}?)[\s*_]{{0,4}}(?:[\[(]\s?(?P<in>(?:\w{{1,12}}[:=]?\s)?~?\s?{_VALUE}|"
    rf"{_GRADE_WORD})[^()\[\]]{{0,20}}[\])]"
    rf"|(?:\s?[:=@|,]|\s[-\u2013]|\s~|\s)[\s*_]{{0,4}}~?\s?(?P<out>{_VALUE}|(?<=[:=|-]\s){_GRADE_WORD})(?:\s(?:confidence|sure|likely|probability|match|certain\w*))?)[\s*_.]{{0,4}}",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"\(?(?P<in>{_VALUE})\)?[\s*_]{{0,3}}(?:[:|-]\s|\s)\s?(?P<name>[^\W\d].{{0,120}})")


def confidence_of(value: object) -> float | None:
    """A confidence in [0, 1], from a number or a text: 0.9, 90, "90 %", "0,9", "9/10"; ``None`` for others."""
    percent = False
    if isinstance(value, str):
        if part := _OF.fullmatch(value.strip()):
            return min(float(part[1]) / float(part[2]), 1.0)
        numbers = _PERCENT.findall(value)
        percent = len(numbers) == 1
        number = numbers[0] if percent else value.strip(" *_~.")
        value = float(number.replace(",", ".")) if _NUMBER.fullmatch(number) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return value / 100 if percent or value > 1 else float(value)


def grade_of(value: object) -> float | None:
    """A place on a scale, from a word: "high" is more than "low"; ``None`` for what is no such word."""
    if isinstance(value, str):
        word = " ".join(value.strip(" *_.()").lower().split())
        return _TICKS.get(word[:1]) if word[:1] in _TICKS and len(word) <= 2 else _GRADES.get(word)
    return None


def stated(key: str, value: object) -> float | None:
    """The confidence that a field states; ``None`` where its folded key is no confidence."""
    if not is_confidence(key):
        return None
    if key.startswith("score") and not (isinstance(value, int | float) and value <= 1):
        return None  # of a scale that nobody knows
    return confidence_of(value)


def split_score(text: str) -> tuple[str, float | None, float | None]:
    """A line without its score; its confidence; and a number to order it by: "Pug (90%)" -> ("Pug", 0.9, 0.9)."""
    text = text.strip()
    match = _BEHIND.fullmatch(text) or _BEFORE.fullmatch(text)
    if not match:
        return text, None, None
    score = match["in"] or match.groupdict().get("out") or ""
    score = re.sub(r"^(?:\w+[:=]?\s)?~?\s?(?=\d)", "", score) if re.search(r"\d", score) else score
    confidence = confidence_of(score)
    order = confidence if confidence is not None else grade_of(score)
    return (match["name"].strip(" *_"), confidence, order) if order is not None else (text, None, None)


def by_score(items: list[Any]) -> list[Any]:
    """The items in falling order of what each says of its confidence or rank, else as they stand."""
    orders = [order_of(item) for item in items]
    if any(order is None for order in orders):
        return items
    return [items[index] for index in sorted(range(len(items)), key=lambda index: -(orders[index] or 0))]


def order_of(item: object) -> float | None:
    """What orders an item of a list, more for what is better; ``None`` where it says nothing of that."""
    if isinstance(item, str):
        return split_score(item)[2]
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return _number(item[1])
    if not isinstance(item, dict):
        return None
    values = {fold_name(str(key)): value for key, value in item.items()}
    for key, value in values.items():
        if is_confidence(key) and (number := _number(value)) is not None:
            return number
    for key, value in values.items():
        if isinstance(value, bool) and _CHOSEN.match(key):
            return float(value)
        if _RANK.match(key) and (place := _rank(value)) is not None:
            return -place
    if len(item) == 1:
        return _number(next(iter(item.values())))
    return None


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    confidence = confidence_of(value)
    return confidence if confidence is not None else grade_of(value)


def _rank(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return float(value.strip(" #.")) if value.strip(" #.").isdigit() else place_of(fold_name(value))
    return None
