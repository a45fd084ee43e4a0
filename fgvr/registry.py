"""Short names of plugins: name -> class path, for the built-in ones and for installed packages.

Nothing here imports a plugin, and nothing here needs more than the standard library, so that ``fgvr list`` answers at
once and a broken plugin harms only the run that selects it. A third-party package declares its plugins as entry
points::

    [project.entry-points."fgvr.labelers"]
    qwen2_vl = "fgvr_qwen.labeler:QwenLabeler"
"""

import difflib
import importlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from fgvr.errors import FgvrError

_SHORT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CLASS_NAME = re.compile(r"[A-Z]\w*")


class Registry(Mapping[str, str]):
    """The plugins of one kind, as a read-only mapping from short name to class path.

    A built-in name always wins over an installed one. Two packages that claim one name make that name an error when
    it is asked for, and no other.

    Args:
        kind: Plural name of the kind, which is also the entry-point group ``fgvr.<kind>``.
        builtins: Short name to class path (``"package.module.Class"``) of what fgvr ships.

    Example:
        >>> LOSSES.resolve("proden")
        'fgvr.losses.proden.ProdenLoss'
        >>> LOSSES.resolve("ProdenLoss")
        'fgvr.losses.proden.ProdenLoss'
    """

    def __init__(self, kind: str, builtins: Mapping[str, str]) -> None:
        self.kind = kind
        self.builtins = dict(builtins)
        self._paths: dict[str, str] | None = None
        self._distributions: dict[str, str] = {}
        self._clashes: dict[str, list[str]] = {}

    def __getitem__(self, name: str) -> str:
        return self._scan()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scan())

    def __len__(self) -> int:
        return len(self._scan())

    def distribution(self, name: str) -> str:
        """Name of the installed distribution that provides ``name``; ``"fgvr"`` for a built-in one."""
        self._scan()
        return self._distributions.get(name, "fgvr")

    def resolve(self, name: str) -> str:
        """Class path of a short name or of a listed class name; another dotted path passes through as it is.

        Raises:
            FgvrError: The name is unknown (the message has the closest one) or two packages claim it.
        """
        paths = self._scan()
        if (own := self._handed_out().get(name)) is not None:
            return own
        if _CLASS_NAME.fullmatch(name):
            return next((path for path in paths.values() if path.rpartition(".")[2] == name), name)
        if not _SHORT_NAME.fullmatch(name):
            return name
        if name in self._clashes:
            claims = " and ".join(self._clashes[name])
            raise FgvrError(f"{name!r} is claimed by {claims}: give the class path instead of the short name.")
        if name not in paths:
            near = difflib.get_close_matches(name, paths, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise FgvrError(
                f"{name!r} is not one of the fgvr.{self.kind}.{hint} To see them all: `fgvr list {self.kind}`"
            )
        return paths[name]

    def short_name(self, plugin: type[Any]) -> str:
        """Short name of a plugin's class; the class's own name for one that is in no registry."""
        path = f"{plugin.__module__}.{plugin.__qualname__}"
        return next((name for name, listed in self.items() if listed == path), plugin.__name__)

    def _handed_out(self) -> dict[str, str]:
        """Class path of a built-in plugin as its package hands it out, ``fgvr.losses.ProdenLoss`` -> its own."""
        return {
            f"{package}.{path.rpartition('.')[2]}": path
            for path in self.builtins.values()
            for package in _packages_of(path)
        }

    def load(self, name: str) -> type[Any]:
        """The class behind a short name, a listed class name or a class path.

        Raises:
            FgvrError: The name is unknown, or its module has no such class.
        """
        path = self.resolve(name)
        module_name, _, class_name = path.rpartition(".")
        if not module_name:
            raise FgvrError(f"{name!r} is not one of the fgvr.{self.kind}. To see them all: `fgvr list {self.kind}`")
        module = importlib.import_module(module_name)
        if not hasattr(module, class_name):
            raise FgvrError(f"{name!r} points at {path}, but {module_name} has no {class_name}.")
        loaded: type[Any] = getattr(module, class_name)
        return loaded

    def _scan(self) -> dict[str, str]:
        if self._paths is not None:
            return self._paths
        self._paths = dict(self.builtins)
        for entry in entry_points(group=f"fgvr.{self.kind}"):  # metadata only: the plugin itself is not imported
            path = entry.value.replace(":", ".")
            distribution = entry.dist.name if entry.dist else "unknown"
            if entry.name in self.builtins:
                warnings.warn(
                    f"{distribution} offers {path} as {entry.name!r}, which is the name of a built-in one of the "
                    f"fgvr.{self.kind}; select it by its class path.",
                    stacklevel=2,
                )
            elif self._paths.setdefault(entry.name, path) != path:
                self._clashes.setdefault(entry.name, [self._paths[entry.name]]).append(path)
            else:
                self._distributions[entry.name] = distribution
        return self._paths


def option_names(plugin: type[Any]) -> list[str]:
    """What a plugin's constructor takes, and what it hands on to its base class as ``**kwargs``.

    Example:
        >>> from fgvr.labelers.blip2 import Blip2Labeler
        >>> option_names(Blip2Labeler)[0]
        'model'
    """
    from jsonargparse import ArgumentParser

    added = ArgumentParser().add_class_arguments(plugin, fail_untyped=False)
    return list(dict.fromkeys(name.partition(".")[0] for name in added))


def _packages_of(path: str) -> list[str]:
    """The packages above the module of a class path, the top one aside.

    Example:
        >>> _packages_of("fgvr.labelers.tasks.name.NameTask")
        ['fgvr.labelers.tasks', 'fgvr.labelers']
    """
    parts = path.split(".")[:-2]
    return [".".join(parts[:end]) for end in range(len(parts), 1, -1)]


def lazy_exports(package: str, registry: Registry, base: str) -> tuple[Callable[[str], Any], list[str]]:
    """Let a package hand out the classes of its plugins, each imported when it is asked for.

    ``__init__.pyi`` beside the package's ``__init__.py`` says the same to type checkers.

    Args:
        package: Name of the package.
        registry: Its plugins; the built-in ones are handed out.
        base: Class path of their base class, which is handed out, too.

    Returns:
        The package's ``__getattr__`` and its ``__all__``.

    Example:
        >>> get, names = lazy_exports("fgvr.losses", LOSSES, "fgvr.losses.base.Loss")
        >>> get("ProdenLoss").__module__, names[:2]
        ('fgvr.losses.proden', ['AbsGCELoss', 'AbsMAELoss'])
    """
    paths = {path.rpartition(".")[2]: path for path in (*registry.builtins.values(), base)}

    def get(name: str) -> Any:
        if name not in paths:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(paths[name].rpartition(".")[0]), name)

    return get, sorted(paths)


