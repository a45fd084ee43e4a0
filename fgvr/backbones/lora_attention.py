"""PyTorch's attention with a low-rank update of queries, keys and values. Imports PEFT, which is an extra."""

from typing import Any

import torch
from peft.tuners.lora.layer import MultiheadAttention
from torch import Tensor
from torch.func import functional_call


class LoraAttention(MultiheadAttention):
    """PEFT's layer, whose weight is not touched by a pass.

    PEFT's own adds the update before each pass and subtracts it behind it. That rounds, so after many steps the frozen
    weight would be another one than that of the model which the adapter is loaded into. The output projection is used
    without its adapter, which stays at zero; see ``LoraAdapters``.
    """

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The attention of the updated weight; arguments are those of the layer."""
        if self.merged or self.disable_adapters:
            return self.base_layer(query, *args, **kwargs)
        weight = self.base_layer.in_proj_weight
        with torch.autocast(query.device.type, enabled=False):
            for adapter in self.active_adapters:
                weight = weight + self.get_delta_weight(adapter)
        return functional_call(self.base_layer, {"in_proj_weight": weight}, (query, *args), kwargs)

    def _restore_weights(self) -> None:
        """Nothing is to be restored; PEFT's own makes new parameters whenever somebody lists the modules."""
