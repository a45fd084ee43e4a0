import base64
import io
import json
import sys
from dataclasses import replace

import pytest
from PIL import Image

pytest.importorskip("ray")
pytest.importorskip("transformers")

from tiny.images import noisy, save_images
from tiny.mllm import save_tiny_mllm

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.classifier import ClassifierLabeler
from fgvr.labelers.llava import LlavaLabeler
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelling import ray_pool
from fgvr.labelling.ray_pool import ask_with_ray

# of Ray's own code
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def requests(tmp_path):
    images = save_images(tmp_path, noisy([(60, 40)] * 7, grain=1))
    made = [LabelRequest(image, "Name the bird") for image in images]
    made[1] = replace(made[1], image=replace(made[1].image, path=tmp_path / "none.png"))
    made[2] = replace(made[2], others=(made[3].image,))
    return made


def what_was_said(reply):
    """Without times, and without log-probabilities, whose last digit depends on the size of the batch."""
    usage = {name: value for name, value in (reply.usage or {}).items() if name != "mean_logprob"}
    return replace(reply, seconds=0.0, usage=usage)


class FakeCluster:
    """One machine with two processors and a GPU."""

    def __enter__(self):
        return 1, 2, 1

    def __exit__(self, *exception):
        return None


@pytest.mark.slow
def test_the_replies_are_those_without_ray(requests, tmp_path, monkeypatch):
    import ray

    save_tiny_mllm(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    labeler = LlavaLabeler("model", max_output_tokens=8, device="cpu")
    expected = {reply.request: reply for reply in labeler.ask(requests)}

    batches = ask_with_ray(labeler, requests, workers=2, batch_size=3)
    first = next(batches)
    assert ray.is_initialized(), "the first replies are here while others are asked"
    rest = list(batches)
    assert not ray.is_initialized(), "what was started is stopped"
    assert [len(batch) <= 3 for batch in (first, *rest)] == [True] * 3
    found = {reply.request: reply for batch in (first, *rest) for reply in batch}
    assert set(found) == set(requests)
    for request in requests:
        assert what_was_said(found[request]) == what_was_said(expected[request])
    assert found[requests[1]].error
    assert found[requests[2]].raw


def test_nothing_asked_starts_nothing(monkeypatch):
    monkeypatch.setattr(ray_pool, "_cluster", None)
    assert list(ask_with_ray(ClassifierLabeler(), [])) == []


class NoGpu(FakeCluster):
    def __enter__(self):
        return 1, 2, 0


def test_vllm_is_taken_where_it_is_asked_for_and_nowhere_else(requests, monkeypatch):
    monkeypatch.setattr(ray_pool, "_cluster", FakeCluster)
    monkeypatch.setattr(ray_pool, "_vllm_is_installed", lambda: True)
    monkeypatch.setattr(ray_pool, "_ask_vllm", lambda *args: iter(["vllm"]))
    monkeypatch.setattr(ray_pool, "_ask_actors", lambda *args: iter(["actors"]))
    vllm = LlavaLabeler("m", engine="vllm")
    assert list(ask_with_ray(LlavaLabeler("m"), requests)) == ["actors"]
    assert list(ask_with_ray(vllm, requests)) == ["vllm"]
    monkeypatch.setattr(ray_pool, "_cluster", NoGpu)
    with pytest.raises(FgvrError, match="no GPU"):
        list(ask_with_ray(vllm, requests))
    monkeypatch.setattr(ray_pool, "_vllm_is_installed", lambda: False)
    with pytest.raises(FgvrError, match="pip install vllm"):
        list(ask_with_ray(vllm, requests))


def test_a_remote_labeler_is_refused(requests):
    with pytest.raises(FgvrError, match=r"openai cannot be run on Ray.*the label stage's option engine"):
        list(ask_with_ray(OpenAILabeler(), requests))


def test_what_stops_a_worker_stops_the_run(requests, monkeypatch):
    worker = ray_pool._Worker(LlavaLabeler("lost", device="cpu"), "/no/such/folder")
    batch = worker({"row": [0, 1], "request": [ray_pool._request_text(request) for request in requests[:2]]})
    assert batch["reply"] == ["", ""]

    class Blocks:
        def map_batches(self, *args, **options):
            return self

        def iter_batches(self, **options):
            yield batch

    monkeypatch.setattr(ray_pool, "_cluster", FakeCluster)
    monkeypatch.setattr(ray_pool, "_dataset", lambda requests, size: Blocks())
    with pytest.raises(FgvrError, match="lost is no folder"):
        list(ask_with_ray(worker.labeler, requests))


def test_ray_is_an_extra(requests, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FgvrError, match=r"ray is not installed: pip install 'fgvr\[ray\]'"):
        list(ask_with_ray(ClassifierLabeler(), requests))


def test_requests_and_replies_cross_as_text(requests):
    for request in requests:
        assert ray_pool._as_request(ray_pool._request_text(request)) == request
        reply = Reply(request, names=("Auk", "Jay"), usage={"probabilities": [0.5, 0.25]}, seconds=0.5)
        assert ray_pool._as_reply(request, ray_pool._reply_text(reply)) == reply


def test_ray_takes_the_configuration_of_vllm():
    labeler = LlavaLabeler("llava-hf/llava-1.5-7b-hf", revision="abc", quantize="4bit", dtype="bfloat16", engine="vllm")
    config = ray_pool._vllm_config(labeler, workers=2, pictures=4)
    assert config.model_source == "llava-hf/llava-1.5-7b-hf"
    assert config.engine_kwargs["limit_mm_per_prompt"] == {"image": 4}
    assert config.engine_kwargs["quantization"] == "bitsandbytes"
    assert config.engine_kwargs["revision"] == "abc"
    assert "trust_remote_code" not in config.engine_kwargs


def test_a_request_as_a_chat_for_vllm(requests):
    labeler = LlavaLabeler("m", max_output_tokens=9)
    row = {"row": 2, "request": ray_pool._request_text(requests[2])}
    [chat] = ray_pool._chats(labeler, row)
    [message] = chat["messages"]
    *pictures, text = message["content"]
    assert text == {"type": "text", "text": "Name the bird"}
    assert len(pictures) == 2
    for picture in pictures:
        kind, _, data = picture["image_url"]["url"].partition(",")
        assert kind == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (60, 40)
    assert chat["sampling_params"] == {"temperature": 0.0, "max_tokens": 9}
    assert ray_pool._chats(labeler, {"row": 1, "request": ray_pool._request_text(requests[1])}) == []


def test_replies_of_vllm(requests, monkeypatch):
    import ray.data.llm

    class FakeDataset:
        def __init__(self, rows):
            self.rows = rows

        def flat_map(self, function):
            return FakeDataset([made for row in self.rows for made in function(row)])

        def iter_batches(self, **options):
            error = [row["__inference_error__"] for row in self.rows]
            yield {
                "row": [row["row"] for row in self.rows],
                "reply": [row.get("reply") for row in self.rows],
                "__inference_error__": error,
            }

    def build(config, postprocess):
        def generate(row):
            made = {
                "generated_text": f"Auk {row['row']}",
                "num_input_tokens": 5,
                "num_generated_tokens": 2,
                "time_taken_llm": 0.5,
            }
            if row["row"] == 4:
                return {**row, "__inference_error__": "ValueError: too long"}
            return {**postprocess({**row, **made}), "__inference_error__": ""}

        return lambda dataset: FakeDataset([generate(row) for row in dataset.rows])

    def rows(requests, size):
        texts = [ray_pool._request_text(request) for request in requests]
        return FakeDataset([{"row": row, "request": text} for row, text in enumerate(texts)])

    monkeypatch.setattr(ray_pool, "_cluster", FakeCluster)
    monkeypatch.setattr(ray_pool, "_dataset", rows)
    monkeypatch.setattr(ray_pool, "_vllm_is_installed", lambda: True)
    monkeypatch.setattr(ray.data.llm, "build_processor", build)
    labeler = LlavaLabeler("m", engine="vllm")
    replies = {reply.request: reply for batch in ask_with_ray(labeler, requests) for reply in batch}
    assert len(replies) == len(requests)
    assert replies[requests[0]].raw == "Auk 0"
    assert replies[requests[0]].model == "m"
    assert replies[requests[0]].usage == {"input_tokens": 5, "output_tokens": 2, "engine": "vllm"}
    assert "cannot be read" in replies[requests[1]].error
    assert replies[requests[4]].error == "ValueError: too long"
    json.dumps(replies[requests[0]].usage)
