"""EfficientNet-Lite0 and MiniLM: an image and a text tower that come with ``pip``, for machines without a model hub."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.backbones.base import Backbone, ImageFeatures, check_lengths, tower_fingerprint
from fgvr.backbones.prompts import TokenPromptEncoder
from fgvr.errors import FgvrError
from fgvr.packaged import MINILM, efficientnet_lite0, imagenet_names

if TYPE_CHECKING:
    from transformers import BertModel, BertTokenizer

_MAX_TOKENS = 256  # max_seq_length of all-MiniLM-L6-v2
_ON_A_CPU = 64  # texts at once
_INSTALL = "The lite backbone needs {}: pip install 'fgvr[lite]'"


class LiteBackbone(Backbone):
    """An ImageNet classifier that speaks the space of a sentence encoder; no download, 27 M parameters.

    A text's feature is its all-MiniLM-L6-v2 sentence embedding. A photo's feature is the mean of the embeddings of the
    1,000 ImageNet class names, weighted by EfficientNet-Lite0's softmax over them (ConSE, Norouzi et al. 2014, with all
    classes), and normalised. So the image tower knows what ImageNet knows: breeds of dogs well, products hardly.

    The visual space is what EfficientNet-Lite0 computes before its classifier, 1,280 numbers. It tells things apart for
    which ImageNet has no name.

    Args:
        logit_scale: Factor on cosines before a softmax. Assumed: 20 is sentence-transformers' own
            factor where it trains encoders like this one (``MultipleNegativesRankingLoss``).
        text_batch_size: Texts per forward pass; see ``TokenPromptEncoder`` for what more classes than that mean.
    """

    name_embeddings: Tensor

    def __init__(self, logit_scale: float = 20.0, text_batch_size: int = 256) -> None:
        super().__init__()
        self.logit_scale = logit_scale
        self.text_batch_size = text_batch_size
        self._loaded = False

    def load(self) -> None:
        """See the base class."""
        if self._loaded:
            return
        try:
            from safetensors.torch import load as load_safetensors
            from timm.data import create_transform, resolve_data_config
            from transformers import BertConfig, BertModel, BertTokenizer

            image_tower = efficientnet_lite0()
            self._imagenet_names = imagenet_names()
        except ImportError as error:
            raise FgvrError(_INSTALL.format(error.name or error)) from error

        text_state = load_safetensors(MINILM.read())
        for unused in ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"):
            del text_state[unused]
        text_file = MINILM.find()
        assert text_file is not None, "it has just been read"
        # Lightning makes the GPU the default device while it configures a model
        with torch.device("cpu"):
            self.image_tower = image_tower.to(
                memory_format=torch.channels_last
            )  # faster on a CPU: depthwise convolutions
            self.text_tower = BertModel(BertConfig.from_pretrained(text_file.parent), add_pooling_layer=False)
            self.text_tower.load_state_dict(text_state)
            self._tokenizer = BertTokenizer.from_pretrained(text_file.parent)
            self.eval().requires_grad_(False)
            self.register_buffer("name_embeddings", self.encode_text(self._imagenet_names), persistent=False)
        # timm's settings for these weights: a bicubic resize to 256, a centre crop of 224, pixels in [-1, 1]
        self.transform = create_transform(**resolve_data_config({}, model=self.image_tower))
        self.embed_dim = self.text_tower.config.hidden_size
        self._loaded = True

    def fingerprint(self) -> str:
        """See the base class."""
        names = "\n".join(self._imagenet_names)
        # the file's hash instead of the embeddings' values, whose last bits differ from machine to machine
        return f"lite-{tower_fingerprint(self.image_tower, self.transform, MINILM.sha256, names)}"

    @property
    def has_visual_space(self) -> bool:
        """See the base class."""
        return True

    @property
    def visual_dim(self) -> int:
        """See the base class."""
        width: Any = self.image_tower.num_features
        return int(width)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class."""
        return self.encode_spaces(pixels).joint

    def encode_spaces(self, pixels: Tensor) -> ImageFeatures:
        """See the base class."""
        tower: Any = self.image_tower
        maps = tower.forward_features(pixels.to(memory_format=torch.channels_last))
        pooled = tower.forward_head(maps, pre_logits=True)
        logits = tower.get_classifier()(pooled)
        with torch.autocast(pixels.device.type, enabled=False):
            joint = F.normalize(logits.float().softmax(-1) @ self.name_embeddings, dim=-1)
            return ImageFeatures(joint, F.normalize(pooled.float(), dim=-1))

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """See the base class. The context is 256 tokens, two of them start and end."""
        if not truncate:
            ids = self._tokenizer(list(texts), verbose=False)["input_ids"]
            check_lengths(texts, [len(tokens) for tokens in ids], _MAX_TOKENS)
        return self.embed_text(texts)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """See the base class. Texts of one length are encoded together, without padding."""
        ids = self._tokenizer(list(texts), truncation=True, max_length=_MAX_TOKENS, verbose=False)["input_ids"]
        order = torch.tensor(list(map(len, ids)), device="cpu").argsort(stable=True)
        # what more texts at once take lies outside of a CPU's caches
        size = self.text_batch_size if self.device.type != "cpu" else min(self.text_batch_size, _ON_A_CPU)
        features = []
        for rows in order.split(size):
            some = {"input_ids": [ids[row] for row in rows.tolist()]}
            batch = self._tokenizer.pad(some, return_tensors="pt").to(self.device)
            hidden = self.text_tower(batch["input_ids"], batch["attention_mask"]).last_hidden_state
            features.append(_mean_pool(hidden, batch["attention_mask"]))
        return F.normalize(torch.cat(features), dim=-1)[order.argsort().to(self.device)]

    def prompt_encoder(self) -> "LitePromptEncoder":
        """See the base class."""
        return LitePromptEncoder(self.text_tower, self._tokenizer, self.text_batch_size)


class LitePromptEncoder(TokenPromptEncoder):
    """``[CLS]``, context, name, ``[SEP]`` through BERT, which adds positions and segments to the embeddings itself.

    Args:
        tower: The BERT model.
        tokenizer: Its tokenizer.
        batch_size: Prompts per forward pass.
    """

    def __init__(self, tower: "BertModel", tokenizer: "BertTokenizer", batch_size: int) -> None:
        super().__init__(tower.get_input_embeddings(), _MAX_TOKENS, batch_size)
        self.tower = tower
        self.tokenizer = tokenizer

    def tokenize(self, words: str) -> list[int]:
        """See the base class."""
        ids: list[int] = self.tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def split(self, name: str) -> tuple[list[int], list[int], list[int]]:
        """See the base class."""
        return [self.tokenizer.cls_token_id], self.tokenize(name), [self.tokenizer.sep_token_id]

    def encode(self, tokens: Tensor, embeddings: Tensor, last: Tensor) -> Tensor:
        """See the base class."""
        mask = (torch.arange(embeddings.shape[1], device=last.device) <= last.unsqueeze(1)).long()
        return _mean_pool(self.tower(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state, mask)


def _mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)
