"""Files of weights that open_clip is given: of any ending, OpenAI's archives, and what is none."""

import copy
import json
import logging
import pickle
import zipfile

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.backbones.paired import PairedBackbone
from fgvr.backbones.state_dict import read_weights
from fgvr.errors import FgvrError

VISION = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIG = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
PIXELS = torch.zeros(1, 3, 32, 32)
MARKS = {"input_resolution": torch.tensor(32), "context_length": torch.tensor(77), "vocab_size": torch.tensor(49408)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 350000000\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same weights with either activation."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "fgvr-b.json").write_text(json.dumps(CONFIG))
    (folder / "fgvr-b-quickgelu.json").write_text(json.dumps(CONFIG | {"quick_gelu": True}))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    plain, quick = (open_clip.create_model(name).eval() for name in ("fgvr-b", "fgvr-b-quickgelu"))
    quick.load_state_dict(plain.state_dict())
    return {"fgvr-b": plain, "fgvr-b-quickgelu": quick}


def loaded(model, file):
    backbone = OpenClipBackbone(model, str(file))
    backbone.check()
    backbone.load()
    return backbone


def has_quick_gelu(backbone):
    return type(backbone.clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"


def check_same(backbone, clip):
    assert torch.allclose(backbone.clip.encode_image(PIXELS), clip.encode_image(PIXELS), atol=1e-6)


def archive(clip, file, marks=True, half=False, traced=True):
    """As OpenAI's files are: an archive of the model, with numbers of its own and weights in half precision."""
    clip = copy.deepcopy(clip)
    script = (
        torch.jit.trace(clip, (PIXELS, torch.zeros(1, 77, dtype=torch.int64)), check_trace=False)
        if traced
        else torch.jit.script(clip)
    )
    if half:
        for name, parameter in script.named_parameters():
            if "ln_" not in name:
                parameter.data = parameter.data.half()
    if marks:
        for name, value in MARKS.items():
            script._c._register_attribute(name, torch._C.TensorType.get(), value)
    script.save(str(file))
    return file


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript", "ignore:Converting a tensor")
@pytest.mark.parametrize(
    ("model", "name", "half"),
    [
        ("fgvr-b", "ViT-B-32.pt", True),
        ("fgvr-b", "weights.safetensors", False),
        ("fgvr-b-quickgelu", "ViT-B-32.pt", False),
        ("fgvr-b-quickgelu", "clip.bin", True),
    ],
)
def test_archives_of_openai_have_quick_gelu_in_either_architecture(models, tmp_path, model, name, half):
    quick = models["fgvr-b-quickgelu"]
    backbone = loaded(model, archive(quick, tmp_path / name, half=half))
    assert has_quick_gelu(backbone)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    tolerance = 2e-3 if half else 1e-6
    assert torch.allclose(backbone.clip.encode_image(PIXELS), quick.encode_image(PIXELS), atol=tolerance)


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript", "ignore:Converting a tensor")
@pytest.mark.parametrize("traced", [False, True])
def test_other_archives_have_the_activation_of_their_code(models, tmp_path, traced):
    file = archive(models["fgvr-b"], tmp_path / "plain.pt", marks=False, traced=traced)
    check_same(loaded("fgvr-b", file), models["fgvr-b"])
    with pytest.raises(FgvrError, match=r"plain.pt was trained without QuickGELU.*model to fgvr-b\."):
        loaded("fgvr-b-quickgelu", file)
    file = archive(models["fgvr-b-quickgelu"], tmp_path / "quick.pt", marks=False, traced=traced)
    check_same(loaded("fgvr-b", file), models["fgvr-b-quickgelu"])


def test_the_state_of_an_openai_archive_has_quick_gelu(models, tmp_path):
    torch.save(models["fgvr-b"].state_dict() | MARKS, tmp_path / "state.pt")
    check_same(loaded("fgvr-b", tmp_path / "state.pt"), models["fgvr-b-quickgelu"])


@pytest.mark.parametrize("quick", [False, True])
def test_a_configuration_beside_the_weights_tells_the_activation(models, tmp_path, quick):
    save_file(models["fgvr-b"].state_dict(), tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": CONFIG | {"quick_gelu": quick}, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert has_quick_gelu(loaded("fgvr-b", tmp_path / "open_clip_model.safetensors")) == quick


@pytest.mark.parametrize(
    ("model", "name", "other"),
    [
        ("fgvr-b", "fgvr-b-openai.pt", "fgvr-b-quickgelu"),
        ("fgvr-b", "fgvr-b-quickgelu.pt", "fgvr-b-quickgelu"),
        ("fgvr-b", "weights-laion400m-e32-46683a32.pt", "fgvr-b-quickgelu"),
        ("fgvr-b-quickgelu", "laion2b_s34b_b79k.pt", "fgvr-b"),
        ("fgvr-b", "laion2b_s34b_b79k.pt", None),
        ("fgvr-b-quickgelu", "mine.pt", None),
        ("fgvr-b", "mine.pt", None),
    ],
)
def test_a_likely_mismatch_of_the_activation_is_said(models, monkeypatch, tmp_path, caplog, model, name, other):
    tags = {"openai": {"quick_gelu": True}, "laion400m_e32": {"quick_gelu": True}, "laion2b_s34b_b79k": {}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "fgvr-b", tags)
    torch.save(models["fgvr-b"].state_dict(), tmp_path / name)
    with caplog.at_level(logging.WARNING, "fgvr"):
        loaded(model, tmp_path / name)
    said = [record.getMessage() for record in caplog.records if "QuickGELU" in record.getMessage()]
    assert len(said) == (other is not None)
    assert all(f"model to {other}" in message for message in said)


def test_weights_in_openais_rounding_are_likely_openais(models, tmp_path, caplog):
    state = {name: tensor if "ln_" in name else tensor.half() for name, tensor in models["fgvr-b"].state_dict().items()}
    torch.save(state, tmp_path / "mine.pt")
    with caplog.at_level(logging.WARNING, "fgvr"):
        loaded("fgvr-b", tmp_path / "mine.pt")
    assert "model to fgvr-b-quickgelu" in caplog.text


@pytest.mark.parametrize(
    ("name", "wrapper"),
    [("a.safetensors", None), ("a.pt", None), ("a.bin", "state_dict"), ("a", "model_state_dict"), ("a.pth", "model")],
)
def test_files_are_read_by_their_content(models, tmp_path, name, wrapper):
    plain = models["fgvr-b"]
    state = {f"module.{key}": value for key, value in plain.state_dict().items()}
    torch.save(state if wrapper is None else {"epoch": 3, wrapper: state}, tmp_path / name)
    check_same(loaded("fgvr-b", tmp_path / name), plain)
    if wrapper is None:
        save_file(plain.state_dict(), tmp_path / name)
        check_same(loaded("fgvr-b", tmp_path / name), plain)
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=False)
        check_same(loaded("fgvr-b", tmp_path / name), plain)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "open_clip_model.safetensors"])
