"""A loss whose gradient is known before Lightning asks for it, so that what it was computed from is gone by then."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.autograd.function import once_differentiable


class KnownGradient:
    """A loss that is added up part by part, and its gradients, so that the graph of one part is in memory at a time.

    Two models whose losses are added keep the activations of both until the backward pass. Here each part's gradients
    are taken as soon as its loss is there; DDP, gradient clipping and the optimiser see an ordinary loss.

    Args:
        parameters: What is learned, or what stands for it.
        trainer: With the precision 16-mixed its gradient scaler keeps gradients from vanishing; none if not given.

    Attributes:
        value: The loss so far, without graph.
        gradients: One for each parameter, zero at first.

    Example:
        >>> weight = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> known = KnownGradient([weight])
        >>> known.add((3 * weight).sum())
        >>> known.add((4 * weight).sum())
        >>> loss = known.loss()
        >>> (2 * loss).backward()
        >>> loss.item(), weight.grad
        (21.0, tensor([14., 14.]))
    """

    def __init__(self, parameters: Sequence[Tensor], trainer: Trainer | None = None) -> None:
        scaler = getattr(getattr(trainer, "precision_plugin", None), "scaler", None)
        self._scale = 1.0 if scaler is None else float(scaler.get_scale())
        self.parameters = list(parameters)
        self.gradients = [torch.zeros_like(parameter) for parameter in parameters]
        self.value = torch.zeros((), device=parameters[0].device)

    def add(self, loss: Tensor) -> None:
        """Add a part, whose graph is gone then."""
        self.value = self.value + loss.detach()
        gradients = torch.autograd.grad(self._scale * loss, self.parameters)
        for total, gradient in zip(self.gradients, gradients, strict=True):
            total.add_(gradient, alpha=1 / self._scale)

    def pass_on(self, source: Tensor, parameters: Sequence[Tensor]) -> None:
        """Put in the place of the first parameter those that its value was computed from, and their gradients.

        Args:
            source: What the first parameter is a detached copy of, with its graph, which is gone then.
            parameters: What ``source`` was computed from.
        """
        gradients = torch.autograd.grad(source, parameters, self._scale * self.gradients[0])
        self.parameters[:1] = parameters
        self.gradients[:1] = [gradient / self._scale for gradient in gradients]

    def extend(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Add parameters whose gradients were computed elsewhere."""
        self.parameters += parameters
        self.gradients += gradients

    def loss(self) -> Tensor:
        """The value, with these gradients."""
        loss: Tensor = _KnownGradient.apply(self.value, self.gradients, *self.parameters)
        return loss


class _KnownGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Any, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        return None, None, *(gradient.mul_(outer) for gradient in gradients)
