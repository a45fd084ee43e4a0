import csv
import hashlib
import json
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.labelers.tasks.attributes import AttributesTask
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.describe_attribute import DescribeAttributeTask
from fgvr.labelers.tasks.guess_names import GuessNamesTask
from fgvr.labelers.tasks.super_category import SuperCategoryTask
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.plan import summary
from fgvr.records import ImageRecord

DATA = Path(__file__).parents[3] / "shared" / "data"


def image(sample_id, digest=None):
    return ImageRecord(
        sample_id=sample_id, path=Path("photos") / sample_id, split="support", digest=digest or f"digest-{sample_id}"
    )


def ask(labeler, *sample_ids):
    return list(labeler.ask([LabelRequest(image(sample_id), labeler.prompt) for sample_id in sample_ids]))


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="replies.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return path

    return write


def test_photos_are_found_by_sample_id_then_by_file_name(write):
    path = write(
        {"image": "1.jpg", "raw": "by name", "model": "m-1"},
        {"image": "./x\\2.jpg", "raw": "by path"},
        {"image": "2.jpg", "raw": "by name too"},
    )
    replies = ask(RecordedLabeler(path), "y/1.jpg", "x/2.jpg", "z/2.jpg")
    assert [reply.raw for reply in replies] == ["by name", "by path", "by name too"]
    assert [reply.model for reply in replies] == ["m-1", "", ""]
    assert [reply.names for reply in replies] == [None] * 3


def test_other_keys(write):
    path = write({"file": "1.jpg", "text": "Beagle"})
    assert ask(RecordedLabeler(path, image_key="file", reply_key="text"), "1.jpg")[0].raw == "Beagle"


def test_the_path_may_be_text(write):
    path = write({"image": "1.jpg", "raw": "Beagle"})
    assert ask(RecordedLabeler(str(path)), "1.jpg")[0].raw == "Beagle"


def test_a_photo_without_reply_is_a_failed_reply(write):
    path = write({"image": "1.jpg", "raw": "Beagle"})
    found, failed = ask(RecordedLabeler(path), "1.jpg", "x/2.jpg")
    assert not found.error
    assert failed.error.startswith("no recorded reply for 'x/2.jpg'")


def test_photos_without_reply_do_not_stop_a_second_run(write, store):
    labeler = RecordedLabeler(write({"image": "1.jpg", "raw": "Beagle"}))
    images = [image("1.jpg"), image("2.jpg")]
    for _ in range(2):
        assert label(labeler, images, store, progress=False).failed == 1


def test_a_file_about_other_photos(write, store):
    labeler = RecordedLabeler(write({"image": "dog.jpg", "raw": "Beagle"}))
    with pytest.raises(FgvrError, match=r"None of the 2 support photos is in .*replies.jsonl.*'dog\.jpg'.*'x/1\.jpg'"):
        plan(labeler, [image("x/1.jpg"), image("x/2.jpg")], store)


def test_an_empty_file(write):
    with pytest.raises(FgvrError, match="names no photo at all"):
        RecordedLabeler(write()).check_images([image("1.jpg")])


