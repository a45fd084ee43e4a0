"""Names from LLaVA, or from any other multimodal model of transformers that one chats with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.labelers.image_text import ImageTextLabeler, ImageTextModel, plain_text
from fgvr.labelers.local import LocalQuestion, require

if TYPE_CHECKING:
    import torch


class LlavaLabeler(ImageTextLabeler):
    """Asks LLaVA 1.5 or 1.6 on this machine, in batches, with greedy decoding.

    Other models of transformers' ``AutoModelForImageTextToText`` with a chat template work as well, such as Qwen2.5-VL,
    Qwen3-VL and Gemma 3: give their model id. In float32 a photo's reply does not depend on the others of its batch; in
    half precision the last bits of the logits do, and with them a word now and then.

    Args:
        model: Model id on the hub, such as ``llava-hf/llava-1.5-13b-hf`` and ``llava-hf/llava-v1.6-mistral-7b-hf``, or
            a folder with the model, its tokenizer and its processor.
        quantize: ``4bit`` loads the weights as 4-bit NormalFloat (QLoRA, Dettmers et al. 2023): a quarter of the
            memory of half precision, for somewhat other replies.
        engine: ``vllm`` runs the model in vLLM, which is faster, needs a GPU and Ray (the label stage's own option
            ``engine``), and whose replies are somewhat other ones, too.
        **kwargs: Arguments of ``ImageTextLabeler``.

    Raises:
        FgvrError: ``batch_size`` is below 1.
    """

    extra: ClassVar[str] = "llava"
    of_texts: ClassVar[bool] = True

    def __init__(
        self,
        model: str = "llava-hf/llava-1.5-7b-hf",
        *,
        quantize: Literal["none", "4bit"] = "none",
        engine: Literal["transformers", "vllm"] = "transformers",
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.quantize = quantize
        self.engine = engine

    def identity(self) -> dict[str, Any]:
        """Model, revision, precision, quantization, and what runs it."""
        identity = {"labeler": "llava", **super().identity(), "quantize": self.quantize}
        return identity if self.engine == "transformers" else {**identity, "engine": self.engine}

    def vllm_options(self) -> dict[str, Any] | None:
        """Precision, revision and quantization, with ``engine: vllm``."""
        if self.engine != "vllm":
            return None
        options: dict[str, Any] = {"dtype": self.dtype}
        if self.revision is not None:
            options["revision"] = self.revision
        if self.quantize == "4bit":
            options["quantization"] = "bitsandbytes"
        return options

    def load(self, device: "torch.device") -> ImageTextModel:
        """See the base class.

        Raises:
            FgvrError: It is vLLM that the model is to run in, which is not done here.
        """
        if self.engine == "vllm":
            raise FgvrError(
                "data.labeler.engine is vllm, which runs on Ray: set the label stage's own option engine to ray."
            )
        return super().load(device)

    def quantization(self) -> Any:
        """See the base class.

        Raises:
            FgvrError: bitsandbytes is not installed.
        """
        if self.quantize == "none":
            return None
        require("bitsandbytes", extra="4bit")
        import torch
        from transformers import BitsAndBytesConfig

        # transformers' own default is another type, fp4
        compute = torch.bfloat16 if self.dtype == "auto" else getattr(torch, self.dtype)
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)

    def prepare(self, loaded: ImageTextModel) -> None:
        """See the base class."""
        processor, config = loaded.processor, loaded.model.config
        if not getattr(processor, "chat_template", None):
            raise FgvrError(
                f"{self.model} has no chat template, so it is not known how to ask it. Expected is a model that was "
                "trained to follow instructions; for BLIP-2, set data.labeler to blip2."
            )
        if getattr(processor, "patch_size", 0) is None:
            # LLaVA's repositories of before 2025: transformers now counts the image tokens before the model runs
            processor.patch_size = config.vision_config.patch_size
            processor.vision_feature_select_strategy = config.vision_feature_select_strategy
            processor.num_additional_image_tokens = 1  # CLIP's class token

    def inputs(self, processor: Any, questions: Sequence[LocalQuestion]) -> Any:
        """The model's own chat template with pictures first."""
        chats = [
            [
                {
                    "role": "user",
                    "content": [
                        *({"type": "image", "image": picture} for picture in question.pictures),
                        {"type": "text", "text": plain_text(question.request.prompt, processor.tokenizer)},
                    ],
                }
            ]
            for question in questions
        ]
        return processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
