"""Any CLIP-like model that open_clip knows, downloads or finds in a file."""

import difflib
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fgvr.backbones.base import Backbone, ImageFeatures, VisualPromptEncoder, check_lengths, tower_fingerprint
from fgvr.backbones.open_clip_blocks import unknown_part
from fgvr.backbones.open_clip_prompted import OpenClipVisualPromptEncoder
from fgvr.backbones.open_clip_visual import UnprojectedTower, iso_clip, unprojected_tower
from fgvr.backbones.open_clip_weights import (
    NUMPY,
    check_file,
    check_folder,
    hint_of_folder,
    quick_gelu_of,
    read_by_content,
)
from fgvr.backbones.prefix import PrefixSharedTower
from fgvr.backbones.prompts import TokenPromptEncoder
from fgvr.backbones.state_dict import read_weights
from fgvr.errors import FgvrError
from fgvr.text import visible

if TYPE_CHECKING:
    from open_clip import CLIP, SimpleTokenizer
    from open_clip.transformer import TextTransformer

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the architectures that come with fgvr and, under the same names, their weights."""

_LOG = logging.getLogger(__name__)

# what open_clip and the hub's client raise for names, files and downloads that are not as they should be, and for
# tensors of another architecture; files themselves are read by read_weights
_LOAD_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


class OpenClipBackbone(Backbone):
    """A model of open_clip with its own evaluation transform and tokenizer, in float32.

    Args:
        model: Name of an architecture (``ViT-B-16``), or a model with its weights: ``hf-hub:<organisation>/<name>``
            or ``local-dir:<folder>`` with ``open_clip_config.json`` and weights in it. ``fieldguide-clip`` comes with
            fgvr: 10 million parameters, trained on drawn birds, of use on those only.
        pretrained: Tag of open_clip's weights for that architecture (``openai``, ``laion2b_s34b_b88k``), or a file with
            weights, of safetensors or ``torch.save``, or OpenAI's own ``.pt``; a file is read by what it is, whatever
            its ending. The activation follows a tag, and a file that tells it (OpenAI's own does). Other weights that
            were trained with QuickGELU need the architecture's ``-quickgelu`` variant. Not given with ``hf-hub:`` and
            ``local-dir:``, and not needed for ``fieldguide-clip``.
        config_dir: Folder with JSON files of further architectures, in open_clip's format, named after the files.
        cache_dir: Where downloads go; the hub's own cache if not given.
        text_batch_size: Texts per forward pass; see ``TokenPromptEncoder`` for what more classes than that mean, and
            ``PrefixSharedTower`` where prompts share their beginning.
        text_memory_gb: Gigabytes (1e9 bytes) of activations of prompts that share their beginning to keep for the
            backward pass. What does not fit is computed again, which takes up to half the time more. 1,000 classes
            need 1.1 with ViT-B/32.
        visual_space: In which features photos are compared with each other. ``pre_projection``: what the image tower
            computes before its projection into the space of texts (of a tower without one, that space).
            ``projected``: the space of texts. ``iso_clip``: without the directions that all pairs of an image and a
            text share (IsoCLIP, CVPR 2026). On drawn birds the first is the best (docs/results.md).

    Raises:
        FgvrError: An option is out of its range.
    """

    iso_projection: Tensor

    def __init__(
        self,
        model: str = "ViT-B-16",
        pretrained: str | None = None,
        config_dir: str | None = None,
        cache_dir: str | None = None,
        text_batch_size: int = 256,
        text_memory_gb: float = 2.2,
        visual_space: Literal["pre_projection", "projected", "iso_clip"] = "pre_projection",
    ) -> None:
        super().__init__()
        if visual_space not in ("pre_projection", "projected", "iso_clip"):
            raise FgvrError(f"visual_space is {visual_space!r}; expected 'pre_projection', 'projected' or 'iso_clip'.")
        if text_memory_gb < 0:
            raise FgvrError(f"text_memory_gb is {text_memory_gb}; expected 0 or more, for instance 2.2.")
        self.model = model
        self.pretrained = pretrained
        self.config_dir = config_dir
        self.cache_dir = cache_dir
        self.text_batch_size = text_batch_size
        self.text_memory_gb = text_memory_gb
        self.visual_space = visual_space
        self._unprojected: UnprojectedTower | None = None
        self._loaded = False

    def check(self) -> None:
        """See the base class. A download is not tried, and weights are not held against the architecture."""
        self._resolve()

    def load(self) -> None:
        """See the base class."""
        if self._loaded:
            return
        import open_clip

        name, pretrained, quick_gelu, file = self._resolve()
        weights = None if file is None else read_weights(file)
        if file is not None and weights is not None:
            quick_gelu = quick_gelu_of(name, file, weights)
        try:
            # Lightning makes the GPU the default device while it configures a model
            with torch.device("cpu"), read_by_content(weights):
                model, transform = open_clip.create_model_from_pretrained(
                    name,
                    pretrained=pretrained,
                    force_quick_gelu=quick_gelu,
                    cache_dir=self.cache_dir,
                    weights_only=True,
                )
            tokenizer = open_clip.get_tokenizer(name, cache_dir=self.cache_dir)
        except _LOAD_ERRORS as error:
            raise self._load_error(error) from error

        self.clip = model.eval().requires_grad_(False)
        self.transform = transform
        self._tokenizer = tokenizer
        self.embed_dim = self.encode_text([""]).shape[1]
        self.logit_scale = model.logit_scale.exp().item()
        self._load_visual_space()
        self._loaded = True

    def _load_visual_space(self) -> None:
        if self.visual_space == "projected":
            return
        if self.visual_space == "iso_clip":
            self.register_buffer("iso_projection", iso_clip(self.clip), persistent=False)
        with torch.device("cpu"):
            pixels = self.transform(Image.new("RGB", (64, 64), "grey")).unsqueeze(0)
        self._unprojected = unprojected_tower(self.clip, pixels)
        if self._unprojected is None:
            _LOG.info("%s has no features before a projection: photos are compared in the joint space", self.model)
            return
        self._visual_dim = self._unprojected(pixels)[0].shape[1]
        if self.visual_space == "iso_clip":
            self._visual_dim = self.embed_dim

    def fingerprint(self) -> str:
        """See the base class."""
        space = f"-{self.visual_space}" if self.has_visual_space else ""
        return f"open_clip-{tower_fingerprint(self.clip.visual, self.transform, self.model)}{space}"

    @property
    def has_visual_space(self) -> bool:
        """See the base class."""
        return self._unprojected is not None

    @property
    def visual_dim(self) -> int:
        """See the base class."""
        return self._visual_dim if self.has_visual_space else self.embed_dim

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class."""
        return F.normalize(self.clip.encode_image(pixels).float(), dim=-1)

    def encode_spaces(self, pixels: Tensor) -> ImageFeatures:
        """See the base class."""
        if self._unprojected is None:
            return super().encode_spaces(pixels)
        before, projected = self._unprojected(pixels)
        with torch.autocast(pixels.device.type, enabled=False):
            before = before.float()
            if self.visual_space == "iso_clip":
                before = before @ self.iso_projection
            return ImageFeatures(F.normalize(projected.float(), dim=-1), F.normalize(before, dim=-1))

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """See the base class."""
        if not truncate:
            check_lengths(texts, [self._count_tokens(text) for text in texts], self._tokenizer.context_length)
        return self.embed_text(texts)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """See the base class."""
        with torch.device("cpu"):  # the tokenizer's tensors are on the default device, see load()
            tokens = self._tokenizer(list(texts)).to(self.device)
        features = torch.cat([self.clip.encode_text(batch) for batch in tokens.split(self.text_batch_size)])
        return F.normalize(features.float(), dim=-1)

    def _count_tokens(self, text: str) -> int:
        """Tokens of ``text`` with start and end, before the tokenizer cuts them off."""
        if hasattr(self._tokenizer, "encode"):  # CLIP's own
            return len(self._tokenizer.encode(text)) + 2
        return len(self._tokenizer.tokenizer(text)["input_ids"])  # Hugging Face's, inside open_clip's

    def prompt_encoder(self) -> "OpenClipPromptEncoder":
        """See the base class.

        Raises:
            FgvrError: The text tower is not CLIP's transformer over CLIP's tokens (SigLIP, CoCa, BERT and others).
        """
        from open_clip import CLIP, SimpleTokenizer
        from open_clip.transformer import TextTransformer

        # CLIP holds the parts of its text tower itself, CustomTextCLIP holds the tower
        tower = getattr(self.clip, "text", self.clip)
        pool_type = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
        plain = isinstance(tower, CLIP) or (
            isinstance(tower, TextTransformer) and tower.cls_emb is None and not tower.use_pad_mask
        )
        known_tokens = isinstance(self._tokenizer, SimpleTokenizer) and self._tokenizer.reduction_fn is None
        if not plain or not known_tokens or pool_type not in ("argmax", "eos"):
            raise FgvrError(
                f"Prompts cannot be learned over {self.model}: that needs CLIP's text transformer, its tokenizer "
                f"and features taken at the end token. Choose such a model (for instance ViT-B-16), or zero_shot."
            )
        return OpenClipPromptEncoder(tower, self._tokenizer, self.text_batch_size, int(self.text_memory_gb * 1e9))

    def visual_prompt_encoder(self, recompute: bool = False) -> VisualPromptEncoder:
        """See the base class: any vision transformer, of open_clip or timm (EVA, SigLIP, PE), takes visual prompts."""
        return OpenClipVisualPromptEncoder(self, self.clip.visual, self.model, recompute)

    @property
    def adapter_root(self) -> nn.Module:
        """The model of open_clip."""
        model: nn.Module = self.clip
        return model

    def _resolve(self) -> tuple[str, str | None, bool, Path | None]:
        """Open_clip's name of the model, its weights, whether their tag needs QuickGELU, and the file to be read."""
        import open_clip

        if self.config_dir is not None:
            if not Path(self.config_dir).is_dir():
                raise FgvrError(f"config_dir is {self.config_dir}, but there is no such folder.")
            open_clip.add_model_config(self.config_dir)
        open_clip.add_model_config(SHIPPED)
        if self.model.startswith(("hf-hub:", "local-dir:")):
            if self.pretrained is not None:
                raise FgvrError(f"{self.model} has weights of its own: leave out pretrained={self.pretrained!r}.")
            if self.model.startswith("local-dir:"):
                check_folder(Path(self.model.removeprefix("local-dir:")))
            return self.model, None, False, None
        name = self.model.replace("/", "-")
        models = open_clip.list_models()
        if name not in models:
            raise FgvrError(
                f"open_clip has no model {self.model!r}{_closest(name, models)}. To see them all: "
                'python -c "import open_clip; print(open_clip.list_models())"'
            )
        tags = open_clip.list_pretrained_tags_by_model(name)
        show_tags = f"python -c \"import open_clip; print(open_clip.list_pretrained_tags_by_model('{name}'))\""
        shipped = SHIPPED / f"{name}.safetensors"
        if self.pretrained is None and shipped.is_file():
            return name, str(shipped), False, None
        if self.pretrained is None:
            raise FgvrError(f"{name} needs weights: give a tag or a file as pretrained. To see its tags: {show_tags}")
        tag = open_clip.get_pretrained_cfg(name, self.pretrained)
        if tag:
            return name, self.pretrained, bool(tag.get("quick_gelu")), None
        file = Path(self.pretrained)
        if file.is_dir():
            raise FgvrError(f"pretrained is {self.pretrained}, which is a folder: {hint_of_folder(file)}.")
        if not file.is_file():
            raise FgvrError(
                f"{self.pretrained!r} is neither a file nor a tag of {name}{_closest(self.pretrained, tags)}. "
                f"To see its tags: {show_tags}"
            )
        check_file(file)
        return name, self.pretrained, False, None if file.suffix in NUMPY else file

    def _load_error(self, error: Exception) -> FgvrError:
        reason = f"{type(error).__name__}: {visible(str(error), 300)}"
        if self.pretrained is not None and Path(self.pretrained).is_file():
            return FgvrError(
                f"{self.pretrained} has no weights for {self.model} ({reason}). Expected is a state dict of that "
                "architecture, or OpenAI's own archive of it."
            )
        if self.model.startswith("local-dir:"):
            return FgvrError(f"open_clip cannot load {self.model} ({reason}).")
        return FgvrError(
            f"open_clip cannot load {self.model} with pretrained={self.pretrained!r} ({reason}). Without a "
            f"network: fetch the weights on another machine and give their file as pretrained, or copy that machine's "
            f"~/.cache/huggingface here and set HF_HUB_OFFLINE=1. The backbone 'lite' needs no download."
        )


class OpenClipPromptEncoder(TokenPromptEncoder):
    """Start token, context, "name.", end token through CLIP's text transformer: ``encode_text`` from embeddings on.

    Under a causal mask, what prompts have in common runs once; see ``PrefixSharedTower``. Prompts with a context for
    each class, towers without that mask and towers with parts that are not known there run as a whole, padded to the
    longest prompt only where that is exact. So do towers whose weights need a gradient.

    Args:
        tower: A ``CLIP`` or ``TextTransformer`` of open_clip, which have the same parts under the same names.
        tokenizer: Its ``SimpleTokenizer``.
        batch_size: Prompts per forward pass.
        keep_bytes: Most bytes of activations that are kept for the backward pass where the prefix is shared.
    """

    def __init__(
        self,
        tower: "CLIP | TextTransformer",
        tokenizer: "SimpleTokenizer",
        batch_size: int,
        keep_bytes: int = 22 * 10**8,
    ) -> None:
        super().__init__(tower.token_embedding, tower.context_length, batch_size, full_length=tower.attn_mask is None)
        self.tower = tower
        self.tokenizer = tokenizer
        self.keep_bytes = keep_bytes
        self.shared: PrefixSharedTower | None = None

    def prepare(self, class_names: Sequence[str], n_ctx: int, position: str) -> None:
        """See the base class."""
        super().prepare(class_names, n_ctx, position)
        unknown = unknown_part(self.tower)
        if unknown is not None:
            _log_once(f"Prompts run as a whole, without sharing their beginning: the text tower has {unknown}.")
            return
        # context vectors take the places of the padding's zeros
        marked = self.tokens.scatter(
            1, self.slots, (-1 - torch.arange(n_ctx, device=self.slots.device)).expand_as(self.slots)
        )
        prompts = [tuple(row[: last + 1]) for row, last in zip(marked.tolist(), self.last.tolist(), strict=True)]
        self.shared = PrefixSharedTower(self.tower, prompts, self.batch_size, self.keep_bytes)

    def forward(self, context: Tensor) -> Tensor:
        """See the base class."""
        tuned = any(parameter.requires_grad for parameter in self.tower.transformer.parameters())
        if self.shared is None or context.dim() > 2 or tuned:
            return super().forward(context)
        return F.normalize(self.project(self.tower.ln_final(self.shared(context))).float(), dim=-1)

    def tokenize(self, words: str) -> list[int]:
        """See the base class."""
        ids: list[int] = self.tokenizer.encode(words)
        return ids

    def split(self, name: str) -> tuple[list[int], list[int], list[int]]:
        """See the base class. The full stop is part of what follows, so that it stays behind the context as in CoOp."""
        ids, length = self.tokenize(f"{name}."), len(self.tokenize(name))
        return [self.tokenizer.sot_token_id], ids[:length], [*ids[length:], self.tokenizer.eot_token_id]

    def encode(self, embeddings: Tensor, last: Tensor) -> Tensor:
        """See the base class."""
        tower, length = self.tower, embeddings.shape[1]
        mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
        x: Tensor = embeddings + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=mask))
        # by position: the largest id, which CLIP looks for, need not be the end token once a name holds special tokens
        return self.project(x[torch.arange(len(x), device=x.device), last])

    def project(self, ends: Tensor) -> Tensor:
        """States behind the final norm -> the space of images."""
        projection = self.tower.text_projection
        if projection is None:
            return ends
        projected: Tensor = projection(ends) if isinstance(projection, nn.Linear) else ends @ projection
        return projected


@functools.cache
def _log_once(message: str) -> None:
    _LOG.warning(message)


def _closest(name: str, names: Sequence[str]) -> str:
    lower = {candidate.lower(): candidate for candidate in names}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3)]
    return f"; close to it: {', '.join(near)}" if near else ""
