"""Many processes at once, and kill -9 at any moment, leave a valid store.

As a script, this file is the process that others are forked from: one a line of its input. (Python with all imports
takes half a second to start; a fork takes none.)
"""

import hashlib
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fgvr.data.feature_store import FeatureStore
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.errors import FgvrError

WIDTH = 96
DIGESTS = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(300)]
VIEWS = [(digest, view) for digest in DIGESTS for view in range(2)]


def vector(view, writer):
    """A vector that shows whose it is, who wrote it, and whether it is whole."""
    draw = np.random.default_rng([writer, view[1], *bytes.fromhex(view[0][:8])])
    return np.append(draw.normal(size=WIDTH - 1), writer).astype(np.float32)


def write(folder, writer, chunk):
    """Write all views in an order of this writer's own."""
    store = FeatureStore(folder, "key", WIDTH)
    order = random.Random(writer).sample(VIEWS, len(VIEWS))
    for start in range(0, len(order), chunk):
        store.put({view: vector(view, writer) for view in order[start : start + chunk]})


def read(folder):
    """View -> its row, for all that are stored; every one of them is whole and the right one's."""
    store = FeatureStore(folder, "key", WIDTH)
    rows, vectors = store.rows(DIGESTS, views=2), store.read()
    found = {(digest, view): int(rows[view, n]) for n, digest in enumerate(DIGESTS) for view in range(2)}
    found = {view: row for view, row in found.items() if row >= 0}
    assert len(set(found.values())) == len(found), "two views have one row"
    for view, row in found.items():
        np.testing.assert_array_equal(vectors[row], vector(view, int(vectors[row][-1])).astype(np.float16))
    return {view: (row, vectors[row].tobytes()) for view, row in found.items()}


def read_as_nobody(folder, images):
    """What a user without the right to write sees."""
    # now, with what Python and Pillow import for it: this user may have no right to read that
    records = FolderDataset(Path(images)).records()
    read(folder)
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    with pytest.raises(PermissionError):
        (folder / "new").touch()
    assert len(read(folder)) == len(VIEWS)
    assert len(scan(records, folder, progress=False).readable) == 2
    with pytest.raises(FgvrError, match="FGVR_CACHE"):
        FeatureStore(folder, "key", WIDTH).put({("new", 0): np.zeros(WIDTH, dtype=np.float32)})


def forks():
    """For each line, start a child; kill it after the seconds that the line says, or write its exit status at once."""
    jobs = {"write": write, "read_as_nobody": read_as_nobody}
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        if order["job"] == "wait":
            statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            children.clear()
            sys.stdout.write(json.dumps(statuses) + "\n")
            sys.stdout.flush()
            continue
        children.append(os.fork())
        if not children[-1]:
            try:
                jobs[order["job"]](Path(order["folder"]), *order["arguments"])
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if order["seconds"] is not None:
            time.sleep(order["seconds"])
            os.kill(children[-1], signal.SIGKILL)


class Forks:
    """The process that forks."""

    def __init__(self):
        command = [sys.executable, __file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, job, folder, *arguments, seconds=None):
        order = {"job": job, "folder": str(folder), "arguments": arguments, "seconds": seconds}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def wait(self):
        """Exit statuses of the children since the last time."""
        self.start("wait", "")
        return self.statuses()

    def statuses(self):
        """The same, after it was asked for."""
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def children():
    forks = Forks()
    yield forks
    forks.process.stdin.close()
    assert forks.process.wait(30) == 0
    forks.process.stdout.close()


def test_what_was_put_comes_back_in_float16_and_is_never_changed(tmp_path):
    store = FeatureStore(tmp_path, "key", 3)
    assert store.rows(["a", "b"]).tolist() == [[-1, -1]]
    assert store.read().shape == (0, 3)
    assert not store.folder.exists(), "nothing is written by a reader"
    first = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    store.put({("a", 0): first, ("b", 1): 2 * first})
    before = store.read()
    store.put({("a", 0): 9 * first, ("a", 1): 3 * first})
    assert store.rows(["b", "a", "b", "c"], views=2).tolist() == [[-1, 0, -1, -1], [1, 2, 1, -1]]
    assert store.rows(["b", "a"]).tolist() == [[-1, 0]]
    stored = store.read()
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, (np.array([[1], [2], [3]]) * first).astype(np.float16))
    np.testing.assert_array_equal(before, stored[:2])
    assert not stored.flags.writeable


