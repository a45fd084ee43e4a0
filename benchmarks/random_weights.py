"""Architectures of open_clip with random weights, which take as long as trained ones."""

import tempfile
from pathlib import Path

import open_clip
import torch

from fgvr.backbones.open_clip import OpenClipBackbone


def random_backbone(model: str) -> OpenClipBackbone:
    """A loaded backbone, the same in every process.

    Args:
        model: An architecture of open_clip, such as ``ViT-B-32``.
    """
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(open_clip.create_model(model, pretrained=None).state_dict(), path)
        backbone = OpenClipBackbone(model, str(path))
        backbone.load()
    return backbone
