"""What a report shows, as plain values for its template."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fgvr.candidates.neighbours import MOST_PHOTOS, spread
from fgvr.candidates.quality import CandidateQuality, measure
from fgvr.data.photos import Photos
from fgvr.records import LabelRecord
from fgvr.reports import plots
from fgvr.reports.analysis import (
    Judged,
    LabelledAs,
    calibration,
    class_results,
    confusions,
    judge,
    name_results,
    names_that_are_true,
    replies_by_flag,
)
from fgvr.reports.run_files import LABELER, Curve, Row, RunFiles, class_name, simulates
from fgvr.reports.table import COLUMNS, table_cells
from fgvr.reports.thumbnails import Thumbnail, thumbnails
from fgvr.vocabulary.build import fold_name

MOST_CARDS = MOST_PHOTOS
MOST_THUMBNAILS = 2500
MOST_THUMBNAIL_BYTES = 9_000_000
"""Leaves room for the text of ``MOST_CARDS`` photos in a page of 15 MB."""
MOST_TABLE_ROWS = 1000
MOST_PAIRS = 12
PAIR_PHOTOS = 4
MOST_RESULT_CARDS = 24

MINUS = "\u2212"

_SIMULATED = "simulated labels"


@dataclass(frozen=True)
class Tile:
    """A figure that matters.

    Attributes:
        label: What it is.
        value: The figure.
        note: What to compare it with.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        form: Format specification of its numbers; ``""`` for a column of text.
    """

    title: str
    form: str = ""


@dataclass(frozen=True)
class Table:
    """A table that readers can sort.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: Text or numbers; ``None`` where there is none.
        total: How many rows there would be if all were shown.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    total: int


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Table:
    """The first rows, as many as a page can show."""
    return Table(caption, tuple(columns), rows[:MOST_TABLE_ROWS], len(rows))


@dataclass(frozen=True)
class Candidate:
    """A name in a candidate set; ``true`` says whether it is the true one, ``None`` where that is unknown."""

    name: str
    weight: float
    true: bool | None


@dataclass(frozen=True)
class NeighbourOf:
    """A photo that looks like another one, with the name that the labeler gave it."""

    sample_id: str
    name: str
    similarity: float


@dataclass(frozen=True)
class SupportCard:
    """A support photo and what is known of it.

    Attributes:
        sample_id: The photo.
        names: What the labeler called it, best first.
        flag: Why the reply gave no name; ``""`` for a usable reply.
        raw: The reply.
        true_name: The true name, where known.
        right: Whether the first name is the true one; ``None`` where that is unknown.
        candidates: Its candidate set; empty where it has none.
        covered: Whether the set holds the true name; ``None`` where that is unknown.
        neighbours: The photos that look most like it.
    """

    sample_id: str
    names: tuple[str, ...]
    flag: str
    raw: str
    true_name: str | None
    right: bool | None
    candidates: tuple[Candidate, ...]
    covered: bool | None
    neighbours: tuple[NeighbourOf, ...]

    @property
    def kinds(self) -> str:
        """What a reader can choose cards by."""
        kinds = {"unusable": bool(self.flag), "wrong": self.right is False, "missing": self.covered is False}
        return " ".join(kind for kind, holds in kinds.items() if holds)


@dataclass(frozen=True)
class ResultCard:
    """An evaluated photo.

    Attributes:
        sample_id: The photo.
        name: What the run's own row calls it.
        score: Its score.
        true_name: The true name, where known.
        right: Whether ``name`` stands for it; ``None`` where that is unknown.
        others: Other row -> what that one calls it.
    """

    sample_id: str
    name: str
    score: float
    true_name: str | None
    right: bool | None
    others: Mapping[str, str]


@dataclass(frozen=True)
class PairSide:
    """One of two classes that are confused.

    Attributes:
        name: The class.
        confused: How many of its photos were called the other one.
        photos: Some of its photos: sample id and whether it is a confused one.
    """

    name: str
    confused: int
    photos: tuple[tuple[str, bool], ...]


