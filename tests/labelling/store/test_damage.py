"""Label stores whose bits flipped, whose files were cut off, and those of before there were checksums."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelling.store.damage import StoreDamage
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

IDENTITY = {"labeler": "tiny", "model": "gpt-4o"}
NAMES = [f"dogs/{number}" for number in range(12)]


def ask(name):
    image = ImageRecord(sample_id=f"{name}.jpg", path=Path(name), split="support", digest=f"digest-{name}")
    return LabelRequest(image, "What is it?")


def answer(name):
    return Reply(
        ask(name), raw=f"A dog called {name}.", names=("Beagle",), model="m", cost_usd=0.25, usage={"tokens": 3}
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        store.put_many(IDENTITY, [answer(name) for name in NAMES])
        store.batches.open(IDENTITY, "api.example", [ask("sent")], 1.0)
        store.revise(corrections={"key": ["Pug"]}, aliases={"mops": "Pug"})
    return path


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def columns(path, query):
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute(query)]


def test_an_empty_file_is_no_new_store(tmp_path):
    path = tmp_path / "labels.sqlite"
    path.touch()
    (tmp_path / "labels.sqlite-wal").write_bytes(b"replies")
    with pytest.raises(
        FgvrError, match=r"labels\.sqlite' is empty or cut off \(bytes: 0\).*Restore a copy.*delete it"
    ) as caught:
        LabelStore(path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "labels.sqlite-wal").read_bytes() == b"replies"


def test_a_new_store_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "labels.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            LabelStore(path)
    assert list(tmp_path.iterdir()) == []
    # a disk without links
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(PermissionError))
        LabelStore(path).close()
    assert [file.name for file in tmp_path.iterdir()] == ["labels.sqlite"]
    elsewhere = tmp_path / "link.sqlite"
    elsewhere.symlink_to(tmp_path / "target.sqlite")
    LabelStore(elsewhere).close()
    assert elsewhere.is_symlink()
    assert (tmp_path / "target.sqlite").stat().st_size > 0


@pytest.mark.parametrize(
    "change",
    [
        "raw = 'A cat.'",
        "names = 'Beagle'",
        "cost_usd = 0.5",
        "model = 'n'",
        "usage = NULL",
        "raw = CAST(X'41ff' AS TEXT)",
        "prompt = 'Who?'",
    ],
)
def test_a_damaged_reply_is_neither_used_nor_asked_for_again(path, change):
    execute(path, f"UPDATE replies SET {change} WHERE id = 3")
    with LabelStore(path) as store:
        for use in (lambda: store.get(IDENTITY, list(map(ask, NAMES))), lambda: list(store.rows())):
            with pytest.raises(FgvrError) as caught:
                use()
            assert "fgvr store check" in str(caught.value)
            assert "\n" not in str(caught.value)
        if "X'" not in change:
            with pytest.raises(FgvrError, match=r"reply about the photo 'dogs/2\.jpg' of the labeler .*gpt-4o"):
                store.get(IDENTITY, [ask("dogs/2")])
            # what is added to it does not make it whole
            store.put(IDENTITY, Reply(ask("dogs/2"), error="late"))
        assert len(store.get(IDENTITY, [ask("dogs/3")])) == 1
    with StoreDamage(path) as damage:
        [row] = damage.rows()
        assert row.described.startswith("dogs/2.jpg  reply: A")
        damage.drop([row])
        assert list(damage.rows()) == []
    with LabelStore(path) as store:
        assert [reply is None for reply in store.get(IDENTITY, list(map(ask, NAMES)))] == [n == 2 for n in range(12)]


def test_a_damaged_reply_that_a_person_has_looked_at_is_kept(path):
    execute(path, "UPDATE replies SET raw = 'A dog.' WHERE id = 1", "UPDATE replies SET names = '[' WHERE id = 2")
    with StoreDamage(path) as damage:
        damage.keep(list(damage.rows()))
        [left] = damage.rows()
    assert (left.id, left.readable) == (2, False)
    with LabelStore(path) as store:
        assert store.get(IDENTITY, [ask("dogs/0")])[0].raw == "A dog."


@pytest.mark.parametrize(
    ("change", "use", "message"),
    [
        ("UPDATE batches SET requests = '[1'", lambda store: store.batches.find(), r"batch 'fgvr-.*Nothing is sent"),
        ("UPDATE corrections SET names = '[]'", lambda store: store.corrections(), r"person wrote for .*corrections"),
        ("UPDATE aliases SET canonical = 'Cat'", lambda store: store.aliases(), r"person wrote for 'mops' \(aliases"),
    ],
)
def test_batches_and_what_a_person_said_are_checked_too(path, change, use, message):
    execute(path, change)
    with LabelStore(path) as store, pytest.raises(FgvrError, match=message):
        use(store)
    with StoreDamage(path) as damage:
        assert len(list(damage.rows())) == 1


def test_a_reply_that_its_index_lacks_is_not_asked_for_again(path):
    content = path.read_bytes()
    key = request_key(IDENTITY, ask("dogs/2")).encode()
    # the table says what else is in the row; in the index nothing but the key is, and a bit of it flips
    places = [place for place in range(len(content)) if content.startswith(key, place)]
    [place] = [place for place in places if content[place + 64 : place + 74] != b"dogs/2.jpg"]
    path.write_bytes(content[:place] + b"g" + content[place + 1 :])
    with LabelStore(path) as store:
        assert store.get(IDENTITY, [ask("dogs/2")]) == [None]
        with pytest.raises(FgvrError, match=r"might not be found.*nothing is asked.*--drop"):
            store.check_index()
    with StoreDamage(path) as damage:
        assert "index" in damage.structure()
        damage.drop(list(damage.rows()))
        assert not damage.structure()
    with LabelStore(path) as store:
        store.check_index()
        assert store.get(IDENTITY, [ask("dogs/2")])[0].raw == "A dog called dogs/2."


def as_version_2(path):
    """The store as fgvr wrote it before there were checksums."""
    drops = [f"DROP TABLE {name}_checks" for name in ("replies", "batches", "corrections", "aliases")]
    execute(path, *drops, "DROP TABLE schema_check", "PRAGMA user_version = 2")


OPENER = """
import sys
from pathlib import Path
from fgvr.labelling.store.label_store import LabelStore

