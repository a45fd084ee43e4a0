"""The contract of a partial-label loss: the only file that the author of a loss plugin must read."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fgvr.errors import FgvrError
from fgvr.moved import OldAttribute
from fgvr.records import CandidateSets


@dataclass(frozen=True, eq=False)
class PartialLabels:
    """Candidate sets of a batch, padded to the largest set of the data set.

    Attributes:
        rows: int64, shape ``(B,)``: the photos' rows in the candidate sets; the same in every epoch and on every
            process.
        candidates: int64, shape ``(B, K)``: class indices; 0 where ``mask`` is false.
        mask: bool, shape ``(B, K)``: true where there is a candidate; at least one in a row. Never changes.
        weights: float32, shape ``(B, K)``: the candidate strategy's weights, 0 outside the mask, summing to 1 in a row.
    """

    rows: Tensor
    candidates: Tensor
    mask: Tensor
    weights: Tensor

    @classmethod
    def from_sets(cls, candidates: CandidateSets) -> "PartialLabels":
        """All candidate sets of a run, in their order."""
        indices, weights = candidates.padded()
        return cls(
            rows=torch.arange(len(candidates)),
            candidates=torch.from_numpy(indices).clamp(min=0),
            mask=torch.from_numpy(indices >= 0),
            weights=torch.from_numpy(weights),
        )

    def __getitem__(self, rows: Tensor | slice) -> "PartialLabels":
        return PartialLabels(self.rows[rows], self.candidates[rows], self.mask[rows], self.weights[rows])

    def to(self, device: torch.device) -> "PartialLabels":
        """The same on another device."""
        moved = (part.to(device) for part in (self.rows, self.candidates, self.mask, self.weights))
        return PartialLabels(*moved)

    sample_index = OldAttribute("rows")


@dataclass(frozen=True, eq=False)
class StepContext:
    """What a loss may know of a step besides logits and candidate sets.

    Attributes:
        epoch: Number of the epoch, from 0.
        epochs: Epochs of the whole training, at least 1.
        image_features: float32, shape ``(B, D)``, L2-normalised, without gradients; ``None`` unless the loss says
            ``needs_features``.
        class_features: float32, shape ``(C, D)``, L2-normalised, without gradients: the classes in the space of the
            images, as they were in this forward; ``None`` unless the loss says ``needs_features``.
        view_logits: Logits of further augmented views of the same photos, shape ``(V, B, C)``, with gradients;
            ``None`` where a photo has one view, or unless the loss says ``needs_views``.
    """

    epoch: int = 0
    epochs: int = 1
    image_features: Tensor | None = None
    class_features: Tensor | None = None
    view_logits: Tensor | None = None


def state_key(candidates: CandidateSets, class_names: Sequence[str]) -> str:
    """Hash of what a loss's state belongs to: the photos, their candidate sets and the classes, in order."""
    digest = hashlib.sha256("\0".join([*candidates.sample_ids, "", *class_names]).encode())
    for part in (candidates.offsets, candidates.indices, candidates.weights):
        digest.update(part.tobytes())
    return digest.hexdigest()


