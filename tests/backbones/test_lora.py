"""Low-rank adapters in towers of open_clip, held against weights that are written out and against PEFT itself."""

import logging
import subprocess
import sys
import warnings

import open_clip
import pytest
import torch
from tiny_clips import VISION, tiny_clip

from fgvr.backbones.lora import LoraAdapters, LoraOptions
from fgvr.backbones.paired import PairedBackbone
from fgvr.errors import FgvrError

CONVOLUTIONS = [name for name in ("convnext", "resnet", "timm-resnet") if name in VISION]
TRANSFORMERS = [name for name in VISION if name not in CONVOLUTIONS]
PIXELS = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TEXTS = ["a finch", "a blue jay in the snow"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def load(folder):
    return lambda name="vit": tiny_clip(folder, name)


def passes(backbone, towers=("image", "text")):
    both = {"image": lambda: backbone.encode_image(PIXELS), "text": lambda: backbone.embed_text(TEXTS)}
    return {tower: both[tower] for tower in towers}


def adapted(backbone, towers=("image", "text"), learned=True, **options):
    torch.manual_seed(1)
    adapters = LoraAdapters(backbone, LoraOptions(**options), passes(backbone, towers))
    if learned:
        with torch.no_grad():
            for name, weight in backbone.named_parameters():
                if weight.requires_grad and "lora_B" in name:
                    weight.normal_(std=0.05)
    return adapters


@torch.no_grad()
def features(backbone):
    return torch.cat([backbone.encode_image(PIXELS), backbone.encode_text(TEXTS)])


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_before_a_step_features_are_those_without_adapters(load, name):
    backbone = load(name)
    before = features(backbone)
    adapted(backbone, learned=False)
    assert torch.equal(features(backbone), before)
    with torch.enable_grad():  # attention has another implementation where gradients are wanted
        after = torch.cat([backbone.encode_image(PIXELS), backbone.embed_text(TEXTS)])
    torch.testing.assert_close(after.detach(), before, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_merged_features_equal_unmerged_ones(load, name):
    backbone = load(name)
    before = features(backbone)
    adapters = adapted(backbone)
    unmerged = features(backbone)
    assert (unmerged - before).abs().max() > 1e-3, "the test shows nothing"
    adapters.merge()
    torch.testing.assert_close(features(backbone), unmerged, rtol=0, atol=1e-5)
    assert not torch.equal(features(backbone), unmerged), "it was not merged"


def test_an_update_is_the_product_times_alpha_over_rank(load):
    backbone, plain = load(), load()
    adapters = adapted(backbone, rank=3, alpha=6.0)
    state, expected = backbone.state_dict(), plain.state_dict()
    for name, weight in plain.state_dict().items():
        layer, _, kind = name.rpartition(".")
        if kind in ("in_proj_weight", "weight") and f"{layer}.lora_B.default.weight" in state:
            update = state[f"{layer}.lora_B.default.weight"] @ state[f"{layer}.lora_A.default.weight"]
            expected[name] = weight + 2 * update
    changed = [name for name, weight in plain.state_dict().items() if not torch.equal(weight, expected[name])]
    assert len(changed) == 12, "2 towers, 2 blocks, attention and both layers of the MLP"
    plain.load_state_dict(expected)
    torch.testing.assert_close(features(backbone), features(plain), rtol=0, atol=1e-5)
    adapters.merge()
    torch.testing.assert_close(features(backbone), features(plain), rtol=0, atol=1e-6)


@pytest.mark.parametrize("share", [0.25, 0.7])
def test_a_share_of_the_update_is_that_of_interpolated_weights(load, share):
    backbone, plain, whole = load(), load(), load()
    adapted(whole).merge()
    adapted(backbone).merge(share)
    after = {name.replace("base_layer.", ""): weight for name, weight in whole.state_dict().items()}
    plain.load_state_dict({name: torch.lerp(weight, after[name], share) for name, weight in plain.state_dict().items()})
    torch.testing.assert_close(features(backbone), features(plain), rtol=0, atol=1e-6)


def test_passes_and_merging_leave_the_weights_as_they_were_to_the_bit(load):
    backbone = load()
    adapters = adapted(backbone)
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    for share in (1.0, 0.3, 1.0):
        features(backbone)
        adapters.merge(share)
        adapters.merge(share)
        features(backbone)
        adapters.unmerge()
        adapters.unmerge()
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_adapters_alone_get_gradients_and_all_of_them_do(load, name):
    backbone = load(name)
    adapters = adapted(backbone)
    (backbone.encode_image(PIXELS)[:, 0].sum() + backbone.embed_text(TEXTS)[:, 0].sum()).backward()
    reached = {name for name, weight in backbone.named_parameters() if weight.grad is not None}
    assert reached == adapters.names
    assert all(".lora_" in name for name in reached)
    assert len(adapters.parameters()) == len(reached)
    assert all(weight.grad.abs().max() > 0 for weight in adapters.parameters())


def test_gradients_are_those_of_the_written_out_weight(load):
    backbone, plain = load(), load()
    adapted(backbone, towers=["image"])
    name = "visual.transformer.resblocks.1.attn"
    layer = backbone.clip.get_submodule(name)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    adapted(plain, towers=["image"]).merge()
    weight = plain.clip.get_submodule(name).base_layer.in_proj_weight.requires_grad_(True)
    for each in (backbone, plain):
        each.encode_image(PIXELS)[:, :5].sum().backward()
    torch.testing.assert_close(a.grad, b.detach().T @ weight.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(b.grad, weight.grad @ a.detach().T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_peft_loads_what_is_saved_into_another_tower(load, name, tmp_path):
    from peft import PeftModel

    backbone, fresh = load(name), load(name)
    adapters = adapted(backbone, rank=2, alpha=3.0)
    adapters.save(tmp_path / "adapter")
    files = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PeftModel.from_pretrained(fresh.clip, tmp_path / "adapter")
    torch.testing.assert_close(features(fresh), features(backbone), rtol=0, atol=1e-5)
    fresh.clip = model.merge_and_unload()
    torch.testing.assert_close(features(fresh), features(backbone), rtol=0, atol=1e-5)
    assert {name for name, _ in fresh.named_modules()} == {name for name, _ in load(name).named_modules()}


def test_the_adapter_of_the_text_tower_is_not_loaded_into_the_image_tower(load, tmp_path):
    from peft import PeftModel

    backbone, fresh = load(), load()
    adapted(backbone, towers=["text"]).save(tmp_path)
    PeftModel.from_pretrained(fresh.clip, tmp_path)
    assert not [name for name, _ in fresh.named_modules() if "visual" in name and "lora" in name]
    torch.testing.assert_close(features(fresh), features(backbone), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("parts", "kinds"), [(["attention"], {"attn"}), (["mlp"], {"mlp.c_fc", "mlp.c_proj"})])
def test_parts_are_chosen(load, parts, kinds):
    adapters = adapted(load(), parts=parts)
    assert {name.split(".lora_")[0].rpartition("resblocks.")[2].split(".", 1)[1] for name in adapters.names} == kinds


@pytest.mark.parametrize("towers", [["image"], ["text"]])
def test_one_tower_alone(load, towers):
    backbone = load()
    adapters = adapted(backbone, towers)
    assert {"image" if ".visual." in name else "text" for name in adapters.names} == set(towers)


class Wrapped(torch.nn.Module):
    """As much of a backbone as adapters look at."""

    def __init__(self, model):
        super().__init__()
        self.adapter_root = model


def test_the_adapter_of_rank_4_of_vit_b_16_is_below_5_mb(tmp_path):
    model = open_clip.create_model("ViT-B-16", pretrained=None).eval().requires_grad_(False)
    tokens = open_clip.get_tokenizer("ViT-B-16")(["a finch"])
    towers = {
        "image": lambda: model.encode_image(torch.zeros(1, 3, 224, 224)),
        "text": lambda: model.encode_text(tokens),
    }
    LoraAdapters(Wrapped(model), LoraOptions(rank=4), towers).save(tmp_path)
    assert 3e6 < sum(path.stat().st_size for path in tmp_path.iterdir()) < 5e6


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_refused_with_what_can_be_done(load, name):
    with pytest.raises(FgvrError, match=r"image tower of open_clip has no layer.*train_image_tower false.*ViT-B-16"):
        adapted(load(name))
    adapted(load(name), towers=["text"])


def test_a_rank_above_the_narrowest_layer_is_refused(load):
    with pytest.raises(FgvrError, match=r"lora\.rank is 33, and the narrowest adapted layer of the text tower .* 32"):
        adapted(load(), rank=33)
    adapted(load(), rank=32)


class Detached:
    """A tower whose features have no gradient."""

    def __init__(self, backbone):
        self.backbone = backbone

    def __call__(self):
        return self.backbone.encode_image(PIXELS).detach()


def test_features_without_gradients_are_refused(load):
    backbone = load()
    with pytest.raises(FgvrError, match=r"image tower of open_clip cannot be trained by adapters"):
        LoraAdapters(backbone, LoraOptions(), {"image": Detached(backbone)})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        *(({"rank": 0}, "rank is 0"), ({"alpha": 0.0}, r"alpha is 0\.0"), ({"lr": 0.0}, r"lr is 0\.0")),
        *(
            ({"parts": []}, r"parts is \[\]"),
            ({"parts": ["mlp", "mlp"]}, "parts is"),
            ({"parts": ["norm"]}, "parts is"),
        ),
    ],
)
def test_options_that_make_no_sense(options, problem):
    with pytest.raises(FgvrError, match=rf"lora\.{problem}.*; expected"):
        LoraOptions(**options)


def test_what_is_adapted_is_said(load, caplog):
    caplog.set_level(logging.INFO)
    adapters = adapted(load())
    trained = sum(weight.numel() for weight in adapters.parameters())
    layers = "attn, mlp.c_fc, mlp.c_proj"
    assert f"LoRA of rank 4: 6 layers of the image tower ({layers}) and 6 layers of the text tower ({layers})" in (
        caplog.text
    )
    assert f"; {trained:,} weights to train, 0.5" in caplog.text


def test_learned_adapters_are_another_tower_and_those_of_texts_are_not(load):
    backbone = load()
    before = backbone.fingerprint()
    adapted(backbone, towers=["text"])
    assert backbone.fingerprint() == before
    other = load()
    adapted(other, towers=["image"])
    assert other.fingerprint() != before


def test_of_a_pair_the_joint_towers_are_adapted(load, tmp_path):
    pair = PairedBackbone(load(), load("resnet"))
    pair.load()
    adapters = adapted(pair)
    assert all(name.startswith("joint_backbone.clip.") for name in adapters.names)
    adapters.save(tmp_path)
    assert "joint_backbone" not in (tmp_path / "adapter_config.json").read_text()


def test_prompts_run_as_a_whole_through_an_adapted_text_tower(load):
    backbone, plain = load(), load()
    adapters = adapted(backbone, towers=["text"])
    encoder = backbone.prompt_encoder()
    context = encoder.embed("a photo of a")
    encoder.prepare(["finch", "blue jay"], len(context), "end")
    assert encoder.shared is None
    adapters.merge()
    state = {name.replace("base_layer.", ""): weight for name, weight in backbone.state_dict().items()}
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    encoder_of_plain = plain.prompt_encoder()
    encoder_of_plain.prepare(["finch", "blue jay"], len(context), "end")
    torch.testing.assert_close(encoder(context), encoder_of_plain(context), rtol=0, atol=1e-5)


def test_visual_prompts_go_through_adapted_blocks(load):
    backbone = load()
    adapted(backbone, towers=["image"])
    encoder = backbone.visual_prompt_encoder()
    none = encoder(PIXELS, torch.zeros(1, 0, encoder.width)).joint
    torch.testing.assert_close(none, backbone.encode_image(PIXELS), rtol=0, atol=1e-6)


def test_autocast_keeps_the_update_of_attention_in_float32(load):
    backbone = load()
    adapted(backbone, parts=["attention"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        backbone.encode_image(PIXELS)[:, 0].sum().backward()
    assert {weight.grad.dtype for weight in backbone.parameters() if weight.grad is not None} == {torch.float32}


def test_peft_is_not_imported_before_it_is_needed():
    code = "import sys, fgvr.methods.flyp, fgvr.backbones.open_clip; assert 'peft' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
