import pytest

from fgvr.errors import FgvrError
from fgvr.metrics.finer import shifted_names, stanford_cars
from fgvr.metrics.name_pairs import name_pairs
from fgvr.metrics.protocol import score, scoring


def slow_shift(true):
    """The loader's lines, as described: the class from 1, less 1 when it is stored, less 1 when it is read."""
    listed = list(stanford_cars())
    stored = [listed.index(name) + 1 - 1 for name in true]
    return [listed[number - 1] for number in stored]


def test_the_list_is_whole():
    listed = stanford_cars()
    assert len(listed) == len(set(listed)) == 196
    assert (listed[0], listed[5], listed[-1]) == (
        "AM General Hummer SUV 2000",
        "Acura Integra Type R 2001",
        "smart fortwo Convertible 2012",
    )
    assert all(name[-4:].isdigit() for name in listed)


def test_every_class_has_the_name_of_the_one_before():
    true = list(stanford_cars())[::-1]
    shifted = shifted_names(name_pairs(true, true))
    assert [shifted.classes[number] for number in shifted.true] == slow_shift(true)
    assert [shifted.classes[number] for number in shifted.pairs[shifted.pair, 1]] == slow_shift(true)
    assert [shifted.names[number] for number in shifted.predicted] == true


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("AM General Hummer SUV 2000", "smart fortwo Convertible 2012"),
        ("2012 Acura RL Sedan", "AM General Hummer SUV 2000"),
        ("acura tl type s 2008", "Acura TL Sedan 2012"),
        ("Ram C/V Cargo Van Minivan 2012", "Porsche Panamera Sedan 2012"),
    ],
)
def test_spellings(written, compared):
    assert score([compared], [written], encoders=[], finer_compat=True)["siou"] == 100


def test_only_what_compares_meaning_is_shifted():
    true = ["Acura RL Sedan 2012", "Acura TL Sedan 2012", "Acura TSX Sedan 2012"]
    plain, shifted = (score(true, true, [], closed=True, finer_compat=each) for each in (False, True))
    assert {name for name in plain if plain[name] != shifted[name]} == {"siou", "siou_hyphen"}
    assert shifted["siou"] == pytest.approx(100 * (0 + 3 / 5 + 1 / 7) / 3, abs=1e-3)
    assert scoring(true, [], finer_compat=True)["finer_compat"] is True
    assert "finer_compat" not in scoring(true, [])


def test_other_names_are_refused():
    with pytest.raises(FgvrError, match=r"finer_compat .* 'Pug' is none of its 196 classes \(1 true name is not\)"):
        score(["a", "b"], ["Pug", "Acura RL Sedan 2012"], encoders=[], finer_compat=True)
