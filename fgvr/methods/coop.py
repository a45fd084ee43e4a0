"""CoOp prompts trained with a partial-label loss: the method of the FGVR paper."""

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.heads.base import Head
from fgvr.heads.prompt import PromptHead
from fgvr.losses.base import Loss
from fgvr.methods.partial_label import PartialLabelMethod


class CoOpMethod(PartialLabelMethod):
    """Learn the context of the text prompts from candidate sets; both towers stay frozen.

    The FGVR paper's method is ``head: prompt`` with ``loss: proden`` on ``candidates: knn``; it does not give the
    training settings, so the defaults are CoOp's (Zhou et al. 2022), assumed. The result table has a second row,
    ``zero_shot``: the same label space without training.

    Args:
        backbone: Image and text tower.
        head: What is learned; ``prompt`` with 16 context tokens if not given.
        loss: Partial-label loss; ``proden`` if not given.
        templates: Text templates of the zero-shot row, with ``{}`` for the class name. The name alone if not given.
        lr: Learning rate of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.
        warmup_epochs: First epochs, at ``warmup_lr``; a cosine to zero over the remaining ones follows. (CoOp's own
            cosine is as long as all epochs, so that training ends before it reaches zero.)
        warmup_lr: Learning rate of the warm-up.
        fuse: Whether to add the row ``coop_fused``, which is then the method's own: the learned prompts together with
            class means in the visual space (see ``class_means``), with the weight that leave-one-out chooses for these
            and zero-shot.
    """

    row = "coop"

    def __init__(
        self,
        backbone: Backbone,
        head: Head | None = None,
        loss: Loss | None = None,
        templates: list[str] | None = None,
        lr: float = 0.002,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup_epochs: int = 1,
        warmup_lr: float = 1e-5,
        fuse: bool = False,
    ) -> None:
        super().__init__(
            backbone,
            head or PromptHead(),
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
        """The paper's: the names of the three nearest photos, the photo itself included."""
        return KnnCandidates()
