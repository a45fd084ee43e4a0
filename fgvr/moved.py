"""Old names of modules, arguments and attributes: they go on working for one release."""

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

_GOES = "the old name will go with fgvr 0.2."
_READERS = (
    *("base", "folder", "manifest", "standard", "split_file", "download", "verify", "scan", "support"),
    *("caltech101", "cub200", "dtd", "eurosat", "fgvc_aircraft", "fieldguide", "flowers102", "food101", "oxford_pets"),
    *("stanford_cars", "sun397", "ucf101"),
)
_STORE = ("corrections", "database", "exchange", "keys", "review", "stats", "synonyms")
_ASKING = ("requests", "batch_run", "plan", "run_lock", "ray_pool")

MOVED = {
    "fgvr.data.cache": "fgvr.cache",
    "fgvr.data.class_names": "fgvr.vocabulary.given",
    "fgvr.data.labels": "fgvr.labelling.image_labels",
    **{f"fgvr.data.{name}": f"fgvr.datasets.{name}" for name in _READERS},
    "fgvr.data.photos": "fgvr.datasets.images",
    "fgvr.labelers.reading": "fgvr.reading",
    **{f"fgvr.labelers.reading.{name}": f"fgvr.reading.{name}" for name in ("names", "prose", "replies")},
    "fgvr.labelers.run": "fgvr.labelling.labelling",
    "fgvr.labelers.files": "fgvr.labelling.files",
    "fgvr.labelers.pictures": "fgvr.labelers.tasks.pictures",
    **{f"fgvr.labelers.asking.{name}": f"fgvr.labelling.{name}" for name in _ASKING},
    "fgvr.labelers.storage": "fgvr.labelling.store",
    "fgvr.labelers.storage.store": "fgvr.labelling.store.label_store",
    "fgvr.labelers.storage.stored": "fgvr.labelling.store.rows",
    "fgvr.labelers.storage.rereading": "fgvr.labelling.store.parse_stored",
    **{f"fgvr.labelers.storage.{name}": f"fgvr.labelling.store.{name}" for name in _STORE},
    **{f"fgvr.labelers.hosts.{host}_batch": f"fgvr.labelers.{host}.batches" for host in ("openai", "gemini")},
    **{f"fgvr.labelers.hosts.{host}_errors": f"fgvr.labelers.{host}.errors" for host in ("openai", "gemini")},
}
"""Old name of a module -> its new one."""

_NAMES = {
    "fgvr.datasets.images": {"Photos": "Images", "read_photos": "read_images"},
    "fgvr.datasets.split_file": {"ListedPhoto": "ListedImage"},
    "fgvr.datasets.standard": {"Facts": "DatasetInfo"},
    "fgvr.labelling.image_labels": {"PhotoLabels": "ImageLabels"},
    "fgvr.vocabulary.given": {"stated_vocabulary": "given_vocabulary"},
}
"""Module that has moved -> what was renamed in it."""

ARGUMENTS = {"cheap": "first", "dear": "fallback"}
"""Old name of an argument of the cascade -> its new one."""


class _MovedModules(MetaPathFinder, Loader):
    """Imports the new module where the old one is asked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See the base class."""
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of the new name."""
        new = MOVED[spec.name]
        warnings.warn(f"{spec.name} is {new} now; {_GOES}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        spec.loader_state = module.__spec__
        vars(module).update({old: getattr(module, name) for old, name in _NAMES.get(new, {}).items()})
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it was executed under its own name, which it gets back."""
        assert module.__spec__ is not None, "the import system has set it just now"
        module.__spec__ = module.__spec__.loader_state


def old_names(module: str, **new: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for a module, which has each of these names under a new one.

    Args:
        module: Its ``__name__``.
        new: Old name -> new name.
    """

    def renamed(name: str) -> Any:
        if name not in new:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{name} is {new[name]} now; {_GOES}", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], new[name])

    return renamed


class OldAttribute:
    """An attribute under the name that it had before, as in ``sample_index = OldAttribute("rows")``."""

    def __init__(self, new: str) -> None:
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.old = f"{owner.__name__}.{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warnings.warn(f"{self.old} is {self.new} now; {_GOES}", DeprecationWarning, stacklevel=2)
        return getattr(instance, self.new)


def accept_old_names() -> None:
    """Let old names be imported in this process."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        # before the others, which would find the files of a moved package under its old name, too, and load them twice
        sys.meta_path.insert(0, _MovedModules())
