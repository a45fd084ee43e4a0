"""Token ids of prompts, by the tokenizer that a model of open_clip has: CLIP's own, or one of the Hugging Face hub."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from fgvr.errors import FgvrError

_WORD = "a"


class PromptTokens(ABC):
    """How a tokenizer of open_clip cuts the parts of a prompt; cleaning is its own, as in ``encode_text``.

    Attributes:
        context_length: Most tokens of a text, with those around it.
        pad: Id that shorter texts are filled up with.
    """

    context_length: int
    pad: int = 0

    @abstractmethod
    def words(self, text: str, behind: bool = False) -> list[int]:
        """Ids of ``text`` without start and end tokens.

        Args:
            text: Words.
            behind: Whether other words come before these. Some tokenizers have other ids for a word behind a space.
        """

    @property
    @abstractmethod
    def around(self) -> tuple[list[int], list[int]]:
        """Ids before and behind the words of a text, padding left out."""


class ClipTokens(PromptTokens):
    """CLIP's byte pairs, between a start and an end token.

    Args:
        tokenizer: A ``SimpleTokenizer`` of open_clip.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.context_length = tokenizer.context_length

    def words(self, text: str, behind: bool = False) -> list[int]:
        """See the base class."""
        ids: list[int] = self.tokenizer.encode(text)
        return ids

    @property
    def around(self) -> tuple[list[int], list[int]]:
        """See the base class."""
        return [self.tokenizer.sot_token_id], [self.tokenizer.eot_token_id]


class HubTokens(PromptTokens):
    """A tokenizer of the hub in open_clip's wrapper: T5's and Gemma's of SigLIP, BERT's, RoBERTa's and others.

    Args:
        tokenizer: An ``HFTokenizer`` or ``SigLipTokenizer`` of open_clip.

    Raises:
        FgvrError: It has no token to pad with, or pads in front of the words.
    """

    def __init__(self, tokenizer: Any) -> None:
        from open_clip.tokenizer import get_clean_fn

        self.context_length = tokenizer.context_length
        self.inner: Any = tokenizer.tokenizer
        # SigLipTokenizer has the function written into its call
        self.clean: Callable[[str], str] = getattr(tokenizer, "clean_fn", None) or get_clean_fn("canonicalize")
        if self.inner.pad_token_id is None or self.inner.padding_side != "right":
            raise FgvrError(
                "Prompts cannot be learned with this tokenizer: it must pad behind the words, and has "
                f"padding_side={self.inner.padding_side!r}, pad_token={self.inner.pad_token!r}. Set both in its "
                "tokenizer_config.json."
            )
        self.pad = self.inner.pad_token_id
        word, whole = self.words(_WORD), self._ids(_WORD, add_special_tokens=True)
        start = next((i for i in range(len(whole)) if whole[i : i + len(word)] == word), 0)
        around = whole[:start], whole[start + len(word) :]
        # open_clip's option for towers that have never seen the separator
        cut = self.inner.sep_token_id if getattr(tokenizer, "strip_sep_token", False) else None
        before, behind = ([0 if i == cut else i for i in ids] for ids in around)
        self._around = before, behind

    def _ids(self, text: str, add_special_tokens: bool = False) -> list[int]:
        # verbose: it would warn of texts that are longer than a context, which are refused by name later
        ids = self.inner(self.clean(text), add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
        return list(ids)

    def words(self, text: str, behind: bool = False) -> list[int]:
        """See the base class."""
        if behind:
            word, both = self._ids(_WORD), self._ids(f"{_WORD} {text}")
            if both[: len(word)] == word:
                return both[len(word) :]
        return self._ids(text)

    @property
    def around(self) -> tuple[list[int], list[int]]:
        """See the base class."""
        return self._around


def tokens_of(tokenizer: Any, model: str = "this model") -> PromptTokens:
    """What cuts prompts as ``tokenizer`` cuts texts.

    Args:
        tokenizer: A tokenizer of open_clip, or what this made of one.
        model: Name of the model, for errors.

    Raises:
        FgvrError: It leaves out words by rules of its own, or puts tokens behind the padding.
    """
    if isinstance(tokenizer, PromptTokens):
        return tokenizer
    mode = getattr(tokenizer, "tokenizer_mode", "")
    if getattr(tokenizer, "reduction_fn", None) is not None or mode:
        rule = f"tokenizer_mode={mode!r}" if mode else "reduction_mask"
        raise FgvrError(
            f"Prompts cannot be learned over {model}: with {rule}, its tokenizer does more than put a text's tokens in "
            "a row. Choose a model without (for instance ViT-B-16), or zero_shot."
        )
    return ClipTokens(tokenizer) if hasattr(tokenizer, "encode") else HubTokens(tokenizer)
