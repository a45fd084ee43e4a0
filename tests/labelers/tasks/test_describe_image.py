import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.describe_image import DescribeImageTask


def test_the_prompts_are_latteclips():
    # section 3.1 of the paper
    paper = "Describe the pet in the photo concisely, using less than 20 words."
    assert DescribeImageTask("pet").prompt() == paper
    assert DescribeImageTask("pet").prompt("Pug") == paper
    assert DescribeImageTask("pet", with_hint=True).prompt() == paper
    # the released code, for flowers
    released = "Describe the sweet pea flower in the photo concisely, less than 20 words."
    assert DescribeImageTask("flower", with_hint=True).prompt(" sweet\npea ") == released


def test_a_blank_domain_is_refused():
    with pytest.raises(FgvrError, match=r"data\.labeler\.task\.domain is ' '"):
        DescribeImageTask(" ")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("A pink flower with five petals.", "A pink flower with five petals."),
        ("  A pink flower\nwith five\tpetals. ", "A pink flower with five petals."),
        ('"A pink flower."', "A pink flower."),
        ("\u201cA pink flower.\u201d", "A pink flower."),
        ("Sure, here is a concise description of the flower:\n\n**A pink flower.**", "A pink flower."),
        ("Sure! Here's a description: A pink flower.", "A pink flower."),
        ("Certainly! A pink flower.", "A pink flower."),
        ("**Description:** A pink flower.", "A pink flower."),
        ("- Pink petals\n- Green leaves", "Pink petals Green leaves"),
        ("A snake_case *pink* flower, 3 > 2, `thorny`.", "A snake_case pink flower, 3 > 2, thorny."),
        ('```json\n{"description": "A pink flower."}\n```', "A pink flower."),
        ("<think>Is it pink?</think>A pink flower.", "A pink flower."),
        ("<b>A pink flower</b> &amp; a bee<script>alert(1)</script>.", "A pink flower & a bee ."),
        ("A pink\x1b[31m flower\u202e.", "A pink[31m flower."),
        ("Here is the flower in bloom, pink and round.", "Here is the flower in bloom, pink and round."),
        ("There are no leaves, only a pink flower.", "There are no leaves, only a pink flower."),
        ("Це рожева квітка.", "Це рожева квітка."),
    ],
)
def test_the_text_alone_is_kept(raw, text):
    parsed = DescribeImageTask().read(raw)
    assert (parsed.names, parsed.scientific_names, parsed.flag) == ((text,), (None,), "")


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        ("", "empty"),
        (' "" \n', "empty"),
        ("Sure, here is the description:", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I\u2019m unable to see the photo.", "refusal"),
        ("Unfortunately, the photo is too dark.", "refusal"),
        ("As an AI model I do not see photos.", "refusal"),
        ("?!", "unparsed"),
    ],
)
def test_what_is_no_description_is_flagged(raw, flag):
    parsed = DescribeImageTask().read(raw)
    assert (parsed.names, parsed.flag) == ((), flag)


def test_an_essay_is_cut_between_two_words():
    (text,) = DescribeImageTask().read("petal " * 10_000).names
    assert len(text) <= 1000
    assert text.endswith("petal")
