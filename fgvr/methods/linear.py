"""A cosine classifier of image features trained with a partial-label loss."""

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.heads.linear import LinearHead
from fgvr.heads.prompt import PromptHead
from fgvr.losses.base import Loss
from fgvr.methods.partial_label import PartialLabelMethod


class LinearMethod(PartialLabelMethod):
    """Learn one weight vector a class over image features from candidate sets, starting as class means.

    Where ``class_means`` has one answer, this follows any partial-label loss. Its candidate sets are those of ``knn``
    with similarity weights if none are configured: uniform ones pull the start towards wrong names. Learning rate and
    pull were chosen on development sets (docs/results.md).

    Args:
        backbone: Image and text tower.
        head: What is learned; ``linear`` from class means in the visual space if not given.
        loss: Partial-label loss; ``proden`` if not given.
        templates: Text templates of the zero-shot row, with ``{}`` for the class name. The name alone if not given.
        fuse: Whether to add the row ``linear_fused``, which is then the method's own: the learned classifier together
            with zero-shot, with the weight that leave-one-out chooses for class means and zero-shot.
        lr: Learning rate of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.
        warmup_epochs: First epochs, at ``warmup_lr``; a cosine to zero over the remaining ones follows.
        warmup_lr: Learning rate of the warm-up.

    Raises:
        FgvrError: ``head`` is ``prompt``.
    """

    row = "linear"

    def __init__(
        self,
        backbone: Backbone,
        head: Head | None = None,
        loss: Loss | None = None,
        templates: list[str] | None = None,
        fuse: bool = True,
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_epochs: int = 1,
        warmup_lr: float = 1e-5,
    ) -> None:
        if isinstance(head, PromptHead):  # what is left of a configuration of coop
            raise FgvrError(
                "model.head is prompt, and linear learns no prompts: set model.head to linear, or "
                "choose the method coop."
            )
        super().__init__(
            backbone,
            head or LinearHead(),
            loss,
            templates,
            fuse,
            lr,
            momentum,
            weight_decay,
            warmup_epochs,
            warmup_lr,
        )

    def default_candidates(self) -> CandidateStrategy:
        """See the class."""
        return KnnCandidates(weights="similarity")
