import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from tiny.images import noisy, save_images
from tiny.mllm import copy_without, save_tiny_mllm

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.llava import LlavaLabeler
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.records import ImageRecord
from fgvr.testing.labelers import check_labeler

# shapes for which LLaVA-NeXT takes different numbers of image tokens
SIZES = [(60, 40), (40, 90), (100, 30), (64, 64), (33, 200), (200, 100), (28, 28), (300, 299)]
PROMPTS = [
    "What?",
    "Provide a best label",
    "Name this bird, please, and be quick about it",
    "a",
    "b c d",
    "x y",
    "?",
    "z",
]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    made = {}

    def make(kind="llava"):
        if kind not in made:
            made[kind] = save_tiny_mllm(tmp_path_factory.mktemp(kind), kind)
        return str(made[kind])

    return make


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("photos"), noisy(SIZES))


def requests(images, prompt="Provide a best label"):
    return [LabelRequest(image, prompt) for image in images]


def ask(labeler, requests):
    """The replies in the order of ``requests``."""
    replies = {reply.request: reply for reply in labeler.ask(requests)}
    assert len(replies) == len(requests)
    return [replies[request] for request in requests]


def test_contract(model, images):
    check_labeler(LlavaLabeler(model(), max_output_tokens=120), images[3:])


@pytest.mark.parametrize("kind", ["llava", "llava_next"])
def test_a_batch_is_the_same_as_single_calls(kind, model, images):
    labeler = LlavaLabeler(model(kind), batch_size=len(images), max_output_tokens=16)
    for asked in (
        requests(images),
        [LabelRequest(image, prompt) for image, prompt in zip(images, PROMPTS, strict=True)],
    ):
        together = ask(labeler, asked)
        alone = [ask(labeler, [request])[0] for request in asked]
        assert [reply.raw for reply in together] == [reply.raw for reply in alone]
        assert [reply.usage["input_tokens"] for reply in together] == [reply.usage["input_tokens"] for reply in alone]
        assert [reply.usage["mean_logprob"] for reply in together] == pytest.approx(
            [reply.usage["mean_logprob"] for reply in alone], abs=1e-3
        )
        assert len({reply.raw for reply in together}) == len(images), "the replies depend on the photos"


def test_llava_next_has_image_tokens_for_each_shape(model, images):
    replies = ask(LlavaLabeler(model("llava_next"), max_output_tokens=2), requests(images))
    assert len({reply.usage["input_tokens"] for reply in replies}) > 3


def test_the_reply_is_what_the_model_adds(model, images):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    [reply] = ask(LlavaLabeler(model(), max_output_tokens=8), requests(images[:1]))
    processor = AutoProcessor.from_pretrained(model())
    with Image.open(images[0].path) as image:
        inputs = processor(images=image, text="USER: <image>\nProvide a best label ASSISTANT:", return_tensors="pt")
    reference = AutoModelForImageTextToText.from_pretrained(model())
    output = reference.generate(**inputs, do_sample=False, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :]
    assert reply.raw == processor.decode(output, skip_special_tokens=True)
    assert reply.usage["input_tokens"] == inputs["input_ids"].shape[1]


def test_usage_says_how_the_reply_ended(model, images):
    replies = ask(LlavaLabeler(model(), max_output_tokens=120), requests(images))
    ended = {reply.usage["finish_reason"] for reply in replies}
    assert ended <= {"stop", "length"}
    assert "stop" in ended
    for reply in replies:
        assert (reply.usage["output_tokens"] == 120) or reply.usage["finish_reason"] == "stop"
        assert ("raise data.labeler.max_output_tokens, which is 120" in reply.error) == (
            reply.usage["finish_reason"] == "length"
        )
        assert reply.usage["mean_logprob"] < 0
        json.dumps(reply.usage)


def test_sampling_that_the_checkpoint_asks_for_is_ignored(model, images, tmp_path):
    shutil.copytree(model(), tmp_path / "hot")
    path = tmp_path / "hot" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_sample": True, "temperature": 9.0, "top_p": 0.5}))
    hot = LlavaLabeler(str(tmp_path / "hot"), max_output_tokens=12)
    cold = LlavaLabeler(model(), max_output_tokens=12)
    asked = requests(images)
    assert [reply.raw for reply in ask(hot, asked)] == [reply.raw for reply in ask(cold, asked)]


@pytest.mark.parametrize("kind", ["llava", "llava_next"])
def test_requests_of_several_pictures(kind, model, images):
    labeler = LlavaLabeler(model(kind), max_output_tokens=8)
    one, *_ = asked = requests(images[:1])
    asked += [replace(one, others=tuple(images[1:3])), replace(one, others=tuple(images[1:2]))]
    together = ask(labeler, asked)
    assert all("cut off" in reply.error for reply in together), "they were asked"
    assert [reply.raw for reply in together] == [ask(labeler, [request])[0].raw for request in asked]
    tokens = [reply.usage["input_tokens"] for reply in together]
    assert tokens[0] < tokens[2] < tokens[1]


def test_markup_in_a_prompt_is_text(model, images):
    asked = requests(images[:1], "Is it <image> a </s> tern<pad>?")
    [reply] = ask(LlavaLabeler(model(), max_output_tokens=4), asked)
    assert "cut off" in reply.error, "it was asked"
    assert reply.usage["output_tokens"] > 0


