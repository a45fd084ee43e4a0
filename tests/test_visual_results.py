"""scripts/visual_results.py, which writes into docs/ what sweeps of visual classifiers come to."""

import json

import pytest

from fgvr.errors import FgvrError
from fgvr.sweeps.result import Tidy, write_tidy

SCRIPT = "visual_results"
FIGURES = {
    # row: (accuracy with the labeler's names, its agreement, accuracy with true names)
    "zero_shot": (10.0, 12.0, 10.0),
    "class_means": (30.0, 33.0, 48.0),
    "class_means_fused": (35.0, 36.0, 50.0),
    "linear": (28.0, 80.0, 45.0),
    "linear_fused": (34.0, 81.0, 49.0),
    "coop": (11.0, 13.0, 12.0),
    "coop_fused": (36.0, 40.0, 47.0),
}


def write_sweep(folder):
    rows = []
    for seed in (0, 1):
        for row, (learned, agreement, oracle) in FIGURES.items():
            common = {"seed": seed, "row": row, "simulated": False, "cacc": 1.0}
            rows.append({"names": "labeler", **common, "run": f"l{seed}", "accuracy": learned, "agreement": agreement})
            rows.append({"names": "oracle", **common, "run": f"o{seed}", "accuracy": oracle, "agreement": 99.0})
    write_tidy(Tidy(("names",), tuple(rows)), folder)
    for run, weight in (("l0", 0.2), ("l1", 1.0), ("o0", 0), ("o1", 0)):
        by_kind = {"class_means": 33.0, "ridge": 30.0 + weight, "gaussian": 20.0}
        fusion = {"visual": "class_means", "text": "zero_shot", "text_weight": weight, "weight_by": "nothing"}
        fusion["agreement_by_kind"] = by_kind
        (folder / run).mkdir()
        (folder / run / "metrics.json").write_text(json.dumps({"class_means_fused": {"fusion": fusion}}))


def test_shares_closed_choices_and_rank_correlation(script, tmp_path, capsys):
    write_sweep(tmp_path / "visual_mine")
    results = tmp_path / "results.md"
    blocks = [
        f"<!-- begin {name} -->\nold\n<!-- end {name} -->"
        for name in ("visual_closed", "visual_choices", "visual_agreement")
    ]
    results.write_text("\n".join(["before", *blocks, "after"]))
    script.main([tmp_path / "visual_mine"], tmp_path)
    text = results.read_text()
    assert "old" not in text
    # the oracle is class_means_fused with true names, 50: 25 of 40 points are 62 %
    assert "| mine | labeler | accuracy | 10.0 | 30.0 (50 %) | 35.0 (62 %) | 28.0 (45 %) |" in text
    assert "| mine | oracle | accuracy | 10.0 | 48.0 | 50.0 |" in text
    assert "| mine | labeler | 1 | class_means | 1.0 | 33.0 | 31.0 | 20.0 |" in text
    assert "| mine | oracle | 2 | class_means | 0 | 33.0 | 30.0 | 20.0 |" in text
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    everything, unseen = found["mine/labeler"]
    assert unseen == pytest.approx(1.0)
    assert 0 < everything < 1, "trained rows agree with what they learned from"
    assert found["pooled"] == pytest.approx(everything)


def test_a_place_that_is_missing_is_named(script, tmp_path):
    write_sweep(tmp_path / "visual_mine")
    (tmp_path / "results.md").write_text("nothing")
    with pytest.raises(FgvrError, match="has 0 pairs of the lines '<!-- begin visual_choices -->'"):
        script.main([tmp_path / "visual_mine"], tmp_path)
