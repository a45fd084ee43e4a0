import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from forked_fit import fit_in_two_processes
from slow_tfup import slow_logits, slow_selection
from tiny_run import COLOURS, SUPPORT, write_images
from tower_run import QUIET, birds, labelled_birds, trainer

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.methods.tfup import TfupMethod
from fgvr.testing.tiny import TinyBackbone

OPTIONS = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.class_names", "dataset"],
    *["--model", "tfup", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"],
]

pytestmark = QUIET


def fitted(folder, method=None, data=None):
    method, data = method or TfupMethod(TinyBackbone()), data or birds()
    run = trainer(folder)
    run.fit(method, datamodule=data)
    run.test(method, datamodule=data, verbose=False)
    return method, data


def test_the_cache_is_what_the_equations_say_and_names_the_test_photos(tiny_run):
    method, data = fitted(tiny_run / "mine")
    images = torch.from_numpy(data.support_features("joint"))
    texts = method.backbone.encode_text([f"a photo of a {name}." for name in method.vocabulary.names])
    chosen = slow_selection(images.double(), texts.double(), 4)  # 16 photos of 4 classes: 9, but at most N / C
    assert torch.equal(method.cache.keys, images[torch.tensor(chosen)])
    tested = torch.from_numpy(data.evaluated_features("joint")).double()
    keys = images[torch.tensor(chosen)].double()
    logits = torch.tensor([slow_logits(image, texts.double(), keys, 20.0, 0.3, 1.0) for image in tested])
    found = method.cache(method.features(next(iter(data.test_dataloader()))))
    torch.testing.assert_close(found, logits[: len(found)], atol=1e-4, rtol=0)
    names = [method.vocabulary.names[c] for c in logits.argmax(1).tolist()]
    assert [p.names["tfup"] for p in method.predictions] == names
    assert list(method.predictions[0].names) == ["zero_shot", "tfup"]


def test_names_that_the_labeler_found_are_classes_too(tiny_run):
    method, _ = fitted(tiny_run / "mine", data=labelled_birds())
    assert set(method.vocabulary.names) == set(COLOURS)


def test_options_reach_the_cache(tiny_run):
    method, _ = fitted(tiny_run / "mine", TfupMethod(TinyBackbone(), floor=9, alpha=0.5, beta=2.0, templates="{}"))
    assert method.cache.keys.shape == (4, 9, 16)
    assert (method.cache.alpha, method.cache.beta, method.cache.scale) == (0.5, 2.0, 20.0)
    texts = method.backbone.encode_text(list(method.vocabulary.names))
    torch.testing.assert_close(method.cache.class_features, texts)


