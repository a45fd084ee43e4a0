import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from tiny.wordnet import write_wordnet

import fgvr
from fgvr.backbones.base import ImageFeatures
from fgvr.captions.build import build_index
from fgvr.captions.sources import file_captions
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.methods.cased import CasedMethod, two_way_scores
from fgvr.testing.tiny import TinyBackbone

CAPTIONS = [
    "a finch, and one more finch",
    "blue crane beside a crane",
    "the bird of the birds",
    "an organism as an organism",
    "of the and with",
    "finch crane bird",
]
"""Words of the made-up WordNet, and one caption without any."""
OPTIONS = [
    *["--data.dataset", "fieldguide", "--data.dataset.species", "4", "--data.dataset.support", "2"],
    *["--data.dataset.test", "3", "--data.dataset.part", "development", "--trainer.accelerator", "cpu"],
    *["--model", "cased", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.wordnet", "wordnet"],
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    write_wordnet(tmp_path / "wordnet")
    return tmp_path


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def an_index(folder, captions=CAPTIONS, name="mine"):
    (folder / "captions.jsonl").write_text("".join(json.dumps({"caption": text}) + "\n" for text in captions))
    backbone = TinyBackbone()
    backbone.load()
    build_index(file_captions(folder / "captions.jsonl"), backbone, folder / name, progress=False)
    return folder / name


def built(index, **options):
    method = CasedMethod(TinyBackbone(), index, **{"wordnet": Path("wordnet"), **options})
    method.backbone.load()
    method.build(method.discover(Given()), None)
    return method


class Given:
    """All that ``discover`` looks at."""

    cache_dir = Path("cache")


@pytest.mark.parametrize("image_weight", [0.0, 0.7, 1.0])
def test_scores_equal_a_slow_reference(image_weight):
    images, centroids, texts = unit(6, 8), unit(6, 8, seed=1), unit(6, 5, 8, seed=2)
    sizes = [1, 5, 3, 2, 4, 1]
    present = torch.arange(5) < torch.tensor(sizes)[:, None]
    found = two_way_scores(images, centroids, texts, present, 20.0, image_weight)
    for photo, size in enumerate(sizes):
        shares = []
        for query in (images[photo], centroids[photo]):
            powers = [math.exp(20.0 * float(query.double() @ word.double())) for word in texts[photo, :size]]
            shares.append([power / sum(powers) for power in powers])
        expected = [image_weight * x + (1 - image_weight) * c for x, c in zip(*shares, strict=True)]
        assert found[photo].tolist() == pytest.approx([*expected, *[0.0] * (5 - size)], abs=1e-6)


def slow_logits(method, photo):
    """Candidate words of one photo with their scores, from the captions' texts on."""
    tower = method.backbone
    texts = tower.encode_text(CAPTIONS)
    order = sorted(range(len(CAPTIONS)), key=lambda row: (-float(photo @ texts[row]), row))[: method.captions]
    kept = []  # no two of these captions are near-duplicates by way of a third
    for row in order:
        if all(float(texts[row] @ texts[other]) < method.duplicates for other in kept):
            kept.append(row)
    said = " ".join(CAPTIONS[row] for row in kept).replace(",", "").replace("birds", "bird").split()
    nouns = [word for word in said if word in ("finch", "crane", "bird", "organism")]
    most = min(2, max(map(said.count, (word for word in said if len(word) > 2)), default=0))
    candidates = [word for word in dict.fromkeys(nouns) if said.count(word) >= most] or ["object"]
    centroid = F.normalize(texts[kept].mean(0), dim=0)
    words = tower.encode_text(candidates)
    shares = [(tower.logit_scale * query @ words.T).softmax(0) for query in (photo, centroid)]
    return dict(zip(candidates, (0.7 * shares[0] + 0.3 * shares[1]).log().tolist(), strict=True))


@pytest.mark.parametrize("captions", [1, 3, 10])
def test_a_photo_is_named_by_a_word_of_its_captions(folder, captions):
    method = built(an_index(folder), captions=captions)
    assert method.row == "cased_mine"
    assert method.vocabulary is None
    photos = unit(20, 16, seed=7)
    logits = method.predict(ImageFeatures(photos))
    names = method._names
    assert set(names) == {"bird", "crane", "finch", "object", "organism"}
    for photo, row in zip(photos, logits, strict=True):
        found = {name: value for name, value in zip(names, row.tolist(), strict=True) if value > -math.inf}
        expected = slow_logits(method, photo)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-2)  # features are stored as float16
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(20))


