"""Low-rank adapters in the towers of a backbone (LoRA, Hu et al. 2022), made by PEFT."""

import importlib.util
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.registry import BACKBONES
from fgvr.text import counted

log = logging.getLogger(__name__)

Part = Literal["attention", "mlp"]

_PARTS: tuple[Part, ...] = ("attention", "mlp")
_ADAPTER = "default"  # PEFT's name of the only one
_PEFT_PREFIX = "base_model.model."  # of the names in PEFT's files


@dataclass(frozen=True)
class LoraOptions:
    r"""Low-rank adapters that are trained in the place of a tower's weights (LoRA, Hu et al. 2022).

    A layer of weight :math:`W` computes with :math:`W + (\alpha / r)\,B A`. :math:`A` is drawn and :math:`B` starts at
    zero, so nothing changes before the first step. There is no dropout.

    Args:
        rank: Rank r of the update, from 1 to the width of the narrowest layer.
        alpha: The update's factor is alpha / r; above 0, and the rank if not given, so that the factor is 1.
        lr: Peak learning rate of the adapters; the method's own ``lr`` is for what it trains beside them. Those of
            whole towers are too low for adapters; 2e-4 is CLIP-LoRA's (Zanella & Ben Ayed 2024).
        parts: Of each block, ``attention`` (queries, keys and values, and the output where that is a layer of its own),
            ``mlp``, or both if not given.

    Raises:
        FgvrError: A value is out of range.
    """

    rank: int = 4
    alpha: float | None = None
    lr: float = 2e-4
    parts: list[Part] = field(default_factory=lambda: list(_PARTS))

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise FgvrError(f"lora.rank is {self.rank}; expected 1 or more, such as 4.")
        if self.alpha is not None and not self.alpha > 0:
            raise FgvrError(f"lora.alpha is {self.alpha}; expected above 0, or null for the rank.")
        if not self.lr > 0:
            raise FgvrError(f"lora.lr is {self.lr}; expected above 0, such as 0.0002.")
        if not self.parts or len(set(self.parts)) < len(self.parts) or not set(self.parts) <= set(_PARTS):
            raise FgvrError(f"lora.parts is {list(self.parts)}; expected one or both of {', '.join(_PARTS)}.")


