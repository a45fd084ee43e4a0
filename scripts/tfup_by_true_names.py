"""How much of what TFUP keeps and TFUP-T learns is right, by true names, which nothing else here looks at.

    python scripts/tfup_by_true_names.py PHOTOS ...          # folders with a manifest.csv; known class names

Of each: the share of support photos that zero-shot names rightly; for several sizes of the cache, the share of kept
photos that show the class that they are kept for, beside that of the same number of photos that are simply the most
confident, and of the pool of twice as many from which they are chosen; and of the pseudo-labels of TFUP-T above its
threshold, before its training and after it, how many there are and how many are right. All in percent. Prints Markdown.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import fgvr
from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.feature_cache import SHARPNESS
from fgvr.methods.tfup_selection import PAPER_FLOOR, photos_a_class, typical_photos
from fgvr.methods.tfup_t import TfupTMethod

CACHES = ("a class has on average", "floor 1", f"floor {PAPER_FLOOR}, the paper's")
_SHARE, _MOST = 0.3, 16


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", help="folders of data.dataset manifest")
    parser.add_argument("--backbone", default="lite")
    args = parser.parse_args()
    kept, learned = [], []
    for folder in args.photos:
        run = fgvr.fit(
            **{
                "data.dataset": "manifest",
                "data.dataset.root": str(folder),
                "data.class_names": "dataset",
                "data.augment": "coop",
                "data.views": 8,
                "data.batch_size": 256,
                "model": "tfup_t",
                "model.backbone": args.backbone,
                "trainer.max_epochs": 30,
            }
        )
        method = run.method
        assert isinstance(method, TfupTMethod)
        method.cpu().eval()
        images = torch.from_numpy(run.data.support_features("joint"))
        names = {name: number for number, name in enumerate(run.vocabulary.names)}
        truth = torch.tensor([names[run.data.images.truth[record.sample_id]] for record in run.data.support])
        kept += [f"| {folder.name} | {cells} |" for cells in caches(images, method.cache.class_features, truth)]
        learned.append(f"| {folder.name} | {pseudo_labels(method, images, truth)} |")
    print("| | at least | kept a class | right | most confident | in the pool |\n|---|---|--:|--:|--:|--:|")
    print("\n".join(kept))
    print("\n| | zero-shot right | before: sure | right of these | after: sure | right of these |")
    print(f"|---|{'--:|' * 5}")
    print("\n".join(learned))


def caches(images: Tensor, texts: Tensor, truth: Tensor) -> list[str]:
    """Cells of the first table, a text for each cache.

    Args:
        images: Support photos, shape ``(N, D)``.
        texts: Shape ``(C, D)``.
        truth: Class of each photo, shape ``(N,)``.
    """
    own = torch.arange(len(texts))[:, None]
    confidence = (SHARPNESS * images @ texts.T).softmax(1).T
    cells = []
    for title, floor in zip(CACHES, (None, 1, PAPER_FLOOR), strict=True):
        size = photos_a_class(len(images), len(texts), _SHARE, floor, _MOST)
        found = (
            typical_photos(images, texts, size),
            confidence.topk(size).indices,
            confidence.topk(min(2 * size, len(images))).indices,
        )
        cells.append(" | ".join([title, str(size), *(percent((truth[rows] == own).float()) for rows in found)]))
    return cells


@torch.no_grad()
def pseudo_labels(method: TfupTMethod, images: Tensor, truth: Tensor) -> str:
    """Cells of the second table."""
    texts = method.cache.class_features
    before = method.cache(ImageFeatures(images)).softmax(1).max(1)
    labels, sure = method._confident(images, method.class_features())
    cells = [percent((images @ texts.T).argmax(1) == truth)]
    for classes, chosen in ((before.indices, before.values > method.threshold), (labels, sure > 0)):
        cells += [percent(chosen), percent((classes == truth)[chosen])]
    return " | ".join(cells)


def percent(hits: Tensor) -> str:
    """Their mean."""
    return f"{100 * hits.float().mean():.1f}"


if __name__ == "__main__":
    main()
