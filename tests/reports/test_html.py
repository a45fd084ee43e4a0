import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fgvr.candidates.neighbours import find_neighbours, write_neighbours
from fgvr.datasets.images import Images
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics, write_metrics
from fgvr.records import Prediction
from fgvr.reports import content
from fgvr.reports.html import write_report
from fgvr.reports.predictions import write_predictions
from fgvr.reports.sections import candidates
from fgvr.runs import RunFolder

NOTHING = Images({}, {}, (), {})
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The elements of a page, and the text of each section."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.section, self.stack = [], {"": ""}, "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        self.stack.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.texts[self.section] = ""

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if not {"script", "style"} & set(self.stack[-1:]):
            self.texts[self.section] += data

    def all(self, wanted):
        return [attributes for tag, attributes in self.elements if tag == wanted]


def image_data(text):
    return json.loads(re.search(r'id="photo-data">(.*?)</script>', text, re.DOTALL)[1])


def test_every_section_shows_what_the_run_left(run):
    page = Page(run.report())
    said = {section: " ".join(text.split()) for section, text in page.texts.items()}
    assert "coop names 12 photos, and 9 of the 12 whose true name is known are right" in said["summary"]
    assert "Against zero_shot it puts 3 photos right and 0 wrong." in said["summary"]
    assert "+25.0 against zero_shot" in said["summary"]
    assert "11 of 12 support photos got a usable name" in said["labels"]
    assert "US$ 3.00 and 24 seconds" in said["labels"]
    assert "RecordedLabeler" in said["labels"]
    assert "model-a (12)" in said["labels"]
    assert "I'm sorry." in said["labels"]
    assert "3 different spellings became 3 classes" in said["space"]
    assert "true name not among them" in said["candidates"]
    assert "Looks like" in said["candidates"]
    assert "epoch" in said["training"]
    assert "True classes, the worst first" in said["classes"]
    assert "photo called" in said["pairs"]
    assert "Wrong names with the highest scores" in said["photos"]
    assert "Names with the lowest scores" in said["photos"]
    assert "RecordedLabeler" in said["configuration"]


def test_the_page_needs_nothing_else_and_runs_its_own_script_alone(run):
    text = run.report()
    page = Page(text)
    assert not page.all("link")
    assert not [attributes for _, attributes in page.elements if "src" in attributes]
    assert all(attributes["href"].startswith("#") for attributes in page.all("a"))
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "http:" not in policy


def test_names_replies_and_files_are_text(make_run):
    run = make_run(
        names=(HOSTILE, "{{ 7 * 7 }}", "</script><b>bold</b>"), replies=[HOSTILE, "{% if %}", '"><img src=x>']
    )
    run.folder.config.write_text(f"note: '{HOSTILE}'\n")
    text = run.report()
    page = Page(text)
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "photo-data"},
        {},
    ]
    assert "49" not in page.texts["space"]
    assert "{{ 7 * 7 }}" in page.texts["space"]
    assert HOSTILE in page.texts["configuration"]
    assert '"><img src=x>' in page.texts["candidates"]
    assert "</script><b>bold</b>" in page.texts["space"]


def test_text_that_no_page_can_hold_is_replaced(make_run):
    page = Page(make_run(replies=["fine", "\x00\x1b[2J", "\u202eback"]).report())
    assert "\ufffd\ufffd[2J" in page.texts["candidates"]
    assert "\u202eback" in page.texts["candidates"]


def test_each_photo_is_embedded_once(run):
    text = run.report()
    tags = Page(text).all("img")
    images = image_data(text)
    assert len(set(images)) == len(images) <= 24
    assert {int(a["data-photo"]) for a in tags} == set(range(len(images)))
    assert len(tags) > len(images)
    assert all(base64.b64decode(image).startswith(b"\xff\xd8") for image in images)


def test_ids_of_plots_do_not_clash(run):
    ids = [a["id"] for _, a in Page(run.report()).elements if "id" in a]
    assert len(set(ids)) == len(ids)


def test_the_same_run_gives_the_same_page(run):
    assert run.report() == run.report()


def test_too_many_photos_are_shown_evenly_and_the_page_says_so(make_run, monkeypatch):
    monkeypatch.setattr(candidates, "MOST_CARDS", 10)
    run = make_run(images=8)
    text = run.report()
    assert "10 of 24 support photos are shown, evenly spread" in Page(text).texts["candidates"]
    cards = [a for tag, a in Page(text).elements if a.get("class") == "card"]
    assert len(cards) == 10


def test_of_too_many_photos_those_that_are_shown_have_neighbours(make_run, monkeypatch):
    monkeypatch.setattr(candidates, "MOST_CARDS", 10)
    run = make_run(images=8)
    ids = run.ids["support"]
    features = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
    write_neighbours(find_neighbours(ids, features, limit=10), run.folder.neighbours)
    text = run.report()
    assert len([a for a in Page(text).all("li") if a.get("class") == "card"]) == 10
    assert Page(text).texts["candidates"].count("Looks like") == 10