def test_a_processor_from_before_it_counted_image_tokens(model, images, tmp_path):
    names = ["patch_size", "vision_feature_select_strategy", "num_additional_image_tokens"]
    old = LlavaLabeler(copy_without(model(), tmp_path / "old", names), max_output_tokens=8)
    asked = requests(images)
    new = LlavaLabeler(model(), max_output_tokens=8)
    assert [reply.raw for reply in ask(old, asked)] == [reply.raw for reply in ask(new, asked)]


def test_four_bits(model, images):
    pytest.importorskip("bitsandbytes")
    labeler = LlavaLabeler(model(), quantize="4bit", max_output_tokens=8)
    replies = ask(labeler, requests(images[:3]))
    kinds = [type(module).__name__ for module in labeler._loaded.model.modules()]
    assert kinds.count("Linear4bit") > 10
    assert all(reply.raw for reply in replies)
    assert labeler.identity() != LlavaLabeler(model(), max_output_tokens=8).identity()


def test_precision(model, images):
    labeler = LlavaLabeler(model(), dtype="bfloat16", max_output_tokens=4)
    ask(labeler, requests(images[:1]))
    assert str(labeler._loaded.model.dtype) == "torch.bfloat16"


def test_identity_is_what_a_reply_depends_on(model, tmp_path):
    shutil.copytree(model(), tmp_path / "a" / "tern")
    shutil.copytree(model(), tmp_path / "b" / "auk")
    first, second = LlavaLabeler(str(tmp_path / "a" / "tern")), LlavaLabeler(str(tmp_path / "b" / "auk"))
    assert first.identity() == second.identity(), "a folder that was moved or renamed is the same model"
    assert LlavaLabeler(first.model, revision="main").identity() == first.identity(), "a folder has no revisions"
    assert LlavaLabeler(first.model, batch_size=1, device="cpu").identity() == first.identity()
    assert LlavaLabeler(first.model, dtype="bfloat16").identity() != first.identity()
    save_tiny_mllm(tmp_path / "b" / "auk", seed=1)
    assert second.identity() != first.identity(), "other weights"
    hub = LlavaLabeler("llava-hf/llava-1.5-7b-hf", revision="main").identity()
    assert (hub["model"], hub["revision"]) == ("llava-hf/llava-1.5-7b-hf", "main")


def test_replies_of_vllm_are_those_of_another_labeler(images):
    assert "engine" not in LlavaLabeler().identity()
    labeler = LlavaLabeler(engine="vllm")
    assert labeler.identity() == {**LlavaLabeler().identity(), "engine": "vllm"}
    with pytest.raises(FgvrError, match="set the label stage's own option engine to ray"):
        list(labeler.ask(requests(images)))


def test_a_model_that_is_not_here(images):
    message = r"llava-1\.5-7b-hf is no folder.*hf download llava-hf/llava-1\.5-7b-hf --local-dir.*set data\.labeler"
    with pytest.raises(FgvrError, match=message):
        list(LlavaLabeler().ask(requests(images)))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(FgvrError, match=r"has no config\.json"):
        LlavaLabeler(str(tmp_path)).identity()


def test_pickled_weights_are_not_read(model, images, tmp_path):
    shutil.copytree(model(), tmp_path / "old")
    (tmp_path / "old" / "model.safetensors").rename(tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(FgvrError, match=r"cannot be loaded .*safetensors"):
        list(LlavaLabeler(str(tmp_path / "old")).ask(requests(images)))


def test_code_of_a_repository_is_not_run(model, images, tmp_path):
    shutil.copytree(model(), tmp_path / "odd")
    path = tmp_path / "odd" / "config.json"
    path.write_text(
        json.dumps({"model_type": "odd", "auto_map": {"AutoConfig": "evil.C", "AutoModelForImageTextToText": "evil.M"}})
    )
    (tmp_path / "odd" / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    with pytest.raises(FgvrError, match="cannot be loaded"):
        list(LlavaLabeler(str(tmp_path / "odd")).ask(requests(images)))
    assert not (tmp_path / "run").exists()


def test_a_model_without_a_chat_template(model, images, tmp_path):
    shutil.copytree(model(), tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(FgvrError, match=r"no chat template.*set data\.labeler to blip2"):
        list(LlavaLabeler(str(tmp_path / "base")).ask(requests(images)))


def test_the_tiny_models_are_small(model):
    from pathlib import Path

    for kind in ("llava", "llava_next", "blip2", "blip2_t5"):
        assert sum(path.stat().st_size for path in Path(model(kind)).iterdir()) < 2_000_000


def test_a_text_without_a_photo(model):
    texts = {f"{number}.jpg": RestateTask(f"the {bird} is a bird") for number, bird in enumerate(("tern", "royal auk"))}
    nowhere = [ImageRecord(sample_id=name, path=Path("none") / name, split="support", digest=name) for name in texts]
    labeler = LlavaLabeler(model(), max_output_tokens=8).for_task(RestateTask()).for_each(texts)
    replies = ask(labeler, [labeler.request_about(image) for image in nowhere])
    assert all("cut off" in reply.error for reply in replies), "they were asked, and stopped at 8 tokens"
    assert all(reply.raw and reply.usage["input_tokens"] > 50 for reply in replies)
