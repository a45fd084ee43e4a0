import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.store import LabelStore, request_key
from fgvr.records import ImageRecord

IDENTITY = {"labeler": "tiny", "temperature": 0.5}


def ask(name="a", prompt="What is it?", sample_index=0):
    return LabelRequest(
        ImageRecord(f"{name}.jpg", Path(name), "support", digest=f"digest-{name}"), prompt, sample_index
    )


def row(path, columns="*"):
    database = sqlite3.connect(path)
    found = database.execute(f"SELECT {columns} FROM replies").fetchall()
    database.close()
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "not" / "yet" / "labels.sqlite"


@pytest.fixture
def store(path):
    with LabelStore(path) as store:
        yield store


def test_a_reply_comes_back_as_it_was_put_in(path):
    reply = Reply(
        ask(),
        raw='# Ein "Reply"\n<b>naïve</b> \u2028 犬 \x00 end',
        names=("Heron, grey", "Ardea"),
        model="m-1",
        cost_usd=0.25,
        seconds=1.5,
        usage={"tokens": {"in": 3}, "finish": None},
    )
    with LabelStore(path) as store:
        store.put(IDENTITY, reply)
    with LabelStore(path) as store:
        assert store.get(IDENTITY, [ask(), ask("b")]) == [reply, None]


def test_names_of_none_and_no_names_stay_apart(store):
    store.put(IDENTITY, Reply(ask("a"), names=()))
    store.put(IDENTITY, Reply(ask("b"), names=None))
    assert [reply.names for reply in store.get(IDENTITY, [ask("a"), ask("b")])] == [(), None]


@pytest.mark.parametrize("raw", ["", "x" * 10_000, "<p>**Beagle**</p> " * 300, "```json\n{}\n```"])
def test_any_reply_is_kept_as_it_is(store, raw):
    store.put(IDENTITY, Reply(ask(), raw=raw))
    assert store.get(IDENTITY, [ask()])[0].raw == raw


def test_half_a_surrogate_pair_costs_one_character_not_the_reply(store):
    store.put(IDENTITY, Reply(ask(), raw=json.loads(r'"a \ud83d b \ud83d\udc15"')))
    assert store.get(IDENTITY, [ask()])[0].raw == "a \ufffd b 🐕"


def test_usage_that_is_not_json_does_not_lose_the_reply(store):
    store.put(IDENTITY, Reply(ask(), raw="Beagle", usage={"tokens": Path("7")}))
    assert store.get(IDENTITY, [ask()])[0].usage == {"tokens": "7"}


@pytest.mark.parametrize(
    ("identity", "request_"),
    [
        ({**IDENTITY, "temperature": 0.6}, ask()),
        (IDENTITY, ask("b")),
        (IDENTITY, ask(prompt="What else?")),
        (IDENTITY, ask(sample_index=1)),
    ],
)
def test_all_that_a_reply_depends_on_is_in_the_key(store, identity, request_):
    store.put(IDENTITY, Reply(ask(), raw="Beagle"))
    assert store.get(identity, [request_]) == [None]


def test_the_key_ignores_order_of_identity_and_name_of_the_photo():
    elsewhere = replace(ask(), image=replace(ask().image, sample_id="other/b.jpg", path=Path("other"), split="test"))
    assert request_key(IDENTITY, ask()) == request_key(dict(reversed(IDENTITY.items())), elsewhere)


def test_the_key_is_the_same_in_every_version():
    # a change here would orphan every reply that users paid for
    question = (
        '{"identity":{"labeler":"tiny","temperature":0.5},"photo":"digest-a","prompt":"What is it?","sample_index":0}'
    )
    assert request_key(IDENTITY, ask()) == hashlib.sha256(question.encode()).hexdigest()


def test_photos_without_digest_are_refused():
    with pytest.raises(ValueError, match="no digest"):
        request_key(IDENTITY, replace(ask(), image=replace(ask().image, digest="")))


def test_a_failure_makes_way_for_a_success_and_its_cost_stays(store, path):
    store.put(IDENTITY, Reply(ask(), error="timeout", cost_usd=0.01))
    store.put(IDENTITY, Reply(ask(), error="overloaded", cost_usd=0.01))
    assert store.get(IDENTITY, [ask()])[0].error == "overloaded"
    store.put(IDENTITY, Reply(ask(), raw="Beagle", cost_usd=0.02))
    reply = store.get(IDENTITY, [ask()])[0]
    assert (reply.raw, reply.error, reply.cost_usd) == ("Beagle", "", pytest.approx(0.04))
    assert row(path, "attempts") == [(3,)]


