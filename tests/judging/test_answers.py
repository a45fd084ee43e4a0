from judging.judged import NAMES, image, said, world

from fgvr.judging.answers import judge_answers, said_in_the_open
from fgvr.judging.cw import CwProtocol
from fgvr.judging.cw_plus import CwPlusProtocol
from fgvr.judging.mc import McProtocol
from fgvr.judging.ow import OwProtocol
from fgvr.judging.requests import AskedImage
from fgvr.records import LabelRecord

PUG = image("a.jpg")


def verdicts(protocol, *texts, judged=PUG):
    found = judge_answers([said(judged, text) for text in texts], protocol, world(templates=("{}",)))
    return [(each.answer, each.label, each.outside, each.right) for each in found]


def test_closed_world_is_lower_case_exact_match():
    assert verdicts(CwProtocol(), "pug", " Pug", "Pug.", "Saluki", "Poodle", "") == [
        ("pug", 0, False, True),
        (" Pug", 0, False, True),
        ("Pug.", -1, True, False),
        ("Saluki", 4, False, False),
        ("Poodle", -1, True, False),
        ("", -1, False, False),
    ]


def test_closed_world_plus_maps_what_is_outside_and_nothing_else():
    assert verdicts(CwPlusProtocol(), "gup", "The dog is a Pug.", "saluki", "") == [
        ("gup", 0, True, True),
        ("The dog is a Pug.", 0, True, True),
        ("saluki", 4, False, False),
        ("", -1, False, False),
    ]


def test_open_world_reads_the_name_out_of_a_sentence():
    assert verdicts(OwProtocol(), "The dog in the photo is a **Pug**.", "boxxer") == [
        ("Pug", 0, False, True),
        ("boxxer", 1, True, False),
    ]
    assert verdicts(OwProtocol(mapped=False), "gup", "PUG") == [("gup", -1, True, False), ("PUG", 0, False, True)]


def test_a_refusal_is_no_answer():
    refusal = "I'm sorry, I can't identify the breed of this dog."
    assert verdicts(CwPlusProtocol(), refusal) == [("", -1, False, False)]
    assert verdicts(OwProtocol(), refusal) == [("", -1, False, False)]


def test_any_label_and_what_is_equivalent_is_right_and_anything_where_there_is_none():
    several = image("b.jpg", labels=(0, 2), also=(4,))
    assert [right for *_, right in verdicts(CwProtocol(), *NAMES, judged=several)] == [True, False, True, False, True]
    assert [right for *_, right in verdicts(CwProtocol(), "Pug", "Poodle", "", judged=image("c.jpg", labels=()))] == [
        True,
        True,
        True,
    ]


def test_multiple_choice_takes_an_option_and_no_other_class():
    answers = [said(PUG, text, ("Boxer", "Pug")) for text in ("PUG", "Saluki")]
    found = judge_answers(answers, McProtocol(choices=2), world())
    assert [(each.label, each.outside, each.right) for each in found] == [(0, False, True), (-1, True, False)]


def test_what_is_said_in_the_open():
    def text(**fields):
        return said_in_the_open(AskedImage(PUG), LabelRecord("a.jpg", **fields)).text

    assert text(names=("Pug", "Boxer"), raw="...") == "Pug"
    assert text(names=(), flag="unparsed", raw="a small\nbrown dog") == "a small brown dog"
    assert [text(names=(), flag=flag, raw="Sorry.") for flag in ("refusal", "failed", "empty")] == ["", "", ""]
