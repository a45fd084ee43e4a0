import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from lightning.pytorch import Trainer
from tiny_run import COLOURS, OPTIONS, SUPPORT
from tower_run import labelled_birds, trainer

from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.single import SingleCandidates
from fgvr.cli import main
from fgvr.data.datamodule import FgvrDataModule
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.manifest import ManifestDataset
from fgvr.methods.class_means import ClassMeansMethod
from fgvr.methods.coop import CoOpMethod
from fgvr.methods.linear import LinearMethod
from fgvr.methods.support_figures import support_figures, warn_of_disagreement
from fgvr.methods.zero_shot import ZeroShotMethod
from fgvr.testing.tiny import TinyBackbone

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")
NAMED = len(COLOURS) * SUPPORT - 1  # one reply refuses


def run_of(method, dataset=None, **options):
    data = labelled_birds(dataset, **options)
    run = trainer("mine")
    if method.trains:
        run.fit(method, datamodule=data)
    run.test(method, datamodule=data, verbose=False)
    return method, data, support_figures(method)


def test_figures_of_class_means_against_a_count_by_hand(tiny_run):
    method, data, figures = run_of(ClassMeansMethod(TinyBackbone()))
    assert list(figures) == ["zero_shot", "class_means", "class_means_fused"]
    own, unseen = data.own_classes(), method.unseen_predictions()["class_means"].numpy()
    named = own >= 0
    assert named.sum() == NAMED
    row = figures["class_means"]
    assert row["agreement"] == pytest.approx(100 * (unseen == own)[named].mean(), abs=0.01)
    assert row["agreement_of"] == "unseen"
    images = torch.from_numpy(data.support_features("visual"))
    inside = torch.nn.functional.normalize(images - images.mean(0), dim=1)
    seen = (inside @ method.means.weight.T).argmax(1).numpy()
    assert row["covering_rate"] == pytest.approx(100 * (seen == own)[named].mean(), abs=0.01)
    assert row["left_candidates"] == pytest.approx(100 - row["agreement"], abs=0.01)
    evaluated = data.evaluated_features("visual")
    similarity = evaluated @ images.numpy()[named].T
    nearest = [method.vocabulary.names[c] for c in own[named][similarity.argmax(1)]]
    same = [p.names["class_means"] == name for p, name in zip(method.predictions, nearest, strict=True)]
    assert row["neighbour_agreement"] == pytest.approx(100 * np.mean(same), abs=0.01)
    assert figures["class_means_fused"]["class_means_agreement"] == row["agreement"]


def test_a_trained_row_has_seen_the_names_and_zero_shot_has_not(tiny_run):
    _, _, figures = run_of(CoOpMethod(TinyBackbone(), lr=0.1))
    assert figures["zero_shot"]["agreement_of"] == "unseen"
    assert figures["coop"]["agreement_of"] == "seen"
    assert figures["coop"]["covering_rate"] + figures["coop"]["left_candidates"] == pytest.approx(100)


def test_held_out_photos_are_judged_where_there_are_some(tiny_run):
    _, data, figures = run_of(CoOpMethod(TinyBackbone(), lr=0.1), holdout=0.4, candidates=SingleCandidates())
    assert figures["coop"]["agreement_of"] == "held out"
    out = data.support_held_out() & (data.own_classes() >= 0)
    share = figures["coop"]["agreement"] / 100 * out.sum()
    assert share == pytest.approx(round(share), abs=0.01)


