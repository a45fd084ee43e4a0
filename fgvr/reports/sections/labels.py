"""Section "Labels": what the labeler replied, and what that cost.

It counts replies as they came; what became of their names is in ``vocabulary.py``.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from fgvr.labelling.plan import FollowUps, count_follow_ups
from fgvr.records import LabelRecord
from fgvr.reports.analysis import LabelledAs, names_that_are_true, replies_by_flag
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.sortable_table import Column, Table, table


@dataclass(frozen=True)
class Labels:
    """The labels of the support photos.

    Attributes:
        run: The run.
    """

    run: ReportedRun

    @cached_property
    def asked(self) -> list[LabelRecord]:
        """Labels of the photos that the labeler was asked about."""
        return [label for label in self.run.files.labels if label.flag != "unasked"]

    @cached_property
    def corrected(self) -> int:
        """Labels with a person's names, and not the reply's."""
        return sum(label.corrected for label in self.asked)

    @cached_property
    def usable(self) -> int:
        """Replies that gave a name."""
        return sum(not label.flag for label in self.run.files.labels)

    @cached_property
    def cost_usd(self) -> float:
        """What the labels cost."""
        return sum(label.cost_usd for label in self.run.files.labels)

    @cached_property
    def label_seconds(self) -> float:
        """How long the requests took, added up."""
        return sum(label.seconds for label in self.run.files.labels)

    @cached_property
    def follow_ups(self) -> FollowUps | None:
        """What asking again came to."""
        return count_follow_ups(self.asked)

    @cached_property
    def models(self) -> list[tuple[str, int]]:
        """Models that answered, with the number of photos."""
        return Counter(label.model for label in self.run.files.labels if label.model).most_common()

    @cached_property
    def replies(self) -> list[LabelledAs]:
        """The kinds of replies."""
        return replies_by_flag([label for label in self.asked if not label.corrected])

    @cached_property
    def reply_table(self) -> Table:
        """How many replies there are of each kind."""
        total = sum(reply.images for reply in self.replies)
        rows = [(reply.flag or "usable", reply.images, reply.images / total) for reply in self.replies]
        return table("Replies by kind", [Column("kind"), Column("photos", ",d"), Column("share", ".1%")], rows)

    @cached_property
    def true_labels(self) -> tuple[int, int] | None:
        """Labels whose first name is the true one, and labels of which that is known."""
        if self.run.files.vocabulary is None:
            return None
        found = names_that_are_true(self.run.files.labels, self.run.files.vocabulary, self.run.images.truth)
        return (sum(found), len(found)) if found else None