DATASETS = Registry(
    "datasets",
    {
        "caltech101": "fgvr.datasets.caltech101.Caltech101Dataset",
        "cub200": "fgvr.datasets.cub200.Cub200Dataset",
        "dtd": "fgvr.datasets.dtd.DtdDataset",
        "eurosat": "fgvr.datasets.eurosat.EurosatDataset",
        "fgvc_aircraft": "fgvr.datasets.fgvc_aircraft.FgvcAircraftDataset",
        "fieldguide": "fgvr.datasets.fieldguide.FieldguideDataset",
        "flowers102": "fgvr.datasets.flowers102.Flowers102Dataset",
        "folder": "fgvr.datasets.folder.FolderDataset",
        "food101": "fgvr.datasets.food101.Food101Dataset",
        "manifest": "fgvr.datasets.manifest.ManifestDataset",
        "oxford_pets": "fgvr.datasets.oxford_pets.OxfordPetsDataset",
        "stanford_cars": "fgvr.datasets.stanford_cars.StanfordCarsDataset",
        "stanford_dogs": "fgvr.datasets.stanford_dogs.StanfordDogsDataset",
        "sun397": "fgvr.datasets.sun397.Sun397Dataset",
        "ucf101": "fgvr.datasets.ucf101.Ucf101Dataset",
    },
)
LABELERS = Registry(
    "labelers",
    {
        "blip2": "fgvr.labelers.blip2.Blip2Labeler",
        "cascade": "fgvr.labelers.cascade.CascadeLabeler",
        "classifier": "fgvr.labelers.classifier.ClassifierLabeler",
        "fieldguide": "fgvr.labelers.fieldguide.FieldguideLabeler",
        "finer": "fgvr.labelers.finer.FinerLabeler",
        "fixed": "fgvr.labelers.fixed.FixedLabeler",
        "gemini": "fgvr.labelers.gemini.labeler.GeminiLabeler",
        "llava": "fgvr.labelers.llava.LlavaLabeler",
        "openai": "fgvr.labelers.openai.labeler.OpenAILabeler",
        "reconsider": "fgvr.labelers.reconsider.ReconsiderLabeler",
        "recorded": "fgvr.labelers.recorded.RecordedLabeler",
        "restate": "fgvr.labelers.restate.RestateLabeler",
        "vote": "fgvr.labelers.vote.VoteLabeler",
    },
)
TASKS = Registry(
    "tasks",
    {
        "attributes": "fgvr.labelers.tasks.attributes.AttributesTask",
        "caption_templates": "fgvr.labelers.tasks.caption_templates.CaptionTemplatesTask",
        "choose": "fgvr.labelers.tasks.choose.ChooseTask",
        "class_sentences": "fgvr.labelers.tasks.class_sentences.ClassSentencesTask",
        "describe_attribute": "fgvr.labelers.tasks.describe_attribute.DescribeAttributeTask",
        "describe_group": "fgvr.labelers.tasks.describe_group.DescribeGroupTask",
        "describe_image": "fgvr.labelers.tasks.describe_image.DescribeImageTask",
        "discover": "fgvr.labelers.tasks.discover.DiscoverTask",
        "guess_names": "fgvr.labelers.tasks.guess_names.GuessNamesTask",
        "judge": "fgvr.labelers.tasks.judge.JudgeTask",
        "name": "fgvr.labelers.tasks.name.NameTask",
        "names": "fgvr.labelers.tasks.names.NamesTask",
        "restate": "fgvr.labelers.tasks.restate.RestateTask",
        "same_class": "fgvr.labelers.tasks.same_class.SameClassTask",
        "super_category": "fgvr.labelers.tasks.super_category.SuperCategoryTask",
    },
)
SELECTIONS = Registry(
    "selections",
    {
        "k_centre": "fgvr.selections.k_centre.KCentreSelection",
        "random": "fgvr.selections.random.RandomSelection",
        "typical": "fgvr.selections.typical.TypicalSelection",
        "uncertain": "fgvr.selections.uncertain.UncertainSelection",
    },
)
VOCABULARIES = Registry(
    "vocabulary",
    {
        "granularity": "fgvr.vocabulary.granularity.GranularityVocabulary",
        "looks": "fgvr.vocabulary.looks.LooksVocabulary",
        "spelling": "fgvr.vocabulary.spelling.SpellingVocabulary",
    },
)
CANDIDATES = Registry(
    "candidates",
    {
        "knn": "fgvr.candidates.knn.KnnCandidates",
        "label_propagation": "fgvr.candidates.label_propagation.LabelPropagationCandidates",
        "mllm_direct": "fgvr.candidates.mllm_direct.MllmDirectCandidates",
        "mutual_knn": "fgvr.candidates.mutual_knn.MutualKnnCandidates",
        "random": "fgvr.candidates.random.RandomCandidates",
        "single": "fgvr.candidates.single.SingleCandidates",
        "union": "fgvr.candidates.union.UnionCandidates",
    },
)
RELABELLINGS = Registry(
    "relabelling",
    {
        "em": "fgvr.relabelling.em.EmRelabelling",
        "partial_label_graph": "fgvr.relabelling.partial_label_graph.PartialLabelGraphRelabelling",
        "propagation": "fgvr.relabelling.propagation.PropagationRelabelling",
    },
)
BACKBONES = Registry(
    "backbones",
    {
        "lite": "fgvr.backbones.lite.LiteBackbone",
        "open_clip": "fgvr.backbones.open_clip.OpenClipBackbone",
        "paired": "fgvr.backbones.paired.PairedBackbone",
        "timm_visual": "fgvr.backbones.timm_visual.TimmVisualBackbone",
    },
)
HEADS = Registry(
    "heads",
    {
        "linear": "fgvr.heads.linear.LinearHead",
        "prompt": "fgvr.heads.prompt.PromptHead",
        "prototype": "fgvr.heads.prototype.PrototypeHead",
    },
)
LOSSES = Registry(
    "losses",
    {
        "abs_gce": "fgvr.losses.abs_gce.AbsGCELoss",
        "abs_mae": "fgvr.losses.abs_mae.AbsMAELoss",
        "alim": "fgvr.losses.alim.AlimLoss",
        "cavl": "fgvr.losses.cavl.CavlLoss",
        "cc": "fgvr.losses.cc.CCLoss",
        "ce": "fgvr.losses.ce.CELoss",
        "crdpll": "fgvr.losses.crdpll.CrdpllLoss",
        "exp": "fgvr.losses.exp.ExpLoss",
        "lws": "fgvr.losses.lws.LwsLoss",
        "near": "fgvr.losses.near.NearLoss",
        "nll_avg": "fgvr.losses.nll_avg.NllAvgLoss",
        "pico": "fgvr.losses.pico.PicoLoss",
        "pop": "fgvr.losses.pop.PopLoss",
        "proden": "fgvr.losses.proden.ProdenLoss",
        "rc": "fgvr.losses.rc.RCLoss",
        "scl_nl": "fgvr.losses.scl_nl.SclNlLoss",
    },
)
FILTERS = Registry(
    "filters",
    {
        "agreement": "fgvr.filters.agreement.AgreementFilter",
        "all": "fgvr.filters.all.AllFilter",
        "dual_prompt": "fgvr.filters.dual_prompt.DualPromptFilter",
        "gmm": "fgvr.filters.gmm.GmmFilter",
        "peer": "fgvr.filters.peer.PeerFilter",
        "top_k": "fgvr.filters.top_k.TopKFilter",
    },
)
PROTOCOLS = Registry(
    "protocols",
    {
        "cw": "fgvr.judging.cw.CwProtocol",
        "cw_plus": "fgvr.judging.cw_plus.CwPlusProtocol",
        "mc": "fgvr.judging.mc.McProtocol",
        "ow": "fgvr.judging.ow.OwProtocol",
    },
)
METHODS = Registry(
    "methods",
    {
        "cased": "fgvr.methods.cased.CasedMethod",
        "class_means": "fgvr.methods.class_means.ClassMeansMethod",
        "coft": "fgvr.methods.coft.CoftMethod",
        "coft_plus": "fgvr.methods.coft_plus.CoftPlusMethod",
        "coop": "fgvr.methods.coop.CoOpMethod",
        "finer": "fgvr.methods.finer.FinerMethod",
        "flyp": "fgvr.methods.flyp.FlypMethod",
        "labeler_direct": "fgvr.methods.labeler_direct.LabelerDirectMethod",
        "latteclip": "fgvr.methods.latteclip.LatteClipMethod",
        "linear": "fgvr.methods.linear.LinearMethod",
        "reclip": "fgvr.methods.reclip.ReclipMethod",
        "tfup": "fgvr.methods.tfup.TfupMethod",
        "tfup_t": "fgvr.methods.tfup_t.TfupTMethod",
        "zero_shot": "fgvr.methods.zero_shot.ZeroShotMethod",
        "zs_wordnet": "fgvr.methods.zs_wordnet.ZsWordnetMethod",
    },
)

