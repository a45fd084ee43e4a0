import json
from dataclasses import replace
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import PAPER_PROMPT, LabelRequest, Reply
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.names import NamesTask
from fgvr.labelers.tasks.pictures import PictureOptions
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.labelers.vote import VoteLabeler
from fgvr.labelling.store.keys import request_key
from fgvr.records import ImageRecord

IMAGE = ImageRecord(sample_id="a.jpg", path=Path("a.jpg"), split="support", digest="0" * 64)


class Model(ModelLabeler):
    def ask(self, requests):
        yield from ()


def key(labeler):
    return request_key(labeler.identity(), LabelRequest(IMAGE, labeler.prompt))


def read(labeler, raw, **fields):
    return labeler.read(Reply(LabelRequest(IMAGE, labeler.prompt), raw=raw, **fields))


def test_the_default_is_the_papers_question():
    labeler = Model("m")
    assert labeler.prompt == PAPER_PROMPT
    assert labeler.task.registry_name == "name"
    assert labeler.max_output_tokens == 300
    assert labeler.answers == 1


def test_the_tasks_words_are_asked_unless_others_are_given():
    assert Model("m", DescribeImageTask("car")).prompt == DescribeImageTask("car").prompt()
    assert Model("m", DescribeImageTask("car"), prompt="What is it?").prompt == "What is it?"


def test_all_that_a_reply_depends_on_is_in_its_key():
    labelers = [
        Model("m"),
        Model("n"),
        Model("m", prompt="What is it?"),
        Model("m", NameTask(structured=True)),  # the prompt is the paper's too
        Model("m", NameTask("expert", "bird", "species")),
        Model("m", NameTask("expert", "bird")),
        Model("m", NamesTask(3)),
        Model("m", NamesTask(4)),
        Model("m", ChooseTask(["Pug", "Boxer"])),
        Model("m", ChooseTask(["Boxer", "Pug"])),
        Model("m", DescribeImageTask("bird"), prompt=PAPER_PROMPT),
        Model("m", pictures=PictureOptions(max_side=512)),
        Model("m", max_output_tokens=100),
    ]
    keys = [key(labeler) for labeler in labelers]
    assert len(set(keys)) == len(keys)
    assert [key(labeler) for labeler in labelers] == keys


def test_what_no_reply_depends_on_is_not():
    assert key(Model("m", NameTask(category="bird", unit="species"))) == key(Model("m"))
    assert key(Model("m", DescribeImageTask(with_hint=True))) == key(Model("m", DescribeImageTask()))
    assert key(Model("m", answers=3)) == key(Model("m"))


def test_the_identity_is_json():
    identity = Model("m", ChooseTask(["Pug", "Boxer"])).identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity["task"] == "choose"


def test_replies_are_read_as_the_task_reads_them():
    assert read(Model("m"), "It is a **Pug**.").names == ("Pug",)
    description = "A small fawn dog with a black face that looks up at the camera."
    assert read(Model("m", DescribeImageTask("dog")), description).names == (description,)
    assert read(Model("m", ChooseTask(["Pug", "Boxer"])), "A Beagle").flag == "unparsed"


def test_stated_names_and_withheld_replies_are_not_parsed():
    labeler = Model("m", DescribeImageTask("dog"))
    assert read(labeler, "ignored", names=("Pug",)).names == ("Pug",)
    assert read(labeler, "A dog.", usage={"blocked": "SAFETY"}).flag == "refusal"
    assert read(labeler, "A dog.", usage={"blocked": ""}).names == ("A dog.",)


def test_the_same_model_with_another_task():
    labeler = Model("m", NameTask(structured=True), answers=3, pictures=PictureOptions(max_side=512))
    before = labeler.identity()
    other = labeler.for_task(DescribeImageTask("bird"))
    assert other.identity() == Model("m", DescribeImageTask("bird"), pictures=PictureOptions(max_side=512)).identity()
    assert (other.prompt, other.answers) == (DescribeImageTask("bird").prompt(), 1)
    assert labeler.for_task(DescribeImageTask(), prompt="What is it?").prompt == "What is it?"
    assert (labeler.identity(), labeler.answers) == (before, 3)


