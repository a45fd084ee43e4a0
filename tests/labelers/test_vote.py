import pytest
from tiny.labeler import TinyLabeler

from fgvr.errors import FgvrError
from fgvr.labelers.vote import VoteLabeler
from fgvr.records import LabelRecord
from fgvr.vocabulary.build import build_vocabulary


def vote(*says, **options):
    """The label of one photo; each entry is what a labeler says: a name, a flag in <>, or ``None`` for not asked."""
    labeler = VoteLabeler([TinyLabeler({}) for _ in says], **options)
    (label,) = labeler.combine([[record(said, number)] for number, said in enumerate(says)])
    return label


def record(said, number):
    shared = {"raw": f"It is {said}.", "model": f"model-{number}", "cost_usd": 0.5, "seconds": 2.0}
    if said is None:
        return None
    if said.startswith("<"):
        return LabelRecord("a.jpg", (), flag=said[1:-1], **(shared | {"raw": "" if said == "<failed>" else said}))
    name, _, latin = said.partition(" / ")
    return LabelRecord("a.jpg", (name,), (latin or None,), **shared)


@pytest.mark.parametrize(
    ("says", "options", "name"),
    [
        (("Pug", "Boxer", "boxer"), {}, "Boxer"),
        (("Pug", "Boxer"), {}, "Pug"),
        (("Boxer", "Pug", "Beagle", "pug", "BEAGLE"), {}, "Pug"),
        (("Pug", "Boxer", "boxer"), {"weights": [3, 1, 1]}, "Pug"),
        (("Pug", "Boxer", "boxer"), {"weights": [0.3, 0.1, 0.2]}, "Pug"),
        (("Pug", "Boxer", "boxer"), {"weights": [0.3, 0.1, 0.2000001]}, "Boxer"),
        (("<refusal>", "<failed>", "Pug"), {}, "Pug"),
        ((None, "Pug"), {}, "Pug"),
        (("Bluejay / Cyanocitta cristata", "Robin", "Blue Jay / Cyanocitta cristata"), {}, "Bluejay"),
        (("Robin", "Blue Jay / Cyanocitta cristata", "Cyanocitta cristata"), {}, "Blue Jay"),
    ],
)
def test_the_name_with_most_weight_wins(says, options, name):
    label = vote(*says, **options)
    assert label.names == (name,)
    assert label.flag == ""
    assert len(label.scientific_names) == 1


def test_the_latin_name_of_any_who_agree_is_kept():
    assert vote("Pug", "pug / Canis pug", "Boxer / Canis boxer").scientific_names == ("Canis pug",)


def test_what_all_said_is_kept_by_model():
    label = vote("Pug", "<refusal>", "<failed>", "Boxer")
    assert label.raw == "[model-0]\nIt is Pug.\n\n[model-1]\n<refusal>\n\n[model-3]\nIt is Boxer."
    assert label.model == "model-0, model-1, model-2, model-3"
    assert (label.cost_usd, label.seconds) == (2.0, 8.0)


def test_a_labeler_without_a_model_is_named_after_its_class():
    labeler = VoteLabeler([TinyLabeler({}), TinyLabeler({})])
    (label,) = labeler.combine([[LabelRecord("a.jpg", ("Pug",), raw="a")], [LabelRecord("a.jpg", ("Pug",), raw="b")]])
    assert label.raw == "[TinyLabeler]\na\n\n[TinyLabeler]\nb"


@pytest.mark.parametrize(
    ("says", "share", "flag", "confidence"),
    [
        (("Pug", "Boxer", "Pug"), 2 / 3, "", 2 / 3),
        (("Pug", "Boxer", "Pug"), 0.7, "unsure", 2 / 3),
        (("Pug", "Boxer", "Beagle"), 1 / 3, "", 1 / 3),
        (("Pug", "<refusal>", "<failed>"), 0.5, "unsure", 1 / 3),
        (("Pug",) * 3, 1.0, "", 1.0),
        (("Pug",) * 9, 1.0, "", 1.0),
        (("<failed>", "<generic>", "<refusal>"), 0.5, "generic", None),
        (("<failed>", "<failed>"), 0.0, "failed", None),
    ],
)
def test_agreement(says, share, flag, confidence):
    label = vote(*says, min_agreement=share)
    assert label.flag == flag
    assert bool(label.names) == (flag == "")
    assert label.confidence == (None if confidence is None else pytest.approx(confidence))
    assert label.confidence is None or label.confidence <= 1
    if flag == "unsure":
        assert label.alternatives[0] == "Pug"


def test_names_that_lost_enter_the_vocabulary_only_if_wanted():
    says = ("Pug", "Boxer", "Beagle / Canis beagle", "boxer")
    alone, kept = vote(*says), vote(*says, keep_all=True)
    assert (alone.names, alone.alternatives) == (("Boxer",), ("Pug", "Beagle"))
    assert (kept.names, kept.alternatives) == (("Boxer", "Pug", "Beagle"), ())
    assert kept.scientific_names == (None, None, "Canis beagle")
    assert build_vocabulary([alone]).names == ("Boxer",)
    assert build_vocabulary([kept]).names == ("Beagle", "Boxer", "Pug")


def test_photos_keep_their_order():
    labeler = VoteLabeler([TinyLabeler({}), TinyLabeler({})])
    columns = [
        [LabelRecord(f"{image}.jpg", (f"{who}{image % 7}",)) for image in range(50)] for who in ("bird ", "dog ")
    ]
    assert labeler.combine(columns) != []
    assert [label.sample_id for label in labeler.combine(columns)] == [f"{image}.jpg" for image in range(50)]
    assert [label.names for label in labeler.combine(columns)] == [(f"bird {image % 7}",) for image in range(50)]


def test_the_weights_are_part_of_what_it_is():
    parts = [TinyLabeler({}), TinyLabeler({"a.jpg": "Pug"})]
    assert VoteLabeler(parts).identity() == VoteLabeler(parts, [2, 2]).identity()
    assert VoteLabeler(parts).identity() != VoteLabeler(parts, [2, 1]).identity()
    assert VoteLabeler(parts).identity() != VoteLabeler(parts[::-1]).identity()


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, {}, r"data\.labeler\.labelers has 1; a vote needs 2 or more"),
        (2, {"weights": [1.0]}, "expected 2 numbers above 0"),
        (2, {"weights": [1.0, 0.0]}, "expected 2 numbers above 0"),
        (2, {"weights": [1.0, float("nan")]}, "expected 2 numbers above 0"),
        (2, {"weights": [1.0, float("inf")]}, "expected 2 numbers above 0"),
        (2, {"min_agreement": 1.1}, r"min_agreement is 1\.1; expected a share"),
        (2, {"min_agreement": float("nan")}, "min_agreement is nan"),
    ],
)
def test_options_that_mean_nothing_are_refused(count, options, message):
    with pytest.raises(FgvrError, match=message):
        VoteLabeler([TinyLabeler({}) for _ in range(count)], **options)
