from html.parser import HTMLParser

from fgvr.records import LabelRecord, Vocabulary
from fgvr.reports.html import write_report
from fgvr.runs import RunFolder


def test_names_are_untrusted_text(tmp_path):
    evil = "<script>alert(1)</script>"
    vocabulary = Vocabulary((evil, "finch"), {evil: 0, "finch": 1}, (None, None), (1, 1))
    labels = [LabelRecord("a", (evil,), raw=evil), LabelRecord("b", (), flag="refusal")]
    write_report(RunFolder(tmp_path), {evil: {"cacc": 50.0}}, labels, vocabulary, None, f"x: {evil}")
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    page = (tmp_path / "report.html").read_text()
    parser.feed(page)
    assert "script" not in {tag for tag, _ in tags}
    assert not [attributes for _, attributes in tags if {"src", "href"} & attributes.keys()], "needs nothing else"
    assert "&lt;script&gt;" in page
    assert "refusal" in page
