"""scripts/naming_limit.py, which explains results by the features that they start from."""

import json

import torch
import torch.nn.functional as F

SCRIPT = "naming_limit"


def test_classes_that_are_named_alike(script):
    """Two clusters nearest to the text of the first: only a one-to-one matching finds both."""
    features = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.8, 0.5], [0.8, 0.6]]), dim=-1)
    truth, texts = torch.tensor([0, 0, 1, 1]), F.normalize(torch.tensor([[1.0, 0.2], [-0.1, 1.0]]), dim=-1)
    found = script.named(features, truth, texts)
    assert found == {"right": 50.0, "classes given": 1, "named by the mean": 1, "named one to one": 2}
    assert script.same_neighbour(features, truth) == 100.0


def test_a_run_of_drawn_birds(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.csv").write_text("class_name,description\nNobody,a text\n")
    tiny = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    birds = ["--data.dataset", "fieldguide", "--data.dataset.species", "3", "--data.dataset.support", "2"]
    script.main([*birds, *tiny, "--data.class_names", "dataset", "--data.describe.file", "texts.csv"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["photos"], figures["classes"]) == (6, 3)
    assert figures["names"] == figures["names and descriptions"], "no class has a description"
    assert 1 <= figures["names"]["classes given"] <= 3
