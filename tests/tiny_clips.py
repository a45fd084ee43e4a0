"""Small models of open_clip with random weights: CLIP's own towers, those of timm, and convolutional ones."""

import json
from contextlib import contextmanager

import open_clip
import pytest
import timm
import torch

from fgvr.backbones.open_clip import OpenClipBackbone

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VIT = {"image_size": 32, "layers": 2, "width": 48, "patch_size": 16, "head_width": 16}


def of_timm(name, pool, projection):
    return {"timm_model_name": name, "timm_pool": pool, "timm_proj": projection, "image_size": 32}


VISION = {
    "vit": VIT,
    "attention-pool": of_timm("vit_base_patch16_siglip_224", "map", "none"),
    "eva": of_timm("eva02_base_patch16_clip_224", "token", None),
    "pe": of_timm("vit_pe_core_tiny_patch16_384", "map", None),
    "convnext": of_timm("convnext_atto", "", "linear"),
    "resnet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "timm-resnet": of_timm("resnet10t", "avg", "linear"),
}
# the lowest version of timm that fgvr works with knows fewer kinds
VISION = {
    name: vision
    for name, vision in VISION.items()
    if "timm_model_name" not in vision or timm.is_model(vision["timm_model_name"])
}


@contextmanager
def small_models():
    """Have timm make transformers of the kinds that are asked for, but small."""
    create = timm.create_model

    def create_small(kind, **options):
        small = {"embed_dim": 48, "depth": 2, "num_heads": 3, "img_size": 32} if "vit" in kind or "eva" in kind else {}
        return create(kind, **options, **small)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, "create_model", create_small)
        yield


def write_weights(folder, name):
    """The file with the weights of the model ``fgvr-lora-NAME``, which open_clip knows from then on."""
    config = {"embed_dim": 48, "vision_cfg": VISION[name], "text_cfg": TEXT}
    (folder / f"fgvr-lora-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    path = folder / f"{name}.pt"
    with small_models():
        torch.manual_seed(0)
        torch.save(open_clip.create_model(f"fgvr-lora-{name}").state_dict(), path)
    return path


def tiny_clip(folder, name="vit"):
    """A loaded backbone; the weights are those in the folder, drawn if there are none."""
    path = folder / f"{name}.pt"
    if not path.is_file():
        write_weights(folder, name)
    backbone = OpenClipBackbone(f"fgvr-lora-{name}", str(path), config_dir=str(folder))
    with small_models():
        backbone.load()
    return backbone