@dataclass
class Content:
    """Everything that the template of a report reads."""

    files: RunFiles
    photos: Photos
    thumbnails: dict[str, Thumbnail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths = {record.sample_id: record.path for records in self.photos.splits.values() for record in records}
        # photos of the results first: there are few of them, and each is there for a reason
        wanted = [
            *self._result_ids,
            *(self._support_ids[number] for number in spread(len(self._support_ids), MOST_CARDS)),
        ]
        found = {sample_id: paths[sample_id] for sample_id in dict.fromkeys(wanted) if sample_id in paths}
        self.thumbnails = thumbnails(found, MOST_THUMBNAILS, MOST_THUMBNAIL_BYTES)

    @property
    def title(self) -> str:
        """Name and version of the run."""
        path = self.files.folder.path.resolve()
        return f"{path.parent.name}/{path.name}"

    @property
    def has_photos(self) -> bool:
        """Whether the photos of the run were found."""
        return bool(self.photos.splits)

    @cached_property
    def setting(self) -> list[tuple[str, str]]:
        """What the run was made of: part -> class."""
        keys = {
            "Method": ("model",),
            "Backbone": ("model", "init_args", "backbone"),
            "Loss": ("model", "init_args", "loss"),
            "Labeler": ("data", "labeler"),
            "Candidates": ("data", "candidates"),
            "Photos": ("data", "dataset"),
        }
        return [(part, name) for part, path in keys.items() if (name := class_name(self.files.config, *path))]

    @property
    def own(self) -> str | None:
        """The run's own row."""
        return self.files.own_row

    @property
    def own_predictions(self) -> Row | None:
        """Its predictions."""
        predictions = self.files.predictions
        return predictions.rows.get(self.own or "") if predictions else None

    @cached_property
    def baseline(self) -> str | None:
        """The row that the own one is compared with: the first of the table."""
        rows = self.files.predictions.rows if self.files.predictions else ()
        return next((row for row in rows if row not in (self.own, LABELER)), None)

    @cached_property
    def simulated(self) -> bool:
        """Whether anything rests on simulated labels or descriptions."""
        marked = any(record.get("simulated") for record in self.files.metrics.values())
        # a run that has predicted nothing has marked nothing
        asked = bool(self.files.labels) or self.files.folder.descriptions.is_file()
        return marked or (asked and simulates(self.files.config))

    def note(self, row: str | None = None) -> str:
        """What titles must say of the row, or of everything that comes from the labels."""
        simulated = self.simulated if row is None else self.files.metrics.get(row, {}).get("simulated")
        return _SIMULATED if simulated else ""

    # results

    @cached_property
    def judged(self) -> Judged | None:
        """The own row held against the truth; ``None`` where no true name is known."""
        return self._judge(self.own)

    @cached_property
    def judged_baseline(self) -> Judged | None:
        """The same of the baseline."""
        return self._judge(self.baseline)

    def _judge(self, row: str | None) -> Judged | None:
        predictions = self.files.predictions
        if predictions is None or row is None or row not in predictions.rows or not self._known:
            return None
        return judge(predictions.rows[row], predictions.true_names)

    @cached_property
    def _known(self) -> list[int]:
        """Numbers of the predictions whose true name is known, in the order of ``judged``."""
        names = self.files.predictions.true_names if self.files.predictions else ()
        return [number for number, name in enumerate(names) if name is not None]

    @cached_property
    def fixed_and_broken(self) -> tuple[int, int] | None:
        """Photos that are right in the own row alone, and those that are right in the baseline alone."""
        if self.judged is None or self.judged_baseline is None:
            return None
        now, before = self.judged.right, self.judged_baseline.right
        return int((now & ~before).sum()), int((before & ~now).sum())

    @cached_property
    def result_table(self) -> Table | None:
        """The table that the run printed."""
        if not self.files.metrics:
            return None
        head, *body = table_cells(self.files.metrics)
        columns = [Column(head[0] or "row")]
        for number, title in enumerate(head[1:], start=1):
            columns.append(Column(title, "text" if any(_figure(cells[number]) is None for cells in body) else "number"))
        return table("Result", columns, body)

    @cached_property
    def result_plot(self) -> str:
        """The figures as a plot."""
        figures: dict[str, dict[str, float]] = {}
        for key, heading in COLUMNS.items():
            for row, record in self.files.metrics.items():
                value = record.get(key)
                if key.startswith(("accuracy", "sacc", "cacc", "siou")) and isinstance(value, int | float):
                    figures.setdefault(heading, {})[row] = value
        note = _SIMULATED if any(self.note(row) for row in self.files.metrics) else ""
        return plots.result_plot(figures, self.own or "", note) if figures else ""

    @cached_property
    def predicted(self) -> int:
        """How many photos were given a name."""
        return len(self.files.predictions.sample_ids) if self.files.predictions else 0

    @cached_property
    def tiles(self) -> list[Tile]:
        """The figures that matter, the most important first."""
        tiles = []
        own = self.files.metrics.get(self.own or "", {})
        for key in (key for key in COLUMNS if key.startswith(("sacc", "cacc"))):
            if isinstance(own.get(key), int | float):
                tiles.append(Tile(COLUMNS[key], f"{own[key]:.1f}", self._against(key)))
        row = self.own_predictions
        if row is not None:
            if self.judged is None and np.isfinite(row.scores).any():
                tiles.append(Tile("mean score", f"{np.nanmean(row.scores):.0%}", "how sure the run is of its names"))
            known = f"{len(set(self.judged.truth)):,} true classes" if self.judged else "true names unknown"
            tiles.append(Tile("photos named", f"{self.predicted:,}", f"{len(set(row.names)):,} names; {known}"))
        if self.files.labels:
            share = self.usable / max(1, len(self.asked))
            tiles.append(Tile("usable replies", f"{share:.0%}", f"of {len(self.asked):,} support photos"))
        if self.quality is not None:
            note = f"{self.quality.mean_size:.1f} names in a set"
            if self.quality.coverage is not None:
                tiles.append(Tile("candidate coverage", f"{self.quality.coverage:.0%}", note))
            else:
                tiles.append(Tile("candidate names", f"{self.quality.mean_size:.1f}", "in a set, on average"))
        if self.files.labels:
            tiles.append(Tile("labels, US$", f"{self.cost_usd:.2f}", f"{self.label_seconds:,.0f} s of requests"))
        return tiles

    def _against(self, key: str) -> str:
        own, other = (self.files.metrics.get(row or "", {}).get(key) for row in (self.own, self.baseline))
        if not isinstance(own, int | float) or not isinstance(other, int | float):
            return "of 100"
        return f"{own - other:+.1f} against {self.baseline}".replace("-", MINUS)

    # labels

    @cached_property
    def asked(self) -> list[LabelRecord]:
        """Labels of the photos that the labeler was asked about."""
        return [label for label in self.files.labels if label.flag != "unasked"]

    @cached_property
    def corrected(self) -> int:
        """Labels that a person put in the place of a reply's own."""
        return sum(label.corrected for label in self.asked)

    @cached_property
    def usable(self) -> int:
        """Replies that gave a name."""
        return sum(not label.flag for label in self.files.labels)

    @cached_property
    def cost_usd(self) -> float:
        """What the labels cost."""
        return sum(label.cost_usd for label in self.files.labels)

    @cached_property
    def label_seconds(self) -> float:
        """How long the requests took, added up."""
        return sum(label.seconds for label in self.files.labels)

    @cached_property
    def models(self) -> list[tuple[str, int]]:
        """Models that answered, with the number of photos."""
        return Counter(label.model for label in self.files.labels if label.model).most_common()

    @cached_property
    def replies(self) -> list[LabelledAs]:
        """The kinds of replies."""
        return replies_by_flag([label for label in self.asked if not label.corrected])

    @cached_property
    def reply_table(self) -> Table:
        """How many replies there are of each kind."""
        total = sum(reply.photos for reply in self.replies)
        rows = [(reply.flag or "usable", reply.photos, reply.photos / total) for reply in self.replies]
        return table("Replies by kind", [Column("kind"), Column("photos", ",d"), Column("share", ".1%")], rows)

    @cached_property
    def true_labels(self) -> tuple[int, int] | None:
        """Labels whose first name is the true one, and labels of which that is known."""
        if self.files.vocabulary is None:
            return None
        found = names_that_are_true(self.files.labels, self.files.vocabulary, self.photos.truth)
        return (sum(found), len(found)) if found else None

    # label space

    @property
    def names_given(self) -> bool:
        """Whether the class names are not those that the labeler gave."""
        return self.files.class_names != "labels"

    @property
    def truth_given(self) -> bool:
        """Whether the class names are the true ones."""
        return self.files.class_names == "dataset"

    @cached_property
    def _first_names(self) -> Counter[str]:
        return Counter(label.names[0] for label in self.files.labels if label.names)

    @cached_property
    def spellings(self) -> int:
        """Different names as spelled, all names of each reply."""
        given = {name for label in self.files.labels for name in label.names}
        return len(given) or len(self.files.vocabulary.members if self.files.vocabulary else ())

    @cached_property
    def _members(self) -> list[list[str]]:
        vocabulary = self.files.vocabulary
        assert vocabulary is not None
        members: list[list[str]] = [[] for _ in vocabulary.names]
        for spelling, index in vocabulary.members.items():
            members[index].append(spelling)
        return members

    @cached_property
    def joined_table(self) -> Table | None:
        """The classes that several spellings went into."""
        vocabulary = self.files.vocabulary
        if vocabulary is None:
            return None
        rows = [
            (
                name,
                len(self._members[index]),
                " \u00b7 ".join(m for m in self._members[index] if m != name),
                latin or "",
            )
            for index, (name, latin) in enumerate(
                zip(vocabulary.names, vocabulary.scientific_names or (None,) * len(vocabulary), strict=True)
            )
            if len(self._members[index]) > 1
        ]
        columns = [Column("class"), Column("spellings", ",d"), Column("also spelled"), Column("scientific name")]
        return table("Spellings that were joined", columns, sorted(rows, key=lambda row: (-row[1], row[0])))

    @cached_property
    def space_table(self) -> Table | None:
        """The classes, with the photos that were given each."""
        vocabulary = self.files.vocabulary
        if vocabulary is None:
            return None
        counts = vocabulary.counts or (0,) * len(vocabulary)
        rows = [(name, counts[index], len(self._members[index])) for index, name in enumerate(vocabulary.names)]
        columns = [Column("class"), Column("photos", ",d"), Column("spellings", ",d")]
        return table("All classes", columns, sorted(rows, key=lambda row: (-row[1], row[0])))

    @cached_property
    def seen_once(self) -> int:
        """Classes that one photo was given."""
        counts = self.files.vocabulary.counts if self.files.vocabulary else ()
        return sum(count == 1 for count in counts)

    @cached_property
    def space_plot(self) -> str:
        """Photos per name before and after cleaning."""
        vocabulary = self.files.vocabulary
        if self.names_given or vocabulary is None or not self._first_names or not any(vocabulary.counts):
            return ""
        return plots.label_space_plot(list(self._first_names.values()), vocabulary.counts, self.note())

    # candidate sets

    @cached_property
    def quality(self) -> CandidateQuality | None:
        """What the candidate sets are worth."""
        sets, vocabulary = self.files.candidates, self.files.vocabulary
        if not sets or vocabulary is None:
            return None
        return measure(sets, vocabulary, self.photos.truth)

    @cached_property
    def _class_of(self) -> dict[str, int]:
        """Folded spelling -> class index."""
        vocabulary = self.files.vocabulary
        if vocabulary is None:
            return {}
        spelled = {fold_name(spelling): index for spelling, index in vocabulary.members.items()}
        return spelled | {fold_name(name): index for index, name in enumerate(vocabulary.names)}

    @cached_property
    def _sets(self) -> dict[str, tuple[Candidate, ...]]:
        """Sample id -> candidate set, the heaviest names first."""
        sets, vocabulary = self.files.candidates, self.files.vocabulary
        if sets is None or vocabulary is None:
            return {}
        found = {}
        for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True):
            true = self.photos.truth.get(sample_id)
            index = self._class_of.get(fold_name(true)) if true is not None else None
            found[sample_id] = tuple(
                Candidate(vocabulary.names[i], float(weight), None if true is None else i == index)
                for i, weight in sorted(zip(indices.tolist(), weights.tolist(), strict=True), key=lambda pair: -pair[1])
            )
        return found

    @cached_property
    def size_plot(self) -> str:
        """Sizes of the candidate sets."""
        if not self._sets:
            return ""
        sets = list(self._sets.values())
        return plots.set_size_plot([len(chosen) for chosen in sets], [_covered(chosen) for chosen in sets], self.note())

    @cached_property
    def _support_ids(self) -> list[str]:
        """The support photos that anything is known of."""
        ids = [label.sample_id for label in self.files.labels]
        sets = self.files.candidates
        return list(dict.fromkeys([*ids, *(sets.sample_ids if sets else ())]))

    @property
    def support_photos(self) -> int:
        """How many there are."""
        return len(self._support_ids)

    @cached_property
    def support_cards(self) -> list[SupportCard]:
        """Support photos, evenly spread where there are too many to show."""
        chosen = [self._support_ids[number] for number in sorted(spread(len(self._support_ids), MOST_CARDS))]
        if self.thumbnails:
            shown = [sample_id for sample_id in chosen if sample_id in self.thumbnails]
            # a photo that cannot be read is shown without; one that did not fit is not shown
            chosen = shown if len(self.thumbnails) < len(chosen) and self._full else chosen
        labels = {label.sample_id: label for label in self.files.labels}
        cards = []
        for sample_id in chosen:
            label = labels.get(sample_id)
            true = self.photos.truth.get(sample_id)
            names = label.names if label else ()
            candidates = self._sets.get(sample_id, ())
            near = self.files.neighbours.get(sample_id)
            cards.append(
                SupportCard(
                    sample_id=sample_id,
                    names=names,
                    flag=label.flag if label else "",
                    raw=label.raw if label else "",
                    true_name=true,
                    right=None if true is None or not names else self._same_class(names[0], true),
                    candidates=candidates,
                    covered=_covered(candidates),
                    neighbours=tuple(
                        NeighbourOf(other, ", ".join(labels[other].names[:1]) if other in labels else "", similarity)
                        for other, similarity in zip(near.neighbours, near.similarity, strict=True)
                    )
                    if near
                    else (),
                )
            )
        return cards

    @property
    def _full(self) -> bool:
        size = sum(len(thumbnail.data) for thumbnail in self.thumbnails.values())
        return len(self.thumbnails) >= MOST_THUMBNAILS or size > 0.95 * MOST_THUMBNAIL_BYTES

    def _same_class(self, name: str, true: str) -> bool:
        keys = fold_name(name), fold_name(true)
        said, is_ = (self._class_of.get(key, key) for key in keys)
        return said == is_

    # training

    @cached_property
    def curve_plots(self) -> list[str]:
        """A plot of the training loss, and one of each figure of the validation photos."""
        drawn: dict[str, dict[str, Curve]] = defaultdict(dict)
        for row, curves in self.files.curves.items():
            for figure, curve in curves.items():
                drawn[figure][row or self.own or "this run"] = curve
        series = plots.series_of(list(self.files.metrics), self.own or "this run")
        titles = {"train/loss": "Training loss"}
        titles |= {f"val/{key}": f"{heading} of the validation photos" for key, heading in COLUMNS.items()}
        return [
            plots.curve_plot(f"curve{number}", titles[figure], drawn[figure], series, self.note())
            for number, figure in enumerate(titles)
            if figure in drawn
        ]

    # classes

    @cached_property
    def class_table(self) -> Table | None:
        """The true classes, the worst first; or, where no true name is known, the predicted ones."""
        if self.judged is not None:
            columns = [Column("true class"), Column("photos", ",d"), Column("accuracy", ".0%")]
            if self.judged_baseline is not None:
                columns += [Column(str(self.baseline), ".0%"), Column("change", "+.0%")]
            columns += [Column("most often called"), Column("photos called so", ",d"), Column("mean score", ".0%")]
            rows = []
            for result in self._class_results:
                compared = () if result.before is None else (result.before, result.accuracy - result.before)
                called = result.commonest, result.commonest_photos, _finite(result.score)
                rows.append((result.name, result.photos, result.accuracy, *compared, *called))
            return table("True classes, the worst first", columns, rows)
        row = self.own_predictions
        if row is None:
            return None
        given = self._first_names
        columns = [Column("name"), Column("photos", ",d"), Column("mean score", ".0%"), Column("lowest score", ".0%")]
        columns += [Column("support photos labelled so", ",d")]
        by_class: Counter[int | str] = Counter()
        for name, count in given.items():
            by_class[self._class_of.get(fold_name(name), name)] += count
        named = []
        for result in name_results(row):
            labelled = by_class[self._class_of.get(fold_name(result.name), result.name)] if given else None
            named.append((result.name, result.photos, _finite(result.score), _finite(result.lowest), labelled))
        return table("Predicted names, the commonest first", columns, named)

    @cached_property
    def _class_results(self) -> list[Any]:
        assert self.judged is not None
        return class_results(self.judged, self.judged_baseline)

    @cached_property
    def change_plot(self) -> str:
        """What each class gained or lost against the baseline."""
        if self.own is None or self.baseline is None or self.judged_baseline is None:
            return ""
        return plots.change_plot(self._class_results, self.own, self.baseline, self.note(self.own))

    @cached_property
    def class_plots(self) -> list[str]:
        """Accuracy per class, and score against accuracy."""
        if self.judged is None or self.own is None:
            return []
        note = self.note(self.own)
        drawn = [plots.class_plot(self._class_results, self.own, self.baseline if self.judged_baseline else None, note)]
        bins = calibration(self.judged)
        if bins.score:
            drawn.append(plots.calibration_plot(bins, self.own, note))
        return drawn

    # photos

    @cached_property
    def pairs(self) -> list[tuple[PairSide, PairSide]]:
        """The most confused pairs of classes, side by side."""
        judged, predictions = self.judged, self.files.predictions
        if judged is None or predictions is None:
            return []
        of_class: dict[str, list[int]] = defaultdict(list)
        for number, true in enumerate(judged.truth):
            of_class[true].append(number)
        given: dict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(judged.names):
            given[name].append(number)

        def side(name: str, confused: Sequence[int], others: Sequence[int]) -> PairSide:
            numbers = list(dict.fromkeys([*confused, *others]))[:PAIR_PHOTOS]
            ids = [predictions.sample_ids[self._known[number]] for number in numbers]
            marks = [number in set(confused) for number in numbers]
            return PairSide(name, len(confused), tuple(zip(ids, marks, strict=True)))

        found = []
        for pair in confusions(judged, MOST_PAIRS):
            # a name that stands for no class shows what else was called so
            others = of_class.get(pair.second) or [n for n in given[pair.second] if n not in set(pair.forth)]
            found.append((side(pair.first, pair.forth, of_class[pair.first]), side(pair.second, pair.back, others)))
        return found

    @cached_property
    def worst(self) -> list[ResultCard]:
        """Wrong names with the highest scores, or without scores the first ones."""
        judged = self.judged
        if judged is None:
            return []
        wrong = np.flatnonzero(~judged.right)
        order = np.argsort(-np.nan_to_num(judged.scores[wrong], nan=-1.0), kind="stable")[:MOST_RESULT_CARDS]
        return [self._result_card(self._known[number]) for number in wrong[order].tolist()]

    @cached_property
    def least_certain(self) -> list[ResultCard]:
        """Names with the lowest scores."""
        if self.own_predictions is None:
            return []
        scores = self.own_predictions.scores
        scored = np.flatnonzero(np.isfinite(scores))
        order = np.argsort(scores[scored], kind="stable")[:MOST_RESULT_CARDS]
        return [self._result_card(number) for number in scored[order].tolist()]

    @cached_property
    def _right(self) -> dict[int, bool]:
        if self.judged is None:
            return {}
        return dict(zip(self._known, self.judged.right.tolist(), strict=True))

    def _result_card(self, number: int) -> ResultCard:
        predictions = self.files.predictions
        assert predictions is not None
        assert self.own is not None
        own = predictions.rows[self.own]
        return ResultCard(
            sample_id=predictions.sample_ids[number],
            name=own.names[number],
            score=float(own.scores[number]),
            true_name=predictions.true_names[number],
            right=self._right.get(number),
            others={row: said.names[number] for row, said in predictions.rows.items() if row != self.own},
        )

    @cached_property
    def _result_ids(self) -> list[str]:
        paired = [sample_id for pair in self.pairs for one in pair for sample_id, _ in one.photos]
        return [*paired, *(card.sample_id for card in [*self.worst, *self.least_certain])]


def _covered(candidates: Sequence[Candidate]) -> bool | None:
    if not candidates or candidates[0].true is None:
        return None
    return any(candidate.true for candidate in candidates)


def _figure(cell: str) -> float | None:
    """The number in a cell of the result table; a dash counts as none that is known."""
    try:
        return float("nan") if cell == "-" else float(cell)
    except ValueError:
        return None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def no_photos() -> Photos:
    """What a report is made with where the photos cannot be found."""
    return Photos(splits={}, truth={}, known_names=(), unreadable={})
