"""The review file: what a person is asked about names and replies, and what becomes of the answers."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fgvr.errors import FgvrError
from fgvr.labelling.store.corrections import Renaming
from fgvr.labelling.store.keys import canonical, question_key
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.parse_stored import gives_names, is_about_text, read_stored
from fgvr.labelling.store.rows import StoredReply
from fgvr.labelling.store.synonyms import Suggestion, suggest_synonyms
from fgvr.tables import Row, Table, read_csv, write_csv
from fgvr.text import visible
from fgvr.vocabulary.build import fold_name

COLUMNS = (
    "question", "decision", "name", "count", "other_name", "other_count", "reason", "photo", "reply", "key",
)  # fmt: skip
ONE_NAME = "one name?"
"""Question of a row with two names."""
WHICH_NAME = "which name?"
"""Question of a row with a reply that gives no name."""

_YES, _NO, _NONE = ("yes", "y"), ("", "no", "n"), "none"
_SHOWN = 200
_BETWEEN_NAMES = ";"


@dataclass(frozen=True)
class Review:
    """What a review file asks.

    Attributes:
        pairs: Two names each.
        replies: Replies that give no name.
    """

    pairs: int
    replies: int


@dataclass(frozen=True)
class Changes:
    """What an edited review file changed: before and after, ``None`` where there was or is nothing.

    Attributes:
        aliases: Name -> the name in its place.
        corrections: Key of a reply -> its names.
        images: Key of a reply -> its photo, as the file has it.
    """

    aliases: Mapping[str, tuple[str | None, str | None]]
    corrections: Mapping[str, tuple[tuple[str, ...] | None, tuple[str, ...] | None]]
    images: Mapping[str, str]


def write_review(store: LabelStore, path: Path, labeler: str = "", model: str = "", progress: bool = False) -> Review:
    """Write the table that a person edits: pairs of names that may be one, and replies that give no name.

    What was decided before stands in the column ``decision``, also of pairs that nobody would suggest now.

    Args:
        store: Whose replies are reviewed.
        path: The CSV file.
        labeler: Only labelers with this text in their identity.
        model: Only models with this text in their name.
        progress: Show a progress bar on stderr, if that is a terminal.

    Raises:
        FgvrError: The file is there already, does not end in ``.csv``, or the store cannot be read.
    """
    if path.suffix.lower() != ".csv":
        raise FgvrError(f"{str(path)!r}: expected a file that ends in .csv.")
    if path.exists():
        raise FgvrError(
            f"{str(path)!r} is there already, and may have your decisions in it. Take them over with "
            f"the command `fgvr store review {path} --apply`, and write a new one under another name."
        )
    names = _Names()
    corrections = store.corrections()
    rows = store.rows(labeler=labeler, model=model, failed=False)
    with tqdm(rows, desc="Reading", unit=" replies", disable=None if progress else True) as bar:
        flagged = _flagged(bar, names, corrections)
    written = store.written_aliases()
    counts = names.counts()
    pairs = _with_decided(suggest_synonyms(counts, names.latin()), written)
    rename = Renaming(store.aliases())
    by_key = {fold_name(name): count for name, count in counts.items()}
    questions = [
        {
            "question": ONE_NAME,
            "decision": _decided(pair, rename),
            "name": pair.name,
            "count": str(by_key.get(fold_name(pair.name), 0)),
            "other_name": pair.other,
            "other_count": str(by_key.get(fold_name(pair.other), 0)),
            "reason": pair.reason,
        }
        for pair in pairs
    ]
    for key, (reply, flag) in flagged.items():
        said = corrections.get(key)
        questions.append(
            {
                "question": WHICH_NAME,
                "decision": "" if said is None else f"{_BETWEEN_NAMES} ".join(said) or _NONE,
                "reason": f"{flag} ({reply.model})" if reply.model else flag,
                "photo": reply.sample_id or reply.image,
                "reply": visible(reply.raw, _SHOWN),
                "key": key,
            }
        )
    write_csv(path, COLUMNS, ([visible(row.get(column, "")) for column in COLUMNS] for row in questions))
    return Review(len(pairs), len(flagged))


def apply_review(store: LabelStore, path: Path, encoding: str | None = None) -> Changes:
    """Take over the decisions of an edited review file: all of them, or, after an error, none.

    A pair with a name in ``decision`` (or ``yes``, for the other one) has that name from now on, a reply the names
    that stand there. Where there is none, what was decided about this pair or reply before is taken back. What the
    file does not ask about stays as it is.

    Args:
        store: Where the decisions go.
        path: The file, as :func:`write_review` has written it and a spreadsheet has saved it again.
        encoding: The file's encoding, such as ``"cp1252"``, where it is not UTF-8 or UTF-16.

    Raises:
        FgvrError: The file is no review file, or a row is not valid: an unknown question or decision, or a key that is
            not in the store. The message names the row.
    """
    table = read_csv(path, f"The command `fgvr store review {path}` makes it.", encoding, "encoding")
    if missing := [column for column in COLUMNS if column not in table.header]:
        raise FgvrError(f"{path} is no review file: it lacks the column {missing[0]!r}.")
    pairs: list[tuple[Row, str, str, str]] = []
    names_of: dict[str, tuple[str, ...] | None] = {}
    images: dict[str, str] = {}
    known = store.known({row.cells["key"] for row in table.rows if row.cells["question"] == WHICH_NAME})
    for row in table.rows:
        cells = {column: table.line(row, column) for column in COLUMNS}
        if cells["question"] == ONE_NAME:
            pairs.append((row, cells["name"], cells["other_name"], _chosen(table, row, cells)))
        elif cells["question"] != WHICH_NAME:
            raise FgvrError(
                f"{table.place(row)}: the question is {cells['question']!r}; expected {ONE_NAME!r} or {WHICH_NAME!r}."
            )
        elif cells["key"] not in known:
            raise FgvrError(
                f"{table.place(row)}: no reply of {store.path} has the key {cells['key']!r}. Leave the column 'key' as "
                "it was written, or set store to the store of this review."
            )
        else:
            names = _names(table, row, cells["decision"])
            if names_of.setdefault(cells["key"], names) != names:
                raise FgvrError(f"{table.place(row)}: this reply has another decision above. Delete one of the two.")
            images[cells["key"]] = cells["photo"]
    before = store.corrections(names_of)
    corrections = {key: (before.get(key), names) for key, names in names_of.items() if before.get(key) != names}
    aliases = _changed_aliases(table, pairs, store.written_aliases())
    store.revise(
        corrections={key: after for key, (_, after) in corrections.items()},
        aliases={name: after for name, (_, after) in aliases.items()},
    )
    return Changes(aliases, corrections, images)


class _Names:
    """Names and Latin names as they were given, with counts."""

    def __init__(self) -> None:
        self._spellings: dict[str, Counter[str]] = defaultdict(Counter)
        self._latin: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, names: Sequence[str], scientific_names: Sequence[str | None]) -> None:
        for name, scientific_name in zip(names, scientific_names, strict=True):
            if key := fold_name(name):
                self._spellings[key][name] += 1
                if scientific_name:
                    self._latin[key][scientific_name] += 1

    def counts(self) -> dict[str, int]:
        """The commonest spelling of each name -> how often the name was given."""
        return {_commonest(spellings): spellings.total() for spellings in self._spellings.values()}

    def latin(self) -> dict[str, str]:
        """The commonest spelling of each name -> the Latin name most often given with it."""
        return {_commonest(self._spellings[key]): _commonest(given) for key, given in self._latin.items()}


def _commonest(counter: Counter[str]) -> str:
    return min(counter, key=lambda entry: (-counter[entry], entry))


def _flagged(
    rows: Iterable[StoredReply], names: _Names, corrected: Collection[str]
) -> dict[str, tuple[StoredReply, str]]:
    """Replies of photos that have no name, and corrected ones, by the key of the photo's first answer.

    All names go to ``names``.
    """
    flagged: dict[str, tuple[StoredReply, str]] = {}
    named: set[str] = set()
    for row in rows:
        if not gives_names(row):
            continue
        parsed = read_stored(row)
        names.add(parsed.names, parsed.scientific_names)
        if is_about_text(row):  # a person is asked about the photo's own reply
            continue
        # a label is made of all answers of a photo, and corrected as one
        key = row.key if row.answer == 0 else question_key(row.identity, canonical(row.prompt), row.image, (), 0)
        if key in corrected or not parsed.names:
            flagged.setdefault(key, (row, parsed.flag or "decided before"))
        elif row.answer:
            named.add(key)
    return {key: found for key, found in flagged.items() if key not in named}


def _with_decided(suggested: Sequence[Suggestion], aliases: Mapping[str, str]) -> list[Suggestion]:
    """The suggestions, and after them what was decided about pairs that are not among them."""
    pairs = {frozenset((fold_name(pair.name), fold_name(pair.other))) for pair in suggested}
    decided = [
        Suggestion(name, other, "decided before")
        for name, other in aliases.items()
        if frozenset((fold_name(name), fold_name(other))) not in pairs and fold_name(name) != fold_name(other)
    ]
    return [*suggested, *decided]


def _decided(pair: Suggestion, rename: Renaming) -> str:
    """What stands in the column ``decision`` for a pair."""
    chosen = fold_name(rename.name(pair.name))
    if chosen != fold_name(rename.name(pair.other)):
        return ""
    return pair.name if chosen == fold_name(pair.name) else "yes"


def _chosen(table: Table, row: Row, cells: Mapping[str, str]) -> str:
    """The name that a pair is to have; ``""`` where they stay two."""
    name, other = fold_name(cells["name"]), fold_name(cells["other_name"])
    if not name or not other:
        raise FgvrError(f"{table.place(row)}: a pair needs a name in both columns, 'name' and 'other_name'.")
    if name == other:
        raise FgvrError(
            f"{table.place(row)}: {cells['name']!r} and {cells['other_name']!r} are one name already (case, spaces, "
            "hyphens and apostrophes do not count). Delete the row."
        )
    decision = cells["decision"]
    if decision.casefold() in _NO:
        return ""
    if decision.casefold() in _YES:
        return cells["other_name"]
    for name in (cells["name"], cells["other_name"]):
        if fold_name(decision) == fold_name(name):
            return name
    raise FgvrError(
        f"{table.place(row)}: the decision is {decision!r}; expected yes (both are {cells['other_name']!r}), "
        f"{cells['name']!r} (both are that), or no or nothing (they stay apart)."
    )


def _names(table: Table, row: Row, decision: str) -> tuple[str, ...] | None:
    """The names that a reply is to have; ``None`` where it is left as it is."""
    if not decision:
        return None
    if decision.casefold() == _NONE:
        return ()
    names = tuple(name.strip() for name in decision.split(_BETWEEN_NAMES))
    if not all(map(fold_name, names)):
        raise FgvrError(
            f"{table.place(row)}: the decision is {decision!r}; expected a name, several with {_BETWEEN_NAMES!r} "
            f"between them, {_NONE!r} for a photo that has none, or nothing."
        )
    return names


def _changed_aliases(
    table: Table, pairs: Sequence[tuple[Row, str, str, str]], stored: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """Name -> its alias before and after, for the names whose alias changes.

    Raises:
        FgvrError: Names stand for each other.
    """
    asked = _Groups((fold_name(name), fold_name(other)) for _, name, other, _ in pairs)
    before = {fold_name(name): (name, canonical) for name, canonical in stored.items()}
    # the file decides about names that it asks about together, and about no others
    after = {key: entry for key, entry in before.items() if not asked.together(key, fold_name(entry[1]))}
    after |= _decisions([pair for pair in pairs if pair[3]])
    for row, name, other, chosen in pairs:
        if chosen and (_goes_round(fold_name(name), after) or _goes_round(fold_name(other), after)):
            raise FgvrError(
                f"{table.place(row)}: together with what was decided before, {name!r} and {other!r} stand for each "
                "other. Write a new review file, which has those decisions too, and decide there."
            )
    changed: dict[str, tuple[str | None, str | None]] = {}
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        if (old and old[1]) != (new and new[1]):
            changed[(new or old or ("",))[0]] = (old[1] if old else None, new[1] if new else None)
    return changed


def _decisions(pairs: Sequence[tuple[Row, str, str, str]]) -> dict[str, tuple[str, str]]:
    """Folded name -> the name and the one to use for it; names of several pairs that hang together get one."""
    groups = _Groups((fold_name(name), fold_name(other)) for _, name, other, _ in pairs)
    members: dict[str, dict[str, str]] = defaultdict(dict)
    chosen: dict[str, Counter[str]] = defaultdict(Counter)
    exhausted: set[str] = set()
    for row, name, other, choice in pairs:
        group = groups.of(fold_name(name))
        members[group].update({fold_name(each): each for each in (name, other)})
        count = row.cells["other_count"] if choice == other else row.cells["count"]
        chosen[group][choice] = max(chosen[group][choice], int(count) if count.isdecimal() else 0)
        exhausted.update(fold_name(each) for each in (name, other) if fold_name(each) != fold_name(choice))
    found: dict[str, tuple[str, str]] = {}
    for group, names in members.items():
        kept = {name: count for name, count in chosen[group].items() if fold_name(name) not in exhausted}
        best = _commonest(Counter(kept or chosen[group]))
        found |= {key: (name, best) for key, name in names.items() if key != fold_name(best)}
    return found


def _goes_round(key: str, aliases: Mapping[str, tuple[str, str]]) -> bool:
    """Whether the names that stand for a name lead back to one of them."""
    passed = {key}
    while key in aliases:
        key = fold_name(aliases[key][1])
        if key in passed:
            return True
        passed.add(key)
    return False


class _Groups:
    """Which keys hang together by pairs."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._above: dict[str, str] = {}
        for one, two in pairs:
            self._above.setdefault(two, two)
            self._above[self.of(one)] = self.of(two)

    def of(self, key: str) -> str:
        """One key that stands for all that hang together with ``key``."""
        while (above := self._above.get(key, key)) != key:
            key = above
        return key

    def together(self, one: str, two: str) -> bool:
        """Whether both were given, and hang together."""
        return one in self._above and two in self._above and self.of(one) == self.of(two)
