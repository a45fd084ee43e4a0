"""FineR: names for which a photo votes, and class rows of text and photos."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.data.split_features import TRAINING
from fgvr.data.support_photos import SupportPhotos
from fgvr.data.together import together
from fgvr.errors import FgvrError
from fgvr.methods.closed_form import ClosedFormMethod
from fgvr.methods.sentences import check_sentences, class_texts, read_sentences
from fgvr.methods.zero_shot import template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)


class FinerMethod(ClosedFormMethod):
    r"""Keeps the names for which a support photo votes, and mixes their texts with the photos that did.

    FineR (Liu et al., ICLR 2024), a baseline of table 2 of the FGVR paper, from the names on: those of any labeler, all
    that it gave a photo; the labeler ``finer`` gives them as the paper does. Each support photo votes for the one name,
    of all names, whose text is nearest to it in the joint space of ``voting_backbone``. A name without a vote is
    dropped. With the text :math:`t_c` of a name and all views :math:`x` of the photos that voted for it, the class is

    .. math:: w_c = \alpha\,t_c + (1 - \alpha)\,\frac{1}{|V_c|}\sum_{x \in V_c} x

    which is not normalised again, and a photo's logit is the backbone's logit scale times the dot product with it. Each
    photo has its plain view and ``views`` random ones (``finer`` of ``data.augment``).

    Defaults are those of the released code, whose ``voting_backbone`` is ViT-L/14 beside ViT-B/16. Other than there,
    spellings of one name are one class, and random views depend on the photo's file alone, so that there is one result
    and not the mean of ten. The released code gives photos of four of its five data sets ImageNet's mean and standard
    deviation instead of CLIP's; here all have those of the backbone.

    Rows: ``finer_names``, the names that were kept as texts alone, and ``finer``; with sentences ``e_finer_names`` and
    ``e_finer``.

    Args:
        backbone: Image and text tower.
        voting_backbone: Whose features vote; ``backbone`` if not given.
        text_weight: What the text counts beside the photos (:math:`\alpha`), from 0 to 1.
        views: Random views of each support photo, 0 or more.
        templates: Text templates with ``{}`` for the class name; several are averaged. The name alone if not given.
        sentences: A JSON file of sentences about each name, ``{name: [sentence, ...]}``: a text is then the normalised
            mean of its sentences' features, when names are voted for and in the class rows, as in E-FineR. A name
            without sentences stands for itself.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "finer"
    needs_candidates = False
    untrained_rows: ClassVar[tuple[str, ...]] = ()

    name_rows: Tensor
    class_rows: Tensor

    def __init__(
        self,
        backbone: Backbone,
        voting_backbone: Backbone | None = None,
        text_weight: float = 0.7,
        views: int = 10,
        templates: list[str] | str | None = None,
        sentences: Path | None = None,
    ) -> None:
        super().__init__(backbone)
        if not 0 <= text_weight <= 1:
            raise FgvrError(f"model.text_weight is {text_weight}; expected from 0 (photos alone) to 1 (text alone).")
        if views < 0:
            raise FgvrError(f"model.views is {views}; expected 0 (the plain view alone) or more.")
        self._voting = [voting_backbone or backbone]  # in a list, it is no part of the checkpoint
        self.text_weight = text_weight
        self.views = views
        self.templates = template_list(templates)
        self.sentences = sentences
        if sentences is not None:
            self.row = "e_finer"

    @property
    def voting_backbone(self) -> Backbone:
        """Whose features vote."""
        return self._voting[0]

    @property
    def names_row(self) -> str:
        """The row of the names alone."""
        return f"{self.row}_names"

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        return self.names_row, self.row

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The names for which a photo votes, in the order of the vocabulary.

        Raises:
            FgvrError: No reply has a usable name, or no name has sentences where there is a file of them.
        """
        named = support.vocabulary
        if self.sentences is not None:
            check_sentences(named.names, read_sentences(self.sentences, "model.sentences"), "model.sentences")
        images = torch.from_numpy(support.features(backbone=self.voting_backbone))
        kept = self._votes(images, named.names, support.cache_dir).unique().tolist()
        log.info(
            "Votes of %s: kept %d of %s", counted(len(support), "support photo"), len(kept), counted(len(named), "name")
        )
        return _only(named, kept)

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Compute the class rows, or make room for a checkpoint's."""
        start = time.perf_counter()
        for name in ("name_rows", "class_rows"):
            self.register_buffer(name, torch.zeros(len(vocabulary), self.backbone.embed_dim))
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        # Lightning makes a GPU the default device while it configures a model
        with torch.device("cpu"):
            self.name_rows = self._text_features(self.backbone, vocabulary.names, self.data.cache_dir)
            self.classifier_seconds[self.names_row] = time.perf_counter() - start
            images = torch.from_numpy(self.data.image_features(self.data.support, self.voting_backbone))
            voted = self._votes(images, vocabulary.names, self.data.cache_dir)
            self.class_rows = class_rows(self.name_rows, self._photos(), voted, self.text_weight)
        self.classifier_seconds[self.row] = time.perf_counter() - start

    def classifiers(self) -> Mapping[str, Tensor]:
        """The names alone, and the class rows, which stand for dot products."""
        return {self.names_row: self.name_rows, self.row: self.class_rows}

    def _photos(self) -> Tensor:
        """Features of the support photos, ``(1 + views, N, D)``, the plain view first; a share by each process."""
        plain = torch.from_numpy(self.data.support_features("joint"))[None]
        if not self.views:
            return plain
        trainer, backbone = self.trainer, self.backbone
        device, processes = trainer.strategy.root_device, together(trainer.num_nodes)
        drawn = self.data.features.of_group(TRAINING, backbone, device, self.views, "joint", processes, "finer")
        views = drawn.gather(np.arange(len(drawn)), np.arange(self.views))
        return torch.cat([plain, torch.from_numpy(views)])

    def _votes(self, images: Tensor, names: Sequence[str], cache_dir: Path) -> Tensor:
        self.voting_backbone.load()
        return votes(images, self._text_features(self.voting_backbone, names, cache_dir))

    def _text_features(self, backbone: Backbone, names: Sequence[str], cache_dir: Path) -> Tensor:
        return class_texts(backbone, names, self.templates, self.sentences, cache_dir / "features")