KINDS: dict[str, Registry] = {
    registry.kind: registry
    for registry in (
        *(DATASETS, LABELERS, TASKS, SELECTIONS, VOCABULARIES, CANDIDATES, RELABELLINGS),
        *(BACKBONES, HEADS, LOSSES, FILTERS, METHODS, PROTOCOLS),
    )
}

SLOTS: dict[str, Registry] = {
    "dataset": DATASETS,
    "labeler": LABELERS,
    "labelers": LABELERS,
    "group_labeler": LABELERS,
    "confusion_labeler": LABELERS,
    "task": TASKS,
    "select": SELECTIONS,
    "candidates": CANDIDATES,
    "strategies": CANDIDATES,
    "backbone": BACKBONES,
    "joint_backbone": BACKBONES,
    "visual_backbone": BACKBONES,
    "voting_backbone": BACKBONES,
    "head": HEADS,
    "loss": LOSSES,
    "filter": FILTERS,
    "protocol": PROTOCOLS,
}
"""Name of a constructor's argument -> registry whose short names it takes. The top-level ``model`` takes METHODS."""

OWN_SLOTS: dict[str, dict[str, Registry]] = {
    "data": {"vocabulary": VOCABULARIES, "relabelling": RELABELLINGS},
    LABELERS.builtins["cascade"]: {"first": LABELERS, "fallback": LABELERS},
    LABELERS.builtins["finer"]: {"vqa": LABELERS, "llm": LABELERS},
    LABELERS.builtins["reconsider"]: {"chooser": LABELERS},
    LABELERS.builtins["restate"]: {"reader": LABELERS},
}
"""The same for names that mean this in one place only: directly below a section, or in the arguments of a class."""
