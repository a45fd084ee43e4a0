"""A cosine classifier of image features trained with a partial-label loss."""

from typing import Any

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.heads.linear import LinearHead
from fgvr.heads.prompt import PromptHead
from fgvr.methods.partial_label import PartialLabelMethod


class LinearMethod(PartialLabelMethod):
    """Learn one weight vector a class over image features from candidate sets, starting as class means.

    Where ``class_means`` has one answer, this follows any partial-label loss. Its candidate sets are those of ``knn``
    with similarity weights if none are configured: uniform ones pull the start towards wrong names. Learning rate and
    pull were chosen on development sets (docs/results.md).

    Args:
        backbone: Image and text tower.
        head: What is learned; ``linear`` from class means in the visual space if not given.
        fuse: Whether to add the row ``linear_fused``, which is then the method's own: the learned classifier together
            with zero-shot, with the weight that leave-one-out chooses for class means and zero-shot.
        lr: Learning rate of SGD.
        weight_decay: Of SGD.
        **kwargs: Arguments of ``PartialLabelMethod``.

    Raises:
        FgvrError: ``head`` is ``prompt``.
    """

    row = "linear"

    def __init__(
        self,
        backbone: Backbone,
        head: Head | None = None,
        *,
        fuse: bool = True,
        lr: float = 0.01,
        weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if isinstance(head, PromptHead):  # what is left of a configuration of coop
            raise FgvrError(
                "model.head is prompt, and linear learns no prompts: set model.head to linear, or "
                "choose the method coop."
            )
        super().__init__(backbone, head or LinearHead(), fuse=fuse, lr=lr, weight_decay=weight_decay, **kwargs)

    def default_candidates(self) -> CandidateStrategy:
        """See the class."""
        return KnnCandidates(weights="similarity")
