import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image

pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from tiny.images import noisy, save_images
from tiny.mllm import copy_without, save_tiny_mllm

from fgvr.labelers.base import LabelRequest
from fgvr.labelers.blip2 import Blip2Labeler
from fgvr.testing.labelers import check_labeler

PROMPTS = ["What?", "Provide a best label", "Name this bird, please, and be quick about it", "a", "b c d"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_mllm(tmp_path_factory.mktemp("blip2"), "blip2"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    sizes = [(60, 40), (40, 90), (64, 64), (33, 200), (200, 100)]
    return save_images(tmp_path_factory.mktemp("photos"), noisy(sizes))


def requests(images, prompts):
    return [LabelRequest(image, prompt) for image, prompt in zip(images, prompts, strict=True)]


def test_contract(model, images, tmp_path):
    folder = shutil.copytree(model, tmp_path / "brief")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": list(range(100))}))
    check_labeler(Blip2Labeler(str(folder), max_output_tokens=60), images[:3])


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[1:2] * 5], ids=["several prompts", "one prompt"])
@pytest.mark.parametrize("kind", ["blip2", "blip2_t5"])
def test_a_batch_is_the_same_as_single_calls(kind, prompts, model, images, tmp_path):
    folder = model if kind == "blip2" else str(save_tiny_mllm(tmp_path, kind))
    labeler = Blip2Labeler(folder, batch_size=5, max_output_tokens=16)
    asked = requests(images, prompts)
    together = list(labeler.ask(asked))
    alone = [next(labeler.ask([request])) for request in asked]
    assert [reply.raw for reply in together] == [reply.raw for reply in alone]
    assert [reply.usage["mean_logprob"] for reply in together] == pytest.approx(
        [reply.usage["mean_logprob"] for reply in alone], abs=1e-3
    )
    assert len({reply.raw for reply in together}) > 1
    if kind == "blip2":
        assert len({reply.raw for reply in together}) == 5, "the replies depend on the photos"
    assert [reply.usage["input_tokens"] for reply in together] == [reply.usage["input_tokens"] for reply in alone]


def test_the_question_has_the_form_of_the_paper(model, images):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    [reply] = Blip2Labeler(model, max_output_tokens=8).ask(requests(images[:1], ["What bird?"]))
    processor = AutoProcessor.from_pretrained(model)
    with Image.open(images[0].path) as image:
        inputs = processor(images=image, text="Question: What bird? Answer:", return_tensors="pt")
    output = AutoModelForImageTextToText.from_pretrained(model).generate(**inputs, do_sample=False, max_new_tokens=8)
    assert reply.raw == processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_processor_from_before_it_had_image_tokens(model, images, tmp_path):
    asked = requests(images, PROMPTS)
    old = Blip2Labeler(copy_without(model, tmp_path / "old", ["num_query_tokens"]), max_output_tokens=8).ask(asked)
    new = Blip2Labeler(model, max_output_tokens=8).ask(asked)
    assert [reply.raw for reply in old] == [reply.raw for reply in new]


def test_markup_in_a_prompt_is_text(model, images):
    [reply] = Blip2Labeler(model, max_output_tokens=4).ask(requests(images[:1], ["Is it <image> a </s> tern?"]))
    assert "cut off" in reply.error, "it was asked"
    assert reply.raw


def test_one_picture_a_request(model, images):
    one, *_ = requests(images[:1], PROMPTS[:1])
    [reply] = Blip2Labeler(model).ask([replace(one, others=(images[1],))])
    assert "2 pictures were shown at once" in reply.error


def test_identity_names_the_labeler(model):
    identity = Blip2Labeler(model).identity()
    assert identity["labeler"] == "blip2"
    assert Blip2Labeler(model, dtype="float32").identity() != identity