sys.stdin.readline()
with LabelStore(Path(sys.argv[1])) as store:
    print(len(list(store.rows())))
"""


def test_an_older_store_gets_checksums_once_whoever_comes_first(path):
    as_version_2(path)
    openers = [
        subprocess.Popen([sys.executable, "-c", OPENER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [opener.communicate("go\n", timeout=120)[0] for opener in openers] == [f"{len(NAMES)}\n"] * 3
    assert columns(path, "SELECT COUNT(*) FROM replies_checks") == [len(NAMES)]
    execute(path, "UPDATE replies SET raw = 'A cat.' WHERE id = 3")
    with LabelStore(path) as store, pytest.raises(FgvrError, match=r"dogs/2\.jpg"):
        store.get(IDENTITY, [ask("dogs/2")])


def test_what_was_unreadable_before_there_were_checksums_is_named(path):
    as_version_2(path)
    execute(path, "UPDATE replies SET usage = '{' WHERE id = 3")
    with LabelStore(path) as store, pytest.raises(FgvrError, match=r"dogs/2\.jpg"):
        store.get(IDENTITY, list(map(ask, NAMES)))


def test_a_reply_that_an_older_fgvr_writes_meanwhile_is_read(path):
    """It has the store open, and knows of no checksums."""
    columns = (
        "key, sample_id, photo, others, sample_index, identity, prompt, raw, names, error, model, cost_usd, seconds"
    )
    with closing(sqlite3.connect(path)) as older, older:
        older.execute(
            f"INSERT INTO replies ({columns}, usage, attempts, created_at) SELECT '{request_key(IDENTITY, ask('new'))}'"
            f"{columns.removeprefix('key')}, usage, attempts, created_at FROM replies WHERE id = 1"
        )
    with LabelStore(path) as store:
        assert store.get(IDENTITY, [ask("new")])[0].raw == "A dog called dogs/0."


def outcome(path, whole):
    """What comes of using a damaged store; a difference without a word is a failure of the test."""
    try:
        with LabelStore(path) as store:
            found = store.get(IDENTITY, list(map(ask, NAMES)))
            if None in found:
                store.check_index()
                return "asked again"
            store.check_index()
            assert found == whole, "other replies without a word"
            assert store.corrections() in ({"key": ("Pug",)}, {})
            assert [row.raw for row in store.rows()] == [reply.raw for reply in whole]
            store.batches.find()
            store.put(IDENTITY, answer("more"))
    except FgvrError as error:
        return "refused" if "\n" not in str(error) else str(error)
    return "nothing lost"


def test_no_flipped_bit_changes_a_reply_silently(path, tmp_path):
    draw = random.Random(0)
    with LabelStore(path) as store:
        whole = store.get(IDENTITY, list(map(ask, NAMES)))
    content, outcomes = path.read_bytes(), Counter()
    used = [place for place, byte in enumerate(content) if byte]
    for number in range(250):
        damaged = tmp_path / f"{number}" / "labels.sqlite"
        damaged.parent.mkdir()
        flipped = bytearray(content)
        flipped[draw.choice(used)] ^= 1 << draw.randrange(8)
        damaged.write_bytes(flipped)
        outcomes[outcome(damaged, whole)] += 1
        shutil.rmtree(damaged.parent)
    assert set(outcomes) == {"nothing lost", "refused"}


@pytest.mark.parametrize("size", [1, 50, 100, 4096, 20_000])
def test_a_store_that_was_cut_off_is_one_line(path, size):
    os.truncate(path, size)
    with LabelStore(path.parent / "whole.sqlite") as store:
        whole = store.get(IDENTITY, [])
    assert outcome(path, whole) == "refused"