class Loss(nn.Module, ABC):
    """A loss over candidate sets, with optional state per sample.

    The method calls, once a step: ``forward`` on this process's samples, then, after the optimiser's step,
    ``new_state`` on the same samples with the detached logits of that forward (or of a second one: ``refresh``), and
    ``write_state`` with the rows of **all** processes. So the state is the same on every process and for every number
    of processes. It lives outside the parameters and buffers (DDP would broadcast process 0's copy over the others)
    and travels in the state dict as extra state, with a key that says which samples and classes it belongs to.

    New rows must be a function of the logits and the old state, so that it makes no difference whether a sample occurs
    once or twice in ``write_state``. Keep state over the candidates alone: ``(N, K)`` and a few columns, never
    ``(N, C)``.

    After the last step of an epoch the method calls ``end_epoch``, for what depends on all samples at once.

    A loss without state is one method, ``forward``. One that depends on the epoch, on features or on further views
    finds them in ``step``, which the method sets before each ``forward`` and each ``new_state``; a method that sets
    nothing leaves the first epoch of one, without features and views.
    """

    needs_features: bool = False
    """Whether ``step`` must hold image and class features. A class attribute, or set in the constructor."""
    needs_views: bool = False
    """Whether ``step`` shall hold the logits of further views, where there are any (``data.views``)."""
    refresh: bool = False
    """Whether ``new_state`` gets the logits of a second forward, after the optimiser's step, instead of those that the
    loss was computed on. A class attribute, or set in the constructor."""

    def __init__(self) -> None:
        super().__init__()
        self.step = StepContext()
        self.state: Tensor | None = None
        self.state_key = ""

    @abstractmethod
    def forward(self, logits: Tensor, labels: PartialLabels) -> Tensor:
        """Loss of each sample, float32, shape ``(B,)``; the method takes the mean.

        Args:
            logits: Shape ``(B, C)``. Computed on in float32 whatever its dtype.
            labels: The batch's candidate sets.
        """

    def init_state(self, labels: PartialLabels) -> Tensor | None:
        """Initial state of all N samples, one row each, shape ``(N, S)``; ``None`` for a loss without state."""
        return None

    def new_state(self, logits: Tensor, labels: PartialLabels) -> Tensor | None:
        """The rows that replace the batch's state, shape ``(B, S)``; called without gradients."""
        return None

    def end_epoch(self, labels: PartialLabels) -> None:
        """Change the state of all samples between two epochs; called without gradients, on every process alike.

        ``state`` is the same on every process then, and must be afterwards: no draws that depend on the process.
        ``step`` is still that of the last step.

        Args:
            labels: The whole data set, on the device of the batches, in its order.
        """

    def setup(self, labels: PartialLabels, key: str) -> None:
        """Make the state for all samples of a run.

        Args:
            labels: The whole data set, in its order.
            key: Hash of sample ids, candidate sets and class names. A checkpoint's state is only taken back under the
                same key.
        """
        self.state, self.state_key = self.init_state(labels), f"{type(self).__name__} {key}"

    def rows(self, labels: PartialLabels) -> Tensor:
        """The batch's state, shape ``(B, S)``, on the batch's device.

        Raises:
            RuntimeError: ``setup`` was not called.
        """
        return self._state_on(labels.rows.device)[labels.rows]

    def features(self) -> tuple[Tensor, Tensor]:
        """Image features ``(B, D)`` and class features ``(C, D)`` of the step, for a loss with ``needs_features``.

        Raises:
            RuntimeError: The method did not put them into ``step``.
        """
        if self.step.image_features is None or self.step.class_features is None:
            raise RuntimeError(
                f"{type(self).__name__} needs image and class features: the method must set loss.step before the step."
            )
        return self.step.image_features, self.step.class_features

    def write_state(self, rows: Tensor, state: Tensor) -> None:
        """Replace the state of the samples ``rows`` (shape ``(B,)``) by ``state`` (shape ``(B, S)``).

        Where a sample occurs twice, its last row counts, on every device.
        """
        own = self._state_on(state.device)
        # plain indexed assignment leaves the order of repeated indices open, and processes would drift apart
        unique, inverse = rows.unique(return_inverse=True)
        position = torch.arange(len(inverse), device=inverse.device)
        last = torch.zeros_like(unique).scatter_reduce_(0, inverse, position, "amax")
        own[unique] = state[last].to(own.dtype)

    def _state_on(self, device: torch.device) -> Tensor:
        if self.state is None:
            raise RuntimeError(f"{type(self).__name__}.setup() must be called before the first step.")
        self.state = self.state.to(device)  # it follows the first batch, not being a buffer
        return self.state

    def get_extra_state(self) -> dict[str, Tensor | str | None]:
        """State and key, as tensors and strings only, so that it loads with ``weights_only=True``."""
        return {"state": None if self.state is None else self.state.clone(), "key": self.state_key}

    def set_extra_state(self, state: dict[str, Tensor | str | None]) -> None:
        """Take a checkpoint's state back.

        Raises:
            FgvrError: It belongs to another loss, other photos, candidate sets or classes, or to other options.
        """
        if self.state_key and state["key"] != self.state_key:
            raise FgvrError(
                "The checkpoint belongs to another loss, or to other photos, candidate sets or class names than this "
                "run's: resume with the config.yaml of the checkpoint's own run folder, or start a new run."
            )
        rows = state["state"]
        assert rows is None or isinstance(rows, Tensor)
        if rows is not None and self.state is not None and rows.shape != self.state.shape:
            raise FgvrError(
                f"The checkpoint's {type(self).__name__} had other options: its state is {tuple(rows.shape)} and this "
                f"run's {tuple(self.state.shape)}. Resume with the config.yaml of the checkpoint's own run folder."
            )
        self.state = None if rows is None else rows.clone()
