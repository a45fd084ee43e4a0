"""A backbone for checks of heads and methods, which runs in milliseconds and needs no weights."""

import zlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from fgvr.backbones.base import Backbone, ImageFeatures, VisualPromptEncoder, check_lengths, tower_fingerprint
from fgvr.backbones.prompts import TokenPromptEncoder

_GRID = 8
_SIZE = 32
_BUCKETS = 1021
_MAX_TOKENS = 256


class TinyBackbone(Backbone):
    """A backbone of a few thousand random weights that are the same for the same seed.

    A photo's feature is a projection of its colours on an 8 x 8 grid; a text's is a projection of its words' character
    trigrams, hashed into buckets, each with its place in the text. The two know nothing of each other, so zero-shot
    accuracy is chance; equal photos, and equal texts, are near each other. The visual space is another projection of
    the same colours. Visual prompts are colours that draw those of the grid to themselves, in two blocks.

    Args:
        embed_dim: Width of the joint space.
        logit_scale: Factor on cosines before a softmax.
        seed: Of the weights.
        text_batch_size: Prompts per forward pass.
        visual_width: Width of the visual space; without, photos are compared in the joint space.
    """

    def __init__(
        self,
        embed_dim: int = 16,
        logit_scale: float = 20.0,
        seed: int = 0,
        text_batch_size: int = 256,
        visual_width: int | None = 24,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.logit_scale = logit_scale
        self.seed = seed
        self.text_batch_size = text_batch_size
        self.visual_width = visual_width
        self.transform = _to_pixels
        self._loaded = False

    def load(self) -> None:
        """Draw the weights."""
        if self._loaded:
            return
        generator = torch.Generator("cpu").manual_seed(self.seed)
        dim, colours = self.embed_dim, 3 * _GRID**2

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator, device="cpu"), requires_grad=False)

        self.image_tower = nn.ParameterDict({"weight": draw(colours, dim), "bias": draw(dim)})
        self.token_embedding = nn.Embedding(_BUCKETS, dim, _weight=draw(_BUCKETS, dim))
        self.positions = draw(_MAX_TOKENS, dim)
        self.text_projection = draw(dim, dim)
        if self.visual_width is not None:
            # last, so that the other weights do not depend on it
            self.image_tower["visual"] = draw(colours, self.visual_width)
        self.eval().requires_grad_(False)
        self._loaded = True

    def fingerprint(self) -> str:
        """See the base class."""
        return f"tiny-{tower_fingerprint(self.image_tower, self.transform)}"

    @property
    def has_visual_space(self) -> bool:
        """See the base class."""
        return self.visual_width is not None

    @property
    def visual_dim(self) -> int:
        """See the base class."""
        return self.visual_width or self.embed_dim

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class."""
        return self.project(_colours(pixels)).joint

    def encode_spaces(self, pixels: Tensor) -> ImageFeatures:
        """See the base class."""
        if self.visual_width is None:
            return super().encode_spaces(pixels)
        return ImageFeatures(self.encode_image(pixels), self.project(_colours(pixels)).visual)

    def project(self, colours: Tensor) -> ImageFeatures:
        """Features of colours on the grid, shape ``(B, 192)``."""
        with torch.autocast(colours.device.type, enabled=False):
            joint = F.normalize(colours @ self.image_tower["weight"] + self.image_tower["bias"], dim=-1)
            if self.visual_width is None:
                return ImageFeatures(joint, joint)
            return ImageFeatures(joint, F.normalize(colours @ self.image_tower["visual"], dim=-1))

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """See the base class. The context is 256 trigrams."""
        if not truncate:
            check_lengths(texts, [len(_trigrams(text)) for text in texts], _MAX_TOKENS)
        return self.embed_text(texts)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """See the base class."""
        tokens = [torch.tensor(_trigrams(text)[:_MAX_TOKENS], device=self.device) for text in texts]
        last = torch.tensor([len(ids) - 1 for ids in tokens], device=self.device)
        padded = nn.utils.rnn.pad_sequence(tokens, batch_first=True)
        return F.normalize(self.pool(self.token_embedding(padded), last), dim=-1)

    def pool(self, embeddings: Tensor, last: Tensor) -> Tensor:
        """Text features before normalisation, from token embeddings without positions and each text's last index."""
        length = embeddings.shape[1]
        hidden = torch.tanh(embeddings + self.positions[:length])
        inside = torch.arange(length, device=last.device) <= last.unsqueeze(1)
        mean = (hidden * inside.unsqueeze(-1)).sum(1) / inside.sum(1, keepdim=True)
        with torch.autocast(mean.device.type, enabled=False):
            return torch.matmul(mean.float(), self.text_projection)

    def prompt_encoder(self) -> "TinyPromptEncoder":
        """See the base class."""
        return TinyPromptEncoder(self)

    def visual_prompt_encoder(self, recompute: bool = False) -> "TinyVisualPromptEncoder":
        """See the base class."""
        return TinyVisualPromptEncoder(self)


class TinyPromptEncoder(TokenPromptEncoder):
    """Context and name as a row of trigrams, without start and end tokens.

    Args:
        backbone: Has the weights.
    """

    def __init__(self, backbone: TinyBackbone) -> None:
        super().__init__(backbone.token_embedding, _MAX_TOKENS, backbone.text_batch_size)
        self.backbone = backbone

    def tokenize(self, words: str) -> list[int]:
        """See the base class."""
        return _trigrams(words)

    def split(self, name: str) -> tuple[list[int], list[int], list[int]]:
        """See the base class."""
        return [], _trigrams(name), []

    def encode(self, tokens: Tensor, embeddings: Tensor, last: Tensor) -> Tensor:
        """See the base class."""
        return self.backbone.pool(embeddings, last)


class TinyVisualPromptEncoder(VisualPromptEncoder):
    """Two blocks, without weights, that add to each colour what the prompts have in common with it.

    Args:
        backbone: Has the weights.
    """

    width = 3
    depth = 2
    patch_pixels = (_SIZE // _GRID) ** 2

    def __init__(self, backbone: TinyBackbone) -> None:
        self.backbone = backbone

    def encode(self, pixels: Tensor, prompts: Tensor) -> ImageFeatures:
        """See the base class."""
        with torch.autocast(pixels.device.type, enabled=False):
            cells = _colours(pixels).unflatten(1, (self.width, -1)).mT
            for block in range(self.depth):
                row = prompts[..., min(block, prompts.shape[-3] - 1), :, :].float()
                cells = cells + torch.tanh(cells @ row.mT) @ row
            return self.backbone.project(cells.mT.flatten(1))


def _colours(pixels: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(pixels.float(), _GRID).flatten(1)


def _to_pixels(image: Image.Image) -> Tensor:
    pixels: Tensor = pil_to_tensor(image.convert("RGB").resize((_SIZE, _SIZE), Image.Resampling.BILINEAR))
    return pixels / 255 - 0.5


def _trigrams(text: str) -> list[int]:
    padded = [f" {word} " for word in text.lower().split()] or [" . "]
    # crc32 and not hash(), which is another one in every process
    return [zlib.crc32(word[i : i + 3].encode()) % _BUCKETS for word in padded for i in range(len(word) - 2)]
