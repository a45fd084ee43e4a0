"""The script that checks a GPU, as far as it goes without one."""

import json

import pytest
import torch

SCRIPT = "gpu_check"


def answer(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_without_a_gpu_it_says_so_and_ends_well(script, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(script, "DRIVER", tmp_path / "none")
    assert script.main("cuda", list(script.PARTS)) == 0
    assert "There is no GPU here" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tests", "quickstart", "features", "prompts", "latteclip", "two_processes"])
def test_a_part_runs_on_a_cpu(script, capsys, part):
    assert script.main("cpu", [part]) == 0
    figures = answer(capsys)[part]
    expected = {
        "tests": "said",
        "quickstart": "bf16-mixed",
        "features": "share_of_encoder",
        "prompts": "share_of_bound",
        "latteclip": "once_s",
        "two_processes": "same_candidates",
    }
    assert figures[expected[part]]


def test_a_part_that_fails_leaves_the_others_their_figures(script, capsys, monkeypatch):
    def broken(part):
        part.run("-c", "import sys; print('what went wrong'); sys.exit(3)")

    monkeypatch.setattr(script, "PARTS", {"broken": broken, "sound": lambda part: {"x": 1}})
    assert script.main("cpu", ["broken", "sound"]) == 1
    figures = answer(capsys)
    assert "exit status 3; what went wrong" in figures["broken"]["failed"]
    assert figures["sound"] == {"x": 1}


def test_a_process_that_fails_ends_the_one_that_waits_for_it(script, capsys, monkeypatch):
    def pair(part):
        waits = part.start("-c", "import time; time.sleep(60)", log="rank0")
        fails = part.start("-c", "import sys; print('the reason'); sys.exit(3)", log="rank1")
        part.wait(waits, fails)

    monkeypatch.setattr(script, "PARTS", {"pair": pair})
    assert script.main("cpu", ["pair"]) == 1
    assert "exit status 3; the reason" in answer(capsys)["pair"]["failed"]


def test_a_driver_without_a_fitting_pytorch_is_no_machine_without_a_gpu(script, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(script, "DRIVER", tmp_path)
    assert script.main("cuda", ["tests"]) == 1
    assert "There is a GPU here, but PyTorch" in capsys.readouterr().out


def test_a_part_that_hangs_is_ended(script, capsys, monkeypatch):
    monkeypatch.setattr(script, "LIMIT", 1.0)
    monkeypatch.setattr(script, "PARTS", {"hangs": lambda part: part.run("-c", "import time; time.sleep(60)")})
    assert script.main("cpu", ["hangs"]) == 1
    assert "more than 1 s" in answer(capsys)["hangs"]["failed"]
