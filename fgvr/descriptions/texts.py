"""The texts that a method trains with: of each photo, and of each class."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from fgvr.photo_paths import PhotoPaths
from fgvr.records import Description
from fgvr.text import counted, visible
from fgvr.vocabulary.build import fold_name

log = logging.getLogger(__name__)

_SHOWN = 5


class DescriptionTexts:
    """Descriptions by photo and by class.

    What nobody has described is missing, and stays so: a class that is no photo's pseudo-label has no group, and a
    model may refuse. A method falls back to the class text there.

    Args:
        descriptions: Any number; of two texts about one photo the first counts.

    Example:
        >>> texts = DescriptionTexts([Description("group", "Four red birds.", class_name="Cardinal")])
        >>> texts.group_texts("Cardinal"), texts.group_texts("Jay"), texts.image_text("a.jpg")
        (('Four red birds.',), (), None)
    """

    def __init__(self, descriptions: Iterable[Description] = ()) -> None:
        self._images: dict[str, str] = {}
        groups: dict[str, list[str]] = {}
        for each in descriptions:
            if each.kind == "image" and each.sample_id is not None:
                self._images.setdefault(each.sample_id, each.text)
            elif each.class_name is not None:
                groups.setdefault(each.class_name, []).append(each.text)
        self._groups = {name: tuple(texts) for name, texts in groups.items()}

    def image_text(self, sample_id: str) -> str | None:
        """What was said of a photo; ``None`` where nothing was."""
        return self._images.get(sample_id)

    def group_texts(self, class_name: str) -> tuple[str, ...]:
        """What was said of groups of photos whose pseudo-label is a class; empty where nothing was."""
        return self._groups.get(class_name, ())

    def missing(self, sample_ids: Sequence[str], class_names: Sequence[str]) -> str:
        """What of these has no text, in a sentence; ``""`` where all have.

        Args:
            sample_ids: Photos that should have one.
            class_names: Classes that should have one.
        """
        images = [sample_id for sample_id in sample_ids if sample_id not in self._images]
        classes = [name for name in class_names if name not in self._groups]
        parts = [
            _some(images, len(sample_ids), ("photo", "photos")),
            _some(classes, len(class_names), ("class", "classes")),
        ]
        said = "; ".join(part for part in parts if part)
        return f"No description of {said}." if said else ""


def matched(
    descriptions: Iterable[Description], sample_ids: Collection[str], class_names: Sequence[str]
) -> list[Description]:
    """The descriptions that are about these photos and classes, named as the run names them; what is left out is said.

    Args:
        descriptions: Of a file, which may name classes in another spelling (see
            :func:`~fgvr.vocabulary.build.fold_name`) and photos by other paths, such as the file's name, where they can
            mean one photo only.
        sample_ids: The run's photos.
        class_names: The run's classes.
    """
    paths, names = PhotoPaths(sample_ids), {fold_name(name): name for name in class_names}
    kept: list[Description] = []
    unknown_images: dict[str, None] = {}
    unknown_classes: dict[str, None] = {}
    for each in descriptions:
        if each.kind == "image":
            meant = paths.find(each.sample_id or "")
            if len(meant) == 1:
                kept.append(replace(each, sample_id=meant[0]))
            else:
                unknown_images[each.sample_id or ""] = None
        elif (key := fold_name(each.class_name or "")) in names:
            kept.append(replace(each, class_name=names[key]))
        else:
            unknown_classes[each.class_name or ""] = None
    for unknown, what in ((unknown_images, ("photo", "photos")), (unknown_classes, ("class", "classes"))):
        if unknown:
            log.warning("Descriptions are left out of %s that this run does not have", _some([*unknown], None, what))
    return kept


def _some(items: Sequence[str], total: int | None, words: tuple[str, str]) -> str:
    """So many, and the first of them by name."""
    if not items:
        return ""
    shown = ", ".join(visible(item, 60) for item in items[:_SHOWN])
    more = ", ..." if len(items) > _SHOWN else ""
    how_many = counted(len(items), *words) if total is None else f"{len(items)} of {counted(total, *words)}"
    return f"{how_many} ({shown}{more})"
