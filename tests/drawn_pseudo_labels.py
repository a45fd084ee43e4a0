"""What models say, for the tests of filters."""

import torch

from fgvr.filters.base import PseudoLabels


def drawn(models=2, images=200, classes=7, seed=0):
    """Labels that mostly agree; confidences with ties; margins, and labels of another view."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(classes, (images,), generator=generator)

    def mostly_first():
        other = torch.randint(classes, (images,), generator=generator)
        return torch.where(torch.rand(images, generator=generator) < 0.3, other, first)

    return PseudoLabels(
        labels=torch.stack([mostly_first() for _ in range(models)]),
        confidence=(torch.randn((models, images), generator=generator) * 4).round(decimals=1),
        margins=torch.randn((models, models, images), generator=generator) * 3,
        view_labels=torch.stack([mostly_first() for _ in range(models)]),
    )


def by_photo(said):
    """``(model, photo)`` of all labels, in order."""
    models, images = said.labels.shape
    return [(model, photo) for model in range(models) for photo in range(images)]