@pytest.mark.parametrize("later", [Reply(ask(), raw="Poodle"), Reply(ask(), error="timeout")])
def test_a_success_is_never_overwritten(store, later):
    first = Reply(ask(), raw="Beagle", model="m")
    store.put(IDENTITY, first)
    store.put(IDENTITY, later)
    assert store.get(IDENTITY, [ask()]) == [first]


def test_the_row_can_be_read_by_other_tools(store, path):
    store.put(IDENTITY, Reply(ask(), raw="Beagle"))
    [(key, photo, index, identity, prompt, created_at)] = row(
        path, "key, photo, sample_index, identity, prompt, created_at"
    )
    assert (key, photo, index, prompt) == (request_key(IDENTITY, ask()), "digest-a", 0, "What is it?")
    assert json.loads(identity) == IDENTITY
    assert datetime.fromisoformat(created_at).utcoffset().total_seconds() == 0


def test_thousands_of_requests_at_once(store):
    requests = [ask(str(number)) for number in range(3000)]
    store.put(IDENTITY, Reply(requests[2999], raw="last"))
    found = store.get(IDENTITY, [*requests, requests[2999]])
    assert [reply is not None for reply in found] == [False] * 2999 + [True, True]


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,name\n" * 100)
    with pytest.raises(FgvrError, match=r"labels\.csv.*not a database.*another file"):
        LabelStore(path)
    assert path.read_text().startswith("file,name")


def test_a_database_of_another_program(tmp_path):
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (id)")
    other.close()
    with pytest.raises(FgvrError, match=r"other\.sqlite.*another program"):
        LabelStore(path)


def test_a_store_of_a_newer_version(path):
    LabelStore(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(FgvrError, match=r"version 7.*knows version 1.*upgrade"):
        LabelStore(path)


def test_a_path_that_cannot_be_a_file(tmp_path):
    with pytest.raises(FgvrError, match="cannot be opened"):
        LabelStore(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FgvrError, match="cannot be opened"):
        LabelStore(tmp_path / "file" / "labels.sqlite")


def test_an_error_while_writing_names_the_file(path):
    store = LabelStore(path)
    store.close()
    with pytest.raises(FgvrError, match=r"labels\.sqlite.*cannot be written"):
        store.put(IDENTITY, Reply(ask()))


WRITER = """
import sys
from pathlib import Path
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.store import LabelStore
from fgvr.records import ImageRecord

path, writer = Path(sys.argv[1]), sys.argv[2]
with LabelStore(path) as store:
    print("open", flush=True)
    for number in range(200):
        for name in (f"{writer}-{number}", f"shared-{number}"):
            request = LabelRequest(ImageRecord(name, Path(name), "support", digest=name), "?")
            store.put({}, Reply(request, raw=f"{writer} said"))
"""


def test_several_processes_open_a_new_store_and_write_at_once(path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), writer], stdout=subprocess.PIPE)
        for writer in ("one", "two", "three")
    ]
    for process in writers:
        process.communicate(timeout=120)
    assert [process.returncode for process in writers] == [0, 0, 0]
    assert len(row(path)) == 800
    assert {attempts for (attempts,) in row(path, "attempts")} == {1}


RUN = """
import sys
from pathlib import Path
from fgvr.labelers.run import label
from fgvr.labelers.store import LabelStore
from fgvr.records import ImageRecord
from fgvr.testing.tiny_labeler import TinyLabeler

class Journaled(TinyLabeler):
    def ask(self, requests):
        with Path(sys.argv[2]).open("a", buffering=1) as journal:
            for reply in super().ask(requests):
                yield reply
                # the caller wants the next one, so it must have stored this one
                journal.write(reply.request.image.digest + "\\n")

names = [f"{number}.jpg" for number in range(20_000)]
images = [ImageRecord(name, Path(name), "support", digest=name) for name in names]
with LabelStore(Path(sys.argv[1])) as store:
    label(Journaled(dict.fromkeys(names, "Beagle")), images, store, progress=False)
"""


def test_nothing_yielded_is_lost_by_kill_9(path, tmp_path):
    journal = tmp_path / "journal"
    journal.touch()
    stored = 0
    for more_lines in (1, 3, 40, 200):
        lines = len(journal.read_text().splitlines()) + more_lines
        process = subprocess.Popen([sys.executable, "-c", RUN, str(path), str(journal)])
        deadline = time.monotonic() + 60
        while len(journal.read_text().splitlines()) < lines and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

        yielded = journal.read_text().split("\n")[:-1]
        with LabelStore(path):  # opening it repairs what the killed process left
            in_store = {photo for (photo,) in row(path, "photo")}
        assert set(yielded) <= in_store
        assert len(in_store) > stored
        stored = len(in_store)
        # one reply may be stored but not journaled at each kill, and no photo was asked twice
        assert len(yielded) == len(set(yielded))
    assert stored >= 244
