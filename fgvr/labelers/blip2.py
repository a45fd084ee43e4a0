"""Names from BLIP-2."""

from collections.abc import Sequence
from typing import Any, ClassVar

from fgvr.labelers.image_text import ImageTextLabeler, ImageTextModel, plain_text
from fgvr.labelers.local import LocalQuestion


class Blip2Labeler(ImageTextLabeler):
    """Asks BLIP-2 (Li et al. 2023) on this machine, in batches, with greedy decoding.

    It was not trained to follow instructions: it is asked ``Question: ... Answer:``, answers with a few words, and
    knows nothing of JSON. It looks at one picture a request.

    Args:
        model: Model id on the hub, such as ``Salesforce/blip2-flan-t5-xl``, or a folder with the model, its tokenizer
            and its processor.
        **kwargs: Arguments of ``ImageTextLabeler``.

    Raises:
        FgvrError: ``batch_size`` is below 1.
    """

    extra: ClassVar[str] = "blip2"
    max_pictures: ClassVar[int | None] = 1

    def __init__(self, model: str = "Salesforce/blip2-opt-2.7b", **kwargs: Any) -> None:
        super().__init__(model, **kwargs)

    def identity(self) -> dict[str, Any]:
        """Model, revision and precision."""
        return {"labeler": "blip2", **super().identity()}

    def prepare(self, loaded: ImageTextModel) -> None:
        """See the base class."""
        if getattr(loaded.processor, "num_query_tokens", 0) is None:
            # repositories of before 2025: transformers now wants the places of the image tokens in the text
            loaded.processor.num_query_tokens = loaded.model.config.num_query_tokens

    def inputs(self, processor: Any, questions: Sequence[LocalQuestion]) -> Any:
        """The form of question that BLIP-2 was evaluated with (section 4.1 of its paper)."""
        prompts = [plain_text(question.request.prompt, processor.tokenizer) for question in questions]
        inputs = processor(
            images=[question.pictures[0] for question in questions],
            text=[f"Question: {prompt} Answer:" for prompt in prompts],
            padding=True,
            return_tensors="pt",
        )
        # the processor pads between the picture's tokens and the text, and FLAN-T5 minds how far they are apart
        order = inputs["attention_mask"].argsort(dim=1, stable=True)
        for name in ("input_ids", "attention_mask"):
            inputs[name] = inputs[name].gather(1, order)
        return inputs
