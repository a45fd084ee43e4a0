"""Class names under templates, such as ``a photo of a {}.``, as class features."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError


def template_list(templates: Sequence[str] | str | None, default: Sequence[str] = ("{}",)) -> list[str]:
    """Templates as a list, where one may be given alone, and ``default`` where none are given.

    Raises:
        FgvrError: It is a list as text, which could not be read; or a template has no ``{}``, or several.

    Example:
        >>> template_list("a photo of a {}."), template_list(None)
        (['a photo of a {}.'], ['{}'])
    """
    if isinstance(templates, str):
        if templates.strip().startswith("["):  # YAML takes the braces of [a {}, b {}] for something else
            raise FgvrError(
                f"templates is {templates!r}; expected each template of a list in quotes, such as "
                '["a photo of a {}.", "a {}"].'
            )
        templates = [templates]
    for template in templates or ():
        if template.count("{}") != 1:
            raise FgvrError(f"The template {template!r} needs exactly one {{}} where the class name goes.")
    return list(templates or default)


def template_features(backbone: Backbone, class_names: tuple[str, ...], templates: list[str]) -> Tensor:
    """Class features: the normalised mean over ``templates`` of the normalised text features.

    Args:
        backbone: Loaded.
        class_names: In class-index order; underscores are read as spaces.
        templates: At least one, each with one ``{}`` where the name goes; see :func:`template_list`.

    Returns:
        float32, shape ``(len(class_names), embed_dim)``.
    """
    names = [name.replace("_", " ") for name in class_names]
    features = [backbone.encode_text([template.replace("{}", name) for name in names]) for template in templates]
    return F.normalize(torch.stack(features).mean(0), dim=-1)
