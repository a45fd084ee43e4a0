"""How far a backbone's own features can name support photos: what any method without labels has to start from.

    python scripts/naming_limit.py --config grocery81_latteclip.yaml --data.dataset.root FOLDER

The rest are options of fgvr fit: they say which photos, class names, templates, backbone and file of descriptions. True
names are used, to explain a result; they choose nothing. Photos whose true name is no class are left out. Ends with one
line of JSON. The texts of a class are its name under the templates and, where there is a file, the mean of this and its
group-descriptions. Figures:

- right: percent of support photos whose nearest text is that of their class (the zero-shot pseudo-labels).
- classes given: classes that any photo has as its pseudo-label.
- same neighbour: percent of photos whose nearest photo is of their class, in the joint space; in the visual space too,
  if the backbone has one of its own.
- named by the mean: classes whose mean photo is nearest to the class's text, if the photos of a class were known.
- named one to one: the same, if in addition no two classes may have the same name (the assignment of the largest sum).
"""

import json
import sys

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fgvr.config.cli import ParsedCLI
from fgvr.descriptions.files import read_descriptions
from fgvr.descriptions.pseudo_labels import zero_shot_labels
from fgvr.descriptions.texts import DescriptionTexts, matched
from fgvr.errors import FgvrError
from fgvr.methods.zero_shot import template_features
from fgvr.vocabulary.given import given_vocabulary


def named(features: Tensor, truth: Tensor, texts: Tensor) -> dict[str, float]:
    """The figures of one kind of text; features and texts L2-normalised, shapes ``(N, D)`` and ``(C, D)``."""
    labels = torch.from_numpy(zero_shot_labels(features.numpy(), texts.numpy()))
    classes = truth.unique()
    means = F.normalize(torch.stack([features[truth == each].mean(0) for each in classes]), dim=-1)
    cosines = means @ texts.T
    rows, columns = linear_sum_assignment(cosines.numpy(), maximize=True)
    return {
        "right": percent(labels == truth),
        "classes given": len(labels.unique()),
        "named by the mean": int((cosines.argmax(1) == classes).sum()),
        "named one to one": int((classes[rows] == torch.from_numpy(columns)).sum()),
    }


def same_neighbour(features: Tensor, truth: Tensor) -> float:
    """Percent of rows whose nearest other row is of the same class."""
    cosines = F.normalize(features, dim=-1) @ F.normalize(features, dim=-1).T
    return percent(truth[cosines.fill_diagonal_(-2).argmax(1)] == truth)


def percent(right: Tensor) -> float:
    return round(100 * right.float().mean().item(), 1)


@torch.no_grad()
def main(args: list[str]) -> None:
    if not args or args[0] in ("-h", "--help"):
        print(__doc__)
        return
    cli = ParsedCLI(args)
    data, backbone = cli.datamodule, cli.model.backbone
    backbone.load()
    if data.class_names == "labels":
        raise FgvrError("This is about known class names: give --data.class_names dataset, or a file of names.")
    names = given_vocabulary(data.class_names, data.images.known_names).names
    number = {name: i for i, name in enumerate(names)}
    support = [record for record in data.support if data.images.truth.get(record.sample_id) in number]
    if not support:
        raise FgvrError("No support photo has a true name that is among the class names (data.class_names).")
    truth = torch.tensor([number[data.images.truth[record.sample_id]] for record in support])
    features = torch.from_numpy(data.image_features(support, backbone))
    texts = {"names": template_features(backbone, names, cli.model.templates)}
    if data.describe is not None and data.describe.file is not None:
        known = DescriptionTexts(matched(read_descriptions(data.describe.file), (), names))
        means = texts["names"].clone()
        for mean, name in zip(means, names, strict=True):
            if described := known.group_texts(name):
                mean.copy_(torch.cat([mean[None], backbone.encode_text(described)]).mean(0))
        texts["names and descriptions"] = F.normalize(means, dim=-1)
    figures: dict[str, object] = {kind: named(features, truth, each) for kind, each in texts.items()}
    figures["same neighbour"] = same_neighbour(features, truth)
    if backbone.has_visual_space:
        visual = torch.from_numpy(data.image_features(support, backbone, "visual"))
        figures["same neighbour, visual space"] = same_neighbour(visual, truth)
    for kind, values in figures.items():
        print(f"{kind}: {values}")
    print(json.dumps({"photos": len(support), "classes": len(names), **figures}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FgvrError as error:
        sys.exit(f"naming_limit: {error}")
