"""Prompts over text towers of two kinds: those that share their beginning, and those that run as a whole.

    python benchmarks/text_towers.py --classes 50 --model ViT-B-16 --other ViT-B-16-SigLIP

Each row is a training step with cached image features, forward pass, loss and backward pass to 16 context vectors, by
a text tower of real size at random weights, in a process of its own:

- shared: the prompts of --model, whose causal mask lets them share their beginning, as in training.
- whole: the same tower and prompts, each with all its tokens; features and gradients must be those of ``shared``.
- other: --other, whose tokens all see each other, so that nothing can be shared; again with a tenth of the memory.

Words of the other tower are numbers from a stand-in for its tokenizer, one for each; the hub's cuts names into more
pieces, but the tower always sees its whole context. Times are the least of --repeats, in seconds on the CPU of all
threads together, which other processes disturb less than the wall clock; memory is what the process grew by at most
during a step, from its size before.
"""

import argparse
import gc
import json
import multiprocessing
import resource
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from prompt_encoding import make_names

from fgvr.backbones.open_clip_prompts import OpenClipPromptEncoder, WholePromptEncoder
from fgvr.backbones.open_clip_tokens import PromptTokens
from fgvr.pipeline.allocator import keep_freed_memory

N_CTX = 16
BATCH = 32


class StandInTokens(PromptTokens):
    """A number for each word, an end token, and padding like it: the form of SigLIP's texts.

    Args:
        context_length: Of the tower.
        vocabulary: Tokens of the tower.
    """

    pad = 1

    def __init__(self, context_length: int, vocabulary: int) -> None:
        self.context_length = context_length
        self.vocabulary = vocabulary

    def words(self, text: str, behind: bool = False) -> list[int]:
        """See the base class."""
        return [2 + zlib.crc32(word.encode()) % (self.vocabulary - 2) for word in text.strip(".").split()]

    @property
    def around(self) -> tuple[list[int], list[int]]:
        """See the base class."""
        return [], [1]


def step_of(kind: str, model: str, classes: int, keep_gb: float, threads: int, repeats: int) -> dict[str, Any]:
    """Seconds, megabytes, and the features and gradient of a step."""
    torch.set_num_threads(threads)
    keep_freed_memory()  # as fgvr fit does
    torch.manual_seed(0)
    clip = open_clip.create_model(model).eval().requires_grad_(False)
    del clip.visual
    gc.collect()
    text_config = open_clip.get_model_config(model)["text_cfg"]
    tower: Any = getattr(clip, "text", clip)
    hub = "hf_tokenizer_name" in text_config
    tokens = StandInTokens(tower.context_length, tower.vocab_size) if hub else open_clip.get_tokenizer(model)
    keep = int(keep_gb * 1e9)
    encoder = (
        OpenClipPromptEncoder(tower, tokens, 256, keep)
        if kind == "shared"
        else WholePromptEncoder(clip, tokens, model, 256, keep)
    )
    encoder.prepare(make_names(classes), N_CTX, "end")
    draw = torch.Generator().manual_seed(1)
    context = (torch.randn(N_CTX, encoder.token_dim, generator=draw) * 0.02).requires_grad_()
    images = labels = None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        features = encoder(context)
        if images is None:
            images = F.normalize(torch.randn(BATCH, features.shape[1], generator=draw), dim=1)
            labels = torch.randint(classes, (BATCH,), generator=draw)
        loss = F.cross_entropy(100.0 * images @ features.T, labels)
        (gradient,) = torch.autograd.grad(loss, context)
        seconds.append(time.process_time() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "s": round(min(seconds), 2),
        "mb": round(grown * 1024 / 1e6),
        "batch": min(encoder.batch_size, classes),
        "features": features.detach().numpy(),
        "gradient": gradient.numpy(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--other", default="ViT-B-16-SigLIP")
    parser.add_argument("--keep-gb", type=float, default=2.2, help="text_memory_gb of the backbone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()

    rows = {
        "shared": ("shared", options.model, options.keep_gb),
        "whole": ("whole", options.model, options.keep_gb),
        "other": ("whole", options.other, options.keep_gb),
        "other_small": ("whole", options.other, options.keep_gb / 10),
    }
    found = {}
    print(f"{options.classes} classes, {options.threads} threads")
    for row, (kind, model, keep_gb) in rows.items():
        # a process each, because the most memory that one ever had is never less again
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found[row] = pool.submit(
                step_of, kind, model, options.classes, keep_gb, options.threads, options.repeats
            ).result()
        figures = found[row]
        print(
            f"{row:12} {model:16} {figures['s']:7.2f} s {figures['mb']:6} MB, {figures['batch']} at once, "
            f"{keep_gb:.2g} GB allowed",
            flush=True,
        )
    result: dict[str, Any] = {"classes": options.classes, "model": options.model, "other": options.other}
    for row, figures in found.items():
        result |= {f"{row}_{key}": figures[key] for key in ("s", "mb", "batch")}
    for first, second in (("shared", "whole"), ("other", "other_small")):
        one, two = (found[row] for row in (first, second))
        result[f"{second}_feature_diff"] = float(abs(one["features"] - two["features"]).max())
        result[f"{second}_gradient_diff"] = float(
            ((one["gradient"] - two["gradient"]) ** 2).sum() ** 0.5 / (one["gradient"] ** 2).sum() ** 0.5
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