def test_local_dir_reads_by_content_too(models, tmp_path, name):
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}))
    backbone = OpenClipBackbone(f"local-dir:{tmp_path}")
    with pytest.raises(FgvrError, match=r"has no weights\. Expected is open_clip_model.safetensors"):
        backbone.check()
    (tmp_path / "ViT-B-32.pt").write_text("x")
    with pytest.raises(FgvrError, match=r"has no weights; ViT-B-32.pt is not among the names"):
        backbone.check()
    (tmp_path / name).write_text(POINTER)
    for use in (backbone.check, backbone.load):
        with pytest.raises(FgvrError, match=rf"{name} is a Git LFS pointer"):
            use()
    # each in the format of the other's ending
    (save_file if name.endswith(".bin") else torch.save)(models["fgvr-b"].state_dict(), tmp_path / name)
    backbone.check()
    backbone.load()
    check_same(backbone, models["fgvr-b"])


def test_folders(models, tmp_path):
    with pytest.raises(FgvrError, match=r"is a folder: name the file in it\."):
        OpenClipBackbone("fgvr-b", str(tmp_path)).check()
    (tmp_path / "a.pt").write_text("x")
    with pytest.raises(FgvrError, match=r"is a folder: name the file in it, such as .*a\.pt\."):
        OpenClipBackbone("fgvr-b", str(tmp_path)).check()
    with pytest.raises(FgvrError, match=r"has no open_clip_config.json"):
        OpenClipBackbone(f"local-dir:{tmp_path}").check()
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(FgvrError, match=r"leave pretrained out, and set model to local-dir:"):
        OpenClipBackbone("fgvr-b", str(tmp_path)).check()
    with pytest.raises(FgvrError, match=r"is no folder"):
        OpenClipBackbone(f"local-dir:{tmp_path}/none").check()


