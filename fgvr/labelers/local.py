"""The contract of a labeler whose model runs in this process: load it, and answer a batch. The rest is done here."""

import gc
import hashlib
import importlib.util
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.tasks.pictures import open_pictures, why_unreadable
from fgvr.records import LabelRequest, Reply
from fgvr.text import counted
from fgvr.weights import check_model_folder

if TYPE_CHECKING:
    import torch

_MODEL_FILES = (".json", ".jinja", ".txt", ".model", ".safetensors", ".bin", ".pth")
_BLOCKS, _BLOCK = 256, 4096
# how CPUs and accelerators other than CUDA's say it, in a plain RuntimeError
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")


@dataclass(frozen=True, slots=True)
class LocalQuestion:
    """A request with its pictures.

    Attributes:
        request: What is asked.
        pictures: Upright RGB pictures, as the task composes them.
    """

    request: LabelRequest
    pictures: tuple[Image.Image, ...]


class LocalLabeler(ModelLabeler):
    """A labeler whose model runs in this process.

    A subclass loads a model and answers a batch. Photos that cannot be read, and batches that do not fit into memory,
    are dealt with here: such a batch is halved, and only a photo that does not fit by itself fails. There is one answer
    a photo, because decoding is greedy.

    Args:
        model: Model id, or the folder that a model was saved in.
        batch_size: Photos a forward pass; halved where they do not fit into memory.
        device: Such as ``cuda:1`` or ``cpu``; ``auto`` takes the accelerator if there is one.
        **kwargs: Arguments of ``ModelLabeler``.

    Raises:
        FgvrError: ``batch_size`` is below 1.
    """

    max_pictures: ClassVar[int | None] = None
    """How many pictures of one request the model can look at; ``None`` for any number."""

    def __init__(self, model: str, *, batch_size: int = 8, device: str = "auto", **kwargs: Any) -> None:
        if batch_size < 1:
            raise FgvrError(f"data.labeler.batch_size is {batch_size}; expected 1 or more.")
        super().__init__(model, answers=1, **kwargs)
        self.batch_size = batch_size
        self.device = device
        self._loaded: Any = None

    @abstractmethod
    def load(self, device: "torch.device") -> Any:
        """The model on ``device``, with whatever else ``answer`` needs.

        Raises:
            FgvrError: A package is not installed, or the weights cannot be had.
        """

    @abstractmethod
    def answer(self, loaded: Any, questions: Sequence[LocalQuestion]) -> list[Reply]:
        """One reply per question, in their order; ``seconds`` is filled in by the caller.

        Args:
            loaded: What ``load`` returned.
            questions: At most ``batch_size``.

        Raises:
            ValueError: A picture is one that the model cannot look at. The questions are then asked one by one.
        """

    def vllm_options(self) -> dict[str, Any] | None:
        """Options of vLLM's engine where the model is to run there, on Ray; ``None``, unless overridden."""
        return None

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield the replies batch by batch."""
        if requests and self._loaded is None:
            self._loaded = self.load(_device(self.device))
        fits = self.batch_size
        for start in range(0, len(requests), self.batch_size):
            waiting: list[LocalQuestion] = []
            for request in requests[start : start + self.batch_size]:
                question = self._open(request)
                if isinstance(question, Reply):
                    yield question
                else:
                    waiting.append(question)
            before = fits
            while waiting:
                batch = waiting[:fits]
                replies = self._try(batch)
                if replies is None and len(batch) > 1:
                    fits = len(batch) // 2
                    continue
                if replies is None:
                    fits = before  # this photo is larger than others, which need not be slower for it
                    replies = [Reply(batch[0].request, error="the photo does not fit into memory, even by itself")]
                yield from replies
                waiting = waiting[len(batch) :]

    def close(self) -> None:
        """Let go of the weights; another ``ask`` loads them again."""
        self._loaded = None
        _free_memory()

    def __getstate__(self) -> dict[str, Any]:
        """Without weights: a copy in another process loads its own."""
        return {**self.__dict__, "_loaded": None}

    def _open(self, request: LabelRequest) -> LocalQuestion | Reply:
        try:
            pictures = open_pictures(request, self.task, self.pictures)
        # what Pillow raises for a damaged file is whatever its plugin for the format happens to run into
        except Exception as error:
            return Reply(request, error=why_unreadable(error))
        if self.max_pictures is not None and len(pictures) > self.max_pictures:
            shown = counted(len(pictures), "picture was", "pictures were")
            return Reply(request, error=f"{shown} shown at once, {self.model} can look at {self.max_pictures}")
        return LocalQuestion(request, tuple(pictures))

    def _try(self, questions: Sequence[LocalQuestion]) -> list[Reply] | None:
        """The replies; ``None`` if memory ran out."""
        start = time.perf_counter()
        full = False
        try:
            replies = self.answer(self._loaded, questions)
        except ValueError as error:
            if len(questions) == 1:
                return [Reply(questions[0].request, error=f"the model cannot look at the photo: {_reason(error)}")]
            replies = []
        except (RuntimeError, MemoryError) as error:
            full = isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)
            if not full:
                raise
        if full:
            # only here, after the except clause, nothing holds the tensors of the failed pass any more
            _free_memory()
            return None
        if not replies:  # one of the pictures is at fault
            singles = [self._try([question]) for question in questions]
            return None if None in singles else [reply for single in singles for reply in single or ()]
        seconds = (time.perf_counter() - start) / len(questions)
        return [replace(reply, seconds=seconds) for reply in replies]


def require(*packages: str, extra: str) -> None:
    """Check that ``packages`` are installed.

    Raises:
        FgvrError: One is not; the message says what to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise FgvrError(f"{package} is not installed: pip install 'fgvr[{extra}]'")


def folder_digest(folder: Path) -> str:
    """SHA-256 of a folder with a model, for ``identity``: a model that was trained on is another one, a copy is not.

    Raises:
        FgvrError: There is no model in it, or a file of it is not whole.
    """
    if not (folder / "config.json").is_file():
        raise FgvrError(
            f"{folder} has no config.json. Expected is a folder that save_pretrained of transformers wrote, or the id "
            f"of a model on the hub.{_adapter_note(folder)}"
        )
    check_model_folder(folder)
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in _MODEL_FILES:
            continue
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            if size <= _BLOCKS * _BLOCK:
                digest.update(file.read())
                continue
            # all of 14 GB would take half a minute, each time that labels are looked up; training changes every block
            for block in range(_BLOCKS):
                file.seek((size - _BLOCK) * block // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _adapter_note(folder: Path) -> str:
    """What to do where the folder has an adapter alone."""
    if not (folder / "adapter_config.json").is_file():
        return ""
    return " This one has an adapter of peft: merge it into its model (merge_and_unload), and save that."


def _device(name: str) -> "torch.device":
    import torch

    if name == "auto":
        name = str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise FgvrError(f"data.labeler.device is {name!r}; expected auto, cpu, cuda, cuda:1 or the like.") from error


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