class LoraAdapters:
    """Adapters in the towers of a loaded backbone, which has frozen weights beside them from then on.

    Adapted are attention and linear layers in the blocks of a tower, as far as a pass calls them: a layer whose weight
    is only read (a pooling) cannot be. Of PyTorch's ``MultiheadAttention`` the output projection is left as it is:
    PEFT up to 0.21 adds its update twice, so an adapter of it would mean another thing to another version.

    Names of modules change (PEFT puts the layer into one of its own), and with them the backbone's fingerprint: its
    features are others once the adapters have learned.

    Args:
        backbone: It is loaded.
        options: What is adapted.
        passes: Tower (``image``, ``text``) -> a pass of it, which gives features with gradients; at least one.

    Raises:
        FgvrError: PEFT is missing, a tower has no layer that takes adapters, or the rank is too high for one.
    """

    def __init__(self, backbone: Backbone, options: LoraOptions, passes: Mapping[str, Callable[[], Tensor]]) -> None:
        require_peft()
        # PEFT imports it where it is installed, and it asks for a package that only quantised weights on a CPU need
        logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
        from peft import LoraConfig, inject_adapter_in_model

        from fgvr.backbones.lora_attention import LoraAttention

        self.root = backbone.adapter_root
        name = BACKBONES.short_name(type(backbone))
        towers = {tower: _layers(self.root, encode, options.parts) for tower, encode in passes.items()}
        for tower, layers in towers.items():
            _check(name, tower, layers, options)
        found = {name: layer for layers in towers.values() for name, layer in layers.items()}
        self.config: Any = LoraConfig(
            r=options.rank,
            lora_alpha=options.rank if options.alpha is None else options.alpha,
            # whole names: as a list they would be ends of names, which both towers of CLIP share
            target_modules="|".join(re.escape(name) for name in found),
        )
        self.config._register_custom_module({nn.MultiheadAttention: LoraAttention})
        with torch.device("cpu"):  # the same draw whatever Lightning has made the default device
            inject_adapter_in_model(self.config, self.root, adapter_name=_ADAPTER)
        self._layers: dict[str, Any] = {name: self.root.get_submodule(name) for name in found}
        self._kept: dict[str, Tensor] = {}
        for layer in self._layers.values():
            if isinstance(layer, LoraAttention):
                layer.base_layer.out_proj.requires_grad_(False)
        for tower, encode in passes.items():
            self._check_gradients(name, tower, towers[tower], encode)
        self.names = frozenset(key for key, weight in backbone.named_parameters() if weight.requires_grad)
        """Names of the adapters' weights among those of the backbone."""
        self._log(backbone, towers)

    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return [parameter for parameter in self.root.parameters() if parameter.requires_grad]

    @torch.no_grad()
    def merge(self, share: float = 1.0) -> None:
        """Add the updates to the weights, so that the towers are as fast as without adapters; until ``unmerge``.

        Args:
            share: Of the updates. Between 0 and 1 it is that of WiSE-FT: (1 - share) W + share (W + update).
        """
        self.unmerge()
        for name, layer in self._layers.items():
            weight = _weight(layer)
            self._kept[name] = weight.clone()
            weight.add_(layer.get_delta_weight(_ADAPTER), alpha=share)
            layer.merged_adapters.append(_ADAPTER)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put the weights back, to the bit: an update that is subtracted again would leave its rounding behind."""
        for name, weight in self._kept.items():
            layer = self._layers[name]
            _weight(layer).copy_(weight)
            layer.merged_adapters.clear()
        self._kept = {}

    def save(self, folder: Path) -> None:
        """Leave ``adapter_config.json`` and ``adapter_model.safetensors``, which ``peft.PeftModel`` reads.

        Args:
            folder: Made where there is none.
        """
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        state = get_peft_model_state_dict(self.root, adapter_name=_ADAPTER)
        tensors = {f"{_PEFT_PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self.config.inference_mode = True
        try:
            self.config.save_pretrained(folder)
        finally:
            self.config.inference_mode = False
        with replacing(folder / "adapter_model.safetensors") as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})

    def _check_gradients(self, name: str, tower: str, layers: Iterable[str], encode: Callable[[], Tensor]) -> None:
        weights = [weight for layer in layers for weight in self._layers[layer].parameters() if weight.requires_grad]
        with torch.enable_grad():
            features = encode()
            reached = features.requires_grad and None not in torch.autograd.grad(
                features.sum(), weights, allow_unused=True
            )
        if not reached:
            raise FgvrError(
                f"The {tower} tower of {name} cannot be trained by adapters: its features have no gradients for some "
                f"of them. Train the other tower alone (model.train_{tower}_tower false), or leave out model.lora."
            )

    def _log(self, backbone: Backbone, towers: Mapping[str, Mapping[str, nn.Module]]) -> None:
        said = [
            f"{counted(len(layers), 'layer')} of the {tower} tower ({', '.join(_kinds(layers))})"
            for tower, layers in towers.items()
        ]
        trained = sum(weight.numel() for weight in self.parameters())
        frozen = sum(weight.numel() for weight in backbone.parameters() if not weight.requires_grad)
        log.info(
            "LoRA of rank %d: %s; %s weights to train, %.2f %% of the backbone's",
            self.config.r,
            " and ".join(said),
            f"{trained:,}",
            100 * trained / max(frozen, 1),
        )


def require_peft() -> None:
    """Check that PEFT is installed.

    Raises:
        FgvrError: It is not; the message says what to install.
    """
    if importlib.util.find_spec("peft") is None:
        raise FgvrError("model.lora needs the package peft: pip install 'fgvr[lora]'")


def _layers(root: nn.Module, encode: Callable[[], Tensor], parts: Sequence[Part]) -> dict[str, nn.Module]:
    """The layers of ``parts`` that a pass calls, in its order."""
    called: dict[str, nn.Module] = {}
    hooks = []
    for name, module in root.named_modules():
        if _part(name, module) in parts:

            def note(layer: nn.Module, _inputs: Any, _output: Any, name: str = name) -> None:
                called[name] = layer

            hooks.append(module.register_forward_hook(note))
    try:
        with torch.no_grad():
            encode()
    finally:
        for hook in hooks:
            hook.remove()
    return called


def _part(name: str, module: nn.Module) -> Part | None:
    """Which part of a block a layer is; ``None`` for what takes no adapter, or is in no block: those are numbered."""
    if not any(step.isdecimal() for step in name.split(".")):
        return None
    if isinstance(module, nn.MultiheadAttention):
        return "attention" if module._qkv_same_embed_dim else None
    if not isinstance(module, nn.Linear):
        return None
    return "attention" if re.search(r"attn|attention", name) else "mlp"


def _check(name: str, tower: str, layers: Mapping[str, nn.Module], options: LoraOptions) -> None:
    if not layers:
        raise FgvrError(
            f"The {tower} tower of {name} has no layer that takes adapters (model.lora.parts: "
            f"{', '.join(options.parts)}): these are for linear and attention layers in the blocks of a transformer. "
            f"Train the other tower alone (model.train_{tower}_tower false), leave out model.lora, which trains all "
            "weights, or choose a vision transformer such as ViT-B-16."
        )
    narrowest = min(min(_shape(layer)) for layer in layers.values())
    if options.rank > narrowest:
        raise FgvrError(
            f"model.lora.rank is {options.rank}, and the narrowest adapted layer of the {tower} tower of {name} has "
            f"{narrowest} numbers: expected less, such as 4."
        )


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple((layer.in_proj_weight if isinstance(layer, nn.MultiheadAttention) else layer.weight).shape)


def _weight(layer: Any) -> Tensor:
    """The weight that an adapted layer's update is added to."""
    base = layer.get_base_layer()
    weight: Tensor = base.in_proj_weight if isinstance(base, nn.MultiheadAttention) else base.weight
    return weight


def _kinds(layers: Iterable[str]) -> list[str]:
    """What the layers are called within their blocks, each once."""
    return list(dict.fromkeys(re.split(r"\.\d+\.", name)[-1] for name in layers))
