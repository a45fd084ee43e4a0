import csv
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.store.review import COLUMNS, apply_review, write_review
from fgvr.records import ImageRecord

IDENTITY = {"labeler": "tiny"}
SAID = {
    "a": "Yorkshire Terrier",
    "b": "Yorkshire Terrier",
    "c": "Yorkshire Terier",
    "d": "Yorkshire Terriers",
    "e": "Siamese",
    "f": "I can't tell which breed this is.",
    "g": "",
    "h": "=1+1 I cannot say, sorry.\x1b[2J\nReally.",
}
REFUSED = {"f", "g", "h"}


def ask(name, answer=0, identity=IDENTITY):
    return LabelRequest(
        ImageRecord(sample_id=f"{name}.jpg", path=Path(name), split="support", digest=name), "What?", answer
    )


def key(name):
    return request_key(IDENTITY, ask(name))


@pytest.fixture
def store(store):
    store.put_many(IDENTITY, [Reply(ask(name), raw=raw, model="m-1") for name, raw in SAID.items()])
    return store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "review.csv"


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def decide(path, decisions):
    """Fill the column ``decision``: by the key of a reply, or by the two names of a pair."""
    rows = read(path)
    for row in rows:
        for where in (row["key"], (row["name"], row["other_name"])):
            if where in decisions:
                row["decision"] = decisions.pop(where)
    assert not decisions, f"no such row: {decisions}"
    write(path, rows)


def write(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


TYPO = ("Yorkshire Terier", "Yorkshire Terrier")


def test_the_file_asks_about_pairs_and_replies(store, path):
    asked = write_review(store, path)
    rows = read(path)
    assert list(rows[0]) == list(COLUMNS)
    pairs = {(row["name"], row["other_name"]): row for row in rows if row["question"] == "one name?"}
    replies = {row["key"]: row for row in rows if row["question"] == "which name?"}
    assert (asked.pairs, asked.replies) == (len(pairs), len(replies))
    assert pairs[TYPO] == {
        **dict.fromkeys(COLUMNS, ""),
        "question": "one name?",
        "name": "Yorkshire Terier",
        "count": "1",
        "other_name": "Yorkshire Terrier",
        "other_count": pairs[TYPO]["other_count"],
        "reason": "nearly the same spelling",
    }
    assert set(replies) == {key(name) for name in REFUSED}
    assert replies[key("f")]["reason"] == "refusal (m-1)"
    assert replies[key("f")]["photo"] == "f.jpg"
    assert replies[key("g")]["reason"] == "empty (m-1)"
    assert replies[key("h")]["reply"] == "'=1+1 I cannot say, sorry.\\x1b[2J Really."


def test_decisions_become_aliases_and_corrections_and_can_be_taken_back(store, path):
    write_review(store, path)
    decide(path, {TYPO: "yes", key("f"): "Siamese; Balinese", key("g"): "none"})
    changes = apply_review(store, path)
    assert changes.aliases == {"Yorkshire Terier": (None, "Yorkshire Terrier")}
    assert changes.corrections == {key("f"): (None, ("Siamese", "Balinese")), key("g"): (None, ())}
    assert changes.images[key("f")] == "f.jpg"
    assert store.written_aliases() == {"Yorkshire Terier": "Yorkshire Terrier"}
    assert store.corrections() == {key("f"): ("Siamese", "Balinese"), key("g"): ()}
    again = apply_review(store, path)
    assert (again.aliases, again.corrections) == ({}, {})

    decide(path, {TYPO: "", key("f"): "", key("g"): "Balinese"})
    changes = apply_review(store, path)
    assert changes.aliases == {"Yorkshire Terier": ("Yorkshire Terrier", None)}
    assert changes.corrections == {key("f"): (("Siamese", "Balinese"), None), key("g"): ((), ("Balinese",))}
    assert (store.aliases(), store.corrections()) == ({}, {key("g"): ("Balinese",)})
    assert [reply.raw for reply in store.get(IDENTITY, [ask(name) for name in SAID])] == list(SAID.values())


def test_a_new_file_has_the_decisions_of_before(store, path, tmp_path):
    write_review(store, path)
    decide(path, {TYPO: "Yorkshire Terier", key("f"): "Siamese"})
    apply_review(store, path)
    store.revise(aliases={"Siamese": "Thai", "Nobody": "Somebody"}, corrections={key("e"): ["Balinese"]})

    new = tmp_path / "new.csv"
    write_review(store, new)
    rows = read(new)
    decided = {(row["name"], row["other_name"]): row["decision"] for row in rows if row["question"] == "one name?"}
    assert decided[TYPO] == "Yorkshire Terier"
    assert decided["Siamese", "Thai"] == decided["Nobody", "Somebody"] == "yes"
    names = {row["key"]: row["decision"] for row in rows if row["key"]}
    assert names == {key("e"): "Balinese", key("f"): "Siamese", key("g"): "", key("h"): ""}
    changes = apply_review(store, new)
    assert (changes.aliases, changes.corrections) == ({}, {})


def test_the_other_of_two_names_can_be_kept(store, path):
    write_review(store, path)
    decide(path, {TYPO: "yorkshire terier"})
    apply_review(store, path)
    assert store.written_aliases() == {"Yorkshire Terrier": "Yorkshire Terier"}


def pair(name, other, decision="yes", count="1", other_count="1"):
    cells = {"name": name, "count": count, "other_name": other, "other_count": other_count, "decision": decision}
    return {"question": "one name?", **cells}


def test_pairs_that_hang_together_get_one_name(store, path):
    write(path, [pair("A", "B"), pair("B", "C"), pair("D", "C"), pair("X", "Y", "no")])
    apply_review(store, path)
    assert store.written_aliases() == {"A": "C", "B": "C", "D": "C"}

    write(path, [pair("A", "B", ""), pair("B", "C"), pair("D", "C")])
    assert apply_review(store, path).aliases == {"A": ("C", None)}


def test_of_two_names_to_keep_the_commoner_one_is_kept(store, path):
    write(path, [pair("A", "B", other_count="3"), pair("A", "C", other_count="10")])
    apply_review(store, path)
    assert store.written_aliases() == {"A": "C", "B": "C"}


def test_what_the_file_does_not_ask_about_stays(store, path):
    store.revise(aliases={"A": "Z", "Q": "R"}, corrections={key("e"): ["Thai"]})
    write(path, [pair("A", "B", "no"), pair("B", "C")])
    apply_review(store, path)
    assert store.written_aliases() == {"A": "Z", "Q": "R", "B": "C"}
    assert store.corrections() == {key("e"): ("Thai",)}


def test_names_that_stand_for_each_other_are_refused(store, path):
    store.revise(aliases={"B": "C", "C": "A"})
    write(path, [pair("X", "Y"), pair("A", "B")])
    with pytest.raises(FgvrError, match=r"row 3: together with what was decided before, 'A' and 'B' stand for each"):
        apply_review(store, path)
    assert store.written_aliases() == {"B": "C", "C": "A"}


def reply_row(name, decision, **cells):
    return {"question": "which name?", "decision": decision, "key": key(name), **cells}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (reply_row("nobody", ""), "no reply of .* has the key"),
        (reply_row("f", "", key=""), "no reply of .* has the key ''"),
        (reply_row("f", "Pug;;Boxer"), "the decision is 'Pug;;Boxer'; expected a name"),
        (reply_row("e", "Pug"), "this reply has another decision above"),
        (reply_row("f", "Pug\nBoxer"), "'decision' holds a line break"),
        (reply_row("f", "", question="what?"), "the question is 'what[?]'; expected 'one name[?]' or 'which name[?]'"),
        (pair("A", "B", "maybe"), "the decision is 'maybe'; expected yes"),
        (pair("A", ""), "a pair needs a name in both columns"),
        (pair("A b", "a-B"), "'A b' and 'a-B' are one name already"),
    ],
)
def test_a_row_that_is_not_valid_is_named_and_nothing_is_changed(store, path, row, expected):
    write(path, [pair("Q", "R"), reply_row("e", "Thai"), row])
    with pytest.raises(FgvrError, match=rf"review\.csv, row 4: .*{expected}"):
        apply_review(store, path)
    assert (store.aliases(), store.corrections()) == ({}, {})


