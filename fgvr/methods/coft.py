"""CoFT (Wang et al. 2026): two models learn from zero-shot's surest photos, and then from what each finds clean."""

import logging
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.data.augmentation import Augmentation
from fgvr.data.batches import Batch
from fgvr.data.run_state import run_seed
from fgvr.errors import FgvrError
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.filters.peer import PeerFilter
from fgvr.heads.visual_prompts import VisualPrompts
from fgvr.methods.coft_labels import models_labels, most_confident, nearest_labels
from fgvr.methods.coft_losses import others_of_epoch, phase_one_loss
from fgvr.methods.coft_model import CoftModel, tokens_of
from fgvr.methods.known_gradient import KnownGradient
from fgvr.methods.photo_features import encode_training_photos
from fgvr.methods.sentences import check_sentences, class_texts, read_sentences
from fgvr.methods.stages import WARMUP_LR, Stage, rate_schedule
from fgvr.methods.two_models import MODELS, TwoModelMethod
from fgvr.methods.zero_shot import template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)


class CoftMethod(TwoModelMethod):
    r"""Two models tune prompts on confident photos, check each other's labels, and tune a whole image tower on those.

    CoFT (arXiv 2602.04337). No labeler is needed where class names are known; where one found them, its candidate sets
    can be the seed.

    1. *Seeds.* Zero-shot names all training photos; of each class, the ``k`` that it is surest of are learned from.
    2. *Phase 1.* Each model has a positive and a negative prompt, and tokens in the image tower; the towers are frozen.
       It minimises the losses of :mod:`fgvr.methods.coft_losses`.
    3. *Check.* Each model names all training photos. It keeps those of its own labels that the other one finds clean:
       whose positive prompt is nearer to the photo than the negative one (``filter``).
    4. *Phase 2.* Each model tunes a copy of the whole image tower and a linear head, by the cross entropy of the labels
       that it kept.

    Each epoch passes the photos that one of the models learns from. Rows: ``zero_shot``, ``coft_prompts`` (after phase
    1) and ``coft`` (after phase 2).

    From the paper: the above. Not stated in the text that was at hand, and **assumed**: all defaults; that phase 2
    starts from the backbone's weights, without the tokens; that its head stands on image features of length 1 and
    starts as the positive prompt's class features times the backbone's scale, without bias; that the prediction is
    the mean of both models' probabilities; that the order of equal confidence is that of the photos, and ``k`` at most
    the number of photos a class. **Derived**, and in no paper: seeds from candidate sets, which are the candidate that
    zero-shot likes best, ordered by how sure it is of that one among all classes.

    The models take turns within a step, so that the activations of one are in memory at a time.

    Args:
        backbone: Image and text tower; the image tower must be trainable.
        n_ctx: Context tokens of each prompt.
        init_words: Words that the positive prompts start from (``"a photo of a"``); their number counts instead of
            ``n_ctx`` there. Drawn if not given, as is the negative prompt always.
        visual_tokens: Tokens at each block of the image tower. If not given, 20 where the tower takes them, and none
            where it does not.
        deep: Whether each block has tokens of its own (VPT-deep) or the first one's go through all (VPT-shallow).
        recompute: Whether activations of phase 1 are computed again in the backward pass: half of its memory for a
            third more time (ViT-B/16, 64 photos).
        templates: Text templates of zero-shot with ``{}`` for the class name; ``a photo of a {}.`` if not given.
        sentences: A JSON file of sentences about each name, ``{name: [sentence, ...]}``, which then stand for it in
            zero-shot.
        seeds: Where the first labels come from: ``zero_shot``, or ``candidates``, which are needed then.
        k: Most seeds of a class. If not given, 16, but no more than there are photos a class.
        clean_weight: Weight of the second loss, the paper's lambda, 0 or more.
        filter: Which of its labels a model keeps for phase 2; ``peer`` if not given.
        tuning_share: Share of the epochs that phase 2 has, from 0 to below 1. With 0 there is no phase 2.
        prompt_lr: Learning rate of SGD in phase 1.
        tower_lr: Learning rate of SGD in phase 2. DeFT's, with a head that is drawn, is 0.0005; with the head that
            starts from texts, that was unstable on drawn birds of the part "development" (docs/results.md).
        momentum: Of SGD.
        weight_decay: Of SGD.
        warmup_epochs: First epochs of each phase, at a rate of 0.00001; a cosine to zero follows, which ends with it.
        chunk_size: Photos whose activations are kept at a time; the whole batch if not given. Gradients are the same.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "coft"
    needs_pixels: ClassVar[bool] = True
    changes_copies: ClassVar[bool] = True
    looks_at_support = True
    logged: ClassVar[tuple[str, ...] | None] = ("train/loss", "train/kept")
    rounds: int = 1
    """Of phase 1."""

    texts: Tensor

    def __init__(
        self,
        backbone: Backbone,
        n_ctx: int = 16,
        init_words: str | None = None,
        visual_tokens: int | None = None,
        deep: bool = True,
        recompute: bool = False,
        templates: list[str] | str | None = None,
        sentences: Path | None = None,
        seeds: Literal["zero_shot", "candidates"] = "zero_shot",
        k: int | None = None,
        clean_weight: float = 1.0,
        filter: Filter | None = None,
        tuning_share: float = 0.5,
        prompt_lr: float = 0.03,
        tower_lr: float = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup_epochs: int = 1,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__(backbone)
        if seeds not in ("zero_shot", "candidates"):
            raise FgvrError(f"model.seeds is {seeds!r}; expected 'zero_shot' or 'candidates'.")
        for name, number, least in (
            ("n_ctx", n_ctx, 1),
            ("visual_tokens", visual_tokens, 0),
            ("k", k, 1),
            ("clean_weight", clean_weight, 0),
            ("weight_decay", weight_decay, 0),
            ("warmup_epochs", warmup_epochs, 0),
            ("chunk_size", chunk_size, 1),
        ):
            if number is not None and not number >= least:
                raise FgvrError(f"model.{name} is {number}; expected {least} or more.")
        for name, share in (("tuning_share", tuning_share), ("momentum", momentum)):
            if not 0 <= share < 1:
                raise FgvrError(f"model.{name} is {share}; expected from 0 to below 1.")
        for name, rate in (("prompt_lr", prompt_lr), ("tower_lr", tower_lr)):
            if not rate > 0:
                raise FgvrError(f"model.{name} is {rate}; expected above 0, for instance 0.001.")
        self.n_ctx = n_ctx
        self.init_words = init_words
        self.visual_tokens = visual_tokens
        self.deep = deep
        self.recompute = recompute
        self.templates = template_list(templates, ("a photo of a {}.",))
        self.sentences = sentences
        self.seeds = seeds
        self.needs_candidates = seeds == "candidates"
        self.k = k
        self.clean_weight = clean_weight
        self.filter = filter or PeerFilter()
        self.tuning_share = tuning_share
        self.prompt_lr = prompt_lr
        self.tower_lr = tower_lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.chunk_size = chunk_size
        self.stages = []
        self.stage = None
        self.begun = False
        self.learned = {}
        self.models: list[CoftModel] = []
        self._others: tuple[int, Tensor] | None = None
        self._learned = [False] * MODELS

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Draw both models, and choose the seeds where photos are there to learn from.

        Raises:
            FgvrError: There are no two classes, the image tower cannot be trained, or there are too few epochs.
        """
        start = time.perf_counter()
        fitting = self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        if len(vocabulary) < 2:
            raise FgvrError(
                f"{self.row} tells right from wrong classes, and the vocabulary has {counted(len(vocabulary), 'class')}"
                ": check data.class_names, or the names that the labeler found."
            )
        with torch.device("cpu"):  # Lightning makes a GPU the default device while it configures a model
            texts = torch.zeros(len(vocabulary), self.backbone.embed_dim)
            if fitting:
                texts = self._class_texts(vocabulary)
            pixels = self.backbone.transform(Image.new("RGB", (64, 64))).unsqueeze(0)
        self.register_buffer("texts", texts)
        self.register_buffer("tuned", torch.tensor(False, device="cpu"))
        self.classifier_seconds["zero_shot"] = time.perf_counter() - start
        tokens = tokens_of(self.backbone, self.visual_tokens)
        for _ in range(MODELS):
            visual = VisualPrompts(tokens, self.deep, recompute=self.recompute) if tokens else None
            model = CoftModel(self.n_ctx, self.init_words, visual, self.tuning_share > 0)
            model.build(self.backbone, vocabulary.names, pixels.to(self.backbone.device))
            self.models.append(model)
        self.both = nn.ModuleList(self.models)
        if fitting:
            self.begin_stages(self.rounds, self.tuning_share, self.first_targets(candidates).expand(MODELS, -1))

    def _class_texts(self, vocabulary: Vocabulary) -> Tensor:
        if self.sentences is not None:
            check_sentences(vocabulary.names, read_sentences(self.sentences, "model.sentences"), "model.sentences")
        folder = self.data.cache_dir / "features"
        return class_texts(self.backbone, vocabulary.names, self.templates, self.sentences, folder)

    def first_targets(self, candidates: CandidateSets | None) -> Tensor:
        """The class of each seed, -1 for other photos, int64, shape ``(N,)``; the same for both models."""
        images = torch.from_numpy(self.data.support_features("joint"))
        allowed = None
        if self.needs_candidates:
            assert candidates is not None, "the data makes them where they are needed"
            place = {record.sample_id: row for row, record in enumerate(self.data.support)}
            images = images[[place[sample_id] for sample_id in candidates.sample_ids]]
            allowed = torch.from_numpy(candidates.padded()[0])
        labels, confidence = nearest_labels(images, self.texts, self.backbone.logit_scale, allowed)
        return self.most_confident(labels, confidence)

    def most_confident(self, labels: Tensor, confidence: Tensor) -> Tensor:
        """The labels of the ``k`` surest photos of each class, -1 for the others; of held-out photos last."""
        if self.needs_candidates:
            confidence = confidence.masked_fill(torch.from_numpy(self.data.held_out), -torch.inf)
        return most_confident(labels, confidence, self.k or max(min(16, len(labels) // len(self.texts)), 1))

    @torch.no_grad()
    def label_photos(self) -> PseudoLabels:
        """What both models with their prompts say of all training photos; every process calls it."""
        with self.trainer.precision_plugin.forward_context():
            images, views = encode_training_photos(self, self._encode_prompted).movedim(1, 0), None
            if self.filter.needs_views:
                view = Augmentation(self.backbone.transform)
                views = encode_training_photos(self, self._encode_prompted, view).movedim(1, 0)
            texts = self.class_features()
        return models_labels(images, views, texts, self.backbone.logit_scale)

    def _encode_prompted(self, pixels: Tensor) -> Tensor:
        return torch.stack([model.encode_prompted(pixels).float() for model in self.models], dim=1)

    def next_targets(self, following: Stage) -> Tensor:
        """The labels that the filter keeps of each model's own."""
        said = self.label_photos()
        return said.labels.masked_fill(~self.filter.keep(said), -1)

    @torch.no_grad()
    def restart(self, following: Stage) -> None:
        """Start the heads from the positive prompts."""
        for model in self.models:
            model.reset_head(self.backbone.logit_scale * model.positive.class_features())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of both models' losses, each a mean over the photos of the global batch that it learns from."""
        device = self.device.type
        # copies of weights that autocast caches would outlive the graph that they belong to
        autocast = torch.autocast(
            device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), cache_enabled=False
        )
        with autocast:
            learned = [self._learn(number, batch) for number in range(MODELS)]
        known = learned[0]
        for other in learned[1:]:
            known.value = known.value + other.value
            known.extend(other.parameters, other.gradients)
        if self.trainer.world_size > 1:  # DDP waits for each parameter in every step
            active = set(map(id, known.parameters))
            rest = [each for each in self.parameters() if each.requires_grad and id(each) not in active]
            known.extend(rest, [torch.zeros_like(each) for each in rest])
        self.log("train/loss", known.value, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)
        return known.loss()

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Keep momentum and weight decay off what this step has not learned."""
        for model, learned in zip(self.models, self._learned, strict=True):
            prompts, tower = model.prompt_parameters(), model.tower_parameters()
            resting = prompts if self.current_stage.tunes_tower else tower
            for parameter in resting if learned else [*tower, *prompts]:
                parameter.grad = None
        self._learned = [False] * MODELS

    def _learn(self, number: int, batch: Batch) -> KnownGradient:
        """One model's loss and gradients; DDP will divide them by the number of processes."""
        model, tunes = self.models[number], self.current_stage.tunes_tower
        places = self.places(number, batch)
        labelled = self.over_processes((self.targets[number, batch.rows] >= 0).sum())
        # of one batch or, with accumulate_grad_batches, of any that the step is made of
        self._learned[number] |= self.over_processes(len(places)) > 0
        parts = places.split(self.chunk_size or max(len(places), 1)) if len(places) else ()
        if tunes:
            known = KnownGradient(model.tower_parameters(), self.trainer)
            for part in parts:
                known.add(self.tuning_loss(number, batch, part, max(labelled, 1)) * self.trainer.world_size)
            return known
        classes = model.class_features()  # all photos share their graph, which is passed once, behind all parts
        leaf = classes.detach().requires_grad_()
        known = KnownGradient([leaf, *model.visual_parameters()], self.trainer)
        for part in parts:
            known.add(self.prompt_loss(number, batch, part, leaf) * self.trainer.world_size / max(labelled, 1))
        known.pass_on(classes, model.text_parameters())
        return known

    def over_processes(self, count: Tensor | float) -> float:
        """The sum of a count of each process."""
        total = torch.as_tensor(float(count), device=self.device)
        return float(self.trainer.strategy.reduce(total, reduce_op="sum"))

    def places(self, number: int, batch: Batch) -> Tensor:
        """Places in a batch of the photos that a model learns from: those with a label."""
        return (self.targets[number, batch.rows] >= 0).nonzero().squeeze(1)

    def prompt_loss(self, number: int, batch: Batch, part: Tensor, classes: Tensor) -> Tensor:
        """Phase 1's loss, summed over some photos of a batch.

        Args:
            number: The model, 0 or 1.
            batch: The photos of this process.
            part: Places in the batch, shape ``(B,)``.
            classes: Features of positive and negative prompts, shape ``(2, C, D)``.
        """
        rows = batch.rows[part]
        features = self.models[number].encode_prompted(batch.images[part])
        others = self._others_of_epoch()
        with torch.autocast(self.device.type, enabled=False):
            positive, negative = self.backbone.logit_scale * features.float() @ classes.mT
            labels, others = self.targets[number, rows], others[number, rows]
            return len(rows) * phase_one_loss(positive, negative, labels, others, self.clean_weight)

    def tuning_loss(self, number: int, batch: Batch, part: Tensor, labelled: float) -> Tensor:
        """Some photos' part of phase 2's loss.

        Args:
            number: The model, 0 or 1.
            batch: The photos of this process.
            part: Places in the batch, shape ``(B,)``.
            labelled: Photos of the global batch with a label, 1 or more.
        """
        features = self.models[number].encode_tuned(batch.images[part])
        return self.label_loss(number, features, batch.rows[part]) / labelled

    def label_loss(self, number: int, features: Tensor, rows: Tensor) -> Tensor:
        """Cross entropy of the head, summed over the photos that have a label."""
        logits = self.models[number].head_logits(features)
        return F.cross_entropy(logits, self.targets[number, rows], ignore_index=-1, reduction="sum")

    def _others_of_epoch(self) -> Tensor:
        epoch = self.current_epoch
        if self._others is None or self._others[0] != epoch:
            self._others = (epoch, others_of_epoch(self.targets, len(self.texts), run_seed(), epoch))
        return self._others[1]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """SGD; the rate goes through warm-up and cosine in each stage, once an epoch."""
        groups: list[dict[str, Any]] = []
        factors = []
        for rate, tunes in ((self.prompt_lr, False), (self.tower_lr, True)):
            for model in self.models:
                parameters = model.tower_parameters() if tunes else model.prompt_parameters()
                if parameters:
                    groups.append({"params": parameters, "lr": rate})
                    factors.append(rate_schedule(self.stages, tunes, self.warmup_epochs, WARMUP_LR / rate))
        optimizer = torch.optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factors)}
