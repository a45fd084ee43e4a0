"""A step of fine-tuning both towers, whole and by low-rank adapters: seconds, memory, and what is kept on disk.

    python benchmarks/lora_step.py --model ViT-B-16 --batch 8 --clock cpu

An architecture of open_clip with random weights, random pixels, and a text for each photo; CLIP's loss, backward pass
and AdamW, float32. Each variant runs in a process of its own. Seconds are the median of --repeats steps after two that
are not counted (the second makes no state of AdamW any more). Memory is the highest resident size of the process during
these steps, the weights of the model included; Linux only. With --clock cpu they are seconds of the process on the CPU,
which other processes disturb less; meant for one thread. Ends with a line of JSON.

- checkpoint: the state of the method in a file, without the optimiser's.
- adapter: the folder that ``fit`` leaves in the run folder, for PEFT.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from device_clock import clock_of
from random_weights import random_backbone
from torch import Tensor

from fgvr.backbones.lora import LoraOptions
from fgvr.data.batches import Batch
from fgvr.methods.contrastive import contrastive_loss
from fgvr.methods.fine_tune import FineTuneMethod
from fgvr.records import Vocabulary


class PairedTexts(FineTuneMethod):
    """Photo i belongs to text i."""

    row = "paired_texts"

    def texts_of(self, batch: Batch, image_features: Tensor) -> Sequence[str]:
        """One for each photo, all different."""
        return [f"a photo of a bird of the kind {number}." for number in range(len(image_features))]

    def loss(self, batch: Batch, image_features: Tensor, text_features: Tensor) -> Tensor:
        """CLIP's."""
        return contrastive_loss(image_features, text_features, self.scale) / 2

    def classifiers(self) -> dict[str, Tensor]:
        """None: nothing is evaluated."""
        return {}


def measured(
    model: str, batch_size: int, repeats: int, rank: int | None, clock: Callable[[], float]
) -> dict[str, float]:
    """One variant, in this process."""
    lora = None if rank is None else LoraOptions(rank=rank)
    method: Any = PairedTexts(random_backbone(model), lora=lora)
    vocabulary = Vocabulary(("bird",))
    method.build(vocabulary, None)
    method.vocabulary = vocabulary
    method.log = lambda *args, **kwargs: None
    method.trainer = SimpleNamespace(estimated_stepping_batches=1000, accumulate_grad_batches=1)
    optimizer = method.configure_optimizers()["optimizer"]
    size = method.backbone.transform.transforms[0].size
    side = size if isinstance(size, int) else size[0]
    pixels = torch.rand(batch_size, 3, side, side, generator=torch.Generator().manual_seed(0))
    batch, seconds = Batch(pixels, torch.arange(batch_size)), []
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident size starts anew
    for _ in range(repeats + 2):
        start = clock()
        method.training_step(batch, 0).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(clock() - start)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    found = {
        "seconds": statistics.median(seconds[2:]),
        "peak_gb": peak * 1024 / 1e9,
        "trained_million": sum(p.numel() for p in method.parameters() if p.requires_grad) / 1e6,
    }
    with tempfile.TemporaryDirectory() as folder:
        torch.save(method.state_dict(), Path(folder, "state.ckpt"))
        found["checkpoint_mb"] = Path(folder, "state.ckpt").stat().st_size / 1e6
        if method.adapters is not None:
            method.adapters.save(Path(folder, "adapter"))
            found["adapter_mb"] = sum(path.stat().st_size for path in Path(folder, "adapter").iterdir()) / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--batch", type=int, default=8, help="photos, and texts")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--only", choices=["whole", "lora"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only is not None:
        rank = args.rank if args.only == "lora" else None
        clock = clock_of(args.clock, torch.device("cpu"))
        print(json.dumps(measured(args.model, args.batch, args.repeats, rank, clock)))
        return
    results = {}
    print(f"{'':6} {'s a step':>9} {'peak GB':>8} {'trained M':>10} {'ckpt MB':>8} {'adapter MB':>11}")
    for variant in ("whole", "lora"):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", variant]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
        found = results[variant] = json.loads(output.splitlines()[-1])
        print(
            f"{variant:6} {found['seconds']:9.2f} {found['peak_gb']:8.2f} {found['trained_million']:10.2f} "
            f"{found['checkpoint_mb']:8.1f} {found.get('adapter_mb', float('nan')):11.2f}"
        )
    print(json.dumps({"model": args.model, "batch": args.batch, "rank": args.rank, "clock": args.clock, **results}))


if __name__ == "__main__":
    main()