def test_several_templates_are_averaged(folder):
    index = an_index(folder)
    method = built(index, templates=["a {}.", "{} of a kind"])
    method.predict(ImageFeatures(unit(20, 16, seed=7)))
    for number, row in method._texts.items():
        name = method._names[number]
        views = method.backbone.encode_text([f"a {name}.", f"{name} of a kind"])
        torch.testing.assert_close(row, F.normalize(views.mean(0), dim=0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("captions", [["of the and with"], ["1234 5678", "!!"]])
def test_captions_without_a_noun_make_an_object_of_every_photo(folder, captions):
    method = built(an_index(folder, captions))
    logits = method.predict(ImageFeatures(unit(3, 16)))
    assert method._names == ("object",)
    assert logits.tolist() == [[0.0]] * 3


def test_one_caption(folder):
    method = built(an_index(folder, ["a finch"]))
    logits = method.predict(ImageFeatures(unit(3, 16)))
    assert [method._names[number] for number in logits.argmax(1)] == ["finch"] * 3


def test_the_row_says_whose_captions(folder, capsys):
    """Built on the spot, and kept; nobody is asked and nothing is learned."""
    assert main(["fit", *OPTIONS]) == 0
    out = capsys.readouterr().out
    run = Path(out.splitlines()[-1])
    assert "cased_glosses (captions: wordnet glosses)" in out
    assert list(json.loads((run / "metrics.json").read_text())) == ["cased_glosses"]
    assert not (run / "labels.parquet").exists()
    assert not list(run.glob("checkpoints/*"))
    assert "captions: wordnet glosses" in (run / "report.html").read_text()
    assert len(list(Path("cache/captions").iterdir())) == 1
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    assert all(0 < row["cased_glosses_score"] <= 1 + 1e-6 for row in rows)
    named = fgvr.load(run)
    assert named.row == "cased_glosses"
    assert "cased_glosses (captions: wordnet glosses)" in str(fgvr.table([run]))


def test_beside_another_row_with_an_index_of_ones_own(folder, capsys):
    an_index(folder)
    start = OPTIONS.index("--model")
    zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    compare = {"captions": {"model": "cased", "model.index": "mine", "model.wordnet": "wordnet"}}
    options = [*OPTIONS[:start], *zero_shot, "--data.class_names", "dataset", "--compare", json.dumps(compare)]
    assert main(["fit", *options]) == 0
    assert "captions (captions: captions.jsonl)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder_name", "row"),
    [("CC3M v2", "cased_cc3m_v2"), ("glosses", "cased_folder_glosses"), ("日本", "cased_captions")],
)
def test_the_row_is_named_after_the_folder(folder_name, row):
    assert CasedMethod(TinyBackbone(), Path("indexes") / folder_name).row == row


def test_an_index_of_other_weights_is_one_line(folder, capsys):
    an_index(folder)
    assert main(["fit", *OPTIONS, "--model.index", "mine", "--model.backbone.seed", "3"]) == 2
    said = capsys.readouterr().err
    assert "'mine'" in said
    assert "Traceback" not in said


def test_no_index_is_one_line(folder, capsys):
    assert main(["fit", *OPTIONS, "--model.index", "nowhere"]) == 2
    assert "model.index" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"captions": 0}, "model.captions is 0"),
        ({"least": 0}, "model.least is 0"),
        ({"image_weight": 1.2}, "model.image_weight is 1.2"),
        ({"duplicates": 0}, "model.duplicates is 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        CasedMethod(TinyBackbone(), **options)
