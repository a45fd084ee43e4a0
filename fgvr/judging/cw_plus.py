"""Closed world plus: as closed world, and answers outside the list become the class with the nearest name."""

from typing import ClassVar

from fgvr.judging.base import DEFAULT_ENCODER
from fgvr.judging.cw import CwProtocol


class CwPlusProtocol(CwProtocol):
    """Closed world plus (CW+): answers outside the list become the nearest class; else as ``cw``.

    Question and replies are those of ``cw``, so that whoever runs both pays for one: arXiv 2603.06578.

    Args:
        encoder: Text encoder that finds the nearest class: a sentence encoder, by name or folder, or ``backbone`` for
            the text tower of ``model.backbone``.
        templates: Templates of class names for it, each with ``{}``; a class is the mean over them. The seven that
            CLIP's authors chose if not given.

    Raises:
        FgvrError: A template has no ``{}``, or several.
    """

    row: ClassVar[str] = "cw_plus"
    maps = True

    def __init__(self, encoder: str = DEFAULT_ENCODER, templates: list[str] | None = None) -> None:
        super(CwProtocol, self).__init__(encoder, templates)
