"""Which true name a name stands for."""

from fgvr.doubt.names import TrueNames


def names_of(pairs):
    return TrueNames([given for given, _ in pairs], [true for _, true in pairs])


def test_a_name_that_equals_a_true_one_stands_for_it():
    names = names_of([("house-finch", "Blue Jay"), ("", "House Finch")])
    assert names.of("HOUSE FINCH") == "House Finch"  # though it was given to another bird alone
    assert names.of("") is None
    assert names.of("Monk Parakeet") is None


def test_another_name_stands_for_the_one_it_is_matched_with():
    names = names_of([("alsatian", "German Shepherd")] * 3 + [("alsatian", "Pug"), ("Pug", "Pug")])
    assert names.of("Alsatian") == "German Shepherd"


def test_a_name_for_all_kinds_of_photos_stands_for_none():
    names = names_of([("terrier", "Cairn"), ("terrier", "Norfolk"), ("terrier", "Norwich")])
    assert names.of("terrier") is None
    # just half is not enough
    assert names_of([("terrier", "Cairn"), ("terrier", "Norfolk")]).of("terrier") is None


def test_one_true_name_is_matched_once():
    names = names_of([("a", "Pug")] * 3 + [("b", "Pug")] * 2)
    assert (names.of("a"), names.of("b")) == ("Pug", None)
    # nor is a name matched that another one equals
    assert names_of([("a", "Pug"), ("pug", "Pug")]).of("a") is None
