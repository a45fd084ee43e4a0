"""What the labelers on transformers' ``AutoModelForImageTextToText`` have in common: loading, and greedy decoding."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.labelers.local import LocalLabeler, LocalQuestion, folder_digest, require
from fgvr.records import Reply

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class ImageTextModel:
    """A loaded model.

    Attributes:
        model: Of transformers.
        processor: Its tokenizer and image processor.
        name: Model id with its revision where the hub knows one.
    """

    model: Any
    processor: Any
    name: str


class ImageTextLabeler(LocalLabeler):
    """A labeler whose model turns pictures and text into text.

    Only weights in safetensors files are read, and no code of the model's repository is run.

    Args:
        model: Model id on the hub, or a folder with the model, its tokenizer and its processor.
        revision: Branch, tag or commit on the hub; its default branch if not given.
        dtype: Of weights and computation; ``auto`` is how the weights are stored.
        **kwargs: Arguments of ``LocalLabeler``.
    """

    extra: ClassVar[str]
    """What to install."""

    def __init__(self, model: str, *, revision: str | None = None, dtype: Dtype = "auto", **kwargs: Any) -> None:
        super().__init__(model, **kwargs)
        self.revision = revision
        self.dtype = dtype

    def identity(self) -> dict[str, Any]:
        """Model, revision and precision; of a folder its content and neither name nor place. Decoding is always greedy.

        Raises:
            FgvrError: The folder holds no model.
        """
        identity = {**super().identity(), "revision": self.revision, "dtype": self.dtype}
        folder = Path(self.model)
        if folder.is_dir():
            identity |= {"revision": None, "folder_sha256": folder_digest(folder)}
            del identity["model"]
        return identity

    @abstractmethod
    def inputs(self, processor: Any, questions: Sequence[LocalQuestion]) -> Any:
        """A batch of model inputs, padded on the left.

        Args:
            processor: Of the loaded model.
            questions: What is asked.
        """

    def prepare(self, loaded: ImageTextModel) -> None:
        """Complete a processor that was saved before transformers needed it to be complete. Nothing, if not overridden.

        Raises:
            FgvrError: The model is none for this labeler.
        """

    def quantization(self) -> Any:
        """The ``quantization_config`` of ``from_pretrained``; ``None`` if not overridden."""
        return None

    def load(self, device: "torch.device") -> ImageTextModel:
        """See the base class."""
        require("transformers", "accelerate", extra=self.extra)  # accelerate places the weights
        from safetensors import SafetensorError
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(self.model, revision=self.revision, trust_remote_code=False)
            model = AutoModelForImageTextToText.from_pretrained(
                self.model,
                revision=self.revision,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=self.dtype,
                device_map={"": device},
                quantization_config=self.quantization(),
            )
        # whatever a library of these runs into with a folder that is not as it should be; memory is another matter
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, SafetensorError) as error:
            raise self._load_error(error) from error
        commit = getattr(model.config, "_commit_hash", None)
        name = Path(self.model).resolve().name if Path(self.model).is_dir() else self.model
        loaded = ImageTextModel(model.eval(), processor, f"{name}@{commit}" if commit else name)
        # a decoder goes on from the last position, which must not be padding
        processor.tokenizer.padding_side = "left"
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        self.prepare(loaded)
        return loaded

    def answer(self, loaded: ImageTextModel, questions: Sequence[LocalQuestion]) -> list[Reply]:
        """See the base class. ``usage`` has token counts, why the reply ended, and the mean log-probability."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        model, tokenizer = loaded.model, loaded.processor.tokenizer
        inputs = self.inputs(loaded.processor, questions).to(model.device, model.dtype)
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [tokenizer.eos_token_id if ends is None else ends]
        # not the checkpoint's own, which may ask for sampling
        greedy = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=self.max_output_tokens,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=model.generation_config.bos_token_id,
            decoder_start_token_id=model.generation_config.decoder_start_token_id,
        )
        chosen = _LogProbabilities()
        with torch.inference_mode():
            output = model.generate(**inputs, generation_config=greedy, logits_processor=LogitsProcessorList([chosen]))
        skipped = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        replies = []
        for row, question in enumerate(questions):
            tokens = output[row, skipped:].tolist()
            length = next((place + 1 for place, token in enumerate(tokens) if token in ends), len(tokens))
            raw = tokenizer.decode(tokens[:length], skip_special_tokens=True)
            ended = length > 0 and tokens[length - 1] in ends
            replies.append(
                Reply(
                    question.request,
                    raw=raw,
                    error="" if ended else self.cut_off(raw),
                    model=loaded.name,
                    usage={
                        "input_tokens": int(inputs["attention_mask"][row].sum()),
                        "output_tokens": length,
                        "finish_reason": "stop" if ended else "length",
                        "mean_logprob": chosen.mean(row, length),
                    },
                )
            )
        return replies

    def _load_error(self, error: Exception) -> FgvrError:
        reason = " ".join(str(error).split())[:300]
        if Path(self.model).is_dir():
            return FgvrError(
                f"{self.model} cannot be loaded ({reason}). Expected is a folder that save_pretrained of transformers "
                "wrote: config.json, weights as .safetensors, and the files of tokenizer and processor."
            )
        return FgvrError(
            f"{self.model} is no folder, and cannot be had from the hub ({reason}). Without a network: run "
            f"`hf download {self.model} --local-dir FOLDER` on another machine, copy the folder here, and set "
            "data.labeler.model to it."
        )


class _LogProbabilities:
    """Notes the log-probability of the likeliest token of each step, which is the one that greedy decoding takes.

    Instead of ``output_scores``, which keeps the whole distributions: gigabytes for long replies.
    """

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores

    def mean(self, row: int, length: int) -> float | None:
        """Of the first ``length`` tokens of a reply."""
        values = [float(step[row]) for step in self.steps[:length]]
        return round(sum(values) / len(values), 5) if values else None


def plain_text(text: str, tokenizer: Any) -> str:
    """``text`` in which no token of the model's markup is left: a model's reply may be part of a prompt."""
    markup = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    for token in sorted(markup, key=len, reverse=True):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