def test_sentences_stand_for_names(tiny_run):
    (tiny_run / "sentences.json").write_text(json.dumps({"house finch": ["A small bird.", "It is red."]}))
    method, _ = fitted(tiny_run / "mine", TfupMethod(TinyBackbone(), sentences=Path("sentences.json")))
    tower, texts = method.backbone, dict(zip(method.vocabulary.names, method.cache.class_features, strict=True))
    mean = F.normalize(tower.encode_text(["A small bird.", "It is red."]).mean(0), dim=0)
    torch.testing.assert_close(texts["House Finch"], mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(texts["Blue Jay"], tower.encode_text(["a photo of a Blue Jay."])[0])


@pytest.mark.parametrize("names", [["Blue Jay"], [f"bird {number}" for number in range(40)]])
def test_one_class_and_more_classes_than_photos(tiny_run, names):
    method, _ = fitted(tiny_run / "mine", data=birds(class_names=names))
    assert method.cache.keys.shape == (len(names), 9 if len(names) == 1 else 1, 16)
    assert {p.names["tfup"] for p in method.predictions} <= set(names)


def test_one_photo(tiny_run):
    method, _ = fitted(tiny_run / "mine", data=birds(support_size=1))
    assert method.cache.keys.shape == (4, 1, 16)
    assert [p.names["tfup"] for p in method.predictions] == [p.names["zero_shot"] for p in method.predictions]


def test_the_command_line_leaves_a_checkpoint_that_names_photos_and_resumes(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert list(json.loads((run / "metrics.json").read_text())) == ["zero_shot", "tfup"]
    new = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main(["predict", *new]) == 0
    predicted = Path(capsys.readouterr().out.splitlines()[-1])
    first, second = (pq.read_table(folder / "predictions.parquet") for folder in (run, predicted))
    assert second.equals(first)
    by_file = {Path(row["sample_id"]).name: row["tfup_name"] for row in first.to_pylist()}
    named = {Path(each.image).name: each.name for each in fgvr.load(run).predict(tiny_run / "birds/photos")}
    assert named.items() >= by_file.items()
    assert main(["fit", *new]) == 0
    capsys.readouterr()
    assert main(["fit", *new, "--model.floor", "2"]) == 2
    assert "The checkpoint keeps other photos than this run does now" in capsys.readouterr().err


def test_two_processes_do_what_one_does(tiny_run):
    assert main(["fit", *OPTIONS, "--run.name", "one"]) == 0
    fit_in_two_processes([*OPTIONS, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    one, two = (
        torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True)["state_dict"] for name in ("one", "two")
    )
    assert {"cache.class_features", "cache.keys", "cache.denominators"} <= set(one)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=0)


def without_test_photos():
    manifest = Path("birds/manifest.csv")
    kept = [line for line in manifest.read_text().splitlines() if not line.endswith(",test")]
    manifest.write_text("\n".join(kept) + "\n")


@pytest.mark.parametrize("method", ["tfup", "tfup_t"])
def test_photos_that_are_named_and_kept_are_counted_in_a_warning(tiny_run, caplog, method):
    options = [*OPTIONS, "--model", method, "--model.backbone", OPTIONS[OPTIONS.index("--model.backbone") + 1]]
    options += ["--trainer.max_epochs", "1"] if method == "tfup_t" else []
    assert main(["fit", *options]) == 0
    assert "are kept in the cache themselves" not in caplog.text, "the test photos are others"
    without_test_photos()
    assert main(["fit", *options]) == 0
    run = Path("runs/run/1")
    keys = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]["cache.keys"]
    different = len(keys.flatten(0, 1).unique(dim=0))
    assert f"{different} of the 16 photos that are named are kept in the cache themselves" in caplog.text


def test_no_row_has_learned_the_name_that_its_agreement_is_with(tiny_run):
    options = ["--data.class_names", "labels", "--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl"]
    assert main(["fit", *OPTIONS, *options]) == 0
    rows = json.loads(Path("runs/run/0/metrics.json").read_text())
    assert [row["agreement_of"] for row in rows.values()] == ["unseen", "unseen"]
    assert rows["tfup"]["class_means_agreement"] >= 0


def test_true_names_and_test_photos_change_nothing(tiny_run):
    first, _ = fitted(tiny_run / "mine", data=birds(class_names=list(COLOURS)))
    write_images(tiny_run / "birds", dict(zip(COLOURS, reversed(COLOURS), strict=True)))
    for file in (tiny_run / "birds/photos").glob(f"*_{SUPPORT}.png"):
        file.write_bytes((tiny_run / f"birds/photos/0_{SUPPORT + 1}.png").read_bytes())
    second, _ = fitted(tiny_run / "again", data=birds(class_names=list(COLOURS)))
    assert torch.equal(second.cache.keys, first.cache.keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": 0}, "model.floor is 0; expected from 1 to 16"),
        ({"floor": 17}, "model.floor is 17"),
        ({"alpha": -1.0}, "model.alpha is -1.0; expected 0 or more"),
        ({"beta": float("nan")}, "model.beta is nan"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        TfupMethod(TinyBackbone(), **options)