def test_each_key_has_vectors_of_its_own(tmp_path):
    FeatureStore(tmp_path, "key", 3).put({("a", 0): np.ones(3, dtype=np.float32)})
    assert FeatureStore(tmp_path, "other", 4).rows(["a"]).tolist() == [[-1]]


def test_a_reader_that_comes_while_the_first_writer_makes_the_tables(tmp_path):
    store = FeatureStore(tmp_path, "key", 3)
    store.folder.mkdir()
    store.index_file.touch()
    assert store.rows(["a"]).tolist() == [[-1]]
    assert len(store.read()) == 0


@pytest.mark.parametrize("damage", ["shorter", "gone", "of another width"])
def test_a_data_file_that_is_not_what_the_index_says(tmp_path, damage):
    store = FeatureStore(tmp_path, "key", 3)
    store.put({("a", 0): np.ones(3, dtype=np.float32), ("b", 0): np.ones(3, dtype=np.float32)})
    if damage == "shorter":
        os.truncate(store.vectors_file, 11)
    elif damage == "gone":
        store.vectors_file.unlink()
    else:
        store = FeatureStore(tmp_path, "key", 4)
    for use in (store.read, lambda: store.put({("c", 0): np.ones(store.width, dtype=np.float32)})):
        with pytest.raises(FgvrError, match=r"vectors\.f16'.*Delete the folder"):
            use()
    shutil.rmtree(store.folder)
    store.put({("a", 0): np.ones(store.width, dtype=np.float32)})
    assert len(store.read()) == 1


def test_a_damaged_index_names_the_folder_to_delete(tmp_path):
    store = FeatureStore(tmp_path, "key", 3)
    store.put({("a", 0): np.ones(3, dtype=np.float32)})
    store.index_file.write_bytes(b"no database" * 100)
    for use in (lambda: store.rows(["a"]), store.read, lambda: store.put({("b", 0): np.ones(3, dtype=np.float32)})):
        with pytest.raises(FgvrError, match=f"if the file is damaged, delete '{store.folder}'"):
            use()


def test_without_its_index_a_store_begins_anew_and_readers_keep_what_they_have(tmp_path):
    store = FeatureStore(tmp_path, "key", 3)
    store.put({("a", 0): np.ones(3, dtype=np.float32), ("b", 0): np.full(3, 2, dtype=np.float32)})
    mapped = store.read()
    store.index_file.unlink()
    store.put({("c", 0): np.full(3, 3, dtype=np.float32)})
    assert mapped.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert store.rows(["a", "b", "c"]).tolist() == [[-1, -1, 0]]
    assert store.read().tolist() == [[3, 3, 3]]
    assert store.vectors_file.stat().st_size == 6
    assert sorted(path.name for path in store.folder.iterdir()) == ["index.sqlite", "vectors.f16"]


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e6], ids=str)
def test_vectors_that_are_not_finite_in_float16_are_refused(tmp_path, number):
    store = FeatureStore(tmp_path, "key", 3)
    good = np.ones(3, dtype=np.float32)
    with pytest.raises(FgvrError, match="photo with the digest b are not finite"):
        store.put({("a", 0): good, ("b", 0): np.array([0, number, 0], dtype=np.float32)})
    assert store.rows(["a", "b"]).tolist() == [[-1, -1]]


def test_a_write_that_fails_leaves_no_trace_in_the_index(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, "key", 3)
    store.put({("a", 0): np.ones(3, dtype=np.float32)})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError("no space left on device")))
        with pytest.raises(FgvrError, match="no space left"):
            store.put({("b", 0): np.full(3, 2, dtype=np.float32)})
    assert store.rows(["a", "b"]).tolist() == [[0, -1]]
    store.put({("c", 0): np.full(3, 3, dtype=np.float32)})
    assert store.read().tolist() == [[1, 1, 1], [3, 3, 3]], "the row that was not committed is written over"


