import pytest

from fgvr.labelers.tasks.super_category import SuperCategoryTask


def last_word(raw):
    """FineR's public code."""
    return raw.split(" ")[-1].lower()


@pytest.mark.parametrize("raw", ["bird", "Dog", "a dog", "a small Bird", "Pokemon", "red car", "flower"])
def test_short_replies_are_read_as_in_the_public_code(raw):
    assert SuperCategoryTask().read(raw).names == (last_word(raw),)


@pytest.mark.parametrize(
    ("raw", "noun"),
    [
        ("Birds", "bird"),
        ("Dog.", "dog"),
        ('"Car"', "car"),
        ("**Flower**", "flower"),
        ("Answer: bird", "bird"),
        ("The main object in this photo is a **dog**, which lies on grass.", "dog"),
        ("The main object in this photo is a small bird perched on a branch.", "bird"),
        ("It is a sports car with a black roof", "car"),
        ("This image shows a flower.", "flower"),
        ("dog\n\nIt stands in a garden.", "dog"),
    ],
)
def test_longer_replies_say_it_somewhere(raw, noun):
    assert SuperCategoryTask().read(raw).names == (noun,)


@pytest.mark.parametrize(
    ("raw", "flag"), [("", "empty"), ("I'm sorry, I can't see a photo.", "refusal"), ("?", "unparsed")]
)
def test_replies_without_a_noun(raw, flag):
    assert (SuperCategoryTask().read(raw).names, SuperCategoryTask().read(raw).flag) == ((), flag)
