"""Small towers of every kind that open_clip builds, at random weights, and stand-ins for the hub's tokenizers."""

import json
from copy import deepcopy

import open_clip
import timm
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, MT5Config, PreTrainedTokenizerFast, RobertaConfig

CORPUS = [
    "a photo of a tabby cat and of a great pyrenees a saint bernard a ford mustang convertible of oat milk",
    "the quick brown fox jumps over the lazy dog 0123456789 grey red blue a an endless name of words",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ . , ' -",
]
SPECIALS = {
    # as SigLIP's: T5's pieces, padded with the end token
    "siglip": {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"},
    "siglip2": {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"},
    "mt5": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
    "xlm": {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
    "roberta": {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
    "bert": {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
}
"""In the order of their ids; of ``siglip2``, 1 is the end token as there."""
AROUND = {"xlm": "<s> $A </s>", "roberta": "<s> $A </s>", "bert": "[CLS] $A [SEP]", "siglip2": "$A <eos>"}


def write_tokenizer(folder, kind):
    """A tokenizer of some dozen words that cuts, pads and ends texts as the hub's of that kind does."""
    specials = SPECIALS[kind]
    tokens = list(dict.fromkeys(specials.values()))
    if kind == "roberta":
        inner = Tokenizer(models.BPE(unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=tokens, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif kind == "bert":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.normalizer = normalizers.BertNormalizer(lowercase=True)
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=tokens)
    else:
        inner = Tokenizer(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=160, special_tokens=tokens, unk_token="<unk>")
    inner.train_from_iterator(CORPUS, trainer)
    ids = {token: inner.token_to_id(token) for token in tokens}
    inner.post_processor = processors.TemplateProcessing(
        single=AROUND.get(kind, "$A </s>"), special_tokens=list(ids.items())
    )
    PreTrainedTokenizerFast(tokenizer_object=inner, padding_side="right", **specials).save_pretrained(folder)
    return str(folder)


def write_text_model(folder, kind):
    """The configuration of a small text model of transformers."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if kind == "mt5":
        config = MT5Config(vocab_size=512, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, pad_token_id=0)
    elif kind == "bert":
        config = BertConfig(vocab_size=512, **small)
    else:
        config = RobertaConfig(vocab_size=512, max_position_embeddings=130, pad_token_id=1, **small)
    config.save_pretrained(folder)
    return str(folder)


TOKENIZERS = [("SigLIP2", "siglip2"), ("SigLIP", "siglip"), ("CLIPA", "bert"), ("L-14-worldwide", "mt5")]
TOKENIZERS += [("worldwide", "xlm"), ("mt5", "mt5"), ("xlm", "xlm"), ("roberta", "roberta")]


def shrunk(name, folder):
    """The architecture ``name`` of open_clip with everything as it is there but small, and with a tokenizer.

    Args:
        name: One of ``open_clip.list_models()``.
        folder: For tokenizers and text models.
    """
    config = deepcopy(open_clip.get_model_config(name))
    vision, text = config["vision_cfg"], config["text_cfg"]
    config["embed_dim"] = 32
    if "timm_model_name" in vision:
        vision |= {"image_size": 32}
        vision.pop("timm_model_pretrained", None)
    elif isinstance(vision["layers"], list):
        vision |= {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32}
    else:
        vision |= {"layers": 2, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
        if "attn_pooler_heads" in vision:
            vision["attn_pooler_heads"] = 2
    kind = next((kind for part, kind in TOKENIZERS if part in name and "hf_tokenizer_name" in text), None)
    if kind is not None:
        text["hf_tokenizer_name"] = write_tokenizer(folder / f"{kind}-tokenizer", kind)
    if "hf_model_name" in text:
        text["hf_model_name"] = write_text_model(folder / f"{kind}-model", kind)
    else:
        text |= {"width": 32, "heads": 2, "layers": 2}
    if "multimodal_cfg" in config:
        config["multimodal_cfg"] |= {"width": 32, "heads": 2, "layers": 1}
    return config


SMALL = {
    # its stem has a fixed width
    "vit_base_mci": {"depth": 1, "num_heads": 2, "img_size": 32},
    "vitamin": {},
    **{kind: {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32} for kind in ("vit", "eva")},
    "convnext": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
}


def small_timm(name, **options):
    """``timm.create_model`` of a small model of that kind."""
    kind = next((kind for kind in SMALL if name.startswith(kind)), None)
    return _CREATE(name, **options, **SMALL.get(kind, {}))


_CREATE = timm.create_model


def write_model(name, folder):
    """A small model of the kind of ``name`` with random weights; its new name in open_clip, and the weights' file."""
    new = f"fgvr-small-{name}"
    (folder / f"{new}.json").write_text(json.dumps(shrunk(name, folder)))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    weights = open_clip.create_model(new, pretrained_hf=False).state_dict()
    # LayerScale starts at 1e-5, which hides what blocks do
    weights |= {key: torch.ones_like(weight) for key, weight in weights.items() if "gamma" in key}
    torch.save(weights, folder / f"{new}.pt")
    return new, str(folder / f"{new}.pt")