def test_the_budget_of_thumbnails_holds(make_run, monkeypatch):
    run = make_run(images=20)
    whole = len("".join(image_data(run.report())))
    monkeypatch.setattr(content, "MOST_THUMBNAIL_BYTES", whole // 2)
    text = run.report()
    assert len("".join(image_data(text))) <= whole // 2
    assert re.search(r"\d+ of 60 support photos are shown, evenly spread", Page(text).texts["candidates"])


def test_a_run_of_unlabelled_photos_says_what_cannot_be_said(run):
    rows = [Prediction(i, "test", None, {"coop": "Blue Jay"}, {"coop": 0.5}) for i in run.ids["test"]]
    write_predictions(rows, run.folder.predictions)
    write_metrics(run.folder.metrics, {"coop": {"seconds": 1.0}})
    write_report(run.folder, dataclasses.replace(run.images, truth={}, known_names=()))
    page = Page(run.folder.report.read_text())
    assert "Their true names are not known" in page.texts["summary"]
    assert "Predicted names, the commonest first" in page.texts["classes"]
    assert "only where true names are known" in page.texts["pairs"]
    assert "Names with the lowest scores" in page.texts["photos"]
    assert "labelled wrong" not in page.texts["candidates"]


@pytest.mark.parametrize(
    "gone", ["config", "labels", "vocabulary", "candidates", "neighbours", "predictions", "metrics"], ids=str
)
def test_any_file_may_be_missing(run, gone):
    getattr(run.folder, gone).unlink()
    assert "summary" in Page(run.report()).texts


def test_an_empty_run_folder(tmp_path):
    write_report(RunFolder(tmp_path), NOTHING)
    page = Page((tmp_path / "report.html").read_text())
    assert "predicted nothing yet" in page.texts["summary"]
    assert "asked for no labels" in page.texts["labels"]
    assert "Nothing was trained" in page.texts["training"]


def test_without_photos_the_report_says_so(run):
    write_report(run.folder, NOTHING)
    text = run.folder.report.read_text()
    assert "The photos of this run were not found" in text
    assert not Page(text).all("img")


def test_a_photo_that_is_gone_is_left_out(run):
    (run.root / run.ids["support"][0]).unlink()
    assert "no photo" in Page(run.report()).texts["candidates"]


def test_simulated_labels_are_marked_wherever_something_rests_on_them(run):
    plain = run.report()
    assert "simulat" not in Page(plain).texts["summary"] + Page(plain).texts[""]
    rows = read_metrics(run.folder.metrics)
    rows["coop"]["simulated"] = True
    write_metrics(run.folder.metrics, rows)
    page = Page(run.report())
    assert "Simulated labels." in page.texts[""]
    for section in ("summary", "labels", "space", "candidates", "training", "classes", "pairs", "photos"):
        assert "simulated labels" in page.texts[section], section
    titles = re.findall(r"<text[^>]*>([^<]*)</text>", run.folder.report.read_text())
    assert titles.count("(simulated labels)") == plain.count("<svg")


def test_a_run_that_predicted_nothing_asks_its_labeler_whether_it_simulates(run):
    run.folder.metrics.unlink()
    run.folder.predictions.unlink()
    run.folder.config.write_text("data: {labeler: {class_path: fgvr.labelers.fieldguide.FieldguideLabeler}}\n")
    assert "Simulated labels." in Page(run.report()).texts[""]


def test_the_labelers_row_is_an_upper_bound_and_never_the_runs_own(run):
    rows = read_metrics(run.folder.metrics)
    write_metrics(run.folder.metrics, rows | {"labeler": {"cacc": 90.0}})
    assert "coop names 12 photos" in " ".join(Page(run.report()).texts["summary"].split())


def test_damaged_files_are_named(run):
    run.folder.predictions.write_bytes(b"PAR1")
    with pytest.raises(FgvrError, match=r"predictions\.parquet is damaged, or was changed since fgvr wrote it"):
        run.report()
    (run.folder.path / "checksums.txt").unlink()
    with pytest.raises(FgvrError, match=r"predictions\.parquet is not a Parquet file"):
        run.report()


@pytest.mark.parametrize("given", ["dataset", "[House Finch, Blue Jay, Monk Parakeet]", "names.txt"])
def test_names_that_were_given_are_not_said_to_be_the_labelers(run, given):
    config = run.folder.config.read_text()
    plain = run.report()
    assert "nothing was learned from it" in Page(plain).texts["candidates"]
    run.folder.config.write_text(config.replace("data:\n", f"data:\n  class_names: {given}\n"))
    text = run.report()
    page = Page(text)
    assert "The 3 class names were given." in page.texts["space"]
    assert "became" not in page.texts["space"]
    assert text.count("<svg") == plain.count("<svg") - 1
    assert ("nothing was learned from it" in page.texts["candidates"]) == (given != "dataset")
    assert "The true name is for you to see" in page.texts["candidates"]


def test_the_page_has_no_secrets(run):
    logger = "trainer: {logger: {init_args: {api_key: 'abc-1', HF_Token: abc-2, project: birds}}}\n"
    run.folder.config.write_text(run.folder.config.read_text() + logger)
    text = run.report()
    assert "abc-" not in text
    assert "api_key: '***', HF_Token: '***', project: birds" in Page(text).texts["configuration"]


def test_the_configuration_must_be_yaml(run):
    run.folder.config.write_text("a: [")
    with pytest.raises(FgvrError, match=r"config\.yaml is not YAML"):
        run.report()
