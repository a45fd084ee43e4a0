"""A step of CoFT: the two models in turn, and both at once, in memory and seconds.

    python benchmarks/coft_memory.py --model ViT-B-16 --batch 64 --clock cpu

An architecture of open_clip with random weights, random pixels and made-up class names; both phases, SGD, float32. Each
variant runs in a process of its own. Seconds are of one step after one that is not counted; memory is the highest
resident size of the process during both, weights, gradients and momentum included (Linux), on a GPU the highest that
torch has allocated. Ends with a line of JSON.

- at_once: both models' losses are added, and the backward pass goes through both; what CoFT would take without turns.
- in_turn: as the method does it.
- recompute: in turn, activations of phase 1 computed again (``model.recompute``).
- chunks: in turn, by parts of an eighth of the batch (``model.chunk_size``).
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from device_clock import clock_of
from random_weights import random_backbone
from torch import Tensor

from fgvr.data.batches import Batch
from fgvr.methods.coft import CoftMethod
from fgvr.methods.stages import stages
from fgvr.records import Vocabulary

VARIANTS = ("at_once", "in_turn", "recompute", "chunks")


class AtOnceMethod(CoftMethod):
    """Keeps the graphs of both models until one backward pass."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of both losses."""
        losses = []
        for number, model in enumerate(self.models):
            part = self.places(number, batch)
            if self.current_stage.tunes_tower:
                losses.append(self.tuning_loss(number, batch, part, len(part)))
            else:
                losses.append(self.prompt_loss(number, batch, part, model.class_features()) / len(part))
        return torch.stack(losses).sum()


def measured(args: argparse.Namespace, phase: int, variant: str) -> dict[str, float]:
    """One variant, in this process."""
    model, batch_size, classes, device = args.model, args.batch, args.classes, torch.device(args.device)
    clock = clock_of(args.clock, device)
    kind = AtOnceMethod if variant == "at_once" else CoftMethod
    chunk = max(batch_size // 8, 1) if variant == "chunks" else None
    method: Any = kind(random_backbone(model).to(device), recompute=variant == "recompute", chunk_size=chunk)
    vocabulary = Vocabulary(tuple(f"bird of the kind {number}" for number in range(classes)))
    method.build(vocabulary, None)
    method.vocabulary = vocabulary
    method.log = lambda *args, **kwargs: None
    method.trainer = SimpleNamespace(
        world_size=1, precision_plugin=None, current_epoch=0, strategy=SimpleNamespace(reduce=lambda value, **_: value)
    )
    method.to(device)
    method.stages = stages(2, 1, 0.5)
    method.enter(method.stages[phase - 1], (torch.arange(batch_size) % classes).expand(2, -1))
    optimizer = method.configure_optimizers()["optimizer"]
    size = method.backbone.transform.transforms[0].size
    side = size if isinstance(size, int) else size[0]
    pixels = torch.rand(batch_size, 3, side, side, generator=torch.Generator().manual_seed(0))
    batch = Batch(pixels, torch.arange(batch_size)).to(device)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the highest resident size starts anew
    for _ in range(2):
        start = clock()
        method.training_step(batch, 0).backward()
        method.on_before_optimizer_step(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        seconds = clock() - start
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        status = Path("/proc/self/status").read_text()
        peak = 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {"seconds": seconds, "peak_gb": peak / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--batch", type=int, default=64, help="photos")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only is not None:
        print(json.dumps(measured(args, int(args.only[0]), args.only[1])))
        return
    results: dict[str, dict[str, float]] = {}
    print(f"{'':18} {'s a step':>9} {'peak GB':>8} {'of the first':>12}")
    for phase in (1, 2):
        for variant in args.variants:
            if phase == 2 and variant == "recompute":
                continue
            command = [sys.executable, __file__, *sys.argv[1:], "--only", str(phase), variant]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
            found = results[f"phase {phase} {variant}"] = json.loads(output.splitlines()[-1])
            seconds, peak = found["seconds"], found["peak_gb"]
            share = peak / results[f"phase {phase} {args.variants[0]}"]["peak_gb"]
            print(f"phase {phase} {variant:10} {seconds:9.1f} {peak:8.2f} {share:12.2f}", flush=True)
    print(json.dumps({"model": args.model, "batch": args.batch, "device": args.device, "clock": args.clock, **results}))


if __name__ == "__main__":
    main()