def test_a_file_name_that_two_photos_share(write):
    labeler = RecordedLabeler(write({"image": "0.jpg", "raw": "Poodle"}, {"image": "1.jpg", "raw": "Beagle"}))
    with pytest.raises(FgvrError, match=r"replies.jsonl, line 2: '1\.jpg' may be 'x/1\.jpg' or 'y/1\.jpg'"):
        ask(labeler, "x/1.jpg", "y/1.jpg")
    labeler.check_images([image("x/1.jpg", "equal"), image("y/1.jpg", "equal")])
    labeler.check_images([image("0.jpg"), image("x/9.jpg"), image("y/9.jpg")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"image": "2.jpg", "raw": ', "line 2: not JSON.*expected one object per line"),
        ("[" * 100_000, "line 2: not JSON"),
        ('["2.jpg"]', "line 2: expected an object"),
        ('{"image": "2.jpg", "reply": "Beagle"}', "line 2: no key 'raw'.*reply_key"),
        ('{"raw": "Beagle"}', "line 2: no key 'image'"),
        ('{"image": 7, "raw": "Beagle"}', "line 2: 'image' is 7; expected text"),
        ('{"image": "2.jpg", "raw": null}', "line 2: 'raw' is null; expected text"),
        ('{"image": " ", "raw": "Beagle"}', "line 2: the photo is empty"),
        ('{"image": "1.jpg", "raw": "Poodle"}', r"line 2: '1\.jpg' is named in line 1 already"),
    ],
)
def test_a_broken_line_is_named(write, line, message):
    path = write({"image": "1.jpg", "raw": "Beagle"}, line)
    with pytest.raises(FgvrError, match=rf"replies\.jsonl, {message}"):
        ask(RecordedLabeler(path), "1.jpg")


def test_several_answers_are_lines_in_their_order(write):
    path = write({"image": "1.jpg", "raw": "first"}, {"image": "1.jpg", "raw": "second"})
    labeler = RecordedLabeler(path, answers=3)
    requests = [LabelRequest(image("1.jpg"), labeler.prompt, index) for index in (1, 0, 2)]
    assert [reply.raw for reply in labeler.ask(requests)] == ["second", "first", ""]


def test_true_names_and_second_opinions_are_never_read(write):
    honest = {"image": "1.jpg", "raw": "It is a Poodle.", "class_name": "Beagle", "extracted": {"1": "Beagle"}}
    [reply] = ask(RecordedLabeler(write(honest)), "1.jpg")
    assert "Beagle" not in repr(reply)
    unreadable = {"image": "1.jpg", "raw": "It is a Poodle.", "class_name": 7, "extracted": [None], "model": 3}
    assert ask(RecordedLabeler(write(unreadable)), "1.jpg") == [reply]


@pytest.mark.parametrize("raw", ["", "x" * 10_000, "<b>**Beagle**</b>" * 500, "a\u2028b", "a\nb"])
def test_any_reply_is_replayed(write, raw):
    line = json.dumps({"image": "1.jpg", "raw": raw}, ensure_ascii=False)
    [reply] = ask(RecordedLabeler(write(line, "")), "1.jpg")
    assert (reply.raw, reply.error) == (raw, "")


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"image": "1.jpg", "raw": "Beagle"}\r\n{"image": "2.jpg", "raw": "Poodle"}\r\n')
    assert [reply.raw for reply in ask(RecordedLabeler(path), "1.jpg", "2.jpg")] == ["Beagle", "Poodle"]


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'{"image": "1.jpg", "raw": "Beagle"}\n{"image": "2.jpg", "raw": "Caf\xe9"}\n')
    with pytest.raises(FgvrError, match=r"replies\.jsonl, line 2: not UTF-8.*save the file as UTF-8"):
        ask(RecordedLabeler(path), "1.jpg")


def test_a_missing_file(tmp_path):
    labeler = RecordedLabeler(tmp_path / "none.jsonl")
    with pytest.raises(FgvrError, match=r"no file .*none\.jsonl.*set data\.labeler\.path to the file"):
        labeler.identity()


def test_the_path_is_relative_to_the_working_directory(write, tmp_path, monkeypatch):
    write({"image": "1.jpg", "raw": "Beagle"})
    monkeypatch.chdir(tmp_path)
    assert ask(RecordedLabeler(Path("replies.jsonl")), "1.jpg")[0].raw == "Beagle"


