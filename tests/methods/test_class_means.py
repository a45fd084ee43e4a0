import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from forked_fit import fit_in_two_processes
from lightning.pytorch.plugins import MixedPrecision
from tiny_run import COLOURS, SUPPORT, write_images
from tower_run import labelled_birds, trainer

from fgvr.candidates.knn import KnnCandidates
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.labelers.fixed import FixedLabeler
from fgvr.methods.class_means import ClassMeansMethod
from fgvr.methods.linear import LinearMethod
from fgvr.testing.tiny import TinyBackbone

DATA = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds"],
    *["--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl"],
]
OPTIONS = [
    *DATA,
    *["--model", "class_means", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"],
    *["--trainer.accelerator", "cpu"],
]

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")


def fitted(folder, labeler=None, method=None, plugins=(), **options):
    """A method that was fitted and tested from Python, and its data module."""
    data = labelled_birds(labeler=labeler, **options)
    method = method or ClassMeansMethod(TinyBackbone())
    run = trainer(folder, plugins=list(plugins))
    run.fit(method, datamodule=data)
    assert run.current_epoch == (1 if method.closed_form else 3)
    run.test(method, datamodule=data, verbose=False)
    return method, data


def names_file(path, name_of):
    """A CSV for ``fixed`` with a name for each support photo."""
    rows = ["file,name"]
    for number, name in enumerate(COLOURS):
        rows += [f"photos/{number}_{i}.png,{name_of(name, number, i)}" for i in range(SUPPORT)]
    path.write_text("\n".join(rows) + "\n")
    return FixedLabeler(path)


def test_rows_are_the_text_the_means_and_both(tiny_run):
    method, data = fitted(tiny_run / "mine")
    assert list(method.predictions[0].names) == ["zero_shot", "class_means", "class_means_fused"]
    right = {row: sum(p.names[row] == p.true_name for p in method.predictions) for row in method.predictions[0].names}
    assert right["class_means"] == len(method.predictions), "colours are told apart by what photos look like"
    assert right["class_means_fused"] >= right["zero_shot"]
    assert data.strategy(method).own_names_alone
    assert all(0 < p.scores["class_means_fused"] <= 1 for p in method.predictions)


def test_class_means_are_the_means_of_the_centred_visual_features(tiny_run):
    method, data = fitted(tiny_run / "mine")
    images = torch.from_numpy(data.support_features("visual"))
    own = data.own_classes()
    inside = F.normalize(images - images.mean(0), dim=1)
    for c in range(len(COLOURS)):
        mean = F.normalize(inside[own == c].sum(0), dim=0)
        torch.testing.assert_close(method.means.weight[c], mean, atol=1e-5, rtol=0)


def test_nothing_is_learned_from_photos_that_are_held_out(tiny_run):
    method, data = fitted(tiny_run / "mine", holdout=0.3)
    out = data.support_held_out()
    assert out.sum() == 5
    images = torch.from_numpy(data.support_features("visual"))
    own = np.where(out, -1, data.own_classes())
    inside = F.normalize(images - images.mean(0), dim=1)
    for c in range(len(COLOURS)):
        torch.testing.assert_close(
            method.means.weight[c], F.normalize(inside[own == c].sum(0), dim=0), atol=1e-5, rtol=0
        )


def test_sets_of_neighbours_are_judged_in_folds(tiny_run):
    method, data = fitted(tiny_run / "mine", candidates=KnnCandidates(3))
    folds = data.honest_folds()
    assert len(folds) == 10
    assert method._fit.support.folds is not None
    agreement = method.selection["fusion"]["agreement_by_kind"]["class_means"]
    own = data.own_classes()
    unseen = method.unseen_predictions()["class_means"].numpy()
    assert agreement == pytest.approx(100 * (unseen == own)[own >= 0].mean(), abs=0.01)


def test_given_weights_and_the_space(tiny_run):
    images, _ = fitted(tiny_run / "a", method=ClassMeansMethod(TinyBackbone(), text_weight=0))
    text, _ = fitted(tiny_run / "b", method=ClassMeansMethod(TinyBackbone(), text_weight=math.inf))
    for method, row in ((images, "class_means"), (text, "zero_shot")):
        assert all(p.names["class_means_fused"] == p.names[row] for p in method.predictions)
    joint, _ = fitted(tiny_run / "c", method=ClassMeansMethod(TinyBackbone(), space="joint", anchor=1.0))
    assert joint.means.weight.shape == (len(COLOURS), 16)
    plain, _ = fitted(tiny_run / "d", method=ClassMeansMethod(TinyBackbone(), space="joint"))
    assert not torch.allclose(joint.means.weight, plain.means.weight)
    assert text.selection["fusion"]["text_weight"] == "infinite"


def test_training_in_16_bits(tiny_run):
    """Its scaler takes no step without a gradient."""
    half = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))
    found, plain = fitted(tiny_run / "mine", plugins=[half])[0], fitted(tiny_run / "plain")[0]
    assert [p.names for p in found.predictions] == [p.names for p in plain.predictions]


