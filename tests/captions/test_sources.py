import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny.wordnet import NOUNS, write_wordnet

from fgvr.captions import sources
from fgvr.captions.sources import file_captions, wordnet_captions
from fgvr.errors import FgvrError


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / name
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path, row_group_size=2)
        else:
            content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def test_lines_of_json(written):
    text = '"a finch"\n\n{"caption": " a jay ", "n": [1]}\n{"caption": null}\n"\\ud83d\\ude00 \\ud83d"\n'
    expected = ["a finch", "a jay", "", "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"]
    captions = file_captions(written("c.jsonl", text))
    assert (list(captions), list(captions), captions.name) == (expected, expected, "c.jsonl")
    assert list(file_captions(written("c.jsonl.gz", text))) == expected
    assert list(file_captions(written("mark.ndjson", f"\ufeff{text}"))) == expected


def test_the_only_text_is_the_caption(written):
    assert list(file_captions(written("c.jsonl", '{"n": 1, "text": "a"}\n{"text": "b"}'))) == ["a", "b"]
    assert list(file_captions(written("d.jsonl", '{"a": "x", "b": "y"}'), "b")) == ["y"]
    assert list(file_captions(written("c.parquet", {"n": [1, 2], "text": ["a", None]}))) == ["a", ""]
    both = {"a": ["x"], "b": ["y"]}
    assert list(file_captions(written("d.parquet", both), "b")) == ["y"]
    with pytest.raises(FgvrError, match=r"no single column 'caption' of texts. Columns of texts: 'a', 'b'"):
        file_captions(written("d.parquet", both))
    with pytest.raises(FgvrError, match=r"line 1: there is no key 'caption', and not one text alone.*column"):
        list(file_captions(written("d.jsonl", '{"a": "x", "b": "y"}')))


def test_parquet_beside_nested_columns(written):
    columns = {
        "junk": [[{"caption": "no", "deep": [[1]]}]] * 5,
        "caption": pa.array(["a", "b", "a", None, "c"]).dictionary_encode(),
        "more": [{"caption": "no"}] * 5,
    }
    assert list(file_captions(written("c.parquet", columns))) == ["a", "b", "a", "", "c"]
    for wrong in ("junk", "more", "none", "more.caption"):
        with pytest.raises(FgvrError, match=f"column is '{wrong}', and there is no single column"):
            file_captions(written("c.parquet", columns), wrong)
    numbers = written("n.parquet", {"caption": [1, 2]})
    with pytest.raises(FgvrError, match=r"\(it is int64\). Columns of texts: none"):
        file_captions(numbers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"a"\n{"caption": 3}', "line 2: 3 is no text"),
        ('"a"\n{"caption": "b"}\n{"text": "c"}', "line 3: there is no key 'caption' in"),
        ('"a"\n[1]', r"line 2: \[1\] is no text"),
        ("a finch", "line 1: no JSON"),
        ('"a"\n"\udcff"', "line 2: not UTF-8"),
        ("[" * 100_000, "line 1: no JSON"),
        ('"' + "a" * 2**20 + '"', "line 1: longer than 1 MB"),
    ],
)
def test_rows_that_are_no_captions(written, text, said):
    path = written("c.jsonl", text)
    with pytest.raises(FgvrError, match=f"c.jsonl, {said}"):
        list(file_captions(path))


def test_files_that_cannot_be_read(written, tmp_path, monkeypatch):
    with pytest.raises(FgvrError, match="There is no file"):
        file_captions(tmp_path / "none.jsonl")
    with pytest.raises(FgvrError, match="says no kind of file"):
        file_captions(written("c.csv", "caption\na"))
    with pytest.raises(FgvrError, match="not a Parquet file"):
        file_captions(written("c.parquet", "caption"))
    path = written("d.jsonl.gz", json.dumps("a" * 50))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(FgvrError, match="cannot be read after line 0"):
        list(file_captions(path))
    path = written("d.parquet", {"caption": ["finch" * 50] * 9, "n": list(range(9))})
    content = bytearray(path.read_bytes())
    content[10:200] = b"\xff" * 190
    path.write_bytes(content)
    with pytest.raises(FgvrError, match="damaged after row"):
        list(file_captions(path))
    monkeypatch.setattr(sources, "_LONGEST", 10)
    with pytest.raises(FgvrError, match="row 2: longer than"):
        list(file_captions(written("e.parquet", {"caption": ["a", "a" * 11]})))


def test_the_digest_changes_with_file_and_column(written):
    content = {"a": ["x"], "b": ["y"]}
    path = written("c.parquet", content)
    digests = {file_captions(path, "a").digest, file_captions(path, "b").digest}
    digests.add(file_captions(written("c.parquet", {**content, "a": ["z"]}), "a").digest)
    assert len(digests) == 3
    assert file_captions(written("e.parquet", content), "b").digest in digests


def test_lemmas_stand_before_the_gloss(tmp_path):
    captions = wordnet_captions(write_wordnet(tmp_path))
    assert (captions.name, captions.version) == ("wordnet glosses", "3.0")
    found = list(captions)
    assert len(found) == len(NOUNS)
    assert found[4] == "house finch, linnet, Carpodacus mexicanus: a finch | of the west"
    with pytest.raises(FgvrError, match="my_option: there is no WordNet"):
        wordnet_captions(tmp_path / "none", "my_option")
