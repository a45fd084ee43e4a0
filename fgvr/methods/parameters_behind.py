"""Which weights the features of a tower depend on."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.registry import BACKBONES


def parameters_behind(backbone: Backbone, encode: Callable[[], Tensor], tower: str) -> list[nn.Parameter]:
    """The parameters that the features of one tower depend on: DDP waits for each trained one in every step.

    Args:
        backbone: It is loaded, and stays frozen.
        encode: A pass of the tower.
        tower: ``image`` or ``text``.

    Raises:
        FgvrError: The features have no gradients.
    """
    parameters = list(backbone.parameters())
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            features = encode()
        if not features.requires_grad:
            raise FgvrError(
                f"The {tower} tower of {BACKBONES.short_name(type(backbone))} cannot be trained: its features have "
                f"no gradients. Set model.train_{tower}_tower to false, or choose another backbone (`fgvr list "
                "backbones`)."
            )
        gradients = torch.autograd.grad(features.sum(), parameters, allow_unused=True)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
    return [parameter for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
