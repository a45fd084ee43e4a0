"""Which weights a model of open_clip gets, and with which activation; read by content, see ``state_dict``."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fgvr.backbones.state_dict import Weights, read_weights, told_beside
from fgvr.errors import FgvrError
from fgvr.weights import WEIGHTS_ENDINGS, weights_format

_LOG = logging.getLogger(__name__)
NUMPY = (".npz", ".npy")
"""Endings by which open_clip reads big_vision's archives of NumPy."""
_FOUND_IN_FOLDERS = ("*.safetensors", "*.bin", "*.pth")  # open_clip's own list


def check_file(path: Path) -> None:
    """Refuse a file that is none of weights, without loading it.

    Args:
        path: The file.

    Raises:
        FgvrError: It is something else, or cut off.
    """
    if (weights_format(path) == "numpy") != (path.suffix in NUMPY):
        is_one = path.suffix not in NUMPY
        fix = f"is an archive of NumPy: call it {path.stem}.npz" if is_one else "is no archive of NumPy: call it .pt"
        raise FgvrError(f"{path} {fix}, because open_clip goes by that ending.")


def check_folder(folder: Path) -> None:
    """Refuse what ``local-dir:`` cannot load, without loading it.

    Args:
        folder: With a configuration and weights.

    Raises:
        FgvrError: There is no such folder, a file is missing, or no file of weights is one.
    """
    config = folder / "open_clip_config.json"
    if not config.is_file():
        what = "has no open_clip_config.json" if folder.is_dir() else "is no folder"
        raise FgvrError(
            f"local-dir:{folder} cannot be loaded, because {folder} {what}. Expected is a folder with that file, and "
            "with open_clip_model.safetensors or open_clip_pytorch_model.bin."
        )
    found = [path for pattern in _FOUND_IN_FOLDERS for path in sorted(folder.glob(pattern))]
    if not found:
        others = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS_ENDINGS)
        there = f"; {others[0]} is not among the names that open_clip looks for" if others else ""
        raise FgvrError(
            f"{folder} has no weights{there}. Expected is open_clip_model.safetensors or open_clip_pytorch_model.bin."
        )
    refused: list[FgvrError] = []
    for path in found:
        try:
            check_file(path)
        except FgvrError as error:
            refused.append(error)
    if len(refused) == len(found):
        raise refused[0]


def hint_of_folder(folder: Path) -> str:
    """What to give in the place of a folder, as the end of a sentence."""
    if (folder / "open_clip_config.json").is_file():
        return f"leave pretrained out, and set model to local-dir:{folder}"
    files = sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS_ENDINGS)
    return f"name the file in it{f', such as {folder / files[0]}' if files else ''}"


def quick_gelu_of(model: str, path: Path, weights: Weights) -> bool:
    """Whether weights of a file need QuickGELU in an architecture that has GELU.

    Two activations of the same shape: nothing fails with the wrong one, and names become worse.

    Args:
        model: open_clip's name of the architecture.
        path: The file.
        weights: What is in it.

    Raises:
        FgvrError: The architecture has QuickGELU, and the weights were trained without.
    """
    import open_clip

    has = bool((open_clip.get_model_config(model) or {}).get("quick_gelu", False))
    plain = model.removesuffix("-quickgelu")
    told = weights.quick_gelu if weights.quick_gelu is not None else told_beside(path)
    if told is None:
        likely = _likely(plain, path, weights)
        if likely is not None and likely != has:
            other = f"{plain}-quickgelu" if likely else plain
            if other in open_clip.list_models():
                _LOG.warning(
                    "%s looks like weights that were trained %s QuickGELU, and %s has it %s. If so, set the backbone's "
                    "model to %s: with the wrong one, names become worse",
                    *(path, "with" if likely else "without", model, "not" if likely else "in it", other),
                )
        return False
    if has and not told:
        raise FgvrError(
            f"{path} was trained without QuickGELU, which {model} has: set the backbone's model to {plain}."
        )
    if told and not has:
        _LOG.info("%s was trained with QuickGELU, so %s has it here, too", path, model)
    return told


def _likely(model: str, path: Path, weights: Weights) -> bool | None:
    """What the file's name says, where it has a tag of open_clip in it; else, how OpenAI rounds its weights."""
    import open_clip

    name = _letters(path.stem)
    tags = [tag for tag in open_clip.list_pretrained_tags_by_model(model) if _letters(tag) in name]
    if tags:
        return bool(open_clip.get_pretrained_cfg(model, max(tags, key=len)).get("quick_gelu"))
    if "quickgelu" in name:
        return True
    dtypes = [str(getattr(weights.tensors.get(key), "dtype", "")) for key in ("visual.conv1.weight", "ln_final.weight")]
    return True if dtypes == ["torch.float16", "torch.float32"] else None


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@contextmanager
def read_by_content(given: Weights | None) -> Iterator[None]:
    """Meanwhile, open_clip reads files as ``read_weights`` does, and not by their endings.

    It has no argument for that, and converts what it has read by the model that it has built.

    Args:
        given: What its file has, where that was read already.
    """
    from open_clip import factory

    def load(path: str, *args: Any, **kwargs: Any) -> Any:
        return dict((given or read_weights(Path(path))).tensors)

    original = factory.load_state_dict
    factory.load_state_dict = load
    try:
        yield
    finally:
        factory.load_state_dict = original