def flip(path, position, bit=0):
    """Another bit at a place of a file, as a disk or a copy leaves it."""
    with path.open("r+b") as file:
        file.seek(position)
        [byte] = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def letters(width, names="abcd"):
    return {(name, 0): np.full(width, number, dtype=np.float32) for number, name in enumerate(names, 1)}


def test_a_flipped_bit_in_a_row_is_noticed_and_its_features_are_stored_anew(tmp_path, caplog):
    store, stored = FeatureStore(tmp_path, "key", 3), letters(3)
    store.put(stored)
    flip(store.vectors_file, 2 * 3 * 2 + 1)
    assert store.rows(["a", "b", "c"]).tolist() == [[0, 1, -1]]
    assert "vectors.f16' is damaged: the features of 1 picture in it is not what was stored" in caplog.text
    before = store.read()
    store.put(stored)
    assert store.rows(["a", "b", "c", "d"]).tolist() == [[0, 1, 4, 3]]
    assert store.read()[[0, 1, 4, 3]].tolist() == [[1] * 3, [2] * 3, [3] * 3, [4] * 3]
    assert len(before) == 4, "who has mapped the file keeps what it has"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE features SET row = 1 WHERE digest = 'a'",
        "UPDATE features SET row = 4 WHERE digest = 'a'",
        "UPDATE features SET row = 'x' WHERE digest = 'a'",
        "UPDATE features SET view = -1 WHERE digest = 'a'",
        "UPDATE features SET checksum = NULL WHERE digest = 'a'",
        "UPDATE features SET digest = 'e' WHERE digest = 'a'",
    ],
)
def test_a_damaged_index_gives_no_photo_the_features_of_another(tmp_path, change):
    store = FeatureStore(tmp_path, "key", 3)
    store.put(letters(3))
    with closing(sqlite3.connect(store.index_file)) as index, index:
        index.execute(change)
    assert store.rows(["a", "b", "e"]).tolist() == [[-1, 1, -1]]
    store.put(letters(3))
    assert store.read()[store.rows(["a", "b"])[0]].tolist() == [[1] * 3, [2] * 3]


def test_vectors_of_another_store_are_not_taken_for_its_own(tmp_path):
    mine, other = FeatureStore(tmp_path, "key", 3), FeatureStore(tmp_path, "other", 3)
    for store in (mine, other):
        store.put(letters(3))
    shutil.copy(other.index_file, mine.index_file)
    assert mine.rows(["a"]).tolist() == [[-1]]


def test_a_number_of_rows_that_is_damaged_is_not_written_by(tmp_path):
    store = FeatureStore(tmp_path, "key", 3)
    store.put(letters(3))
    with closing(sqlite3.connect(store.index_file)) as index, index:
        index.execute("UPDATE about SET rows = 2")
    for use in (lambda: store.rows(["a"]), store.read, lambda: store.put(letters(3, "e"))):
        with pytest.raises(FgvrError, match=r"index\.sqlite' is damaged.*Delete the folder"):
            use()


def without_checksums(store):
    """The store as fgvr wrote it before there were checksums."""
    with closing(sqlite3.connect(store.index_file)) as index, index:
        index.execute("ALTER TABLE features DROP COLUMN checksum")
        index.execute("ALTER TABLE about DROP COLUMN checksum")


