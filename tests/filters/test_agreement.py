import pytest
import torch
from drawn_pseudo_labels import by_photo, drawn

from fgvr.errors import FgvrError
from fgvr.filters.agreement import AgreementFilter
from fgvr.filters.base import PseudoLabels


def slow_keep(said, model, photo, scope):
    between = len({int(labels[photo]) for labels in said.labels}) == 1
    same = [int(a[photo]) == int(b[photo]) for a, b in zip(said.labels, said.view_labels, strict=True)]
    return {"between": between, "within": same[model], "both": between and all(same)}[scope]


@pytest.mark.parametrize(
    ("scope", "models"), [("both", 1), ("both", 2), ("both", 3), ("between", 3), ("within", 1), ("within", 3)]
)
def test_it_keeps_what_nobody_contradicts(scope, models):
    said = drawn(models)
    kept = AgreementFilter(scope).keep(said)
    assert 0 < kept.float().mean() < 1
    for model, photo in by_photo(said):
        assert kept[model, photo] == slow_keep(said, model, photo, scope)


def test_its_doubt_goes_by_contradictions_and_then_by_confidence():
    said = drawn(3)
    doubt = AgreementFilter().doubt(said).tolist()

    def slow(photo):
        first = said.labels[0, photo]
        against = sum(int(labels[photo] != first) for labels in said.labels)
        against += sum(int(a[photo] != b[photo]) for a, b in zip(said.labels, said.view_labels, strict=True))
        return against, -min(said.confidence[:, photo].tolist())

    photos = range(len(doubt))
    places = {key: place for place, key in enumerate(sorted({slow(photo) for photo in photos}))}
    assert doubt == [places[slow(photo)] for photo in photos]


def test_without_other_views_both_is_between():
    said = drawn(2)
    alone = PseudoLabels(said.labels, said.confidence)
    assert torch.equal(AgreementFilter().keep(alone), AgreementFilter("between").keep(said))


@pytest.mark.parametrize(
    ("scope", "models", "wanted"),
    [
        ("both", 1, "two models, or labels of another view"),
        ("between", 1, "expected two models"),
        ("within", 2, "expected labels of another view"),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_what_is_missing(scope, models, wanted):
    said = drawn(models)
    alone = PseudoLabels(said.labels, said.confidence)
    for ask in (AgreementFilter(scope).keep, AgreementFilter(scope).doubt):
        with pytest.raises(FgvrError, match=rf"agreement \(scope {scope}\) has nothing to compare.*{wanted}"):
            ask(alone)


def test_a_scope_that_there_is_not():
    with pytest.raises(FgvrError, match=r"filter\.scope is 'all'; expected one of both, between, within"):
        AgreementFilter("all")
