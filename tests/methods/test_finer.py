import json
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from forked_fit import fit_in_two_processes
from tiny_run import COLOURS, SUPPORT, write_images
from tower_run import labelled_birds, trainer

import fgvr
from fgvr.cli import main
from fgvr.data.augmentation import Augmentation
from fgvr.errors import FgvrError
from fgvr.images import open_image
from fgvr.labelers.fixed import FixedLabeler
from fgvr.methods.finer import FinerMethod, class_rows, votes
from fgvr.methods.sentences import read_sentences
from fgvr.testing.tiny import TinyBackbone

OPTIONS = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds"],
    *["--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl"],
    *["--model", "finer", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.views", "2"],
    *["--trainer.accelerator", "cpu"],
]

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")


def slow_rows(texts, views, vote_images, vote_texts, text_weight):
    """What the released code does, photo by photo: class -> row, of classes with a vote alone."""
    pools = defaultdict(list)
    for photo, image in zip(views.transpose(0, 1), vote_images, strict=True):
        best = max(range(len(vote_texts)), key=lambda c: float(image.double() @ vote_texts[c].double()))
        pools[best] += list(photo)
    rows = {}
    for c, pool in pools.items():
        mean = sum(view.double() for view in pool) / len(pool)
        rows[c] = (text_weight * texts[c].double() + (1 - text_weight) * mean).float()
    return rows


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("text_weight", [0.0, 0.7, 1.0])
def test_votes_and_class_rows_equal_a_slow_reference(text_weight):
    texts, vote_texts = unit(30, 8), unit(30, 12, seed=1)
    views, vote_images = unit(4, 50, 8, seed=2), unit(50, 12, seed=3)
    expected = slow_rows(texts, views, vote_images, vote_texts, text_weight)
    voted = votes(vote_images, vote_texts)
    assert set(voted.tolist()) == set(expected)
    found = class_rows(texts, views, voted, text_weight)
    for c in range(30):
        torch.testing.assert_close(found[c], expected.get(c, texts[c]), atol=1e-6, rtol=0)


def names_file(path, name_of):
    rows = ["file,name"]
    for number, name in enumerate(COLOURS):
        rows += [f"photos/{number}_{i}.png,{name_of(name, number, i)}" for i in range(SUPPORT)]
    path.write_text("\n".join(rows) + "\n")
    return FixedLabeler(path)


def fitted(folder, method=None, labeler=None, **options):
    data = labelled_birds(labeler=labeler, **options)
    method = method or FinerMethod(TinyBackbone(), TinyBackbone(seed=5), views=2)
    run = trainer(folder)
    run.fit(method, datamodule=data)
    run.test(method, datamodule=data, verbose=False)
    return method, data


def test_a_run_keeps_the_names_with_a_vote_and_mixes_them_with_views(tiny_run):
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: f"{name} {i}")
    method, data = fitted(tiny_run / "mine", labeler=labeler)
    judge, tower = TinyBackbone(seed=5), method.backbone
    judge.load()
    every = sorted(f"{name} {i}" for name in COLOURS for i in range(SUPPORT))
    photos = [open_image(record.path) for record in data.support]
    voting = torch.stack([judge.encode_image(judge.transform(photo)[None])[0] for photo in photos])
    kept = sorted({every[c] for c in votes(voting, judge.encode_text(every)).tolist()})
    assert 1 < len(kept) < len(every)
    assert list(method.vocabulary.names) == kept

    draw = Augmentation(tower.transform, "finer")
    pixels = [
        [tower.transform(photo), *(draw.view(photo, record.digest, number) for number in range(2))]
        for photo, record in zip(photos, data.support, strict=True)
    ]
    views = torch.stack([tower.encode_image(torch.stack(each)) for each in pixels], dim=1)
    expected = slow_rows(tower.encode_text(kept), views, voting, judge.encode_text(kept), 0.7)
    # features are stored as float16
    torch.testing.assert_close(
        method.class_rows, torch.stack([expected[c] for c in range(len(kept))]), atol=2e-3, rtol=0
    )
    torch.testing.assert_close(method.name_rows, tower.encode_text(kept), atol=1e-6, rtol=0)
    assert {p.names["finer"] for p in method.predictions} <= set(kept)
    assert list(method.predictions[0].names) == ["finer_names", "finer"]


def test_no_view_but_the_plain_one_and_the_text_alone(tiny_run):
    plain, data = fitted(tiny_run / "plain", FinerMethod(TinyBackbone(), views=0))
    assert plain.voting_backbone is plain.backbone
    images = torch.from_numpy(data.support_features("joint"))
    voted = votes(images, plain.name_rows)
    torch.testing.assert_close(plain.class_rows, class_rows(plain.name_rows, images[None], voted, 0.7))
    text, _ = fitted(tiny_run / "text", FinerMethod(TinyBackbone(), text_weight=1.0, views=0))
    assert all(p.names["finer"] == p.names["finer_names"] for p in text.predictions)