@pytest.mark.parametrize("method", [LinearMethod, CoOpMethod])
def test_held_out_photos_whose_names_neighbours_were_given_count_as_seen(tiny_run, method):
    """With a name of its own for each photo, nothing that has not seen a photo's name can agree with it."""
    replies = [json.loads(line) for line in Path("replies.jsonl").read_text().splitlines()]
    named = [
        {**reply, "raw": f"The bird is a **{4 * chr(65 + number)} Finch**."} for number, reply in enumerate(replies)
    ]
    Path("replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in named))
    row = method.row
    _, _, figures = run_of(method(TinyBackbone()), holdout=0.3, candidates=KnnCandidates(3))
    assert figures[row]["agreement_of"] == "seen"
    _, _, figures = run_of(method(TinyBackbone()), holdout=0.3, candidates=SingleCandidates())
    assert figures[row]["agreement_of"] == "held out"
    assert list(figures.values())[-1]["class_means_agreement"] == 0
    if method is LinearMethod:  # prompts may guess a name that they have not seen
        assert figures["linear"]["agreement"] == 0


def test_photos_of_which_nothing_is_known_have_not_left_their_sets(tiny_run):
    labels = Path("replies.jsonl").read_text().splitlines()
    silent = [json.dumps({**json.loads(line), "raw": "I cannot say."}) for line in labels[1::2]]
    Path("replies.jsonl").write_text("\n".join(labels[::2] + silent) + "\n")
    method, data, figures = run_of(ClassMeansMethod(TinyBackbone()), candidates=KnnCandidates(3))
    judged = method.unseen_predictions()["class_means_fused"].numpy() >= 0
    assert np.array_equal(judged, data.own_classes() >= 0)
    sets = dict(zip(data.candidate_sets.sample_ids, data.candidate_sets, strict=True))
    for row in ("class_means", "class_means_fused"):
        unseen = method.unseen_predictions()[row].numpy()
        inside = [
            int(unseen[number]) in set(np.asarray(sets[image.sample_id][0]).tolist())
            for number, image in enumerate(data.support)
            if judged[number]
        ]
        assert figures[row]["left_candidates"] == pytest.approx(100 * (1 - np.mean(inside)), abs=0.01)


def test_what_is_computed_is_kept_where_the_figures_fail(tiny_run, monkeypatch, caplog):
    def broken(method):
        raise RuntimeError("no memory")

    monkeypatch.setattr("fgvr.reports.recorder.support_figures", broken)
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "2"]) == 0
    metrics = json.loads(Path("runs/run/0/metrics.json").read_text())
    assert metrics["coop"]["cacc"] > 0
    assert "The figures without true names could not be computed" in caplog.text


def test_a_method_that_learns_nothing_agrees_too(tiny_run):
    _, _, figures = run_of(ZeroShotMethod(TinyBackbone()))
    row = figures["zero_shot"]
    assert row.keys() == {
        "agreement",
        "agreement_of",
        "shared_names",
        "neighbour_agreement",
        "class_means_agreement",
    }


def test_a_photo_is_not_its_own_neighbour(tiny_run):
    (tiny_run / "alone").mkdir()
    for path in (tiny_run / "birds/photos").glob("*.png"):
        if int(path.stem[-1]) < SUPPORT:
            (tiny_run / "alone" / path.name).write_bytes(path.read_bytes())
    _, data, figures = run_of(ClassMeansMethod(TinyBackbone()), FolderDataset(tiny_run / "alone"))
    assert data.images.evaluated_split == "support"
    # one in four names is wrong, and the nearest other photo has a right one
    assert figures["class_means"]["neighbour_agreement"] < 100


def test_nothing_is_said_where_there_are_no_names(tiny_run):
    data = FgvrDataModule(ManifestDataset(Path("birds")), class_names=list(COLOURS))
    method = ZeroShotMethod(TinyBackbone())
    trainer = Trainer(accelerator="cpu", default_root_dir="mine", logger=False, enable_progress_bar=False)
    trainer.test(method, datamodule=data, verbose=False)
    assert support_figures(method) == {}


@pytest.mark.parametrize(
    ("mine", "means", "warned"),
    [(17, 58, True), (54, 58, False), (44, 58, False), (43, 58, True), (2, 6, False), (1, 9, True)],
)
def test_a_row_that_agrees_clearly_less_than_class_means_would(mine, means, warned):
    figures = {"coop": {"agreement": mine, "class_means_agreement": means}}
    assert bool(warn_of_disagreement(figures, "coop")) == warned
    assert warn_of_disagreement({"coop": {}}, "coop") == ""


def test_table_and_metrics_of_photos_without_true_names(tiny_run, capsys):
    images = tiny_run / "plain"
    images.mkdir()
    for path in (tiny_run / "birds/photos").glob("*.png"):
        if int(path.stem[-1]) < SUPPORT:
            (images / path.name).write_bytes(path.read_bytes())
    options = [*OPTIONS, "--data.dataset", "folder", "--data.dataset.root", "plain", "--model.lr", "0.0001"]
    assert main(["fit", *options, "--trainer.max_epochs", "2"]) == 0
    out = capsys.readouterr().out
    header = next(line for line in out.splitlines() if "agreement" in line)
    assert "with neighbours" in header
    assert "covering rate" in header
    assert "(*: by a classifier that has learned" in out
    metrics = json.loads(Path("runs/run/0/metrics.json").read_text())
    assert metrics["coop"]["class_means_agreement"] > metrics["coop"]["agreement"] + 5
    assert "Try the method class_means" in metrics["coop"]["warning"]
    assert "warning: coop gives" in out
    assert "Try the method class_means" in Path("runs/run/0/report.html").read_text()
    assert pq.read_table("runs/run/0/predictions.parquet").num_rows == len(COLOURS) * SUPPORT


def test_covering_rates_are_for_runs_without_true_names_only(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    out = capsys.readouterr().out
    assert "agreement" in out
    assert "covering rate" not in out
    assert "covering_rate" in json.loads(Path("runs/run/0/metrics.json").read_text())["coop"]
