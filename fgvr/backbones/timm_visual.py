"""An image tower of timm, to compare photos by: DINO's transformers and any other, without a text tower."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.backbones.base import Backbone, PromptEncoder, VisualPromptEncoder, tower_fingerprint
from fgvr.backbones.open_clip_prompted import OpenClipVisualPromptEncoder
from fgvr.backbones.open_clip_weights import hint_of_folder
from fgvr.backbones.state_dict import read_weights
from fgvr.errors import FgvrError
from fgvr.text import visible
from fgvr.weights import weights_format

_HUB = "hf-hub:"
# what timm and the hub's client raise for downloads that fail and for tensors of another model
_LOAD_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


class TimmVisualBackbone(Backbone):
    """What a model of timm computes before its classifier, in float32: a visual space beside any text tower.

    It has no texts, so it is no backbone by itself: it is the ``visual_backbone`` of ``paired``. Towers that learned
    from photos alone (DINOv2, DINOv3) tell kinds of things apart by what captions do not speak of. Pooling, size and
    normalisation of photos are timm's for the model and its weights.

    Args:
        model: Name of a model in timm with the tag of its weights (``vit_small_patch14_reg4_dinov2.lvd142m``), or
            ``hf-hub:<organisation>/<name>``.
        pretrained: File with weights for that model, of safetensors or ``torch.save``; a file is read by what it is,
            whatever its ending. The tag's weights are downloaded if not given.
        image_size: Side of the square that photos are cut to, in pixels; that of the weights if not given, for DINOv2
            518: 1,369 patches instead of the 256 of 224 pixels. A vision transformer interpolates its positions.
        cache_dir: Where downloads go; the hub's own cache if not given.

    Raises:
        FgvrError: An option is out of its range.
    """

    def __init__(
        self,
        model: str = "vit_small_patch14_reg4_dinov2.lvd142m",
        pretrained: str | None = None,
        image_size: int | None = None,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        if image_size is not None and image_size < 1:
            raise FgvrError(f"image_size is {image_size}; expected a number of pixels, for instance 224.")
        self.model = model
        self.pretrained = pretrained
        self.image_size = image_size
        self.cache_dir = cache_dir
        self.logit_scale = 1.0  # there are no texts to compare with
        self._loaded = False

    def check(self) -> None:
        """Refuse to stand alone.

        Raises:
            FgvrError: Always.
        """
        self._refuse_texts()

    def check_visual(self) -> None:
        """See the base class. A download is not tried, and weights are not held against the model."""
        import timm

        if self.model.startswith(_HUB):
            if self.pretrained is not None:
                raise FgvrError(f"{self.model} has weights of its own: leave out pretrained={self.pretrained!r}.")
            return
        name, _, tag = self.model.partition(".")
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            close = f"; close to it: {', '.join(near)}" if near else ""
            raise FgvrError(
                f"timm has no model {name!r}{close}. To see them all: "
                'python -c "import timm; print(timm.list_models())"'
            )
        tags = [found.partition(".")[2] for found in timm.list_pretrained(f"{name}.*")]
        if tag and tag not in tags:
            raise FgvrError(
                f"{name} has no weights {tag!r} in timm; it has {', '.join(map(repr, tags)) or 'none'}. Give one of "
                "them, or a file as pretrained."
            )
        if self.pretrained is None:
            if not tags:
                raise FgvrError(f"{name} has no weights in timm: give a file as pretrained.")
            return
        file = Path(self.pretrained)
        if file.is_dir():
            raise FgvrError(f"pretrained is {file}, which is a folder: {hint_of_folder(file)}.")
        if not file.is_file():
            raise FgvrError(f"pretrained is {file}, but there is no such file.")
        if weights_format(file) == "numpy":
            raise FgvrError(f"{file} is an archive of NumPy: choose the weights for PyTorch, of safetensors or .pth.")

    def load(self) -> None:
        """See the base class."""
        if self._loaded:
            return
        from timm.data import create_transform, resolve_data_config

        self.check_visual()
        tensors = None if self.pretrained is None else read_weights(Path(self.pretrained)).tensors
        try:
            # Lightning makes the GPU the default device while it configures a model
            with torch.device("cpu"):
                tower = self._create(tensors)
                tower.reset_classifier(0)
        except _LOAD_ERRORS as error:
            raise self._load_error(error) from error
        self.tower: Any = tower.float().requires_grad_(False)
        self.eval()
        size = {} if self.image_size is None else {"input_size": (3, self.image_size, self.image_size)}
        data = resolve_data_config(size, model=self.tower)
        self.transform = create_transform(**data)
        with torch.no_grad():
            self.embed_dim = self.tower(torch.zeros(1, *data["input_size"], device="cpu")).shape[1]
        self._loaded = True

    def _create(self, tensors: dict[str, Tensor] | None) -> Any:
        """The model with its classifier, because only then does timm refuse weights that lack some of its own."""
        import timm

        options: dict[str, Any] = {"pretrained": True, "cache_dir": self.cache_dir}
        if tensors is not None:
            # timm takes tensors in place of a download, and converts the names of those who trained the model
            options["pretrained_cfg_overlay"] = {"state_dict": tensors, "custom_load": False}
            classifier = timm.get_pretrained_cfg(self.model).classifier
            weight = tensors.get(f"{classifier}.weight") if isinstance(classifier, str) else None
            classes = 0 if weight is None else len(weight)
            options["num_classes"] = options["pretrained_cfg_overlay"]["num_classes"] = classes
        try:
            return timm.create_model(self.model, **options, img_size=self.image_size)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return timm.create_model(self.model, **options)  # a convolutional network, which takes any size

    def _load_error(self, error: Exception) -> FgvrError:
        reason = f"{type(error).__name__}: {visible(str(error), 300)}"
        if self.pretrained is not None:
            return FgvrError(
                f"{self.pretrained} has no weights for {self.model} ({reason}). Expected is a state dict of that model."
            )
        return FgvrError(
            f"timm cannot load {self.model} ({reason}). Without a network: fetch the weights on another machine and "
            "give their file as pretrained, or copy that machine's ~/.cache/huggingface here and set HF_HUB_OFFLINE=1."
        )

    def fingerprint(self) -> str:
        """See the base class."""
        pool = str(getattr(self.tower, "global_pool", ""))
        return f"timm-{tower_fingerprint(self.tower, self.transform, self.model, pool)}"

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class; these features are the visual ones, and no texts share their space."""
        features: Tensor = self.tower(pixels)
        return F.normalize(features.float(), dim=-1)

    def visual_prompt_encoder(self, recompute: bool = False) -> VisualPromptEncoder:
        """See the base class: any ``VisionTransformer`` or ``Eva`` of timm takes visual prompts."""
        return OpenClipVisualPromptEncoder(self, self.tower, self.model, recompute)

    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """It has none.

        Raises:
            FgvrError: Always.
        """
        self._refuse_texts()

    def prompt_encoder(self) -> PromptEncoder:
        """It has none.

        Raises:
            FgvrError: Always.
        """
        self._refuse_texts()

    def _refuse_texts(self) -> NoReturn:
        raise FgvrError(
            f"{self.model} of timm compares photos and knows no texts: give it as visual_backbone of the backbone "
            "'paired', beside one that has texts as joint_backbone (lite, open_clip)."
        )