OTHERS = {
    "pointer": (POINTER, "a Git LFS pointer"),
    "page": ("<html>404</html>", "a web page"),
    "empty": ("", "is empty"),
    "tensor": (torch.zeros(3), "holds a Tensor; expected is a state dict"),
    "nothing": ({}, "there is none in it"),
    "other things": ({"epoch": 3, "weights": [1, 2]}, "'epoch' in it is none"),
    "checkpoint of fgvr": ({"fgvr": {}, "state_dict": {}}, "a checkpoint of fgvr.*ckpt_path"),
    "adapter": ({"base_model.model.q.lora_A.weight": torch.zeros(2)}, "a LoRA adapter.*merge_and_unload"),
    "transformers": ({"vision_model.pre.weight": torch.zeros(2)}, "of a CLIP of transformers"),
    "objects": ({"weight": print}, "holds Python objects beside tensors"),
    "model": (nn.Linear(2, 2), "holds Python objects beside tensors"),
}


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_state_dict_is_said_in_one_line(models, tmp_path, name, ending):
    content, expected = OTHERS[name]
    file = tmp_path / f"weights{ending}"
    file.write_text(content) if isinstance(content, str) else torch.save(content, file)
    with pytest.raises(FgvrError, match=expected) as caught:
        loaded("fgvr-b", file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("form", "part"),
    [
        *[("safetensors", part) for part in (0.001, 0.9)],
        *[("torch", part) for part in (0.3, 0.99)],
        *[("torch of before 1.6", part) for part in (0.0002, 0.5, 0.99)],
    ],
)
def test_downloads_that_were_cut_off(models, tmp_path, form, part):
    state, file = models["fgvr-b"].state_dict(), tmp_path / "weights.pt"
    if form == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=form == "torch")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FgvrError, match=r"weights.pt is (damaged or )?cut off.*download it again\.$") as caught:
        loaded("fgvr-b", file)
    assert "\n" not in str(caught.value)


class Calls:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("payload", [Calls(), [Calls()], {"a": Calls()}])
def test_an_archive_runs_nothing(tmp_path, capsys, payload):
    file = tmp_path / "ViT-B-32.pt"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("ViT/data.pkl", pickle.dumps(payload, protocol=2))
        made.writestr("ViT/constants.pkl", b"")
        made.writestr("ViT/code/__torch__.py", b"")
    with pytest.raises(FgvrError, match="holds Python objects beside tensors"):
        read_weights(file)
    assert "run" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript", "ignore:Converting a tensor")
def test_an_archive_whose_tensors_reach_too_far(models, tmp_path):
    file = archive(models["fgvr-b"], tmp_path / "whole.pt")
    short = tmp_path / "short.pt"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(short, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            made.writestr(name, content[:8] if "/data/" in name else content)
    with pytest.raises(FgvrError, match=r"short.pt is damaged or cut off .*download it again\.$"):
        read_weights(short)


def test_a_pair_is_checked_as_its_parts_are(models, tmp_path):
    (tmp_path / "a.pt").write_text(POINTER)
    torch.save(models["fgvr-b"].state_dict(), tmp_path / "b.pt")
    broken, whole = (OpenClipBackbone("fgvr-b", str(tmp_path / name)) for name in ("a.pt", "b.pt"))
    PairedBackbone(whole, whole).check()
    for pair in (PairedBackbone(broken, whole), PairedBackbone(whole, broken)):
        with pytest.raises(FgvrError, match=r"a.pt is a Git LFS pointer"):
            pair.check()
