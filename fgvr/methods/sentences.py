"""Sentences about class names, as texts in the place of the names."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.data.text_features import stored_text_features
from fgvr.errors import FgvrError, TextTooLongError
from fgvr.methods.templates import template_features
from fgvr.text import counted, encodable, visible
from fgvr.vocabulary.build import fold_name
from fgvr.yaml_text import load_json

log = logging.getLogger(__name__)

_EXAMPLE = '{"House Finch": ["A small bird with a red breast.", ...]}'


def read_sentences(path: Path, option: str) -> dict[str, tuple[str, ...]]:
    """The sentences about each name.

    Args:
        path: A JSON file, an object that maps names to lists of texts.
        option: The option by which the user names it, for messages.

    Returns:
        Folded name (:func:`fgvr.vocabulary.build.fold_name`) -> its sentences, without blank ones.

    Raises:
        FgvrError: It cannot be read, or is no such object.
    """
    try:
        content = load_json(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FgvrError(f"{option}: {str(path)!r} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise FgvrError(
            f"{option}: {str(path)!r} is no JSON ({visible(str(error), 200)}); expected an object such as {_EXAMPLE}."
        ) from None
    if not isinstance(content, dict):
        raise FgvrError(f"{option}: {str(path)!r} holds a {type(content).__name__}; expected {_EXAMPLE}.")
    found: dict[str, tuple[str, ...]] = {}
    for name, sentences in content.items():
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise FgvrError(
                f"{option}: {str(path)!r} has {visible(repr(sentences), 60)} under {visible(name, 60)!r}; "
                "expected a list of texts."
            )
        kept = tuple(encodable(sentence).strip() for sentence in sentences if sentence.strip())
        if kept and (key := fold_name(name)):
            found[key] = found.get(key, ()) + kept
    return found


def check_sentences(names: Sequence[str], sentences: Mapping[str, Sequence[str]], option: str) -> None:
    """Say how many names have no sentences, which then stand for themselves.

    Args:
        names: That may have some.
        sentences: Folded name -> its sentences.
        option: The option by which the user names the file, for messages.

    Raises:
        FgvrError: None has any, so that nothing of the file would be used.
    """
    without = [name for name in names if fold_name(name) not in sentences]
    if len(without) == len(names):
        shown = ", ".join(repr(visible(name, 60)) for name in names[:3])
        raise FgvrError(
            f"{option}: the file has no sentence about any of {counted(len(names), 'name')}, such as {shown}; its keys "
            "must be these names."
        )
    if without:
        log.warning(
            "%d of %s without sentences, such as %r: there the name itself counts",
            *(len(without), counted(len(names), "name"), visible(without[0], 60)),
        )


def sentence_features(
    backbone: Backbone, names: Sequence[str], sentences: Mapping[str, Sequence[str]], own: Tensor, folder: Path
) -> Tensor:
    """Text features of names: the normalised mean of the normalised features of their sentences.

    What of a sentence exceeds the text tower's context is cut off, and said.

    Args:
        backbone: Loaded.
        names: In class-index order.
        sentences: Folded name -> its sentences.
        own: Features of the names themselves, shape ``(C, embed_dim)``, for those without sentences.
        folder: Of the stores of text features, which keep those of the sentences.

    Returns:
        float32, shape ``(C, embed_dim)``.
    """
    texts = [sentences.get(fold_name(name), ()) for name in names]
    flat = [sentence for each in texts for sentence in each]
    features = own[:0].float().cpu()
    if flat:
        try:
            features = F.normalize(stored_text_features(backbone, flat, folder), dim=-1)
        except TextTooLongError as error:
            log.warning(
                "model.sentences: what is longer than the text encoder reads is cut off, such as %r",
                visible(error.text, 80),
            )
            features = F.normalize(stored_text_features(backbone, flat, folder, truncate=True), dim=-1)
    sizes = torch.tensor([len(each) for each in texts])
    owner = torch.arange(len(names)).repeat_interleave(sizes)
    means = torch.zeros(own.shape, dtype=torch.float64).index_add_(0, owner, features.double())
    means = F.normalize(means, dim=-1).float()
    return torch.where(sizes[:, None] > 0, means, own.float().cpu())


def class_texts(
    backbone: Backbone, names: Sequence[str], templates: list[str], sentences: Path | None, folder: Path
) -> Tensor:
    """Class features by the sentences of a file, where there are any, and by the names under templates.

    Args:
        backbone: Loaded.
        names: In class-index order.
        templates: See :func:`fgvr.methods.templates.template_features`.
        sentences: The file, which users know as ``model.sentences``; see :func:`read_sentences`.
        folder: See :func:`sentence_features`.

    Returns:
        float32 on the CPU, shape ``(C, embed_dim)``.

    Raises:
        FgvrError: The file cannot be used.
    """
    own = template_features(backbone, tuple(names), templates).float().cpu()
    if sentences is None:
        return own
    return sentence_features(backbone, names, read_sentences(sentences, "model.sentences"), own, folder)
