"""The tensors of a file of weights, read by what the file is and not by its ending; nothing in it is run."""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.text import visible
from fgvr.weights import weights_format

_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which programs that train save the weights beside their own state."""
_OPENAI_MARKS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Numbers that OpenAI's archives have among their tensors, and that are no weights."""
_QUICK_GELU = (b"QuickGELU", b"1.702")
_MOST_CODE = 20_000_000
# what torch.load and zipfile raise for files that are damaged or hold something else
_READ_ERRORS = (
    *(OSError, RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError, struct.error),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)
# how torch.load, with weights_only, and _ScriptUnpickler refuse what is neither a tensor nor a plain value
_OBJECTS = ("GLOBAL", "Unsupported class", "Unsupported operand", "the archive asks for")
_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True, eq=False)
class Weights:
    """What was read.

    Attributes:
        tensors: Name -> tensor, on the CPU.
        quick_gelu: Whether they were trained with QuickGELU, where the file tells it.
    """

    tensors: dict[str, Tensor]
    quick_gelu: bool | None = None


def read_weights(path: Path) -> Weights:
    """Read a state dict that safetensors, ``torch.save`` or ``torch.jit.save`` wrote.

    Args:
        path: The file.

    Raises:
        FgvrError: It holds none; the message says what it is, and what to do.
    """
    form = weights_format(path)
    if form == "numpy":
        raise FgvrError(
            f"{path} is an archive of NumPy, which open_clip reads by its ending only: call it {path.stem}.npz."
        )
    quick_gelu = None
    try:
        if form == "safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                content: Any = load_file(path)
            except SafetensorError as error:
                raise ValueError(str(error)) from error
        elif form == "torchscript":
            content, code = _read_script(path)
            quick_gelu = _uses_quick_gelu(code)
        else:
            # weights_only: a pickle may run anything, and this loads tensors and plain values alone
            with path.open("rb") as file:  # of a path, torch.load looks at the ending
                content = torch.load(file, map_location="cpu", weights_only=True)
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error
    tensors = _tensors_of(path, content)
    if tensors.keys() & _OPENAI_MARKS:
        quick_gelu = True
        tensors = {name: tensor for name, tensor in tensors.items() if name not in _OPENAI_MARKS}
    _refuse_other_models(path, tensors)
    return Weights(tensors, quick_gelu)


def told_beside(path: Path) -> bool | None:
    """Whether weights were trained with QuickGELU, by the ``open_clip_config.json`` beside them, if there is one."""
    try:
        config = json.loads((path.parent / "open_clip_config.json").read_text(encoding="utf-8"))
        return bool(config["model_cfg"].get("quick_gelu", False))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _tensors_of(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict in what was loaded, with names as the model has them."""
    if isinstance(content, Mapping) and "fgvr" in content:
        raise FgvrError(
            f"{path} is a checkpoint of fgvr, which holds what a run has trained and no frozen weights. To go on with "
            "that run, set ckpt_path to it; here, give the weights that its backbone was loaded from."
        )
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise FgvrError(f"{path} holds a {type(content).__name__}; expected is a state dict: names and their tensors.")
    other = next((name for name, value in content.items() if not isinstance(value, Tensor)), None)
    if other is not None or not content:
        has = f"{visible(str(other), 40)!r} in it is none" if content else "there is none in it"
        raise FgvrError(f"{path} holds no state dict: expected are names and their tensors, and {has}.")
    wrapped = all(str(name).startswith("module.") for name in content)  # by torch's DataParallel
    return {str(name).removeprefix("module.") if wrapped else str(name): value for name, value in content.items()}


def _refuse_other_models(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Name the usual confusions: of these, the list of missing tensors would say nothing."""
    if any(".lora_A." in name or ".lora_B." in name for name in tensors):
        raise FgvrError(
            f"{path} is a LoRA adapter: what changes a model, and no model. Merge the two (merge_and_unload of peft) "
            "and save the whole."
        )
    if any(name.startswith(("vision_model.", "text_model.")) for name in tensors):
        raise FgvrError(
            f"{path} has the weights of a CLIP of transformers, which calls them otherwise than open_clip. Give the "
            "open_clip file of the same model, on the hub open_clip_model.safetensors or open_clip_pytorch_model.bin."
        )


def _unreadable(path: Path, error: Exception) -> FgvrError:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and any(sign in text for sign in _OBJECTS):
        return FgvrError(
            f"{path} holds Python objects beside tensors, as where a whole model was saved, and reading these would "
            "run code of the file. Where it comes from, save its state_dict() alone, or as safetensors."
        )
    reason = visible(text, 120).rstrip(". ") or type(error).__name__
    return FgvrError(f"{path} is damaged or cut off ({reason}): download it again.")


# TorchScript archives. torch.jit.load compiles the archive's code and runs what its classes say is to be run on
# loading, so it is not called. Trusted is nothing: tensors are taken from the archive by an unpickler that makes
# numbers, lists, tensors and modules without code, and refuses everything else.


class _ScriptModule:
    """Stands for any class of the archive's own code."""

    attributes: Mapping[str, Any]

    def __init__(self) -> None:
        self.attributes = {}

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, Mapping) else {}

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for name, value in self.attributes.items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value
            elif isinstance(value, _ScriptModule):
                yield from value.tensors(f"{prefix}{name}.")


@dataclass(frozen=True, eq=False)
class _Storage:
    content: torch.UntypedStorage
    dtype: torch.dtype


class _ScriptUnpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive = archive
        self._root = root
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _ScriptModule
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuilt
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return _same
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"the archive asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("the archive has a tensor of an unknown type")
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            storage = (
                torch.frombuffer(content, dtype=torch.uint8).untyped_storage() if content else torch.UntypedStorage(0)
            )
            self._storages[key] = _Storage(storage, dtype)
        return self._storages[key]


def _rebuilt(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("the archive has a tensor without numbers")
    # set_ refuses sizes that reach beyond the storage
    return torch.empty(0, dtype=storage.dtype).set_(storage.content, offset, tuple(size), tuple(stride))


def _same(values: Any, *_: Any) -> Any:
    return values


def _read_script(path: Path) -> tuple[dict[str, Tensor], bytes]:
    """Tensors of the archive's module under their dotted names, and the archive's code as text."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = next(name for name in names if name.endswith("/data.pkl")).removesuffix("/data.pkl")
        module = _ScriptUnpickler(archive, root).load()
        if not isinstance(module, _ScriptModule):
            raise ValueError("there is no module in the archive")
        # masks are made by the model, and are weights of none
        tensors = {name: value for name, value in module.tensors() if name.rpartition(".")[2] != "attn_mask"}
        code = [name for name in names if name.startswith(f"{root}/code/") and name.endswith(".py")]
        texts = [archive.read(name) for name in code if archive.getinfo(name).file_size < _MOST_CODE]
    return tensors, b"\n".join(texts)


def _uses_quick_gelu(code: bytes) -> bool | None:
    if any(sign in code for sign in _QUICK_GELU):
        return True
    return False if b"gelu(" in code else None
