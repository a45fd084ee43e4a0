"""Texts and photos by one backbone, comparing photos by another one's tower."""

from collections.abc import Sequence

from torch import Tensor, nn

from fgvr.backbones.base import Backbone, ImageFeatures, PromptEncoder, VisualPromptEncoder
from fgvr.records import Space


class PairedBackbone(Backbone):
    """The joint space of one backbone, and the visual space of another.

    What names photos well need not be what tells them apart well: texts and zero-shot are the first one's, neighbours
    and class means the second one's. Each tower makes one pass over the photos, and their features are stored under
    the backbone that they are of.

    Args:
        joint_backbone: Image and text tower into one space.
        visual_backbone: Whose visual space photos are compared in; its text tower is not used.
    """

    def __init__(self, joint_backbone: Backbone, visual_backbone: Backbone) -> None:
        super().__init__()
        self.joint_backbone = joint_backbone
        self.visual_backbone = visual_backbone

    def check(self) -> None:
        """See the base class."""
        self.joint_backbone.check()
        self.visual_backbone.check_visual()

    def load(self) -> None:
        """See the base class."""
        self.joint_backbone.load()
        self.visual_backbone.load()
        self.embed_dim = self.joint_backbone.embed_dim
        self.logit_scale = self.joint_backbone.logit_scale
        self.transform = self.joint_backbone.transform

    def fingerprint(self) -> str:
        """See the base class."""
        return f"paired-{self.joint_backbone.fingerprint()}-{self.visual_backbone.fingerprint()}"

    @property
    def has_visual_space(self) -> bool:
        """See the base class."""
        return True

    @property
    def visual_dim(self) -> int:
        """See the base class."""
        return self.visual_backbone.visual_dim

    def tower_of(self, space: Space) -> Backbone:
        """See the base class."""
        return (self.joint_backbone if space == "joint" else self.visual_backbone).tower_of(space)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class."""
        return self.joint_backbone.encode_image(pixels)

    def encode_spaces(self, pixels: Tensor) -> ImageFeatures:
        """The joint features alone: the other tower wants pixels of its own."""
        return ImageFeatures(self.joint_backbone.encode_image(pixels))

    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """See the base class."""
        return self.joint_backbone.encode_text(texts, truncate)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """See the base class."""
        return self.joint_backbone.embed_text(texts)

    @property
    def adapter_root(self) -> nn.Module:
        """That of the joint tower, which is the one that is trained."""
        return self.joint_backbone.adapter_root

    def prompt_encoder(self) -> PromptEncoder:
        """See the base class."""
        return self.joint_backbone.prompt_encoder()

    def visual_prompt_encoder(self, recompute: bool = False) -> VisualPromptEncoder:
        """See the base class: of the joint tower, without visual features. ``tower_of("visual")`` has its own."""
        return JointPromptEncoder(self.joint_backbone.visual_prompt_encoder(recompute))


class JointPromptEncoder(VisualPromptEncoder):
    """Another encoder's joint features alone.

    Args:
        encoder: The other one.
    """

    def __init__(self, encoder: VisualPromptEncoder) -> None:
        self.encoder = encoder
        self.width, self.depth, self.patch_pixels = encoder.width, encoder.depth, encoder.patch_pixels

    def encode(self, pixels: Tensor, prompts: Tensor) -> ImageFeatures:
        """See the base class."""
        return ImageFeatures(self.encoder.encode(pixels, prompts).joint)
