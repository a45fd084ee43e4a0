"""What a report shows, as plain values for its template.

Each section of the page has its module in ``sections/``. Here is what is left: the head of the page, and the photos
that it carries, which are chosen from all sections together.
"""

from dataclasses import dataclass
from functools import cached_property

from fgvr.datasets.images import Images
from fgvr.reports.run_files import class_name
from fgvr.reports.sections.candidates import Candidates, SupportCard
from fgvr.reports.sections.classes import Classes
from fgvr.reports.sections.confused_pairs import PairSide, confused_pairs
from fgvr.reports.sections.labels import Labels
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.summary import Summary
from fgvr.reports.sections.training import curve_plots
from fgvr.reports.sections.vocabulary import ReportedVocabulary
from fgvr.reports.sections.worst_images import WorstImages
from fgvr.reports.thumbnails import Thumbnail, thumbnails

MOST_THUMBNAILS = 2500
MOST_THUMBNAIL_BYTES = 9_000_000
"""Leaves room for the text of ``candidates.MOST_CARDS`` photos in a page of 15 MB."""


@dataclass(frozen=True)
class Content:
    """Everything that the template of a report reads.

    Attributes:
        run: The run.
    """

    run: ReportedRun

    @property
    def title(self) -> str:
        """Name and version of the run."""
        path = self.run.files.folder.path.resolve()
        return f"{path.parent.name}/{path.name}"

    @property
    def has_images(self) -> bool:
        """Whether the photos of the run were found."""
        return bool(self.run.images.splits)

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
        return [(part, name) for part, path in keys.items() if (name := class_name(self.run.files.config, *path))]

    @cached_property
    def summary(self) -> Summary:
        """Section "Summary"."""
        return Summary(self.run, self.labels, self.candidates)

    @cached_property
    def labels(self) -> Labels:
        """Section "Labels"."""
        return Labels(self.run)

    @cached_property
    def vocabulary(self) -> ReportedVocabulary:
        """Section "Vocabulary"."""
        return ReportedVocabulary(self.run)

    @cached_property
    def candidates(self) -> Candidates:
        """Section "Support photos and their candidates"."""
        return Candidates(self.run, self.vocabulary)

    @cached_property
    def support_cards(self) -> list[SupportCard]:
        """Its support photos."""
        return self.candidates.support_cards(self.thumbnails, self._full)

    @cached_property
    def curve_plots(self) -> list[str]:
        """Section "Training"."""
        return curve_plots(self.run)

    @cached_property
    def classes(self) -> Classes:
        """Section "Classes"."""
        return Classes(self.run, self.vocabulary)

    @cached_property
    def pairs(self) -> list[tuple[PairSide, PairSide]]:
        """Section "Most confused pairs"."""
        return confused_pairs(self.run)

    @cached_property
    def worst_images(self) -> WorstImages:
        """Section "Worst and least certain photos"."""
        return WorstImages(self.run)

    @cached_property
    def thumbnails(self) -> dict[str, Thumbnail]:
        """Sample id -> thumbnail of the photos that the page carries, the most important first."""
        paths = {record.sample_id: record.path for records in self.run.images.splits.values() for record in records}
        # photos of the results first: there are few of them, and each is there for a reason
        wanted = [*self._result_ids, *self.candidates.wanted]
        found = {sample_id: paths[sample_id] for sample_id in dict.fromkeys(wanted) if sample_id in paths}
        return thumbnails(found, MOST_THUMBNAILS, MOST_THUMBNAIL_BYTES)

    @property
    def _full(self) -> bool:
        size = sum(len(thumbnail.data) for thumbnail in self.thumbnails.values())
        return len(self.thumbnails) >= MOST_THUMBNAILS or size > 0.95 * MOST_THUMBNAIL_BYTES

    @cached_property
    def _result_ids(self) -> list[str]:
        paired = [sample_id for pair in self.pairs for one in pair for sample_id, _ in one.images]
        return [*paired, *(card.sample_id for card in [*self.worst_images.worst, *self.worst_images.least_certain])]


def no_photos() -> Images:
    """What a report is made with where the photos cannot be found."""
    return Images(splits={}, truth={}, known_names=(), unreadable={})
