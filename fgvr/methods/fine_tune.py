"""What methods that train both towers have in common: parameters, optimiser, encoders, gathering, interpolation."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.methods.base import Method


class FineTuneMethod(Method):
    """A method that trains the image tower, the text tower, or both, on photos without labels.

    A subclass writes ``texts_of``, ``loss`` and ``classifiers``. A step of this class: encode the photos, ask
    ``texts_of`` which texts the step needs, encode each text once, ask ``loss`` for the loss of the global batch.

    The towers' activations can be kept for ``chunk_size`` photos or texts at a time, and computed again for the
    backward pass (gradient checkpointing by chunks), so the contrastive loss of a large batch is exact in little memory.

    Args:
        backbone: Image and text tower.
        templates: Text templates with ``{}`` for the class name; several are averaged.
        lr: Peak learning rate of AdamW.
        weight_decay: Of AdamW, for weights of two dimensions or more: not for biases, norms and the logit scale.
        betas: Of AdamW.
        eps: Of AdamW.
        warmup_steps: First steps, through which the rate rises linearly; a cosine to zero over all steps follows.
        chunk_size: Photos, and texts, whose activations are kept at a time; all of them if not given.
        train_image_tower: Whether the image tower is trained.
        train_text_tower: Whether the text tower is trained.
        train_logit_scale: Whether the factor on cosines is trained; its logarithm stays in [0, ln 100].
        wise_ft: Share of the trained weights in the weights that are evaluated, in (0, 1]; the rest is of the weights
            before training (WiSE-FT, Wortsman et al. 2022). 1 evaluates the trained ones.
    """

    needs_pixels: ClassVar[bool] = True
    needs_candidates: ClassVar[bool] = False

    def __init__(
        self,
        backbone: Backbone,
        templates: list[str] | None = None,
        lr: float = 1e-5,
        weight_decay: float = 0.2,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        warmup_steps: int = 10,
        chunk_size: int | None = None,
        train_image_tower: bool = True,
        train_text_tower: bool = True,
        train_logit_scale: bool = True,
        wise_ft: float = 1.0,
    ) -> None:
        super().__init__(backbone)

    @property
    def scale(self) -> Tensor:
        """Factor on cosines in the loss: the trained one, clamped to [1, 100]; a scalar with gradient."""
        raise NotImplementedError

    @abstractmethod
    def texts_of(self, batch: Batch, image_features: Tensor) -> Sequence[str]:
        """The texts that this process's part of the step needs; equal ones are encoded once.

        Args:
            batch: The photos.
            image_features: Their features, shape ``(B, D)``, float32, L2-normalised, without gradient.

        Returns:
            Any number, in an order of the method's own.
        """

    @abstractmethod
    def loss(self, batch: Batch, image_features: Tensor, text_features: Tensor) -> Tensor:
        """The mean loss over the **global** batch; every process returns the same value (see ``gather_rows``).

        Args:
            batch: The photos of this process.
            image_features: Their features, shape ``(B, D)``, float32, L2-normalised, with gradient.
            text_features: One row for each text of ``texts_of``, in its order, float32, L2-normalised, with gradient.
        """
