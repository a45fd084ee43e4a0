"""Names from an image classifier: the stand-in for a multimodal LLM on a machine without hub, key and GPU."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.local import LocalLabeler, LocalQuestion, folder_digest, require
from fgvr.labelers.tasks.base import Task
from fgvr.packaged import EFFICIENTNET_LITE0, efficientnet_lite0, imagenet_names
from fgvr.records import Reply
from fgvr.text import counted

if TYPE_CHECKING:
    import torch

_PACKAGED = "efficientnet_lite0"
_FOLDER = "local-dir:"


@dataclass(frozen=True)
class _Classifier:
    model: Any
    transform: Any
    names: tuple[str, ...]


class ClassifierLabeler(LocalLabeler):
    """Takes the classes that a timm classifier finds most probable.

    It can only say the names that it was trained on: 1,000 of ImageNet, 120 of them breeds of dogs, with the default
    model. Photos of anything else get the nearest thing that ImageNet knows, with a low probability, so on other data
    sets it is a stand-in to try a run with and not a labeler.

    Args:
        model: ``efficientnet_lite0``, whose weights come with a package; the name of another model of timm with the tag
            of its weights, which are fetched from the hub, such as ``resnet50.a1_in1k``; or ``local-dir:FOLDER`` with
            what timm's ``save_for_hf`` wrote.
        k: How many classes are replied, the most probable first.
        min_probability: Classes below it are left out; a photo with no class above it has no name.
        batch_size: Photos a forward pass.
        device: Such as ``cuda:1`` or ``cpu``; ``auto`` takes the accelerator if there is one.

    Raises:
        FgvrError: A value is out of range, or the model is named without the tag of its weights.
    """

    max_pictures: ClassVar[int | None] = 1
    of_groups: ClassVar[bool] = False

    def __init__(
        self,
        model: str = _PACKAGED,
        k: int = 1,
        min_probability: float = 0.0,
        batch_size: int = 32,
        device: str = "auto",
    ) -> None:
        if k < 1:
            raise FgvrError(f"data.labeler.k is {k}; expected 1 or more.")
        if not 0 <= min_probability < 1:
            raise FgvrError(f"data.labeler.min_probability is {min_probability}; expected 0 or more, and below 1.")
        if model != _PACKAGED and not re.search(r"[.:/]", model):
            raise FgvrError(
                f"data.labeler.model is {model!r}, which timm may have several weights for; expected {_PACKAGED}, "
                "local-dir:FOLDER, or a name with the tag of its weights, such as resnet50.a1_in1k: "
                f"`python -c \"import timm; print(timm.list_pretrained('{model}*'))\"` lists them."
            )
        super().__init__(model, batch_size=batch_size, device=device)
        self.k = k
        self.min_probability = min_probability

    def for_task(self, task: Task, prompt: str | None = None) -> None:
        """None: it names classes, whatever is asked."""

    def identity(self) -> dict[str, Any]:
        """The model, or a folder's content, and what counts as an answer. There is no task: nothing is asked in words.

        Raises:
            FgvrError: The folder of ``local-dir:`` holds no model.
        """
        identity = {
            "labeler": "classifier",
            "model": self._name,
            "k": self.k,
            "min_probability": float(self.min_probability),
            "pictures": self.pictures.identity(),
        }
        if self.model == _PACKAGED:
            identity["weights_sha256"] = EFFICIENTNET_LITE0.sha256
        elif self.model.startswith(_FOLDER):
            identity["folder_sha256"] = folder_digest(Path(self.model.removeprefix(_FOLDER)))
            del identity["model"]
        return identity

    @property
    def _name(self) -> str:
        """Of a folder its name, wherever it is."""
        return Path(self.model.removeprefix(_FOLDER)).resolve().name if self.model.startswith(_FOLDER) else self.model

    def load(self, device: "torch.device") -> _Classifier:
        """See the base class."""
        require("timm", extra="classifier")
        from timm.data import create_transform, resolve_data_config

        if self.model == _PACKAGED:
            model: Any = efficientnet_lite0()
        else:
            model = self._pretrained()
        names = _class_names(model)
        if len(names) != model.num_classes:
            raise FgvrError(
                f"{self.model} has {counted(model.num_classes, 'class', 'classes')}, whose names are not known. "
                "Expected is a model trained on ImageNet, or one whose config.json has label_names."
            )
        model = model.eval().requires_grad_(False).to(device)
        return _Classifier(model, create_transform(**resolve_data_config({}, model=model)), names)

    def answer(self, loaded: _Classifier, questions: Sequence[LocalQuestion]) -> list[Reply]:
        """See the base class. ``usage`` has the probabilities of the names."""
        import torch

        device = next(loaded.model.parameters()).device
        with torch.inference_mode():
            pixels = torch.stack([loaded.transform(question.pictures[0]) for question in questions])
            best = loaded.model(pixels.to(device)).float().softmax(-1).topk(min(self.k, len(loaded.names)))
        replies = []
        for question, values, classes in zip(questions, best.values.tolist(), best.indices.tolist(), strict=True):
            kept = [(loaded.names[index], value) for index, value in zip(classes, values, strict=True)]
            kept = [(name, value) for name, value in kept if value >= self.min_probability]
            usage = {"probabilities": [round(value, 5) for _, value in kept]}
            names = tuple(name for name, _ in kept)
            replies.append(Reply(question.request, names=names, model=self._name, usage=usage))
        return replies

    def _pretrained(self) -> Any:
        import timm

        try:
            return timm.create_model(self.model, pretrained=True)
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise FgvrError(
                f"timm cannot load {self.model} with its weights ({reason}). Expected is {_PACKAGED}, a name of "
                '`python -c "import timm; print(timm.list_pretrained())"`, or local-dir:FOLDER. Without a network: '
                f"run `hf download timm/{self.model} --local-dir FOLDER` on another machine, and copy the folder here."
            ) from error


def _class_names(model: Any) -> tuple[str, ...]:
    """The names of ``model``'s classes; none where they are not known."""
    from timm.data import infer_imagenet_subset

    stated = model.pretrained_cfg.get("label_names")
    if stated:
        return tuple(str(name) for name in stated)
    subset = infer_imagenet_subset(model)
    return imagenet_names(subset) if subset else ()
