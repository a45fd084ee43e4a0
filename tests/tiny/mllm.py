"""Multimodal language models for tests: the real architectures and processors, with a few thousand random weights."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

_TEXT = (
    "the a photo of this bird is what class label for image provide best fine grained question answer user assistant "
    "red blue green black white yellow grey crested common royal arctic great lesser northern southern "
    "tern wren warbler finch sparrow gull hawk owl auk jay crow duck heron"
)
_PIECES = 320
_SIZE, _PATCH = 28, 14
_WIDTH = 64  # the smallest that bitsandbytes can quantize: one block of weights a row
# of LLaVA 1.5's checkpoints: content is a list of {"type": "image"} and {"type": "text", "text": ...}
_CHAT = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
# wide enough that replies differ from photo to photo
_SPREAD = 0.4
_TRANSFORMER = {
    "hidden_size": _WIDTH,
    "intermediate_size": 2 * _WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": _SPREAD,
}


def save_tiny_mllm(
    folder: Path, kind: Literal["llava", "llava_next", "blip2", "blip2_t5"] = "llava", seed: int = 0
) -> Path:
    """Make a model with tokenizer and processor in ``folder``, as ``from_pretrained`` reads it: 1 MB, no network.

    Its replies are words without meaning, the same for the same photo and prompt.

    Args:
        folder: Where; made if it is not there.
        kind: ``llava`` (1.5: every photo has 4 image tokens), ``llava_next`` (1.6: their number depends on the photo's
            shape), ``blip2`` (over OPT) or ``blip2_t5`` (over T5, an encoder and a decoder).
        seed: Of the weights.

    Returns:
        ``folder``.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = _llava(kind) if kind.startswith("llava") else _blip2(kind)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def copy_without(model: str, folder: Path, names: Sequence[str]) -> str:
    """A copy of the model whose processor, of an earlier release, has no such options."""
    shutil.copytree(model, folder)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in config.items() if name not in names}))
    return str(folder)


def _llava(kind: str) -> tuple[Any, Any]:
    import transformers

    tokenizer = _tokenizer("<image>")
    vision = transformers.CLIPVisionConfig(
        **_TRANSFORMER,
        image_size=_SIZE,
        patch_size=_PATCH,
        projection_dim=16,
    )
    text = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        **_TRANSFORMER,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    common = {
        "vision_config": vision,
        "text_config": text,
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
        "vision_feature_select_strategy": "default",
        "vision_feature_layer": -2,
    }
    processing = {
        "tokenizer": tokenizer,
        "patch_size": _PATCH,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "chat_template": _CHAT,
    }
    side = {"height": _SIZE, "width": _SIZE}
    if kind == "llava":
        pixels = transformers.CLIPImageProcessor(size={"shortest_edge": _SIZE}, crop_size=side)
        config = transformers.LlavaConfig(image_seq_length=(_SIZE // _PATCH) ** 2, **common)
        return transformers.LlavaForConditionalGeneration(config), transformers.LlavaProcessor(
            image_processor=pixels, **processing
        )
    shapes = [[_SIZE, 2 * _SIZE], [2 * _SIZE, _SIZE], [2 * _SIZE, 2 * _SIZE]]
    pixels = transformers.LlavaNextImageProcessor(
        size={"shortest_edge": _SIZE}, crop_size=side, image_grid_pinpoints=shapes
    )
    config = transformers.LlavaNextConfig(image_grid_pinpoints=shapes, **common)
    return transformers.LlavaNextForConditionalGeneration(config), transformers.LlavaNextProcessor(
        image_processor=pixels, **processing
    )


def _blip2(kind: str) -> tuple[Any, Any]:
    import transformers

    pixels = transformers.BlipImageProcessor(size={"height": _SIZE, "width": _SIZE})
    queries = 4
    processor = transformers.Blip2Processor(
        pixels, _tokenizer(), num_query_tokens=queries
    )  # adds the image token itself
    tokenizer = processor.tokenizer
    vision = transformers.Blip2VisionConfig(
        **_TRANSFORMER,
        image_size=_SIZE,
        patch_size=_PATCH,
    )
    qformer = transformers.Blip2QFormerConfig(
        vocab_size=len(tokenizer),
        **_TRANSFORMER,
        encoder_hidden_size=_WIDTH,
        cross_attention_frequency=1,
    )
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    text: Any
    if kind == "blip2":
        text = transformers.OPTConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            ffn_dim=2 * _WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            word_embed_proj_dim=_WIDTH,
            max_position_embeddings=256,
            init_std=_SPREAD,
            bos_token_id=tokenizer.bos_token_id,
            **tokens,
        )
    else:
        text = transformers.T5Config(
            vocab_size=len(tokenizer),
            d_model=_WIDTH,
            d_kv=_WIDTH // 2,
            d_ff=2 * _WIDTH,
            num_layers=2,
            num_heads=2,
            initializer_factor=3.0,
            decoder_start_token_id=tokenizer.pad_token_id,
            **tokens,
        )
    config = transformers.Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=queries,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        initializer_range=_SPREAD,
    )
    return transformers.Blip2ForConditionalGeneration(config), processor


def _tokenizer(image_token: str | None = None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=_PIECES,
        special_tokens=special,
        initial_alphabet=[chr(code) for code in range(33, 127)],
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT] * 2, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": image_token} if image_token else {},
        padding_side="left",
    )