def test_mistakes_with_files(store, path, tmp_path):
    with pytest.raises(FgvrError, match=r"There is no .*The command `fgvr store review .*` makes it"):
        apply_review(store, path)
    path.write_text("question;decision\n")
    with pytest.raises(FgvrError, match=r"is no review file: it lacks the column 'name'"):
        apply_review(store, path)
    with pytest.raises(FgvrError, match=r"there already.*--apply"):
        write_review(store, path)
    with pytest.raises(FgvrError, match=r"ends in \.csv"):
        write_review(store, tmp_path / "review.xlsx")


def test_a_photo_of_several_answers_is_asked_about_once_and_only_if_none_names_it(store, path):
    several = [
        Reply(ask("p"), raw=""),
        Reply(ask("p", 1), raw="Siamese"),
        Reply(ask("q"), raw=""),
        Reply(ask("q", 1), raw=""),
    ]
    store.put_many(IDENTITY, several)
    write_review(store, path)
    assert {row["key"] for row in read(path) if row["key"]} == {key(name) for name in (*REFUSED, "q")}


def test_failures_descriptions_and_other_labelers_are_left_out(store, path):
    store.put(IDENTITY, Reply(ask("x"), error="timeout"))
    store.put({"task": "describe_image"}, Reply(ask("y"), raw=""))
    group = LabelRequest(ask("z").image, "What?", 0, (ask("y").image,))
    store.put(IDENTITY, Reply(group, raw=""))
    store.put({"labeler": "other"}, Reply(ask("a"), raw=""))
    write_review(store, path, labeler="tiny")
    assert {row["key"] for row in read(path) if row["key"]} == {key(name) for name in REFUSED}


def test_names_that_a_spreadsheet_would_calculate(store, path):
    names = ("=Chihuahua", "=Chiuahua")
    store.put_many(IDENTITY, [Reply(ask(f"f{name}"), names=(name,)) for name in names])
    write_review(store, path)
    rows = read(path)
    for row in rows:
        row["decision"] = "yes" if row["name"].startswith("'=") and row["other_name"].startswith("'=") else ""
    assert [row["decision"] for row in rows].count("yes") == 1
    write(path, rows)
    apply_review(store, path)
    [(name, other)] = store.written_aliases().items()
    assert {name, other} == set(names)


@pytest.mark.parametrize(("separator", "encoding"), [(";", "cp1252"), (";", "utf-8"), ("\t", "utf-16")])
def test_a_review_that_a_spreadsheet_has_saved(store, path, separator, encoding):
    store.put(IDENTITY, Reply(ask("caf\u00e9"), raw="I cannot tell."))
    write_review(store, path)
    rows = read(path)
    for row in rows:
        row["decision"] = "K\u00e4fer; Biene" if row["photo"] == "caf\u00e9.jpg" else ""
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    if encoding == "cp1252":
        with pytest.raises(FgvrError, match="or set encoding to what it is, such as cp1252"):
            apply_review(store, path)
    changes = apply_review(store, path, encoding=encoding if encoding == "cp1252" else None)
    assert [after for _, after in changes.corrections.values()] == [("K\u00e4fer", "Biene")]
