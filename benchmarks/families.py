"""Every family of open_clip's models at its real size, at random weights: a step of prompts and one of visual prompts.

    python benchmarks/families.py --classes 10

For each model, 4 context vectors are learned over --classes made-up names, and 8 visual prompts in every block over two
photos, where the image tower takes them: forward pass, a loss and backward pass, once, on the CPU. Printed are whether
prompts share their beginning, seconds on the CPU, and that all gradients are finite and not zero. Tokenizers of the hub
have a stand-in.
"""

import argparse
import gc
import json
import logging
import time
from typing import Any

import open_clip
import torch
from prompt_encoding import make_names
from text_towers import StandInTokens
from torch import Tensor

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.backbones.open_clip_prompts import OpenClipPromptEncoder, prompt_encoder_of
from fgvr.errors import FgvrError

MODELS = [
    *("ViT-B-16", "EVA02-B-16", "PE-Core-B-16", "convnext_base_w", "MobileCLIP-S2", "coca_ViT-B-32"),
    *("ViT-B-16-SigLIP", "ViT-B-16-SigLIP2", "ViT-L-14-CLIPA"),
]


class RandomBackbone(OpenClipBackbone):
    """A model of open_clip that was not trained."""

    def load(self) -> None:
        """Draw the weights, and a tokenizer if the model's own is the hub's."""
        self.clip = open_clip.create_model(self.model).eval().requires_grad_(False)
        text: Any = getattr(self.clip, "text", self.clip)
        hub = "hf_tokenizer_name" in open_clip.get_model_config(self.model)["text_cfg"]
        length = self.clip.visual.preprocess_cfg["size"]
        self.size = length if isinstance(length, tuple) else (length, length)
        self._tokenizer: Any = (
            StandInTokens(text.context_length, text.vocab_size) if hub else open_clip.get_tokenizer(self.model)
        )


def step(features: Tensor, learned: Tensor) -> bool:
    """Whether a loss of ``features`` gives ``learned`` a gradient that is finite and not zero."""
    target = torch.linspace(-1, 1, features.numel()).view_as(features)
    (gradient,) = torch.autograd.grad((features * target).sum(), learned)
    return bool(gradient.isfinite().all()) and bool(gradient.flatten(0, -2).any(-1).all())


def row_of(model: str, classes: int) -> dict[str, Any]:
    """What a model takes, and how long."""
    torch.manual_seed(0)
    backbone = RandomBackbone(model)
    backbone.load()
    encoder = prompt_encoder_of(backbone.clip, backbone._tokenizer, model, 256, 2 * 10**9)
    encoder.prepare(make_names(classes), 4, "end")
    context = (0.02 * torch.randn(4, encoder.token_dim)).requires_grad_()
    start = time.process_time()
    learns = step(encoder(context), context)
    row: dict[str, Any] = {
        "model": model,
        "million_parameters": round(sum(weight.numel() for weight in backbone.parameters()) / 1e6),
        "shared": isinstance(encoder, OpenClipPromptEncoder) and encoder.shared is not None,
        "prompts_learn": learns,
        "prompts_s": round(time.process_time() - start, 2),
    }
    try:
        visual = backbone.visual_prompt_encoder()
    except FgvrError:
        return {**row, "visual_learn": None, "visual_s": None}
    prompts = (0.02 * torch.randn(visual.depth, 8, visual.width)).requires_grad_()
    start = time.process_time()
    learns = step(visual(torch.rand(2, 3, *backbone.size), prompts).joint, prompts)
    return {**row, "visual_learn": learns, "visual_s": round(time.process_time() - start, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger().setLevel(logging.ERROR)  # open_clip says of each model that it has random weights
    rows = []
    for model in options.models:
        rows.append(row_of(model, options.classes))
        gc.collect()
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps({"classes": options.classes, "rows": rows}))


if __name__ == "__main__":
    main()
