"""Labelers of one's own on all machines of a Ray cluster, or on all processors and GPUs of this one."""

import json
import logging
import math
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.local import LocalLabeler, require
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.registry import LABELERS

if TYPE_CHECKING:
    from ray.data import Dataset

_VLLM_BATCH = 32
_JPEG = "data:image/jpeg;base64,"


def ask_with_ray(
    labeler: Labeler, requests: Sequence[LabelRequest], workers: int | None = None, batch_size: int | None = None
) -> Iterator[list[Reply]]:
    """Ask ``labeler`` on a pool of Ray workers, each with a copy of the model.

    The cluster is the one that ``RAY_ADDRESS`` names, else one is started on this machine, and stopped at the end. All
    machines must see the photos, and a model's folder, under the same paths. A labeler that has ``vllm_options`` runs
    in vLLM.

    Args:
        labeler: Who is asked; it crosses to the workers without weights.
        requests: What is asked.
        workers: Copies of the model; if not given, one a GPU, or one a machine where there is no GPU.
        batch_size: Photos that a worker takes at a time; the labeler's own ``batch_size`` if not given.

    Yields:
        The replies to one batch, in the order in which batches are finished. They are stored by the caller, in one
        process, so what a crash loses is what the workers have in hand.

    Raises:
        FgvrError: Ray or vLLM is not installed, the labeler does not run on this machine, there is no GPU for vLLM, or
            the labeler cannot go on.
    """
    if isinstance(labeler, RemoteLabeler | CombinedLabeler):
        raise FgvrError(
            f"{LABELERS.short_name(type(labeler))} cannot be run on Ray: that is for one labeler whose model runs "
            "on this machine, such as llava, blip2 or classifier. Leave out the label stage's option engine."
        )
    require("ray", extra="ray")
    if not requests:
        return
    local = labeler if isinstance(labeler, LocalLabeler) else None
    in_vllm = local is not None and local.vllm_options() is not None
    if in_vllm and not _vllm_is_installed():
        raise FgvrError("data.labeler.engine is vllm, which is not installed: pip install vllm")
    size = batch_size or (local.batch_size if local is not None else 8)
    with _cluster() as (nodes, cpus, gpus):
        workers = workers or gpus or nodes
        if local is not None and in_vllm:
            if not gpus:
                raise FgvrError("data.labeler.engine is vllm, and the Ray cluster has no GPU: leave the option out.")
            yield from _ask_vllm(local, requests, workers)
        else:
            # a share of the smallest machine, so that every worker finds a place
            share = {"num_gpus": 1} if gpus else {"num_cpus": max(1, min(cpus, cpus * nodes // workers))}
            yield from _ask_actors(labeler, requests, workers, size, share)


def _ask_actors(
    labeler: Labeler, requests: Sequence[LabelRequest], workers: int, size: int, share: Mapping[str, int]
) -> Iterator[list[Reply]]:
    from ray.data import ActorPoolStrategy

    replies = _dataset(requests, size).map_batches(
        _Worker,
        fn_constructor_args=(labeler, str(Path.cwd())),
        batch_size=None,  # a whole block, which has been made so large
        batch_format="numpy",
        compute=ActorPoolStrategy(size=min(workers, math.ceil(len(requests) / size))),
        **share,
    )
    for batch in _batches(replies):
        if batch["stop"][0]:
            raise FgvrError(str(batch["stop"][0]))
        yield [_as_reply(requests[int(row)], text) for row, text in zip(batch["row"], batch["reply"], strict=True)]


class _Worker:
    """What runs in a worker's process: requests in, replies out, as JSON."""

    def __init__(self, labeler: Labeler, folder: str) -> None:
        if Path(folder).is_dir():  # for paths that are relative to it
            os.chdir(folder)
        if isinstance(labeler, LocalLabeler) and labeler.device != "cpu":
            labeler.device = "auto"  # the worker's own GPU is the only one that Ray lets it see
        self.labeler = labeler

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        requests = [_as_request(text) for text in batch["request"]]
        try:
            replies = {reply.request: _reply_text(reply) for reply in self.labeler.ask(requests)}
            stop = ""
        except FgvrError as error:  # Ray would hand on its text only, in the midst of a traceback
            replies, stop = {}, str(error)
        texts = [replies.get(request, "") for request in requests]
        return {"row": batch["row"], "reply": texts, "stop": [stop] * len(requests)}


# Not run yet, for want of a GPU: written after the documentation and the source of ray.data.llm 2.60. What is tested on
# a CPU is that Ray takes this configuration, and what a request and a reply are turned into.


def _ask_vllm(labeler: LocalLabeler, requests: Sequence[LabelRequest], workers: int) -> Iterator[list[Reply]]:
    from ray.data.llm import build_processor

    images = _dataset(requests, _VLLM_BATCH).flat_map(lambda row: _chats(labeler, row))
    most = max(len(request.images) for request in requests)
    processor = build_processor(_vllm_config(labeler, workers, most), postprocess=_from_vllm)
    missing = set(range(len(requests)))
    for batch in _batches(processor(images)):
        replies = []
        for row, text, error in zip(batch["row"], batch.get("reply", ()), batch["__inference_error__"], strict=True):
            missing.discard(int(row))
            request = requests[int(row)]
            reply = Reply(request, error=str(error)[:300]) if error else _as_reply(request, text)
            # vLLM's processor does not hand on why a reply ended
            if not error and (reply.usage or {}).get("output_tokens", 0) >= labeler.max_output_tokens:
                reply = replace(reply, error=labeler.cut_off(reply.raw))
            replies.append(reply)
        yield replies
    yield [Reply(requests[row], error="the photo cannot be read") for row in sorted(missing)]


def _vllm_config(labeler: LocalLabeler, workers: int, pictures: int) -> Any:
    from ray.data.llm import vLLMEngineProcessorConfig

    engine = {**(labeler.vllm_options() or {}), "limit_mm_per_prompt": {"image": pictures}}
    return vLLMEngineProcessorConfig(
        model_source=labeler.model,
        engine_kwargs=engine,
        batch_size=_VLLM_BATCH,
        concurrency=(workers, workers),
        should_continue_on_error=True,
        # "openai" hands the parts of a message to the chat template, as LLaVA's wants them; the default is one string
        prepare_multimodal_stage={"enabled": True, "chat_template_content_format": "openai"},
        log_engine_metrics=False,
    )


def _chats(labeler: LocalLabeler, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The request as a chat; nothing for a photo that cannot be read."""
    request = _as_request(row["request"])
    try:
        pictures = encode_pictures(request, labeler.task, labeler.pictures)
    except Exception:  # as in LocalLabeler
        return []
    content = [
        *(
            {"type": "image_url", "image_url": {"url": f"{_JPEG}{b64encode(picture.data).decode()}"}}
            for picture in pictures
        ),
        {"type": "text", "text": request.prompt},
    ]
    return [
        {
            "row": row["row"],
            "model": labeler.model,
            "messages": [{"role": "user", "content": content}],
            "sampling_params": {"temperature": 0.0, "max_tokens": labeler.max_output_tokens},
        }
    ]


def _from_vllm(row: dict[str, Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": int(row["num_input_tokens"]),
        "output_tokens": int(row["num_generated_tokens"]),
        "engine": "vllm",
    }
    reply = {"raw": row["generated_text"], "model": row["model"], "usage": usage, "seconds": row["time_taken_llm"]}
    return {"row": row["row"], "reply": json.dumps(reply)}


def _vllm_is_installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("vllm") is not None


@contextmanager
def _cluster() -> Iterator[tuple[int, int, int]]:
    """The number of machines, the processors of the smallest one, and the number of GPUs."""
    import ray

    started = not ray.is_initialized()
    if started:
        # nothing is told to anybody, and nothing is printed over the progress bar
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if not nodes:
            raise FgvrError(
                "The Ray cluster has no machine with a processor to work on; `ray status` shows what it has."
            )
        yield len(nodes), int(min(node["CPU"] for node in nodes)), int(sum(node.get("GPU", 0) for node in nodes))
    finally:
        if started:
            ray.shutdown()


def _dataset(requests: Sequence[LabelRequest], size: int) -> "Dataset":
    """One block a batch, because a block's results come back together."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"row": row, "request": _request_text(request)} for row, request in enumerate(requests)]
    dataset = ray.data.from_items(rows, override_num_blocks=math.ceil(len(rows) / size))
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # only here: making the first data set sets it
    return dataset


def _batches(dataset: "Dataset") -> Iterator[Any]:
    """Block by block, as they are finished."""
    yield from dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0)


def _request_text(request: LabelRequest) -> str:
    return json.dumps(asdict(request), default=str)  # default: the paths


def _as_request(text: str) -> LabelRequest:
    values = json.loads(text)
    first, *others = (
        ImageRecord(**{**image, "path": Path(image["path"])}) for image in (values["image"], *values["others"])
    )
    return LabelRequest(**{**values, "image": first, "others": tuple(others)})


def _reply_text(reply: Reply) -> str:
    return json.dumps({field.name: getattr(reply, field.name) for field in fields(reply) if field.name != "request"})


def _as_reply(request: LabelRequest, text: str) -> Reply:
    values = json.loads(text)
    if values.get("names") is not None:
        values["names"] = tuple(values["names"])
    return Reply(request, **values)
