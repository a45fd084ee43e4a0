"""Any CLIP-like model that open_clip knows, downloads or finds in a file."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fgvr.backbones.base import Backbone, ImageFeatures, VisualPromptEncoder, check_lengths, tower_fingerprint
from fgvr.backbones.open_clip_prompted import OpenClipVisualPromptEncoder
from fgvr.backbones.open_clip_prompts import prompt_encoder_of
from fgvr.backbones.open_clip_visual import UnprojectedTower, iso_clip, unprojected_tower
from fgvr.backbones.open_clip_weights import (
    NUMPY,
    check_file,
    check_folder,
    hint_of_folder,
    quick_gelu_of,
    read_by_content,
)
from fgvr.backbones.prompts import TokenPromptEncoder
from fgvr.backbones.state_dict import read_weights
from fgvr.errors import FgvrError
from fgvr.text import visible

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
        text_batch_size: Most texts per forward pass; see ``TokenPromptEncoder`` for what more classes than that mean,
            and ``PrefixSharedTower`` where prompts share their beginning.
        text_memory_gb: Gigabytes (1e9 bytes) of activations of prompts to keep for the backward pass. What does not fit
            is computed again, which takes up to half the time more. 1,000 classes need 1.1 with ViT-B/32, whose prompts
            share their beginning; 50 classes need 1.7 with SigLIP ViT-B/16, whose prompts cannot.
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
        tokenizer = self._load_tokenizer(name)
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
        except _LOAD_ERRORS as error:
            text_model = self._text_config(name).get("hf_model_name")
            if text_model is not None and isinstance(error, OSError):
                raise self._hub_error("the configuration of its text tower", text_model, error) from error
            raise self._load_error(error) from error

        self.clip = model.eval().requires_grad_(False)
        self.transform = transform
        self._tokenizer = tokenizer
        self.embed_dim = self.encode_text([""]).shape[1]
        self.logit_scale = model.logit_scale.exp().item()
        self._load_visual_space()
        self._loaded = True

    def _load_tokenizer(self, name: str) -> Any:
        """Before the model, because it is small and may be what is missing."""
        import open_clip

        try:
            return open_clip.get_tokenizer(name, cache_dir=self.cache_dir)
        except (*_LOAD_ERRORS, ImportError) as error:
            source = self._text_config(name).get("hf_tokenizer_name")
            if source is None:
                raise self._load_error(error) from error
            raise self._hub_error("its tokenizer", source, error) from error

    def _text_config(self, name: str) -> dict[str, Any]:
        import open_clip

        config = {} if name.startswith(("hf-hub:", "local-dir:")) else open_clip.get_model_config(name) or {}
        text: dict[str, Any] = config.get("text_cfg", {})
        return text

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
        # Hugging Face's, inside open_clip's, which cleans texts first: SigLIP's have no capitals and no signs
        clean = getattr(self._tokenizer, "clean_fn", str)
        return len(self._tokenizer.tokenizer(clean(text), verbose=False)["input_ids"])

    def prompt_encoder(self) -> TokenPromptEncoder:
        """See the base class.

        Raises:
            FgvrError: Its tokenizer does more than put a text's tokens in a row (CLIPS), or its text tower is unknown.
        """
        keep = int(self.text_memory_gb * 1e9)
        return prompt_encoder_of(self.clip, self._tokenizer, self.model, self.text_batch_size, keep)

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

    def _hub_error(self, what: str, source: str, error: Exception) -> FgvrError:
        reason = f"{type(error).__name__}: {visible(str(error), 120)}"
        return FgvrError(
            f"{self.model} needs {what}, {source!r} of the Hugging Face hub ({reason}). With a network, run "
            f"`hf download {source} --include '*.json' '*.model'`. Without one, do that on another machine, copy its "
            "~/.cache/huggingface here and set HF_HUB_OFFLINE=1; or name a folder with these files in the "
            "architecture's JSON (see config_dir)."
        )

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


def _closest(name: str, names: Sequence[str]) -> str:
    lower = {candidate.lower(): candidate for candidate in names}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3)]
    return f"; close to it: {', '.join(near)}" if near else ""