def test_identity_is_the_content_and_the_keys(write):
    line = {"image": "1.jpg", "raw": "Beagle", "text": "Poodle"}
    identity = RecordedLabeler(write(line)).identity()
    assert RecordedLabeler(write(line, name="moved.jsonl")).identity() == identity
    assert RecordedLabeler(write(line), reply_key="text").identity() != identity
    assert RecordedLabeler(write(line, line)).identity() != identity


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real photos are not at {DATA}")
def test_the_360_real_replies_for_dogs120(store):
    with (DATA / "dogs120" / "manifest.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "support"]
    images = [
        ImageRecord(
            sample_id=row["file"],
            path=DATA / "dogs120" / row["file"],
            split="support",
            digest=hashlib.sha256((DATA / "dogs120" / row["file"]).read_bytes()).hexdigest(),
            true_name=row["class_name"],
        )
        for row in rows
    ]
    labeler = RecordedLabeler(DATA / "recorded_labels" / "dogs120.qwen2.5-vl-72b.jsonl")
    run = label(labeler, images, store, progress=False)
    labels = read_labels(labeler, images, store)
    assert (len(images), run.asked, run.failed) == (360, 360, 0)
    assert {record.model for record in labels} == {"qwen/qwen2.5-vl-72b-instruct"}
    assert summary(labels).flags[""] > 300
    first_is_true = sum(record.names[:1] == (image.true_name,) for record, image in zip(labels, images, strict=True))
    assert first_is_true > 120  # about half of the replies name the true breed; their spelling differs at times


def test_a_group_is_found_by_its_photos_in_any_order(write):
    path = write(
        {"image": ["x\\2.jpg", "1.jpg"], "raw": "two", "model": "m"},
        {"image": "1.jpg", "raw": "one"},
        {"image": ["1.jpg", "3.jpg"], "raw": "others"},
    )
    labeler = RecordedLabeler(path)

    def about(first, *others):
        request = LabelRequest(image(first), labeler.prompt, others=tuple(map(image, others)))
        (reply,) = labeler.ask([request])
        return reply.raw or reply.error

    assert about("1.jpg", "x/2.jpg") == about("x/2.jpg", "1.jpg") == "two"
    assert about("1.jpg") == "one"
    assert about("1.jpg", "2.jpg") == f"no recorded reply for '1.jpg' and 1 others in {path}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"image": ["1.jpg", 2], "raw": "two"}], r"line 1: 'image' is \[\"1\.jpg\", 2\]; expected text in quotes"),
        ([{"image": ["1.jpg"], "raw": "one"}], r"line 1: 'image' is"),
        (
            [{"image": ["1", "2"], "raw": "a"}, {"image": ["2", "1"], "raw": "b"}],
            r"line 2: this group of 2 photos has 1",
        ),
    ],
)
def test_what_is_no_group(write, lines, message):
    with pytest.raises(FgvrError, match=message):
        ask(RecordedLabeler(write(*lines)), "1.jpg")


def questions(write, *lines):
    return RecordedLabeler(write(*lines), question_key="question")


def test_the_identity_of_a_file_without_questions_is_what_it_was(write):
    path = write({"image": "1.jpg", "raw": "Beagle", "question": "name"})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert RecordedLabeler(path).identity() == {
        "labeler": "recorded",
        "file_sha256": digest,
        "image_key": "image",
        "reply_key": "raw",
    }
    assert RecordedLabeler(path).for_task(ChooseTask(["a", "b"])) is None


