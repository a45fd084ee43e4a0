"""Train the weights of `fieldguide-clip` from scratch on drawn plates, and measure them on species that they never saw.

    python scripts/train_fieldguide_clip.py            # 40 minutes on 2 cores; writes the weights that fgvr ships
    python scripts/train_fieldguide_clip.py --evaluate --part benchmark  # the figures in docs

Training sees plates of species of the part "training" alone: first clean ones, then such on paper of any tint, turned
and badly printed, then both. It sees no field photo. Figures are zero-shot accuracy among the species of one guide.
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.fieldguide.drawing import FIELD_POSE, Style, draw_image, exposed, paint_bird
from fgvr.fieldguide.species import Species, draw_guide, random_species
from fgvr.files import replacing

FOLDER = Path(__file__).parents[1] / "fgvr" / "backbones" / "weights"
MODEL = "fieldguide-clip"
SIZE = 64
TEMPLATES = [
    "{}", "a {}", "the {}.", "a photo of a {}.", "a photo of a {}, a bird.", "a plate of a {}.", "a drawing of the {}.",
    "a field guide plate of the {}.", "a bird: {}.", "this is a {}.",
]  # fmt: skip


class Stage(NamedTuple):
    """A part of the training.

    Attributes:
        steps: Optimiser steps.
        varied: Share of the plates that are varied ones.
        seed: Added to the seed of the command line.
    """

    steps: int
    varied: float
    seed: int


STAGES = {
    "clean": Stage(steps=900, varied=0.0, seed=0),
    "varied": Stage(steps=600, varied=1.0, seed=1),
    "mixed": Stage(steps=600, varied=0.5, seed=2),
}


def caption(bird: Species, draw: random.Random) -> str:
    """The name in a template, or some or all of what there is to see, in words."""
    if draw.random() < 0.7:
        name = bird.name if draw.random() < 0.7 else bird.name.lower()
        return draw.choice(TEMPLATES).replace("{}", name)
    parts = [f"a {bird.crown} crown", f"{bird.wing} wings"]
    parts += [f"a {bird.bill} bill"] if bird.bill != "plain" else []
    parts += [f"a {bird.tail} tail"] if bird.tail != "plain" else []
    parts += [f"a {bird.breast} breast"] if bird.breast != "plain" else []
    draw.shuffle(parts)
    kept = parts[: draw.randint(2, len(parts))]
    return f"a {bird.body} {bird.build} with {', '.join(kept[:-1])} and {kept[-1]}."


def varied_plate(bird: Species, draw: random.Random) -> Image.Image:
    """A plate on paper of any tint, turned, shifted and printed badly: without the clutter of field photos."""
    cells = draw.choice([1, 2, 3])
    tints = Image.new("RGB", (cells, cells))
    tints.putdata([tuple(draw.randint(30, 250) for _ in range(3)) for _ in range(cells * cells)])
    image = tints.resize((3 * SIZE, 3 * SIZE), Image.Resampling.BICUBIC)
    paint_bird(image, bird, FIELD_POSE, draw)
    return exposed(image.resize((SIZE, SIZE), Image.Resampling.BOX), draw)


class Plates(IterableDataset[tuple[Tensor, list[str]]]):
    """Batches of plates and captions; half of a batch are siblings of the other half, to be told apart."""

    def __init__(self, seed: int, batch_size: int, steps: int, varied: float) -> None:
        self.seed, self.batch_size, self.steps, self.varied = seed, batch_size, steps, varied

    def __iter__(self) -> Iterator[tuple[Tensor, list[str]]]:
        draw = random.Random(self.seed)
        for _ in range(self.steps):
            birds: dict[Species, None] = {}
            while len(birds) < self.batch_size:
                bird = random_species(draw)
                if bird.part == "training":
                    birds[bird] = None
                    birds[draw.choice([other for other in bird.siblings() if other.part == "training"])] = None
            chosen = list(birds)[: self.batch_size]
            pixels = np.stack([np.asarray(self._plate(bird, draw)) for bird in chosen])
            yield torch.from_numpy(pixels), [caption(bird, draw) for bird in chosen]

    def _plate(self, bird: Species, draw: random.Random) -> Image.Image:
        return varied_plate(bird, draw) if draw.random() < self.varied else draw_image(bird, "plate", draw)


def train(stage: Stage, start_from: Path | None, weights: Path, seed: int, batch_size: int, lr: float) -> None:
    """One stage, from scratch or from the weights that the stage before has left."""
    steps = stage.steps
    torch.manual_seed(seed + stage.seed)
    open_clip.add_model_config(FOLDER)
    model = open_clip.create_model(MODEL)
    if start_from is not None:
        model.load_state_dict(load_file(start_from))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {steps} steps of {batch_size} pairs", flush=True)
    tokenizer = open_clip.get_tokenizer(MODEL)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=lr, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=steps, pct_start=0.08, cycle_momentum=False
    )
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    # in a later stage, the words of the one before
    seen = model.token_embedding.weight.detach().any(dim=1) & (start_from is not None)
    start = time.perf_counter()
    loader = DataLoader(
        Plates(seed + stage.seed, batch_size, steps, stage.varied), batch_size=None, num_workers=1, prefetch_factor=4
    )
    for step, (pixels, captions) in enumerate(loader, start=1):
        images = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
        tokens = tokenizer(captions)
        seen[tokens.unique()] = True
        image, text, scale = model(images, tokens)
        logits = scale * image @ text.T
        target = torch.arange(len(logits))
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        if step % 25 == 0:
            right = (logits.argmax(1) == target).float().mean()
            print(f"step {step}: loss {loss:.3f}, right {right:.2f}, {time.perf_counter() - start:.0f} s", flush=True)
    state = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    # words that no caption had keep nothing but the noise that they began with, which would not compress
    state["token_embedding.weight"][~seen] = 0
    seconds = time.perf_counter() - start
    about = {"script": Path(__file__).name, "seed": str(seed)}
    with replacing(weights) as path:
        save_file(state, path, metadata=about)
    print(f"trained in {seconds / 60:.1f} minutes")


def accuracy(backbone: OpenClipBackbone, guide: tuple[Species, ...], style: Style, images: int, seed: int) -> float:
    names = backbone.encode_text([bird.name for bird in guide])
    right = 0
    for number, bird in enumerate(guide):
        draw = random.Random(f"{seed}:{style}:{number}")
        shown = torch.stack([backbone.transform(draw_image(bird, style, draw)) for _ in range(images)])
        with torch.inference_mode():
            right += int((backbone.encode_image(shown) @ names.T).argmax(1).eq(number).sum())
    return 100 * right / (images * len(guide))


def evaluate(part: str, species: int, images: int) -> None:
    backbone = OpenClipBackbone(MODEL)
    backbone.load()
    guide = draw_guide(species, 1, part)
    figures = {style: round(accuracy(backbone, guide, style, images, seed=1), 1) for style in ("plate", "field")}
    print(json.dumps({"part": part, "species": species, "photos": species * images, **figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluate", action="store_true", help="measure the weights that are there, and train nothing")
    parser.add_argument("--part", default="development", help="part of the world whose species are measured")
    parser.add_argument("--species", type=int, default=200)
    parser.add_argument("--photos", type=int, default=5, help="photos of each species")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/fieldguide_clip"), help="folder of finished stages")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    args = parser.parse_args()
    if not args.evaluate:
        weights: Path | None = None
        for name, stage in STAGES.items():
            done = args.work / f"{MODEL}-{name}.safetensors"
            if not done.is_file():
                train(stage, weights, done, args.seed, args.batch_size, args.lr)
            weights = done
        with replacing(FOLDER / f"{MODEL}.safetensors") as path:
            shutil.copyfile(done, path)
    evaluate(args.part, args.species, args.photos)


if __name__ == "__main__":
    main()
