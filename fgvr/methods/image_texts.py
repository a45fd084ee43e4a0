"""Which texts go with a photo: names of classes under templates, descriptions of the photo, descriptions of groups."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fgvr.descriptions.texts import DescriptionTexts


class ImageTexts:
    """All texts of a training run as a list without repetitions, and by number which of them a photo gets.

    Everything is on the CPU, since a number becomes words next, and a tokenizer works there.

    Args:
        class_names: In class-index order; underscores are read as spaces.
        templates: Each with ``{}`` for the class name.
        sample_ids: The N photos.
        labels: Class of each photo that says whose group descriptions it gets, int64, shape ``(N,)``.
        descriptions: Of photos and of groups; some may be missing.
        seed: Of the draw of a group description.

    Attributes:
        words: The texts.

    Example:
        >>> from fgvr.records import Description
        >>> descriptions = DescriptionTexts([Description("image", "fur", sample_id="1.jpg")])
        >>> texts = ImageTexts(["cat", "dog"], ["a {}"], ["1.jpg"], torch.tensor([1]), descriptions, seed=0)
        >>> [texts.words[number] for number in texts.of_classes(torch.tensor([1]))[0]]
        ['a dog']
        >>> texts.of_images(torch.tensor([0]), epoch=0).tolist()
        [[2, -1]]
    """

    def __init__(
        self,
        class_names: Sequence[str],
        templates: Sequence[str],
        sample_ids: Sequence[str],
        labels: Tensor,
        descriptions: DescriptionTexts,
        seed: int,
    ) -> None:
        numbers: dict[str, int] = {}

        def number(text: str) -> int:
            return numbers.setdefault(text, len(numbers))

        spoken = [name.replace("_", " ") for name in class_names]
        self._classes = _table([[number(each.replace("{}", name)) for each in templates] for name in spoken])
        own = [descriptions.image_text(sample_id) for sample_id in sample_ids]
        self._images = _table([-1 if text is None else number(text) for text in own])
        groups = [[number(text) for text in descriptions.group_texts(name)] for name in class_names]
        self._groups = _table([text for row in groups for text in row])
        sizes = _table([len(row) for row in groups])
        self._group_sizes = sizes[labels]
        self._group_starts = (sizes.cumsum(0) - sizes)[labels]
        self._seed = seed
        self._drawn: tuple[int, Tensor] = (-1, labels)
        self.words = list(numbers)

    @property
    def missing(self) -> tuple[int, int]:
        """How many photos have no description of their own, and how many none of a group."""
        return int((self._images < 0).sum()), int((self._group_sizes == 0).sum())

    def of_classes(self, classes: Tensor) -> Tensor:
        """Numbers of each class's texts, one a template: int64, ``(K,)`` -> ``(K, templates)``."""
        return self._classes[classes]

    def of_images(self, samples: Tensor, epoch: int) -> Tensor:
        """Number of each photo's own description, and of one of its group descriptions; -1 where there is none.

        The group description is drawn anew in each epoch. The draw depends on seed, epoch and photo, so it is the same
        on any number of processes and after any restart.

        Args:
            samples: Rows of the photos, int64, shape ``(B,)``.
            epoch: From 0.

        Returns:
            int64, shape ``(B, 2)``.
        """
        if self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(epoch)
        return torch.stack([self._images[samples], self._drawn[1][samples]], dim=1)

    def _draw(self, epoch: int) -> Tensor:
        """The group description of every photo in an epoch."""
        generator = torch.Generator("cpu").manual_seed((self._seed << 24) + epoch)
        share = torch.rand(len(self._group_sizes), generator=generator, device="cpu", dtype=torch.float64)
        place = self._group_starts + (share * self._group_sizes).long()
        there = self._group_sizes > 0
        drawn = torch.full_like(place, -1)
        drawn[there] = self._groups[place[there]]
        return drawn


def _table(numbers: Sequence[int] | Sequence[Sequence[int]]) -> Tensor:
    # on the CPU also where Lightning has made another device the default one
    return torch.tensor(numbers, dtype=torch.int64, device="cpu")
