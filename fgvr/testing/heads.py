"""What every head of fgvr must fulfil; call it from the tests of a head plugin."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.heads.base import Head
from fgvr.testing.backbones import check_close, check_features

_NAMES = ("tabby cat", "Great Pyrenees", "1967 Ford Mustang Convertible", "oat milk", "St. Bernard")


def check_head(head: Head, backbone: Backbone) -> None:
    """Check a head against the contract in :mod:`fgvr.heads.base`, on the CPU.

    - Class features are L2-normalised float32, as wide as the head's space; logits are float32, under autocast too, and
      a photo's do not depend on the rest of the batch; class features that the caller has already give the same logits.
    - All of the head's parameters get a gradient, none of the backbone's does.
    - The state dict holds the head's own parameters and nothing of the backbone, and brings back the same features.
    - The order of the classes makes no difference (checked where no parameter belongs to one class).

    Args:
        head: Built or not; it is built several times.
        backbone: Loaded or not.

    Raises:
        AssertionError: The head breaks the contract; the message says where.

    Example:
        >>> from fgvr.heads.prompt import PromptHead
        >>> from fgvr.testing.tiny import TinyBackbone
        >>> check_head(PromptHead(n_ctx=4), TinyBackbone())
    """
    backbone.load()
    images = F.normalize(torch.randn(6, _dim(head, backbone), generator=torch.Generator().manual_seed(0)), dim=-1)
    _check_logits(head, backbone, images)
    _check_gradients(head, backbone, images)
    _check_state(head, backbone)
    _check_order_of_classes(head, backbone, images)


def _dim(head: Head, backbone: Backbone) -> int:
    return backbone.embed_dim if head.space == "joint" else backbone.visual_dim


def _check_logits(head: Head, backbone: Backbone, images: Tensor) -> None:
    _build(head, backbone, _NAMES)
    with torch.no_grad():
        features = head.class_features()
        check_features(features, (len(_NAMES), _dim(head, backbone)), "class_features")
        logits = head(images)
        assert logits.shape == (6, len(_NAMES)), f"logits: shape {tuple(logits.shape)} instead of (6, {len(_NAMES)})"
        check_close(head(images, features), logits, "logits differ when class_features are given", 1e-3)
        alone = torch.cat([head(image.unsqueeze(0)) for image in images])
        check_close(alone, logits, "a photo's logits depend on the rest of the batch", 1e-3)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = head(images, features)
    for found, when in ((logits, ""), (mixed, " under autocast")):
        assert found.dtype == torch.float32, f"logits: {found.dtype} instead of float32{when}"
    check_close(mixed, logits, "logits are not computed in float32 under autocast", 1e-3)


def _check_gradients(head: Head, backbone: Backbone, images: Tensor) -> None:
    _build(head, backbone, _NAMES)
    if not list(head.parameters()):
        return  # what it holds is not learned by gradients
    logits = head(images)
    assert logits.requires_grad, "logits carry no graph, so nothing can be learned"
    F.cross_entropy(logits, torch.arange(6) % len(_NAMES)).backward()
    for name, parameter in head.named_parameters():
        assert parameter.requires_grad, f"{name} is frozen, so it is not the head's: keep the backbone out of the head"
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert parameter.grad.isfinite().all(), f"{name}: the gradient is not finite"
        assert parameter.grad.any(), f"{name}: the gradient is zero"
    reached = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None]
    assert not reached, f"gradients reach frozen parameters: {reached[:5]}"


def _check_state(head: Head, backbone: Backbone) -> None:
    _build(head, backbone, _NAMES)
    state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    frozen = {tensor.data_ptr() for tensor in backbone.state_dict().values()}
    shared = [name for name, tensor in head.state_dict().items() if tensor.data_ptr() in frozen]
    assert not shared, f"the head's state dict holds the backbone's {shared[:5]}: checkpoints would too"
    with torch.no_grad():
        features = head.class_features()
        _build(head, backbone, _NAMES, seed=1)
        head.load_state_dict(state)
        check_close(head.class_features(), features, "features differ after load_state_dict", 1e-3)


def _check_order_of_classes(head: Head, backbone: Backbone, images: Tensor) -> None:
    _build(head, backbone, _NAMES)
    if any(len(_NAMES) in parameter.shape for parameter in head.parameters()):
        return
    with torch.no_grad():
        logits = head(images)
        _build(head, backbone, _NAMES[::-1])
        check_close(head(images).flip(1), logits, "logits depend on the order of the classes", 1e-3)


def _build(head: Head, backbone: Backbone, names: Sequence[str], seed: int = 0) -> None:
    torch.manual_seed(seed)
    head.build(backbone, names)
