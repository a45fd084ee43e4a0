"""The contract of a backbone: the only file that the author of a backbone plugin must read."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from fgvr.errors import FgvrError, TextTooLongError
from fgvr.records import Space
from fgvr.registry import BACKBONES


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Image features of a batch in both spaces.

    Attributes:
        joint: In the space that images share with texts, L2-normalised, shape ``(B, embed_dim)``.
        visual: In the space in which images are compared, L2-normalised, shape ``(B, visual_dim)``; ``None`` where
            nobody has asked for it.
    """

    joint: Tensor
    visual: Tensor | None = None

    def of(self, space: Space) -> Tensor:
        """The features of one space.

        Raises:
            FgvrError: They are the visual ones, and were not computed.
        """
        if space == "joint":
            return self.joint
        if self.visual is None:
            raise FgvrError(
                "A classifier reads visual features, and this method computes none: add 'visual' to its 'spaces', or "
                "choose a backbone whose visual space comes from its own tower."
            )
        return self.visual

    @classmethod
    def cat(cls, batches: Sequence["ImageFeatures"]) -> "ImageFeatures":
        """Those of several batches, one after the other; at least one."""
        visual = [batch.visual for batch in batches if batch.visual is not None]
        return cls(torch.cat([batch.joint for batch in batches]), torch.cat(visual) if visual else None)

    def __len__(self) -> int:
        return len(self.joint)


class PromptEncoder(nn.Module, ABC):
    """A text tower that takes learnable context vectors in place of words (CoOp, Zhou et al. 2022).

    The tower's own weights are frozen; gradients flow to the context only.

    Attributes:
        token_dim: Width of a token embedding.
    """

    token_dim: int

    @abstractmethod
    def embed(self, words: str) -> Tensor:
        """Token embeddings of ``words`` without start and end tokens, float32, shape ``(tokens, token_dim)``."""

    @abstractmethod
    def prepare(self, class_names: Sequence[str], n_ctx: int, position: str) -> None:
        """Fix the class names, the context length and the name's position: once, before the first ``forward``.

        Args:
            class_names: Names in class-index order.
            n_ctx: Context vectors per prompt.
            position: ``"end"`` (context, name), ``"middle"`` (half the context, name, the other half) or ``"front"``.

        Raises:
            TextTooLongError: A name does not fit into the tower's context together with ``n_ctx`` vectors; the message
                has the name and how many tokens are free.
        """

    @abstractmethod
    def forward(self, context: Tensor) -> Tensor:
        """L2-normalised float32 text features of every class, shape ``(C, embed_dim)``, differentiable in ``context``.

        Args:
            context: Shared, shape ``(n_ctx, token_dim)``, or class-specific, shape ``(C, n_ctx, token_dim)``.
        """


class VisualPromptEncoder(ABC):
    """An image tower that takes learnable tokens beside those of the photo (VPT, Jia et al. 2022): visual prompts.

    Prompts stand behind the tower's own leading tokens (class token, registers) and before the tokens of the patches.
    Before block j, row j of J takes the place of the prompts that there are; the last row's stay up to the last block.
    So J = 1 is VPT-shallow, and J = ``depth`` VPT-deep. Behind the last block prompts are dropped: pooling sees none.

    It has no weights and no state of its own, and is no module: one encoder serves any number of sets of prompts, in
    turn, and follows the backbone to its device. Two threads must not call it, or the backbone, at once.

    Attributes:
        width: Width of a token.
        depth: Blocks of the tower.
        patch_pixels: Pixels of a patch, 256 for patches of 16 x 16; the start of prompts is drawn by it.
    """

    width: int
    depth: int
    patch_pixels: int

    def __call__(self, pixels: Tensor, prompts: Tensor) -> ImageFeatures:
        """What ``Backbone.encode_spaces`` gives, with prompts; without any (M = 0) it is exactly that.

        Differentiable in the prompts, and in weights of the tower that need a gradient.

        Args:
            pixels: Shape ``(B, 3, H, W)``.
            prompts: Of all photos, shape ``(J, M, width)``, or of each photo, shape ``(B, J, M, width)``; J from 1 to
                ``depth``.

        Raises:
            FgvrError: The prompts have another shape.
        """
        *photos, rows, _, width = prompts.shape if prompts.dim() in (3, 4) else (0, 0, 0)
        if not 1 <= rows <= self.depth or width != self.width or photos not in ([], [len(pixels)]):
            raise FgvrError(
                f"Visual prompts have the shape {tuple(prompts.shape)}; this image tower takes (J, M, {self.width}), J "
                f"from 1 to {self.depth}, or the same with the number of photos, {len(pixels)}, in front."
            )
        return self.encode(pixels, prompts)

    @abstractmethod
    def encode(self, pixels: Tensor, prompts: Tensor) -> ImageFeatures:
        """See ``__call__``; ``prompts`` have one of the two shapes."""


