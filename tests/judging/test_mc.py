import pytest
from judging.judged import NAMES, image, world

from fgvr.errors import FgvrError
from fgvr.judging.mc import McProtocol

MANY = tuple(f"breed {number}" for number in range(40))


@pytest.mark.parametrize("distractors", ["random", "near"])
def test_no_distractor_is_right_and_the_right_one_is_there_once(distractors):
    protocol, here = McProtocol(choices=5, distractors=distractors), world(MANY)
    for number in range(30):
        judged = image(f"{number}.jpg", labels=(number, number + 1), also=(number + 2,))
        for repeat in range(3):
            options = protocol.options(judged, here, repeat)
            assert len(set(options)) == 5
            assert [name for name in options if here.find(name) in judged.accepted] == [MANY[number]]


def test_draws_depend_on_seed_repeat_and_photo_alone():
    protocol, judged = McProtocol(), image("a.jpg")
    first = protocol.options(judged, world(MANY, seed=1), 0)
    assert first == protocol.options(judged, world(MANY, seed=1), 0)
    others = [protocol.options(judged, world(MANY, seed=seed), repeat) for seed, repeat in ((1, 1), (2, 0))]
    assert first not in others
    # replies to these options may be paid for: they are the same in every release
    assert first == ("breed 26", "breed 0", "breed 36", "breed 25")


def test_the_right_option_stands_in_every_place_alike():
    protocol, here = McProtocol(), world(MANY)
    options = [protocol.options(image(f"{number}.jpg"), here, 0) for number in range(800)]
    places = [each.index(MANY[0]) for each in options]
    assert all(150 < places.count(place) < 250 for place in range(4))


def test_near_distractors_are_the_nearest_names_whatever_the_repeat():
    here = world(("abc", "abd", "xyz", "abcc", "qqq"), templates=("{}",))
    protocol = McProtocol(choices=3, distractors="near")
    for repeat in range(3):
        assert {*protocol.options(image("a.jpg"), here, repeat)} == {"abc", "abcc", "abd"}


def test_confused_distractors_come_first_and_random_ones_fill_up(tmp_path):
    here = world(NAMES, confusions=lambda: {0: [3, 1]})
    protocol = McProtocol(choices=4, distractors="confused", confusions=tmp_path / "any.csv")
    for repeat in range(5):
        assert {"Pug", "Whippet", "Boxer"} < {*protocol.options(image("a.jpg"), here, repeat)}
        assert "Boxer" not in protocol.options(image("a.jpg", also=(1,)), here, repeat)


def test_a_photo_without_labels_has_distractors_alone():
    options = McProtocol().options(image("a.jpg", labels=()), world(), 0)
    assert len({*options}) == 4


def test_answers_are_options_or_their_letters():
    here, options = world(), ("Boxer", "Pug")
    names, letters = McProtocol(choices=2), McProtocol(choices=2, form="letters")
    assert [names.find(answer, options, here) for answer in ("pug", " PUG ", "B", "Saluki", "Pug.")] == [
        0,
        0,
        -1,
        -1,
        -1,
    ]
    said = {"B": 0, "(a)": 1, "b) Pug": 0, "A.": 1, "C": -1, "A dog": -1, "pug": 0, "": -1}
    assert {answer: letters.find(answer, options, here) for answer in said} == said


def test_the_question_lists_the_options_of_each_photo():
    one = McProtocol(choices=2, form="letters").question(world(), [("Boxer", "Pug")])
    assert "A) Boxer\nB) Pug" in one
    two = McProtocol(choices=2).question(world(), [("Boxer", "Pug"), ("Pug", "Saluki")])
    assert "Options for photo 2:\nPug\nSaluki" in two


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"choices": 1}, "protocol.choices is 1; expected 2 to 26"),
        ({"distractors": "confused"}, "which needs one source"),
        ({"confusions": "a.csv"}, "but protocol.distractors is random"),
        ({"templates": ["a dog"]}, r"expected one \{\}"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(FgvrError, match=said):
        McProtocol(**options)


def test_too_few_classes_are_refused():
    with pytest.raises(FgvrError, match="5 classes leave fewer wrong ones"):
        McProtocol(choices=5).options(image("a.jpg", also=(1,)), world(), 0)
