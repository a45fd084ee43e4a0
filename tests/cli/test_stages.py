import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelling import ray_pool

IMAGES = len(COLOURS) * SUPPORT


def test_a_dry_run_asks_nothing(tiny_run, capsys, monkeypatch):
    monkeypatch.setattr(RecordedLabeler, "ask", lambda self, requests: (_ for _ in ()).throw(AssertionError))
    assert main(["label", *OPTIONS, "--dry-run"]) == 0
    assert f"{IMAGES} photos, {IMAGES} requests: 0 stored, {IMAGES} to ask" in capsys.readouterr().out
    assert not Path("runs/run").exists()


def test_label_and_then_candidates(tiny_run, capsys):
    assert main(["candidates", *OPTIONS]) == 2
    assert "Run the label stage with the same options first" in capsys.readouterr().err
    assert main(["label", *OPTIONS]) == 0
    assert f"{IMAGES - 1} usable, 1 refusal; 4 different names" in capsys.readouterr().out
    assert main(["label", *OPTIONS]) == 0
    assert f"{IMAGES} stored, 0 to ask" in capsys.readouterr().out
    assert main(["candidates", *OPTIONS]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert pq.read_table(folder / "candidates.parquet").num_rows == IMAGES
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "candidates.parquet",
        "checksums.txt",
        "config.yaml",
        "labels.parquet",
        "neighbours.parquet",
        "vocabulary.json",
    }


def test_a_job_of_several_processes_does_not_ask_for_labels(tiny_run, capsys, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "job", "GROUP_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main(["fit", *OPTIONS]) == 2
    assert "Run the label stage with the same options first" in capsys.readouterr().err


OPENAI = {"class_path": "openai", "init_args": {"base_url": "http://127.0.0.1:1/v1"}}
SERVERS = {
    "openai": OPENAI,
    "vote": {"class_path": "vote", "init_args": {"labelers": [OPENAI, OPENAI]}},
}


def ray_options(labeler):
    Path("labeler.yaml").write_text(json.dumps({"data": {"labeler": labeler}}))
    return ["label", "--config", "labeler.yaml", *OPTIONS[:4], *OPTIONS[8:], "--engine", "ray"]


@pytest.mark.parametrize("labeler", SERVERS)
def test_servers_are_not_asked_through_ray(tiny_run, capsys, labeler):
    for more in ([], ["--dry-run"]):
        assert main([*ray_options(SERVERS[labeler]), *more]) == 2
        message = capsys.readouterr().err
        assert "--engine ray is for models that run on one's own machines" in message
        assert "only asks servers" in message


def test_of_a_cascade_the_local_part_goes_through_ray_and_the_remote_one_is_asked(tiny_run, capsys, monkeypatch):
    asked = []

    def ask_with_ray(labeler, requests):
        asked.append((type(labeler).__name__, len(requests)))
        for reply in labeler.ask(requests):
            yield [reply]

    async def answer(body):
        return TinyAnswer({"raw": "Monk Parakeet"})

    monkeypatch.setattr(ray_pool, "ask_with_ray", ask_with_ray)
    with TinyServer(answer) as server:
        first = {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}}
        fallback = {"class_path": "tiny.remote.TinyRemoteLabeler", "init_args": {"base_url": server.url}}
        options = {"first": first, "fallback": fallback, "neighbours": 0}
        assert main(ray_options({"class_path": "cascade", "init_args": options})) == 0
    assert asked == [("RecordedLabeler", IMAGES)]
    assert len(server.asked) == 1
    assert f"{IMAGES} usable" in capsys.readouterr().out