def votes(images: Tensor, texts: Tensor) -> Tensor:
    """The name that each photo votes for: the nearest one; of equally near ones the first.

    Args:
        images: L2-normalised, shape ``(N, D)``.
        texts: L2-normalised, shape ``(C, D)``.

    Returns:
        int64, shape ``(N,)``.

    Example:
        >>> votes(torch.tensor([[0.6, 0.8], [0.8, 0.6]]), torch.eye(2)).tolist()
        [1, 0]
    """
    return (images.float() @ texts.float().T).argmax(1)


def class_rows(texts: Tensor, photos: Tensor, voted: Tensor, text_weight: float) -> Tensor:
    r"""Class rows of FineR: texts, mixed with the mean of all views of the photos that voted for them.

    Args:
        texts: L2-normalised, shape ``(C, D)``.
        photos: Views of photos, L2-normalised, shape ``(V, N, D)``.
        voted: The class that each photo has voted for, int64, shape ``(N,)``.
        text_weight: Of the text (:math:`\alpha`), from 0 to 1.

    Returns:
        float32, shape ``(C, D)``, not normalised; the text itself for a class without a vote.

    Example:
        >>> class_rows(torch.eye(2), torch.tensor([[[0.0, 1.0]]]), torch.tensor([0]), text_weight=0.7)
        tensor([[0.7000, 0.3000],
                [0.0000, 1.0000]])
    """
    texts, views = texts.float(), photos.double().mean(0)
    sums = torch.zeros(texts.shape, dtype=torch.float64).index_add_(0, voted, views)
    counts = voted.bincount(minlength=len(texts))
    means = (sums / counts.clamp(min=1)[:, None]).float()
    mixed = text_weight * texts + (1 - text_weight) * means
    return torch.where(counts[:, None] > 0, mixed, texts)


def _only(vocabulary: Vocabulary, kept: Sequence[int]) -> Vocabulary:
    """The classes with these numbers, which rise, and the spellings that are theirs."""
    new = {old: number for number, old in enumerate(kept)}
    names = tuple(vocabulary.names[old] for old in kept)
    return Vocabulary(
        names=names,
        members={name: new[old] for name, old in vocabulary.members.items() if old in new},
        scientific_names=tuple(vocabulary.scientific_names[old] for old in kept),
        counts=tuple(vocabulary.counts[old] for old in kept),
        joins=tuple(join for join in vocabulary.joins if join.into in names),
    )