def test_a_task_that_lacks_class_names_takes_those_of_the_run():
    labeler = Model("m", ChooseTask(), answers=3)
    with pytest.raises(FgvrError, match=r"'choose' has nothing to choose from: .* in data\.class_names"):
        labeler.identity()
    chooser = labeler.with_classes(lambda: ("Pug", "Boxer"))
    assert chooser.identity() == Model("m", ChooseTask(["Pug", "Boxer"])).identity()
    assert (chooser.prompt, chooser.answers) == (ChooseTask(["Pug", "Boxer"]).prompt(), 3)
    own_words = Model("m", ChooseTask(), prompt="Which one?").with_classes(lambda: ("Pug", "Boxer"))
    assert (own_words.prompt, own_words.task.names) == ("Which one?", ("Pug", "Boxer"))
    vote = VoteLabeler([labeler, Model("other")])
    parts = vote.with_classes(lambda: ("Beagle", "Borzoi")).parts
    assert (parts[0].task.names, parts[1]) == (("Beagle", "Borzoi"), vote.parts[1])
    assert labeler.task.options is None, "another run has other classes"


def test_a_task_that_has_its_own_names_keeps_them():
    labeler = Model("m", ChooseTask(["Pug", "Boxer"]))
    assert labeler.with_classes(pytest.fail) is labeler
    vote = VoteLabeler([labeler, Model("m")])
    assert vote.with_classes(pytest.fail) is vote


def test_the_length_of_replies_is_the_new_tasks_unless_one_was_given(monkeypatch):
    monkeypatch.setattr(DescribeImageTask, "max_output_tokens", 77)
    assert Model("m").for_task(DescribeImageTask()).max_output_tokens == 77
    assert Model("m", max_output_tokens=50).for_task(DescribeImageTask()).max_output_tokens == 50
    labeler = Model("m")
    labeler.max_output_tokens += 1000  # room for thoughts
    assert labeler.for_task(DescribeImageTask()).max_output_tokens == 1077


class TextModel(Model):
    of_texts = True


def test_what_is_asked_about_texts_is_no_task_of_photos():
    with pytest.raises(FgvrError, match=r"data\.labeler\.task is 'restate', which shows no photo; expected .* name"):
        Model("m", RestateTask("A Pug."))
    assert Model("m").for_task(RestateTask("A Pug.")) is None, "unless a labeler says that it can"
    assert TextModel("m").for_task(RestateTask("A Pug.")).task.text == "A Pug."


def test_pictures_are_part_of_no_question_about_a_text():
    large, small = (TextModel("m", pictures=PictureOptions(max_side=side)) for side in (1024, 512))
    assert large.identity() != small.identity()
    assert large.for_task(RestateTask()).identity() == small.for_task(RestateTask()).identity()


def test_each_photo_has_its_own_text_and_equal_texts_are_one_request():
    same, other, unknown = (replace(IMAGE, sample_id=name, digest=name) for name in ("b.jpg", "c.jpg", "d.jpg"))
    texts = {"a.jpg": "A Pug.", "b.jpg": "A Pug.", "c.jpg": "A Boxer."}
    labeler = TextModel("m").for_task(RestateTask())
    asked = labeler.for_each({name: RestateTask(text) for name, text in texts.items()})
    first, second, third, stand_in = map(asked.request_about, (IMAGE, same, other, unknown))
    assert (first.prompt, third.prompt) == (RestateTask("A Pug.").prompt(), RestateTask("A Boxer.").prompt())
    assert [request.image.sample_id for request in (first, second)] == ["a.jpg", "b.jpg"]
    keys = [request_key(asked.identity(), request) for request in (first, second, third, stand_in)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert stand_in == LabelRequest(unknown, labeler.prompt)
    assert asked.identity() == labeler.identity(), "the texts are in the prompts"
    said = '{"name": "Boxer"}'
    assert [asked.read(Reply(request, raw=said)).names for request in (first, third)] == [(), ("Boxer",)]
    assert labeler.request_about(IMAGE) == LabelRequest(IMAGE, labeler.prompt)