def test_a_backbone_of_one_space(tiny_run):
    method, _ = fitted(tiny_run / "mine", method=ClassMeansMethod(TinyBackbone(visual_width=None)))
    assert method.means.weight.shape == (len(COLOURS), 16)


def test_true_names_change_nothing(tiny_run):
    first, _ = fitted(tiny_run / "mine")
    wrong = dict(zip(COLOURS, reversed(COLOURS), strict=True))
    write_images(tiny_run / "birds", wrong)
    second, _ = fitted(tiny_run / "other")
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_the_command_line_leaves_every_file_and_a_checkpoint_that_names_photos(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    out = capsys.readouterr().out
    run = Path(out.splitlines()[-1])
    assert "class_means_fused: class means, and zero-shot with weight" in out
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics) == ["zero_shot", "class_means", "class_means_fused"]
    fusion = metrics["class_means_fused"]["fusion"]
    by = {"agreement_by_kind", "agreement_by_weight"}
    assert set(fusion) == {"visual", "text", "text_weight", "weight_by", *by}
    assert fusion["weight_by"] == "leave-one-out"
    assert metrics["class_means_fused"]["candidates"] == "single"
    assert metrics["class_means_fused"]["agreement_of"] == "unseen"
    assert metrics["class_means"]["agreement"] == fusion["agreement_by_kind"]["class_means"]
    # without the photos that were learned from, and without a labeler
    new = ["predict", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main([*new, "--data.labeler", "null"]) == 0
    predicted = Path(capsys.readouterr().out.splitlines()[-1])
    first, second = (pq.read_table(folder / "predictions.parquet") for folder in (run, predicted))
    assert second.equals(first)


def test_a_run_goes_on_with_the_same_result(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    before = pq.read_table("runs/run/0/predictions.parquet")
    Path("runs/run/0/metrics.json").unlink()
    assert main(["fit", *OPTIONS, "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "runs/run/0"
    assert pq.read_table("runs/run/0/predictions.parquet").equals(before)
    assert Path("runs/run/0/metrics.json").is_file()


def test_a_run_does_not_go_on_with_other_options(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    checkpoint = ["--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["fit", *OPTIONS, *checkpoint, "--model.text_weight", "5"]) == 2
    assert "has learned other values than this run does now (fused.weight for one)" in capsys.readouterr().err


@pytest.mark.parametrize("method", [ClassMeansMethod, LinearMethod])
def test_it_is_learned_on_the_cpu_whatever_the_default_device_is(tiny_run, monkeypatch, method):
    """Lightning makes the GPU the default device around ``build``; here it is a device that computes nothing."""
    monkeypatch.setattr(method, "build", built_beside(method.build))
    found, _ = fitted(tiny_run / "mine", method=method(TinyBackbone()))
    assert len(found.predictions) == 12


def built_beside(build):
    """``build``, but that what is learned from the support photos is learned while "meta" is the default device."""

    def built(self, vocabulary, candidates):
        look = self._learn if isinstance(self, ClassMeansMethod) else self._look_at_support

        def looked(*args):
            with torch.device("meta"):
                look(*args)

        self._learn = self._look_at_support = looked
        build(self, vocabulary, candidates)

    return built


@pytest.mark.parametrize("method", ["class_means", "linear"])
def test_two_processes_do_what_one_does(tiny_run, method):
    options = [*OPTIONS, "--model", method, "--data.batch_size", "5", "--trainer.max_epochs", "4"]
    assert main(["fit", *options, "--run.name", "one"]) == 0
    fit_in_two_processes([*options, "--run.name", "two"])
    states = [
        torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True)["state_dict"] for name in ("one", "two")
    ]
    for name, tensor in states[0].items():
        if isinstance(tensor, torch.Tensor):
            torch.testing.assert_close(states[1][name], tensor, rtol=1e-4, atol=1e-5)
    tables = [pq.read_table(f"runs/{name}/0/predictions.parquet").to_pylist() for name in ("one", "two")]
    for first, second in zip(*tables, strict=True):
        assert [first[key] for key in first if key.endswith("_name")] == [
            second[key] for key in first if key.endswith("_name")
        ]
    metrics = [json.loads(Path(f"runs/{name}/0/metrics.json").read_text()) for name in ("one", "two")]
    assert metrics[1][f"{method}_fused"]["fusion"] == metrics[0][f"{method}_fused"]["fusion"]


def test_a_checkpoint_of_a_backbone_with_another_visual_width(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    other = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main(["predict", *other, "--model.backbone.visual_width", "7"]) == 2
    said = capsys.readouterr().err
    assert "of shape (24,), and here it is (7,) (4 classes, TinyBackbone): it was made with another backbone" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("method", ["class_means", "linear", "coop"])
def test_a_checkpoint_of_another_image_tower_is_warned_of(tiny_run, caplog, capsys, method):
    assert main(["fit", *OPTIONS, "--model", method, "--trainer.max_epochs", "2"]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    other = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main(["predict", *other]) == 0
    assert "of another image tower" not in caplog.text
    assert main(["predict", *other, "--model.backbone.seed", "3"]) == 0
    assert "features of another image tower, or with another visual space, than TinyBackbone has here" in caplog.text


def test_all_names_equal(tiny_run, caplog):
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: "Bird")
    with caplog.at_level("WARNING"):
        method, _ = fitted(tiny_run / "mine", labeler)
    assert {p.names["class_means_fused"] for p in method.predictions} == {"Bird"}
    assert "There is one class" in caplog.text


def test_one_photo_a_name(tiny_run, caplog):
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: f"{name} {i}")
    with caplog.at_level("WARNING"):
        method, data = fitted(tiny_run / "mine", labeler)
    assert "No two photos were given the same name" in caplog.text
    assert method.selection["fusion"]["text_weight"] == 1
    assert method.selection["fusion"]["agreement_by_kind"]["class_means"] == 0
    assert len(method.vocabulary) == len(data.support)


def test_more_classes_than_photos_and_classes_without_a_photo(tiny_run):
    names = [*COLOURS, *(f"Bird {number}" for number in range(30))]
    method, data = fitted(tiny_run / "mine", class_names=names)
    assert len(method.vocabulary) > len(data.support)
    assert {p.names["class_means"] for p in method.predictions} <= set(COLOURS)
    assert int(method.means.missing.sum()) == 30


def test_one_photo_with_a_name_and_sets_of_neighbours(tiny_run):
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: "Bird" if (number, i) == (0, 0) else "")
    method, data = fitted(tiny_run / "mine", labeler, candidates=KnnCandidates(3))
    assert data.honest_folds() == []
    assert set(method.unseen_predictions()["class_means_fused"].tolist()) == {-1}


def test_no_name_that_can_be_learned_from(tiny_run):
    """Those that have one are held out, and the others are given none by a neighbour."""
    out = fitted(tiny_run / "first", holdout=0.3)[1].support_held_out()
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: name if out[number * SUPPORT + i] else "")
    with pytest.raises(FgvrError, match="None of the 16 support photos has a name to learn from"):
        fitted(tiny_run / "mine", labeler, holdout=0.3)


def test_a_candidate_strategy_that_wants_more_neighbours_than_there_are(tiny_run):
    method, _ = fitted(tiny_run / "mine", candidates=KnnCandidates(100))
    assert math.isfinite(float(method.fused.scale))


def test_features_that_are_not_finite_are_refused_and_nothing_is_lost(tiny_run, monkeypatch):
    encode = TinyBackbone.encode_spaces

    def broken(self, pixels):
        features = encode(self, pixels)
        features.visual[0] = torch.nan
        return features

    monkeypatch.setattr(TinyBackbone, "encode_spaces", broken)
    with pytest.raises(FgvrError, match="features that are not finite"):
        fitted(tiny_run / "mine")
    monkeypatch.setattr(TinyBackbone, "encode_spaces", encode)
    fitted(tiny_run / "mine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classifier": "mean"}, "model.classifier is 'mean'"),
        ({"text_weight": -1}, "model.text_weight is -1"),
        ({"text_weight": math.nan}, "model.text_weight is nan"),
        ({"anchor": -1}, "model.anchor is -1"),
        ({"anchor": 1}, "model.space to joint"),
        ({"space": "text"}, "model.space is 'text'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        ClassMeansMethod(TinyBackbone(), **options)
