"""Whether the tensors of a checkpoint have the shapes that a method has."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.records import Vocabulary
from fgvr.registry import BACKBONES
from fgvr.text import counted


def check_shapes(
    mine: Mapping[str, Any], found: Mapping[str, Any], vocabulary: Vocabulary | None, backbone: Backbone
) -> None:
    """Refuse a tensor of another shape; names that only one of the two has are not looked at.

    Args:
        mine: The state of the method.
        found: That of the checkpoint.
        vocabulary: The classes of the method, for the message.
        backbone: Its backbone, for the message.

    Raises:
        FgvrError: A tensor has another shape.
    """
    for key, tensor in found.items():
        if isinstance(tensor, Tensor) and key in mine and tensor.shape != mine[key].shape:
            classes = counted(len(vocabulary or ()), "class", "classes")
            raise FgvrError(
                f"The checkpoint has {key} of shape {tuple(tensor.shape)}, and here it is {tuple(mine[key].shape)} "
                f"({classes}, {BACKBONES.short_name(type(backbone))}): "
                "it was made with another backbone, space, head or rank. Use the config.yaml of the checkpoint's own "
                "run folder."
            )
