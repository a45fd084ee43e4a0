import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelling.store.exchange import COLUMNS, export_rows, import_rows
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

FORMATS = ("parquet", "jsonl", "csv")
IDENTITY = {"labeler": "tiny", "model": "m", "größe": [1, None, 0.1]}
RAW = 'The dog is a **Beagle**,\r\nor a "Pug"\x00 \x1b[2J 犬\u2028 end\r'


def ask(name, others=(), answer=0):
    images = [
        ImageRecord(sample_id=f"dogs/{each}.jpg", path=Path(each), split="support", digest=f"digest-{each}")
        for each in (name, *others)
    ]
    return LabelRequest(images[0], "=What\nis it?", answer, tuple(images[1:]))


REPLIES = [
    Reply(
        ask("a"), raw=RAW, model="m-1", cost_usd=0.1 + 0.2, seconds=1e-7, usage={"tokens": 3, "why": None, "ü": [1.5]}
    ),
    Reply(ask("b"), names=("=cmd|' /C calc'!A0", "Heron, grey"), raw="@x"),
    Reply(ask("c"), names=()),
    Reply(ask("d"), error="-timeout\tafter 60 s", attempts=7),
    Reply(ask("e"), raw="'=quoted"),
    Reply(ask("e", answer=1), raw=""),
    Reply(ask("f", others=("g", "h")), raw="+Terns"),
    Reply(ask("i"), raw="x" * 200_000),
    Reply(ask("j"), raw="I can't tell which breed this is."),
]


@pytest.fixture
def store(store):
    store.put_many(IDENTITY, REPLIES)
    return store


def edit_lines(store, path, change):
    """Export, and what ``change`` makes of the list of lines."""
    export_rows(store.rows(), path)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    change(records)
    path.write_text("\n\n".join(map(json.dumps, records)))


def read_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        limit = csv.field_size_limit(10**6)
        cells = list(csv.reader(stream))
        csv.field_size_limit(limit)
    return cells


@pytest.mark.parametrize("ending", FORMATS[:2])
def test_a_store_comes_back_from_each_format(store, tmp_path, ending):
    path, again = tmp_path / f"labels.{ending}", tmp_path / f"again.{ending}"
    assert export_rows(store.rows(), path) == len(REPLIES)
    with LabelStore(tmp_path / "other.sqlite") as other:
        assert other.merge(import_rows(path)) == (len(REPLIES), 0)
        assert list(other.rows()) == list(store.rows())
        assert other.get(IDENTITY, [reply.request for reply in REPLIES]) == REPLIES
        export_rows(other.rows(), again)
        assert other.merge(import_rows(path)) == (0, len(REPLIES))
        assert list(other.rows()) == list(store.rows())
    assert again.read_bytes() == path.read_bytes()


def test_all_formats_have_the_same_columns_and_parsed_names(store, tmp_path):
    for ending in FORMATS:
        export_rows(store.rows(), tmp_path / f"labels.{ending}")
    table = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    head, *cells = read_csv(tmp_path / "labels.csv")
    cells = [dict(zip(head, row, strict=True)) for row in cells]
    assert list(table[0]) == list(lines[0]) == list(cells[0]) == list(COLUMNS)
    flags = {0: "", 1: "", 2: "empty", 3: "failed", 5: "empty", 8: "refusal"}
    for read in (table, lines):
        assert {number: read[number]["flag"] for number in flags} == flags
        assert read[1]["parsed_names"] == read[1]["names"] == list(REPLIES[1].names)
        assert (read[0]["names"], read[2]["names"]) == (None, [])
    assert json.loads(table[0]["identity"]) == lines[0]["identity"] == json.loads(cells[0]["identity"]) == IDENTITY
    assert (cells[0]["names"], cells[2]["names"]) == ("", "[]")