@pytest.mark.parametrize("first", ["reads", "writes"])
def test_an_older_store_is_kept_and_gets_checksums(tmp_path, first):
    store = FeatureStore(tmp_path, "key", 3)
    store.put(letters(3))
    without_checksums(store)
    if first == "writes":
        store.put(letters(3, "xxxxe"))
    assert store.rows(["a", "d"]).tolist() == [[0, 3]]
    flip(store.vectors_file, 0)
    # what this process has read it does not read again
    script = (
        "import sys, pathlib; from fgvr.data.feature_store import FeatureStore; "
        "print(FeatureStore(pathlib.Path(sys.argv[1]), 'key', 3).rows(['a', 'd']).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "[[-1, 3]]\n"


def test_no_flipped_bit_changes_features_silently(tmp_path):
    """Whatever is damaged, features are those that were stored, or none, or one line says what is wrong."""
    draw, whole = random.Random(0), letters(3, "abcdefghijklmnop")
    FeatureStore(tmp_path / "whole", "key", 3).put(whole)
    outcomes = Counter()
    for number in range(200):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        store = FeatureStore(folder, "key", 3)
        path = draw.choice([store.vectors_file, store.index_file])
        flip(path, draw.randrange(path.stat().st_size), draw.randrange(8))
        try:
            rows = store.rows(list("abcdefghijklmnop"))[0]
            vectors = store.read()
            for name, row in zip("abcdefghijklmnop", rows, strict=True):
                assert row < 0 or vectors[row].tolist() == whole[name, 0].tolist()
            store.put(whole)
            after = store.read()[store.rows(list("abcdefghijklmnop"))[0]]
            assert after.tolist() == [vector.tolist() for vector in whole.values()]
            outcomes["computed anew" if (rows < 0).any() else "nothing lost"] += 1
        except FgvrError as error:
            outcomes["refused" if str(folder) in str(error) and "\n" not in str(error) else str(error)] += 1
        shutil.rmtree(folder)
    assert set(outcomes) == {"computed anew", "nothing lost", "refused"}


def write_at_once(folder, children):
    """Four writers of the same views. Returns how often new rows were seen before the end, and who wrote any."""
    for writer in range(4):
        children.start("write", folder, writer, 7)
    children.start("wait", "")
    before, looks = {}, 0
    while not select.select([children.process.stdout], [], [], 0.01)[0]:
        after = read(folder)
        assert before.items() <= after.items(), "a row has changed"
        looks += len(before) < len(after)
        before = after
    assert children.statuses() == [0] * 4
    after = read(folder)
    assert before.items() <= after.items()
    assert len(after) == len(VIEWS)
    return looks, {vector[-2:] for _, vector in after.values()}


def test_four_processes_write_the_same_photos_at_once(tmp_path, children):
    # on a busy machine one writer may be through before the next is started: then again, in another folder
    for attempt in range(10):
        looks, writers = write_at_once(tmp_path / str(attempt), children)
        if looks > 1 and len(writers) > 1:
            return
    pytest.fail("they never wrote at the same time while somebody looked: nothing was tested")


def test_kill_9_loses_nothing_that_was_stored(tmp_path, children):
    draw = random.Random(0)
    killed, before = 0, {}
    for number in range(30):
        children.start("write", tmp_path, number, 7, seconds=draw.uniform(0, 0.03))
        [status] = children.wait()
        assert status in (0, -signal.SIGKILL)
        after = read(tmp_path)
        assert before.items() <= after.items()
        killed += status != 0 and len(after) < len(VIEWS)
        before = after
    assert killed > 5, "the children were too fast to be killed while they write: nothing was tested"
    children.start("write", tmp_path, 99, 7)
    assert children.wait() == [0]
    after = read(tmp_path)
    assert before.items() <= after.items()
    assert len(after) == len(VIEWS)


def test_a_complete_cache_that_cannot_be_written(children):
    # a folder that another user may enter, which pytest's is not
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cache, images = root / "cache", root / "photos"
        images.mkdir()
        for colour in ("red", "green"):
            Image.new("RGB", (8, 8), colour).save(images / f"{colour}.png")
        scan(FolderDataset(images).records(), cache, progress=False)
        write(cache, 0, 100)
        inside = [root, *root.rglob("*")]
        for path in inside:
            path.chmod(0o555 if path.is_dir() else 0o444)
        children.start("read_as_nobody", cache, str(images))
        assert children.wait() == [0]
        for path in inside:
            path.chmod(0o755)


if __name__ == "__main__":
    forks()