def test_each_question_has_its_replies(write):
    labeler = questions(
        write,
        {"image": "1.jpg", "raw": "Beagle"},
        {"image": "1.jpg", "raw": "long", "question": "Attribute:  tail shape", "model": "m-1"},
        {"image": "1.jpg", "raw": "a dog", "question": DescribeAttributeTask("dog").prompt()},
        {"image": "2.jpg", "raw": "Pug", "question": "name"},
        {"question": "attributes", "raw": '["tail shape", "ear shape"]'},
        {"image": "2.jpg", "raw": '{"Boxer": []}', "question": "guess"},
        {"image": None, "raw": "dog", "question": "super_category"},
    )
    labeler.check_images([image("1.jpg"), image("2.jpg")])
    assert [reply.raw for reply in ask(labeler, "1.jpg", "2.jpg")] == ["Beagle", "Pug"]

    def said(task, *sample_ids):
        return [reply.raw or reply.error for reply in ask(labeler.for_task(task), *sample_ids)]

    assert said(DescribeAttributeTask("dog", "tail shape"), "1.jpg") == ["long"]
    assert said(DescribeAttributeTask("dog"), "1.jpg") == ["a dog"], "by its prompt"
    assert "'2.jpg', question 'description', in" in said(DescribeAttributeTask("dog"), "2.jpg")[0]
    assert said(SuperCategoryTask(), "1.jpg", "2.jpg") == ["dog", "dog"], "a line about no photo is about all"
    texts = labeler.for_task(AttributesTask("dog")).for_each({}, AttributesTask("dog"))
    (reply,) = texts.ask([texts.request_about(image("1.jpg"))])
    assert texts.read(reply).names == ("tail shape", "ear shape")
    guesses = labeler.for_task(GuessNamesTask()).for_each({"2.jpg": GuessNamesTask("dog", "breed", [("tail", "long")])})
    (reply,) = guesses.ask([guesses.request_about(image("2.jpg"))])
    assert guesses.read(reply).names == ("Boxer",)


def test_replies_are_read_as_those_to_a_task(write, store):
    path = write({"image": "1.jpg", "raw": '{"Pug, Boxer, Beagle": ["It is small.",]}'}, {"image": "2.jpg", "raw": "?"})
    labeler = RecordedLabeler(path, task=GuessNamesTask(guesses=2))
    images = [image("1.jpg"), image("2.jpg")]
    label(labeler, images, store, progress=False)
    found = read_labels(labeler, images, store)
    assert [(label.names, label.flag == "") for label in found] == [(("Pug", "Boxer"), True), ((), False)]
    assert labeler.identity() != RecordedLabeler(path, task=GuessNamesTask()).identity()
    assert RecordedLabeler(path).identity().keys() == {"labeler", "file_sha256", "image_key", "reply_key"}


def test_another_task_is_another_labeler_and_one_file(write):
    labeler = questions(write, {"image": "1.jpg", "raw": "Beagle"}, {"question": "attributes", "raw": "[]"})
    kinds = [labeler, labeler.for_task(AttributesTask(most=2)), labeler.for_task(AttributesTask(most=3))]
    assert len({json.dumps(kind.identity()) for kind in kinds}) == 3
    labeler.path.unlink()
    assert ask(kinds[0], "1.jpg")[0].raw == "Beagle", "read when its identity was asked for"
    assert ask(kinds[1], "1.jpg")[0].raw == "[]"


def test_a_file_about_texts_alone(write):
    labeler = questions(write, {"question": "attributes", "raw": "[]"})
    labeler.check_images([image("1.jpg")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"image": "1.jpg", "raw": "x", "question": 7}, "line 2: 'question' is 7; expected the question in quotes"),
        ({"raw": "x"}, "line 2: no key 'image'"),
        ({"raw": "x", "question": ""}, "line 2: no key 'image'"),
        ({"question": "guess"}, "line 2: no key 'raw'"),
        ({"image": "1.jpg", "raw": "x", "question": " GUESS"}, "line 2: '1.jpg' has 1 reply to the question 'guess'"),
        ({"image": ["1.jpg", "2.jpg"], "raw": "x", "question": 1.5}, "line 2: 'question' is 1.5"),
    ],
)
def test_a_broken_line_of_a_question_is_named(write, line, message):
    labeler = questions(write, {"image": "1.jpg", "raw": "x", "question": "guess"}, line)
    with pytest.raises(FgvrError, match=message):
        ask(labeler, "1.jpg")


def test_a_question_about_no_photo_has_one_reply(write):
    line = {"raw": "x", "question": "attributes"}
    with pytest.raises(FgvrError, match="line 2: the question 'attributes' about no photo has 1 reply already"):
        ask(questions(write, line, line), "1.jpg")
