"""CoOp prompts trained with a partial-label loss: the method of the FGVR paper."""

from typing import Any

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.heads.base import Head
from fgvr.heads.prompt import PromptHead
from fgvr.methods.partial_label import PartialLabelMethod


class CoOpMethod(PartialLabelMethod):
    """Learn the context of the text prompts from candidate sets; both towers stay frozen.

    The FGVR paper's method is ``head: prompt`` with ``loss: proden`` on ``candidates: knn``; it does not give the
    training settings, so the defaults are CoOp's (Zhou et al. 2022), assumed. The result table has a second row,
    ``zero_shot``: the same vocabulary without training.

    Args:
        backbone: Image and text tower.
        head: What is learned; ``prompt`` with 16 context tokens if not given.
        warmup_epochs: First epochs, at ``warmup_lr``; a cosine to zero over the remaining ones follows. (CoOp's own
            cosine is as long as all epochs, so that training ends before it reaches zero.)
        fuse: Whether to add the row ``coop_fused``, which is then the method's own: the learned prompts together with
            class means in the visual space (see ``class_means``), with the weight that leave-one-out chooses for these
            and zero-shot.
        **kwargs: Arguments of ``PartialLabelMethod``.
    """

    row = "coop"

    def __init__(
        self,
        backbone: Backbone,
        head: Head | None = None,
        *,
        warmup_epochs: int = 1,
        fuse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, head or PromptHead(), warmup_epochs=warmup_epochs, fuse=fuse, **kwargs)

    def default_candidates(self) -> CandidateStrategy:
        """The paper's: the names of the three nearest photos, the photo itself included."""
        return KnnCandidates()
