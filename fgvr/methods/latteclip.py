"""LatteCLIP: both towers learn from descriptions, mixed into prototypes that move slowly."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.data.run_state import run_seed
from fgvr.data.together import together
from fgvr.descriptions.files import read_descriptions
from fgvr.descriptions.parts import Kind
from fgvr.descriptions.pseudo_labels import zero_shot_labels
from fgvr.descriptions.texts import DescriptionTexts
from fgvr.errors import FgvrError
from fgvr.heads.prototype import PrototypeHead
from fgvr.methods.contrastive import contrastive_loss, gather_rows
from fgvr.methods.feature_mixer import mix_texts, text_weights
from fgvr.methods.fine_tune import FineTuneMethod, nearest_class
from fgvr.methods.image_texts import ImageTexts
from fgvr.methods.zero_shot import template_features
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted, verb

log = logging.getLogger(__name__)

TextKind = Literal["class", "image", "group"]
_KINDS: tuple[TextKind, ...] = get_args(TextKind)


@dataclass(eq=False)
class _Step:
    """What a step looks up before its texts are encoded; P pseudo-labels, K classes, I kinds of text.

    Attributes:
        labels: Pseudo-labels, shape ``(P, B)``.
        class_row: The same as rows of ``class_texts``, shape ``(P, B)``.
        class_texts: Places of the classes' texts among the texts of the step, shape ``(K, templates)``.
        own_texts: Places of the photos' descriptions, shape ``(B, I)``.
        present: Which of these there are, shape ``(B, I)``.
        mixed: Prototype-text embeddings, once they are there, shape ``(P, B, D)``, without gradient.
    """

    labels: Tensor
    class_row: Tensor
    class_texts: Tensor
    own_texts: Tensor
    present: Tensor
    mixed: Tensor | None = None


class LatteClipMethod(FineTuneMethod):
    r"""LatteCLIP (Cao et al. 2025): fine-tuning on descriptions by a language model, without human labels.

    Each photo has two pseudo-labels: the zero-shot one of the backbone before training, and the nearest prototype at
    each step. For each of them the features of three texts, of the class, of the photo and of a group of photos, are
    mixed (equation 1) with the prototype of the class (equation 2) into :math:`\bar{t}`. The loss contrasts the photos
    with both (equation 3), and both then move the prototypes, which are the classifier in the end.

    The released code differs from the paper, and ``fidelity`` selects one. Paper: weights are those of the current
    prototypes; after a step, p <- 0.01 mean(t) + 0.99 p for one pseudo-label after the other, without normalisation,
    which goes 0.0001 of the way to the texts. Released: weights are those of the prototypes at the start of the epoch,
    plus 1e-6; p <- normalize(mean t) over both pseudo-labels together, 0.01 of the way; the loss is halved.
    Its errors are not reproduced. The documentation's page on LatteCLIP has the details.

    The prototype pseudo-label is that of the view of the step, the zero-shot one that of the plain photo. A photo that
    lacks a description is mixed from the texts that it has; one that has none gets the prototype itself. Augmentation
    and batch size are the data's: the paper's batches have 512 photos.

    Args:
        backbone: Image and text tower.
        fidelity: Which of the two, see above.
        texts: What is mixed: ``class``, ``image`` and ``group`` (table 2: all of them is its row 1, ``[class, image]``
            row 2, ``[class]`` 3, ``[image, group]`` 4, ``[image]`` 5, ``[group]`` 6, ``[class, group]`` 7).
        mixer: ``dynamic`` weighs texts by equation 1; ``equal`` does not (table 3, "w/o Dynamic Feature Mixer").
        loss_zs: Use the zero-shot pseudo-label; without, it is neither in the loss nor in the prototypes (table 3,
            "w/o L_zs"; that it leaves the prototypes too is assumed). Group descriptions are still chosen by it.
        loss_ft: Use the pseudo-label of the prototypes (table 3, "w/o L_ft").
        alpha: Share of the prototype in equation 2, in [0, 1].
        momentum: :math:`\mu` of the paper's prototype update, in [0, 1); 0.99 if not given. 0 is table 3, "w/o Momentum
            Update", to the letter; that row was likelier made with ``alpha: 0`` as well. ``fidelity: released`` has no
            momentum: there, the row is ``alpha: 0``.
        lr: Peak learning rate of AdamW. The paper's is 1e-7, on Food101 and SUN397 1e-6.
        warmup_steps: First steps, through which the rate rises linearly; a cosine to zero over all steps follows. The
            released scripts have 10 to 140, about 2 % of all steps.
        wise_ft: Share of the trained weights in the towers that are evaluated, in (0, 1]; see ``FineTuneMethod``. The
            prototypes are always the trained ones.
        **kwargs: Arguments of ``FineTuneMethod``.

    Attributes (may be set before the training):
        descriptions: Of photos, and of groups of photos with one zero-shot pseudo-label, of which one is drawn for each
            photo and epoch. Those of the run folder's ``descriptions.parquet`` if not set.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "latteclip"
    needs_descriptions = True
    epoch_prototypes: Tensor

    def __init__(
        self,
        backbone: Backbone,
        fidelity: Literal["paper", "released"] = "paper",
        texts: list[TextKind] | None = None,
        mixer: Literal["dynamic", "equal"] = "dynamic",
        loss_zs: bool = True,
        loss_ft: bool = True,
        alpha: float = 0.99,
        momentum: float | None = None,
        *,
        lr: float = 1e-7,
        warmup_steps: int = 10,
        wise_ft: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, lr=lr, warmup_steps=warmup_steps, wise_ft=wise_ft, **kwargs)
        self.texts: list[TextKind] = list(_KINDS) if texts is None else texts
        _check(fidelity, self.texts, mixer, loss_zs, loss_ft, alpha, momentum)
        self.fidelity = fidelity
        self.momentum = momentum
        self.mixer = mixer
        self.loss_zs = loss_zs
        self.loss_ft = loss_ft
        self.alpha = alpha
        if self.released:
            self.head = PrototypeHead(momentum=0.0, normalize=True)
        else:
            self.head = PrototypeHead(momentum=0.99 if momentum is None else momentum)
        self.descriptions: DescriptionTexts | None = None
        self._image_texts: ImageTexts | None = None
        self._step: _Step | None = None

    @property
    def released(self) -> bool:
        """Whether it follows the released code."""
        return self.fidelity == "released"

    @property
    def description_kinds(self) -> tuple[Kind, ...]:
        """Those of ``texts``."""
        return tuple(kind for kind in self.texts if kind != "class")

    def setup(self, stage: str) -> None:
        """See the base class; then compute the support photos' features, each process a share."""
        super().setup(stage)
        if self.trainer.state.fn == TrainerFn.FITTING and self._image_texts is None:
            device, processes = self.trainer.strategy.root_device, together(self.trainer.num_nodes)
            self.data.features.of(self.data.support, self.backbone, device=device, processes=processes)

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Thaw the towers, and start the prototypes from the class texts."""
        super().build(vocabulary, candidates)
        self.head.start(template_features(self.backbone, vocabulary.names, self.templates), self.backbone.logit_scale)
        if self.released:
            self.register_buffer("epoch_prototypes", self.head.prototypes.clone())

    def configure_model(self) -> None:
        """See the base class; then find the zero-shot pseudo-labels, before a checkpoint's weights are taken."""
        begins = self.trainer.state.fn == TrainerFn.FITTING and self._image_texts is None
        with torch.device("cpu"):  # Lightning makes the GPU the default device while it configures a model
            # stored ones, which are found as long as the towers have no adapters
            features = self.data.image_features(self.data.support) if begins else None
        super().configure_model()
        if features is not None:
            with torch.device("cpu"):
                self._prepare_support(features)

    def _prepare_support(self, features: NDArray[np.float32]) -> None:
        assert self.vocabulary is not None
        support = self.data.support
        # of the weights before training, which the prototypes still are
        self._zero_shot = torch.from_numpy(zero_shot_labels(features, self.head.class_features().cpu().numpy()))
        self._image_texts = ImageTexts(
            self.vocabulary.names,
            self.templates,
            [record.sample_id for record in support],
            self._zero_shot,
            self.descriptions or self._descriptions_of_the_run(),
            run_seed(),
        )
        for kind, missing in zip(("image", "group"), self._image_texts.missing, strict=True):
            if kind not in self.texts:
                continue
            if missing == len(support):
                rest = [other for other in self.texts if other != kind] or ["class"]
                raise FgvrError(
                    f"model.texts has {kind!r}, but there is no {kind}-description of any photo: set "
                    "data.describe.labeler to a model that describes, or data.describe.file to a file of texts, and "
                    f"start a new run; or train without: set model.texts to [{', '.join(rest)}]"
                )
            if missing:
                log.warning(
                    "%d of %s %s no %s-description",
                    missing,
                    counted(len(support), "photo"),
                    verb(missing, "has", "have"),
                    kind,
                )

    def _descriptions_of_the_run(self) -> DescriptionTexts:
        folder = self.data.run_folder
        there = folder is not None and folder.descriptions.is_file()
        return DescriptionTexts(read_descriptions(folder.descriptions) if folder is not None and there else ())

    def on_train_epoch_start(self) -> None:
        """Keep the prototypes that texts are weighed with in the released code."""
        if self.released:
            self.epoch_prototypes.copy_(self.head.prototypes)

    def texts_of(self, batch: Batch, image_features: Tensor) -> Sequence[str]:
        """The texts of the pseudo-labels, and the photos' descriptions; each once."""
        assert self._image_texts is not None, "it is made when the training starts"
        samples = batch.rows.cpu()
        labels = []
        if self.loss_zs:
            labels.append(self._zero_shot[samples])
        if self.loss_ft:
            labels.append(nearest_class(image_features, self.head.class_features()).cpu())
        classes, class_row = torch.stack(labels).unique(return_inverse=True)
        of_classes = self._image_texts.of_classes(classes)
        of_images = self._image_texts.of_images(samples, self.current_epoch)
        of_images = of_images[:, [column for column, kind in enumerate(_KINDS[1:]) if kind in self.texts]]
        present = of_images >= 0
        if "class" not in self.texts:
            # a step without any text must still reach the text tower, whose gradients DDP waits for
            of_classes = of_classes[: 0 if present.any() else 1]
        filler = of_classes.flatten()[0] if of_classes.numel() else of_images.max()
        numbers = torch.cat([of_classes.flatten(), torch.where(present, of_images, filler).flatten()])
        unique, place = numbers.unique(return_inverse=True)
        class_texts, own_texts = place.split([of_classes.numel(), of_images.numel()])
        self._step = _Step(
            labels=torch.stack(labels),
            class_row=class_row,
            class_texts=class_texts.view(of_classes.shape),
            own_texts=own_texts.view(of_images.shape),
            present=present,
        )
        return [self._image_texts.words[number] for number in unique.tolist()]

    def loss(self, batch: Batch, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Equations 1 to 3, over the photos of all processes."""
        step = self._step
        assert step is not None, "texts_of comes first"
        device = text_features.device
        labels = step.labels.to(device)
        of_classes = F.normalize(text_features[step.class_texts.to(device)].mean(1), dim=-1)
        features = torch.cat([of_classes, text_features])
        # one row a text, so that a text which many photos have is compared with the prototypes once
        weights = self._weights(features)
        own = (step.own_texts + len(of_classes)).expand(len(labels), -1, -1)
        rows, present = own, step.present.expand(len(labels), -1, -1)
        if "class" in self.texts:
            rows = torch.cat([step.class_row.unsqueeze(-1), rows], dim=-1)
            present = torch.cat([torch.ones_like(present[..., :1]), present], dim=-1)
        rows, present = rows.flatten(0, 1).to(device), present.flatten(0, 1).to(device)
        mixed = mix_texts(features[rows], weights[rows], present, self.head.prototypes[labels.flatten()], self.alpha)
        mixed = mixed.view(*labels.shape, -1)
        self._step = replace(step, labels=labels, mixed=mixed.detach())
        images = gather_rows(image_features)
        texts = gather_rows(mixed.transpose(0, 1)).unbind(1)
        total = torch.stack([contrastive_loss(images, each, self.scale) for each in texts]).sum()
        return total / 2 if self.released else total

    def on_after_backward(self) -> None:
        """Move the prototypes by the photos of all processes, before a callback can save the step."""
        assert self._step is not None
        assert self._step.mixed is not None
        labels, mixed = self._step.labels, self._step.mixed
        if self.released:
            self.head.update(labels.flatten(), mixed.flatten(0, 1))
        else:
            for classes, features in zip(labels, mixed, strict=True):
                self.head.update(classes, features)
        self._step = None

    def classifiers(self) -> dict[str, Tensor]:
        """The prototypes."""
        start = time.perf_counter()
        features = self.head.class_features()
        self.classifier_seconds[self.row] = time.perf_counter() - start
        return {self.row: features}

    def _weights(self, features: Tensor) -> Tensor:
        if self.mixer == "equal":
            return torch.ones(len(features), device=features.device)
        if self.released:
            return text_weights(features, self.epoch_prototypes) + 1e-6
        return text_weights(features, self.head.prototypes)


def _check(
    fidelity: str,
    texts: Sequence[str],
    mixer: str,
    loss_zs: bool,
    loss_ft: bool,
    alpha: float,
    momentum: float | None,
) -> None:
    for key, value, allowed in (
        ("fidelity", fidelity, ("paper", "released")),
        ("mixer", mixer, ("dynamic", "equal")),
    ):
        if value not in allowed:
            raise FgvrError(f"model.{key} is {value!r}; expected one of {', '.join(allowed)}.")
    if not texts or len(set(texts)) < len(texts) or not set(texts) <= set(_KINDS):
        raise FgvrError(f"model.texts is {list(texts)}; expected one to three of {', '.join(_KINDS)}, each once.")
    if not (loss_zs or loss_ft):
        raise FgvrError("model.loss_zs and model.loss_ft are both false, so there is no loss: leave one of them true.")
    if not 0 <= alpha <= 1:
        raise FgvrError(f"model.alpha is {alpha}; expected from 0 to 1, such as 0.99.")
    if momentum is not None and fidelity == "released":
        raise FgvrError(
            "model.momentum is the paper's; with model.fidelity released there is none. Leave it out, or set "
            "model.alpha: the share of the prototype in each update."
        )
    if momentum is not None and not 0 <= momentum < 1:
        raise FgvrError(f"model.momentum is {momentum}; expected from 0 to below 1, such as 0.99.")