class Backbone(nn.Module, ABC):
    """A frozen image tower and text tower into one space, and the image tower's own space before that.

    The joint space is where images and texts meet. What tells two images apart is often lost on the way there, so a
    backbone may have a second, visual space for comparing images with each other: what its tower computes before the
    projection. A backbone without one compares images in the joint space; it need not know of any of this.

    A constructor is pure: ``load()`` reads the weights, and is called by the first stage that needs them. All
    parameters are frozen (``requires_grad=False``) and in evaluation mode after ``load()``; methods that train a tower
    thaw what its features depend on and leave it in evaluation mode.

    Attributes (after ``load()``):
        embed_dim: Width of the common space.
        logit_scale: Factor on cosines before a softmax (not its logarithm), as a float.
        transform: Photo (RGB) -> float32 pixels of shape ``(3, H, W)``, as in evaluation.
    """

    embed_dim: int
    logit_scale: float
    transform: Callable[[Image.Image], Tensor]

    def check(self) -> None:
        """Refuse what ``load()`` would refuse, as far as it shows at once and without a network; nothing by default.

        Called before anything is paid for.

        Raises:
            FgvrError: An option or a file is not what ``load()`` needs.
        """
        return

    def check_visual(self) -> None:
        """``check`` where nothing but the visual space is used, as by ``paired``.

        Raises:
            FgvrError: See there.
        """
        self.check()

    @abstractmethod
    def load(self) -> None:
        """Read weights and build the towers; does nothing when called again.

        Raises:
            FgvrError: A package or a file is missing (the message has the command that fixes it), or a file is not
                the one that was expected.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """A short string that changes whenever the features of a file would: model, weights, transform, visual space.

        Features are cached under it. Called after ``load()``.
        """

    @abstractmethod
    def encode_image(self, pixels: Tensor) -> Tensor:
        """L2-normalised float32 features, ``(B, 3, H, W)`` -> ``(B, embed_dim)``.

        Differentiable in the image tower's weights, where a method that trains them makes them need a gradient.
        """

    @property
    def has_visual_space(self) -> bool:
        """Whether ``encode_spaces`` gives visual features that are not the joint ones."""
        return False

    @property
    def visual_dim(self) -> int:
        """Width of the visual space, after ``load()``; that of the joint space where there is no other."""
        return self.embed_dim

    def encode_spaces(self, pixels: Tensor) -> ImageFeatures:
        """Features in both spaces by one pass of the tower, ``(B, 3, H, W)`` -> L2-normalised float32.

        ``joint`` is what ``encode_image`` gives. A backbone with a visual space overrides this, ``has_visual_space``
        and ``visual_dim``.
        """
        joint = self.encode_image(pixels)
        return ImageFeatures(joint, joint)

    def tower_of(self, space: Space) -> "Backbone":
        """The backbone whose pass gives the features of ``space``: this one, unless it borrows that of another."""
        return self

    @abstractmethod
    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """L2-normalised float32 features of ``texts``, shape ``(len(texts), embed_dim)``; no gradients.

        Args:
            texts: At least one.
            truncate: Cut off what exceeds the tower's context, as is usual for descriptions; a class name must not
                lose its end.

        Raises:
            TextTooLongError: A text exceeds the tower's context and ``truncate`` is false.
        """

    @abstractmethod
    def prompt_encoder(self) -> PromptEncoder:
        """A new prompt encoder over this text tower."""

    def visual_prompt_encoder(self, recompute: bool = False) -> VisualPromptEncoder:
        """The image tower as one that takes visual prompts. Called after ``load()``.

        Args:
            recompute: Keep the input of each block only, and compute the block again in the backward pass: less memory
                for about a third more time.

        Raises:
            FgvrError: This image tower takes none.
        """
        raise FgvrError(
            f"The image tower of {BACKBONES.short_name(type(self))} takes no visual prompts: it has no "
            "visual_prompt_encoder. A vision transformer of open_clip takes them, for instance ViT-B-16."
        )

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """``encode_text`` with gradients for the text tower, for methods that train it; too long texts are cut off.

        Weights of a tower that its features do not depend on (a second scale, a head that is not called) stay frozen in
        training.

        Args:
            texts: At least one.

        Returns:
            L2-normalised float32, shape ``(len(texts), embed_dim)``.

        Raises:
            FgvrError: This backbone's text tower cannot be trained.
        """
        raise FgvrError(
            f"The text tower of {BACKBONES.short_name(type(self))} cannot be trained: it has no embed_text."
        )

    @property
    def adapter_root(self) -> nn.Module:
        """The module that low-rank adapters are made in, and that an exported adapter is loaded into again.

        The backbone itself, unless it wraps a model that others know, too.
        """
        return self

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device


def tower_fingerprint(tower: nn.Module, transform: Callable[[Image.Image], Tensor], *extra: str) -> str:
    """32 hex digits of SHA-256 over an image tower's modules and tensors, the transform and ``extra``.

    It takes about 0.25 s for the image tower of a ViT-B/16.

    Args:
        tower: The image tower.
        transform: What turns a photo into pixels.
        extra: Anything else that the features depend on and that neither of the two shows in its ``repr``.
    """
    digest = hashlib.sha256()
    for name, tensor in tower.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\0".encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    shown = "\0".join([repr(tower), repr(transform), *extra])
    # functions are shown with their address, which differs from process to process
    digest.update(re.sub(r" at 0x[0-9a-fA-F]+", "", shown).encode())
    return digest.hexdigest()[:32]


def check_lengths(texts: Sequence[str], tokens: Sequence[int], limit: int) -> None:
    """Raise ``TextTooLongError`` for the first text whose number of tokens is above ``limit``."""
    for text, count in zip(texts, tokens, strict=True):
        if count > limit:
            raise TextTooLongError(
                text,
                f"{text[:60]!r} has {count} tokens with start and end, but the text encoder takes {limit}. Shorten the "
                "class name or the template.",
            )
