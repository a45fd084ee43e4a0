"""A tower with weights of its own, beside the same tower as it was."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.registry import BACKBONES

NORMS = (nn.LayerNorm, nn.GroupNorm, _NormBase)
"""The kinds of normalisation layers."""


class TunedWeights(nn.Module):
    """Copies of the weights that an encoder runs through, of all its layers or of some kinds, for training.

    The backbone stays as it was, so that one copy of its weights serves the untuned tower and any number of tuned ones.
    Statistics of batch norms are not touched: the backbone is to be in evaluation mode.

    Args:
        backbone: Loaded.
        encode: Runs the encoder on any input; the layers are those whose weights its result depends on.
        tower: What an error calls it.
        kinds: Layers of these kinds only.

    Raises:
        FgvrError: There is no such layer.
    """

    def __init__(
        self,
        backbone: Backbone,
        encode: Callable[[Backbone], Tensor],
        tower: str,
        kinds: tuple[type[nn.Module], ...] = (nn.Module,),
    ) -> None:
        super().__init__()
        # in a tuple, so that the backbone is registered under its method only
        self._caller = (_Caller(backbone),)
        with torch.inference_mode(False), torch.enable_grad():
            copies = {
                f"{layer}.{name}": weight.detach().clone().requires_grad_()
                for layer, module in self._caller[0].named_modules()
                if isinstance(module, kinds)
                for name, weight in module.named_parameters(recurse=False)
            }
            gradients = self._gradients(encode, copies)
        used = {
            name: weight for (name, weight), grad in zip(copies.items(), gradients, strict=True) if grad is not None
        }
        if not used:
            what = "normalisation layers with weights" if kinds == NORMS else "weights that its features depend on"
            raise FgvrError(
                f"This method tunes {what}, and the {tower} tower of {BACKBONES.short_name(type(backbone))} has none. "
                "Choose a CLIP model, such as model.backbone=open_clip with model.backbone.model=ViT-B-32."
            )
        # names of parameters must not have dots
        self.weights = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(weight) for name, weight in used.items()})

    def forward(self, run: Callable[[Backbone], Tensor], weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """What ``run`` makes of the backbone with the tuned weights, differentiable in them.

        Args:
            run: For instance ``lambda backbone: backbone.encode_image(pixels)``.
            weights: Others of the same names in place of ``self.weights``, such as their moving means.
        """
        tuned = {name.replace("/", "."): weight for name, weight in (weights or self.weights).items()}
        result: Tensor = functional_call(self._caller[0], tuned, (run,))
        return result

    def _gradients(
        self, encode: Callable[[Backbone], Tensor], weights: dict[str, Tensor]
    ) -> tuple[Tensor | None, ...] | list[None]:
        if not weights:
            return []
        result = functional_call(self._caller[0], weights, (encode,))
        if not result.requires_grad:
            return [None] * len(weights)
        return torch.autograd.grad(result.sum(), list(weights.values()), allow_unused=True)


class _Caller(nn.Module):
    """``functional_call`` calls a module's ``forward``, which a backbone does not have."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, run: Callable[[Backbone], Tensor]) -> Tensor:
        return run(self.backbone)