def test_the_command_line_leaves_a_checkpoint_that_names_photos(tiny_run, capsys, caplog):
    with caplog.at_level("INFO"):
        assert main(["fit", *OPTIONS, "--model.voting_backbone", "fgvr.testing.tiny.TinyBackbone"]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert "Votes of 16 support photos: kept" in caplog.text
    assert list(json.loads((run / "metrics.json").read_text())) == ["finer_names", "finer"]
    # without the photos that were learned from, and without a labeler
    new = ["predict", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main([*new, "--data.labeler", "null"]) == 0
    predicted = Path(capsys.readouterr().out.splitlines()[-1])
    first, second = (pq.read_table(folder / "predictions.parquet") for folder in (run, predicted))
    assert second.equals(first)
    named = fgvr.load(run).predict(tiny_run / "birds/photos")
    by_file = {row["sample_id"]: row["finer_name"] for row in first.to_pylist()}
    assert {Path(each.image).name: each.name for each in named}.items() >= {
        Path(sample_id).name: name for sample_id, name in by_file.items()
    }.items()


def test_two_processes_do_what_one_does(tiny_run):
    assert main(["fit", *OPTIONS, "--run.name", "one"]) == 0
    fit_in_two_processes([*OPTIONS, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    states = [
        torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True)["state_dict"] for name in ("one", "two")
    ]
    for name in ("name_rows", "class_rows"):
        torch.testing.assert_close(states[1][name], states[0][name], atol=1e-5, rtol=0)


def test_sentences_stand_for_names(tiny_run, caplog):
    about = {"house finch": ["A small bird.", " ", "It is red."], "Blue Jay": [], "Emu": ["A \ud800."]}
    (tiny_run / "sentences.json").write_text(json.dumps(about))
    method = FinerMethod(TinyBackbone(), views=0, sentences=Path("sentences.json"))
    method, _ = fitted(tiny_run / "mine", method, class_names=["House Finch", "Blue Jay"])
    tower = method.backbone
    mean = F.normalize(tower.encode_text(["A small bird.", "It is red."]).mean(0), dim=0)
    expected = {"House Finch": mean, "Blue Jay": tower.encode_text(["Blue Jay"])[0]}
    for name, row in zip(method.vocabulary.names, method.name_rows, strict=True):
        torch.testing.assert_close(row, expected[name], atol=1e-3, rtol=0)
    assert "\ud800" not in str(read_sentences(Path("sentences.json"), "model.sentences"))
    assert "1 of 2 names without sentences, such as 'Blue Jay'" in caplog.text
    assert list(method.predictions[0].names) == ["e_finer_names", "e_finer"]


def test_a_sentence_that_is_too_long_is_cut_off(tiny_run, caplog):
    (tiny_run / "sentences.json").write_text(json.dumps({"Blue Jay": ["a blue bird " * 200]}))
    method, _ = fitted(tiny_run / "mine", FinerMethod(TinyBackbone(), sentences=Path("sentences.json")))
    cut = method.backbone.encode_text(["a blue bird " * 200], truncate=True)[0]
    number = method.vocabulary.names.index("Blue Jay")
    torch.testing.assert_close(method.name_rows[number], cut, atol=1e-3, rtol=0)
    assert "what is longer than the text encoder reads is cut off, such as 'a blue bird" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"No Such Name": ["a bird"]}', r"no sentence about any of .* names, such as '.*'; its keys must be these"),
        ("{", "model.sentences: 'sentences.json' is no JSON"),
        ("[1]", "model.sentences: 'sentences.json' holds a list; expected"),
        ('{"Emu": "a bird"}', "has 'a bird' under 'Emu'; expected a list of texts"),
        (None, "model.sentences: 'sentences.json' cannot be read"),
    ],
)
def test_no_file_of_sentences(tiny_run, content, message):
    if content is not None:
        (tiny_run / "sentences.json").write_text(content)
    with pytest.raises(FgvrError, match=message.replace("[", r"\[")):
        fitted(tiny_run / "mine", FinerMethod(TinyBackbone(), sentences=Path("sentences.json")))


def test_no_name_at_all_is_one_line(tiny_run):
    labeler = names_file(tiny_run / "names.csv", lambda name, number, i: "")
    with pytest.raises(FgvrError, match="name"):
        fitted(tiny_run / "mine", labeler=labeler)


def test_true_names_change_nothing(tiny_run):
    first, _ = fitted(tiny_run / "mine")
    write_images(tiny_run / "birds", dict(zip(COLOURS, reversed(COLOURS), strict=True)))
    assert torch.equal(fitted(tiny_run / "again")[0].class_rows, first.class_rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"text_weight": 1.5}, "model.text_weight is 1.5"), ({"views": -1}, "model.views is -1")],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        FinerMethod(TinyBackbone(), **options)
