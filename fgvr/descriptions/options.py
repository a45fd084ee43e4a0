"""Options of the descriptions: a part of the data's."""

from dataclasses import dataclass
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.tasks.wording import phrase

_MAX = 16


@dataclass
class DescribeOptions:
    """Descriptions of each support photo and of groups of photos with one pseudo-label, which LatteCLIP trains with.

    Args:
        labeler: Who describes. Where neither a labeler nor a file is given, ``data.labeler`` does: whatever its task
            is, it is given the tasks ``describe_image`` and ``describe_group``.
        group_labeler: Who describes groups; the same one if not given.
        domain: What all photos show, such as ``flower`` or ``car``: a word of the prompts.
        images: Describe each support photo.
        groups: Describe groups.
        group_size: Photos in a group, from 2 to 16; LatteCLIP's 4 if not given. A class with fewer photos has a smaller
            group.
        groups_per_class: Groups of each class, or as many as there are different ones. LatteCLIP makes one for each
            photo; 4 is assumed.
        right_in_group: Show the model groups with exactly so many photos of the class, by **true names** (table 4 of
            the LatteCLIP paper). The run is marked as an oracle.
        seed: Another one draws other groups.
        hint: Say the pseudo-label to the model when a photo is described. LatteCLIP's paper does not; its released code
            does for flowers and food.
        templates: Templates of the texts that pseudo-labels are found with; the method's own if not given.
        image_prompt: Other words than those of the task ``describe_image``; with them there is no hint.
        group_prompt: Other words than those of the task ``describe_group``.
        file: Descriptions to bring along: a ``descriptions.parquet`` of a run, or a CSV, JSONL or Parquet file. Only
            what it lacks altogether (all photos, or all groups) is asked for, and only of ``describe.labeler``.

    Raises:
        FgvrError: A number is out of range, the domain is blank, or nothing is to be described.
    """

    labeler: Labeler | None = None
    group_labeler: Labeler | None = None
    domain: str = "object"
    images: bool = True
    groups: bool = True
    group_size: int = 4
    groups_per_class: int = 4
    right_in_group: int | None = None
    seed: int = 0
    hint: bool = False
    templates: list[str] | str | None = None
    image_prompt: str | None = None
    group_prompt: str | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        phrase(self.domain, "data.describe.domain")
        if not 2 <= self.group_size <= _MAX:
            raise FgvrError(f"data.describe.group_size is {self.group_size}; expected 2 to {_MAX}.")
        if self.groups_per_class < 1:
            raise FgvrError(f"data.describe.groups_per_class is {self.groups_per_class}; expected 1 or more.")
        if self.right_in_group is not None and not 0 <= self.right_in_group <= self.group_size:
            raise FgvrError(
                f"data.describe.right_in_group is {self.right_in_group}; expected 0 to {self.group_size}, which is "
                "data.describe.group_size."
            )
        if not (self.images or self.groups):
            raise FgvrError("data.describe.images and data.describe.groups are both false: leave out data.describe.")
