import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import write_vocabulary

BIRDS = ["Tern", "Royal Tern", "Elegant Tern", "Anna's Hummingbird", "Wood-Pewee", "Plant Hunter"]


def test_the_prompt_is_latteclips():
    # section 4 of the paper, "LLaVA zero-shot"
    assert ChooseTask(["Pug", "Boxer"]).prompt("a hint") == (
        "Select the most appropriate category for the image from the following options:Pug, Boxer. "
        "Write only the category name."
    )


def test_names_with_commas_stay_apart():
    assert "options:Acura RL, 2009; Audi A4. Write" in ChooseTask(["Acura RL, 2009", "Audi A4"]).prompt()


def test_options_come_from_a_list_or_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffPug\n\n  Boxer \n", encoding="utf-8")
    write_vocabulary(known_vocabulary(["Pug", "Boxer"]), tmp_path / "vocabulary.json")
    for options in (["Pug", "Boxer"], tmp_path / "names.txt", tmp_path / "vocabulary.json"):
        assert ChooseTask(options).names == ("Pug", "Boxer")


def test_unusable_options_are_refused(tmp_path):
    missing = ChooseTask(tmp_path / "none.txt")  # nothing is read until it is asked for
    with pytest.raises(FgvrError, match=r"none\.txt', which is no file; expected a list"):
        missing.prompt()
    (tmp_path / "twice.txt").write_text("Pug\npug\n")
    with pytest.raises(FgvrError, match=r"twice\.txt: Class names are given more than once"):
        ChooseTask(tmp_path / "twice.txt").prompt()
    with pytest.raises(FgvrError, match="has 1 name; expected two or more"):
        ChooseTask(["Pug"]).prompt()


def test_the_schema_admits_nothing_else():
    schema = ChooseTask(["Pug", "Boxer"]).schema()
    assert schema["properties"]["category"]["enum"] == ["Pug", "Boxer"]
    assert len(ChooseTask([f"Class {number}" for number in range(1000)]).schema()["properties"]["category"]["enum"])


@pytest.mark.parametrize("options", [[f"C{n}" for n in range(1001)], [f"{n} {'x' * 80}" for n in range(251)]])
def test_a_list_that_servers_refuse_has_no_schema(options):
    assert ChooseTask(options).schema() is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Royal Tern", "Royal Tern"),
        ("royal_tern.", "Royal Tern"),
        ("**Royal Tern**", "Royal Tern"),
        ("Annas hummingbird", "Anna's Hummingbird"),
        ("wood pewee", "Wood-Pewee"),
        (json.dumps({"category": "Elegant Tern"}), "Elegant Tern"),
        ('```json\n{"category": "Elegant Tern"}\n```', "Elegant Tern"),
        ('{"category": "Anna\\u2019s Hummingbird"}', "Anna's Hummingbird"),
        ("The bird in the photo is a Royal Tern, seen from the side.", "Royal Tern"),
        ("Category: anna\u2019s hummingbird, a male", "Anna's Hummingbird"),
        ("A tern of some kind", "Tern"),
        ("Best option: Plant Hunter", "Plant Hunter"),
        ("It is a Little Tern.", "Tern"),
        ("It is a **Royal Tern**. Unlike the Elegant Tern, it has a thick bill.", "Royal Tern"),
        ("It is a Royal Tern or a House Finch.", "Royal Tern"),
    ],
)
def test_the_option_that_is_named_is_read(raw, name):
    assert ChooseTask(BIRDS).read(raw).names == (name,)


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        ("", "empty"),
        ("I'm sorry, I can't identify this bird.", "refusal"),
        ("House Finch", "unparsed"),
        ("Terns", "unparsed"),
        ("Western", "unparsed"),
        ("Perhaps Royal Tern, perhaps Wood-Pewee", "unparsed"),
        ("None of the options: it isn't a Royal Tern", "unparsed"),
        ("It is a Royal Tern or an Elegant Tern.", "unparsed"),
        ("It is a House Finch or a Royal Tern.", "unparsed"),
        ("The bird is a **House Finch**. It is smaller than a Royal Tern, and its bill is thicker.", "unparsed"),
        (json.dumps({"category": "House Finch"}), "unparsed"),
    ],
)
def test_a_reply_that_names_no_option_or_several_is_flagged(raw, flag):
    parsed = ChooseTask(BIRDS).read(raw)
    assert (parsed.names, parsed.flag) == ((), flag)


def test_a_full_stop_may_be_a_part_of_a_name():
    task = ChooseTask(["Dr. No.", "St. Bernard"])
    assert task.read("Dr. No.").names == task.read("dr. no").names == ("Dr. No.",)
    assert task.read("St. Bernard.").names == ("St. Bernard",)
