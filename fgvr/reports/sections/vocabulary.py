"""Section "Vocabulary": the classes, and the spellings that went into them.

Other sections ask it which class a name belongs to.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

from fgvr.reports import plots
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.sortable_table import Column, Table, table
from fgvr.vocabulary.build import fold_name
from fgvr.vocabulary.join import joined_images
from fgvr.vocabulary.size import size_range


@dataclass(frozen=True)
class ReportedVocabulary:
    """The vocabulary.

    Attributes:
        run: The run.
    """

    run: ReportedRun

    @property
    def names_given(self) -> bool:
        """Whether the class names are not those that the labeler gave."""
        return self.run.files.class_names != "labels"

    @property
    def truth_given(self) -> bool:
        """Whether the class names are the true ones."""
        return self.run.files.class_names == "dataset"

    @cached_property
    def first_names(self) -> Counter[str]:
        """First name of a reply, as spelled -> the photos that were given it."""
        return Counter(label.names[0] for label in self.run.files.labels if label.names)

    @cached_property
    def spellings(self) -> int:
        """Different names as spelled, all names of each reply."""
        given = {name for label in self.run.files.labels for name in label.names}
        return len(given) or len(self.run.files.vocabulary.members if self.run.files.vocabulary else ())

    @cached_property
    def _members(self) -> list[list[str]]:
        vocabulary = self.run.files.vocabulary
        assert vocabulary is not None
        members: list[list[str]] = [[] for _ in vocabulary.names]
        for spelling, index in vocabulary.members.items():
            members[index].append(spelling)
        return members

    @cached_property
    def joined_table(self) -> Table | None:
        """The classes that several spellings went into."""
        vocabulary = self.run.files.vocabulary
        if vocabulary is None:
            return None
        reasons: dict[int, list[str]] = defaultdict(list)
        for join in vocabulary.joins:
            if join.name in vocabulary.members:
                reasons[vocabulary.members[join.name]].append(join.why)
        rows = [
            (
                name,
                len(self._members[index]),
                " \u00b7 ".join(m for m in self._members[index] if m != name),
                latin or "",
                "; ".join(dict.fromkeys(reasons[index])),
            )
            for index, (name, latin) in enumerate(
                zip(vocabulary.names, vocabulary.scientific_names or (None,) * len(vocabulary), strict=True)
            )
            if len(self._members[index]) > 1
        ]
        columns = [Column("class"), Column("spellings", ",d"), Column("also called"), Column("scientific name")]
        columns.append(Column("joined because"))
        return table("Names that were joined", columns, sorted(rows, key=lambda row: (-row[1], row[0])))

    @cached_property
    def space_table(self) -> Table | None:
        """The classes, with the photos that were given each."""
        vocabulary = self.run.files.vocabulary
        if vocabulary is None:
            return None
        counts = vocabulary.counts or (0,) * len(vocabulary)
        rows = [(name, counts[index], len(self._members[index])) for index, name in enumerate(vocabulary.names)]
        columns = [Column("class"), Column("photos", ",d"), Column("spellings", ",d")]
        return table("All classes", columns, sorted(rows, key=lambda row: (-row[1], row[0])))

    @property
    def classes_before(self) -> int:
        """How many classes there were before any were joined."""
        vocabulary = self.run.files.vocabulary
        return len(vocabulary) + len(vocabulary.joins) if vocabulary else 0

    @property
    def joined_images(self) -> int | None:
        """Photos that have another class because of it, where that is known."""
        return joined_images(self.run.files.vocabulary) if self.run.files.vocabulary else None

    @cached_property
    def seen_once(self) -> int:
        """Classes that one photo was given."""
        counts = self.run.files.vocabulary.counts if self.run.files.vocabulary else ()
        return sum(count == 1 for count in counts)

    @property
    def size_range(self) -> tuple[int, int | None] | None:
        """How many classes there may be, in two readings; nothing where the names were given."""
        counts = self.run.files.vocabulary.counts if self.run.files.vocabulary else ()
        return None if self.names_given or not any(counts) else size_range(counts)

    @cached_property
    def space_plot(self) -> str:
        """Photos per name before and after cleaning."""
        vocabulary = self.run.files.vocabulary
        if self.names_given or vocabulary is None or not self.first_names or not any(vocabulary.counts):
            return ""
        return plots.vocabulary_plot(list(self.first_names.values()), vocabulary.counts, self.run.note())

    @cached_property
    def class_of(self) -> dict[str, int]:
        """Folded spelling -> class index."""
        vocabulary = self.run.files.vocabulary
        if vocabulary is None:
            return {}
        spelled = {fold_name(spelling): index for spelling, index in vocabulary.members.items()}
        return spelled | {fold_name(name): index for index, name in enumerate(vocabulary.names)}