def test_no_cell_of_a_csv_is_a_formula(store, tmp_path):
    export_rows(store.rows(), tmp_path / "labels.csv")
    cells = [cell for row in read_csv(tmp_path / "labels.csv") for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert {"'=What\nis it?", "'-timeout\tafter 60 s", "''=quoted", "'+Terns"} <= set(cells)


def test_a_success_is_never_overwritten_and_a_failure_makes_way(tmp_path, store):
    rows = list(store.rows())
    path = tmp_path / "other.sqlite"
    with LabelStore(path) as other:
        other.put_many(
            IDENTITY,
            [
                Reply(REPLIES[0].request, raw="mine"),
                Reply(REPLIES[1].request, error="timeout", cost_usd=0.5, attempts=2),
                Reply(REPLIES[3].request, error="mine", cost_usd=0.25),
            ],
        )
        for expected in [(7, 2), (0, 9)]:
            assert other.merge(rows) == expected
            found = other.get(IDENTITY, [reply.request for reply in REPLIES])
            assert (found[0].raw, found[3].error, found[3].cost_usd) == ("mine", "mine", 0.25)
            assert (found[1].raw, found[1].cost_usd, found[1].attempts) == ("@x", 0.5, 3)


def test_what_is_not_read_back_may_be_missing_or_edited_and_old_names_are_read(store, tmp_path):
    def change(records):
        for record in records:
            record["parsed_names"] = "nonsense"
            del record["flag"]
            record["sample_index"] = record.pop("answer")  # as the column was called before

    edit_lines(store, tmp_path / "labels.jsonl", change)
    assert list(import_rows(tmp_path / "labels.jsonl")) == list(store.rows())


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("key", "0" * 64, "the key '0000.*is not that of this photo"),
        ("photo", "other", "the key .* is not that of this photo"),
        ("photo", "", "'photo' is ''; expected a SHA-256"),
        ("prompt", None, "'prompt' is 'None'; expected text"),
        ("identity", [], r"'identity' is '\[\]'; expected a JSON object"),
        ("names", [1], r"'names' is '\[1\]'; expected a list of names"),
        ("names", "Pug", "'names' is 'Pug'; expected a list of names"),
        ("cost_usd", float("nan"), "'cost_usd' is 'nan'; expected a number"),
        ("cost_usd", 10**40, "'cost_usd' is '1000.*expected a number"),
        ("seconds", "fast", "'seconds' is 'fast'; expected a number"),
        ("attempts", -1, "'attempts' is '-1'; expected a whole number"),
        ("attempts", True, "'attempts' is 'True'; expected a whole number"),
        ("usage", 3, "'usage' is '3'; expected a JSON object"),
        ("created_at", "yesterday", "'created_at' is 'yesterday'; expected a moment"),
        ("created_at", "2026-11-21", "'created_at' is '2026-11-21'; expected a moment"),
    ],
    ids=str,
)
def test_a_row_that_is_not_valid_is_named(store, tmp_path, column, value, expected):
    edit_lines(store, tmp_path / "labels.jsonl", lambda records: records[3].update({column: value}))
    with pytest.raises(FgvrError, match=rf"labels\.jsonl, line 7: {expected}"):
        list(import_rows(tmp_path / "labels.jsonl"))


def test_mistakes_with_files(store, tmp_path):
    with pytest.raises(FgvrError, match=r"'labels\.xlsx': expected a file that ends in \.parquet, \.jsonl, \.csv"):
        export_rows(store.rows(), Path("labels.xlsx"))
    with pytest.raises(FgvrError, match=r"labels\.csv': expected a file that ends in \.parquet, \.jsonl"):
        list(import_rows(tmp_path / "labels.csv"))
    with pytest.raises(FgvrError, match=r"There is no '.*none\.jsonl'.*`fgvr store export`"):
        list(import_rows(tmp_path / "none.jsonl"))
    for name, text, expected in [
        ("a.parquet", "PAR1", "is not a Parquet file"),
        ("a.jsonl", "{}\n{", "line 1: no 'key'"),
        ("b.jsonl", "[1]", "line 1: expected an object"),
        ("c.jsonl", "{", "line 1: not JSON"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(FgvrError, match=expected):
            list(import_rows(tmp_path / name))


def test_a_failed_export_leaves_the_old_file(store, tmp_path):
    path = tmp_path / "labels.jsonl"
    export_rows(store.rows(), path)
    before = path.read_bytes()

    def broken():
        yield next(store.rows())
        raise FgvrError("no more")

    with pytest.raises(FgvrError, match="no more"):
        export_rows(broken(), path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")) == []


def test_half_a_surrogate_pair_from_elsewhere(store, tmp_path):
    path = tmp_path / "labels.jsonl"
    edit_lines(store, path, lambda records: records[0].update(raw="a \ud83d"))
    with LabelStore(tmp_path / "other.sqlite") as other:
        other.merge(import_rows(path))
        assert next(other.rows()) == replace(next(store.rows()), raw="a \ufffd")
