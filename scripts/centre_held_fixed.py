"""What it costs that leave-one-out holds the centre fixed: agreement with and without a new centre for every photo.

    python scripts/centre_held_fixed.py --data.dataset folder --data.dataset.root PHOTOS \
        --data.labeler fixed --data.labeler.path NAMES.csv

The arguments are options of fgvr fit. For class means, ridge regression and the Gaussian discriminant on own names: the
percent of named photos that get their name by the closed form, by a fit without the photo around the same centre (which
is the same, but that the discriminant takes its shrinkage anew), and by a fit without the photo around a centre that it
is no part of; how many photos get another class by the last one; and the largest difference of a photo's scores, over
the largest score of it. No true name is looked at. Two fits a photo: minutes. Ends with one line of JSON.
"""

import json
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fgvr.classifiers.centred import centred
from fgvr.classifiers.closed_form.base import ClosedForm
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.gaussian import Gaussian
from fgvr.classifiers.closed_form.ridge import Ridge
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.config.cli import ParsedCLI
from fgvr.errors import FgvrError
from fgvr.labelling.labelling import label, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices

FORMS: dict[str, Callable[[Tensor, SoftNames], ClosedForm]] = {
    "class_means": ClassMeans,
    "ridge": Ridge,
    "gaussian": Gaussian,
}


def compared(make: Callable[[Tensor, SoftNames], ClosedForm], images: Tensor, own: Tensor) -> dict[str, float]:
    """The figures of one closed form.

    Args:
        make: Fits it.
        images: L2-normalised features of all support photos, float64, shape ``(N, D)``.
        own: Class of the name of each photo, -1 for none, shape ``(N,)``.
    """
    names = SoftNames(own.clamp(min=0)[:, None], (own >= 0).double()[:, None], int(own.max()) + 1)
    centre, named = images.mean(0), (own >= 0).nonzero().squeeze(1)
    closed = make(centred(images, centre), names).leave_one_out(named)
    ways: dict[str, list[Tensor]] = {"same centre": [], "new centre": []}
    for row in named:
        others = names.without(row[None])
        for way, point in (("same centre", centre), ("new centre", (images.sum(0) - images[row]) / (len(images) - 1))):
            form = make(centred(images, point), others)
            ways[way].append(form.scores(centred(images[row][None], point))[0])
    same, new = (torch.stack(found) for found in ways.values())
    own = own[named]
    known = closed.isfinite()
    if not torch.equal(known, same.isfinite()):
        raise AssertionError("the closed form knows other classes than a fit without the photo")

    def agreement(scores: Tensor) -> float:
        named = scores.gather(1, own[:, None]).squeeze(1).isfinite()
        return round(100 * ((scores.argmax(1) == own) & named).double().mean().item(), 2)

    def difference(scores: Tensor) -> float:
        largest = closed.masked_fill(~known, 0).abs().amax(1)
        apart = (scores - closed).masked_fill(~known, 0).abs().amax(1)
        return float(f"{(apart / largest.clamp(min=1e-12)).max().item():.1e}")

    return {
        "closed form": agreement(closed),
        "same centre": agreement(same),
        "new centre": agreement(new),
        "other class": int((closed.argmax(1) != new.argmax(1)).sum()),
        "same centre, difference": difference(same),
        "new centre, difference": difference(new),
    }


def main(args: Sequence[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(__doc__)
        return
    cli = ParsedCLI(list(args))
    data, backbone = cli.datamodule, cli.model.backbone
    with LabelStore(data.label_store) as store:
        label(data.labeler, data.support, store, progress=False)
        labels = read_labels(data.labeler, data.support, store)
    own = torch.tensor([sets[0] if sets else -1 for sets in labels_as_indices(labels, build_vocabulary(labels))])
    backbone.load()
    images = torch.from_numpy(data.image_features(data.support, backbone, "visual")).double()
    figures = {name: compared(make, images, own) for name, make in FORMS.items()}
    for name, found in figures.items():
        print(f"{name}: {found}")
    named = own[own >= 0]
    print(json.dumps({"photos": len(named), "names": len(named.unique()), **figures}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FgvrError as error:
        sys.exit(f"centre_held_fixed: {error}")
