from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fgvr.candidates.files import write_candidates
from fgvr.files import replacing
from fgvr.labelling.files import write_labels
from fgvr.records import CandidateSets, LabelRecord
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import write_vocabulary


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "deep/file.txt"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_one(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("write", "old", "new"),
    [
        (write_labels, [LabelRecord("a.jpg", ("Pug",), (None,))], []),
        (write_vocabulary, known_vocabulary(["Pug"]), known_vocabulary(["Auk"])),
        (
            lambda sets, path: write_candidates(sets, ["Pug", "Auk"], path),
            *(CandidateSets.from_lists(["a.jpg"], [[c]]) for c in (0, 1)),
        ),
    ],
    ids=["labels", "vocabulary", "candidates"],
)
def test_a_full_disk_leaves_the_old_file_of_a_run_and_nothing_else(tmp_path, monkeypatch, write, old, new):
    def full(*arguments, **options):
        next(each for each in arguments if isinstance(each, Path)).write_bytes(b"half of it")
        raise OSError("disk full")

    path = tmp_path / "file"
    write(old, path)
    before = path.read_bytes()
    monkeypatch.setattr(pq, "write_table", full)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="disk full"):
        write(new, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
