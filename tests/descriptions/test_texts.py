import logging

from fgvr.descriptions.texts import DescriptionTexts, matched
from fgvr.records import Description


def about(sample_id, text="A bird."):
    return Description("image", text, sample_id=sample_id)


def of_class(name, text="Birds."):
    return Description("group", text, class_name=name)


def test_by_photo_and_by_class():
    texts = DescriptionTexts([about("a.jpg", "One."), of_class("Jay", "Two."), of_class("Jay", "Three.")])
    assert texts.image_text("a.jpg") == "One."
    assert texts.image_text("b.jpg") is None
    assert texts.group_texts("Jay") == ("Two.", "Three.")
    assert texts.group_texts("Wren") == ()
    assert texts.missing(["a.jpg"], ["Jay"]) == ""
    assert texts.missing(["a.jpg", "b.jpg"], ["Wren", "Jay"]) == (
        "No description of 1 of 2 photos (b.jpg); 1 of 2 classes (Wren)."
    )
    many = [f"{number}.jpg" for number in range(9)]
    assert texts.missing(many, []).startswith(
        "No description of 9 of 9 photos (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)"
    )


def test_names_of_a_file_become_those_of_the_run(caplog):
    given = [about("a.jpg"), about("x/b.jpg"), about("same.jpg"), of_class("blue_jay"), of_class("Auk\x1b[2J")]
    with caplog.at_level(logging.WARNING, "fgvr"):
        kept = matched(given, ["x/a.jpg", "x/b.jpg", "x/same.jpg", "y/same.jpg"], ["Blue Jay", "Wren"])
    assert kept == [about("x/a.jpg"), about("x/b.jpg"), of_class("Blue Jay")]
    said = " ".join(caplog.messages)
    assert "1 photo (same.jpg)" in said
    assert "1 class (Auk\\x1b[2J)" in said
