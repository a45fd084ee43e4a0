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
from fgvr.labelling.store.keys import request_key, request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

IDENTITY = {"labeler": "tiny", "temperature": 0.5}


def ask(name="a", prompt="What is it?", answer=0):
    return LabelRequest(
        ImageRecord(sample_id=f"{name}.jpg", path=Path(name), split="support", digest=f"digest-{name}"), prompt, answer
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
        (IDENTITY, ask(answer=1)),
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


@pytest.mark.parametrize("later", [Reply(ask(), raw="Poodle", cost_usd=0.25), Reply(ask(), error="no", cost_usd=0.25)])
def test_a_success_is_never_overwritten_and_what_came_later_was_paid_too(store, later):
    first = Reply(ask(), raw="Beagle", names=("Beagle",), model="m", cost_usd=0.5, seconds=2.0, usage={"tokens": 3})
    store.put(IDENTITY, first)
    store.put(IDENTITY, later)
    assert store.get(IDENTITY, [ask()]) == [replace(first, cost_usd=0.75, attempts=2)]


def test_the_row_can_be_read_by_other_tools(store, path):
    store.put(IDENTITY, Reply(ask(), raw="Beagle"))
    [(key, image, index, identity, prompt, created_at)] = row(
        path, "key, photo, sample_index, identity, prompt, created_at"
    )
    assert (key, image, index, prompt) == (request_key(IDENTITY, ask()), "digest-a", 0, "What is it?")
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


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (7, r"version 7.*knows version 3.*upgrade"),
        (1, r"of version 1, of before the first release\. Export its replies"),
    ],
)
def test_a_store_of_another_version(path, version, message):
    LabelStore(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    with pytest.raises(FgvrError, match=message):
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


def group(*names):
    images = tuple(
        ImageRecord(sample_id=f"{name}.jpg", path=Path(name), split="support", digest=f"digest-{name}")
        for name in names
    )
    return LabelRequest(images[0], "What are they?", 0, images[1:])


def test_the_others_of_a_group_are_in_the_key_and_in_the_row(store, path):
    store.put(IDENTITY, Reply(group("a", "b", "c"), raw="Terns"))
    asked = [group("a", "b", "c"), group("a", "c", "b"), group("a", "b"), group("a")]
    assert [reply is not None for reply in store.get(IDENTITY, asked)] == [True, False, False, False]
    question = (
        '{"identity":{"labeler":"tiny","temperature":0.5},"others":["digest-b","digest-c"],"photo":"digest-a",'
        '"prompt":"What are they?","sample_index":0}'
    )
    assert row(path, "key, others") == [(hashlib.sha256(question.encode()).hexdigest(), '["digest-b", "digest-c"]')]
    nameless = replace(group("a", "b"), others=(ImageRecord(sample_id="b.jpg", path=Path("b"), split="support"),))
    with pytest.raises(ValueError, match=r"b\.jpg.*no digest"):
        request_key(IDENTITY, nameless)


def test_keys_are_hashes_of_canonical_json(store):
    identity = {"b": [1, None, 0.5], "a": {"ü": "犬", "quote": '"'}}
    request = ask(prompt='Say "cheese"\nplease 🐕', answer=12)
    question = {"photo": "digest-a", "identity": identity, "prompt": request.prompt, "sample_index": 12}
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"))
    assert request_keys(identity, [request]) == [hashlib.sha256(canonical.encode()).hexdigest()]


def test_the_photo_of_a_row_can_be_told(store, path):
    store.put(IDENTITY, Reply(replace(ask(), image=replace(ask().image, sample_id="odd \udcff name.jpg"))))
    assert row(path, "sample_id") == [("odd \ufffd name.jpg",)]


def test_attempts_of_replies_are_added_up(store):
    store.put(IDENTITY, Reply(ask(), error="timeout", attempts=3))
    store.put(IDENTITY, Reply(ask(), raw="Beagle", attempts=2))
    assert store.get(IDENTITY, [ask()])[0].attempts == 5


def test_put_many_is_one_transaction_and_counts_requests_of_the_day(store, path):
    replies = [Reply(ask(str(number)), raw="x", attempts=2) for number in range(5)]
    store.put_many(IDENTITY, replies, server="api.example gpt", sent={"2026-11-21": 12})
    store.put_many(IDENTITY, [], server="api.example gpt", sent={"2026-11-21": -1})
    store.put_many(IDENTITY, [Reply(ask("a"), error="no")], "api.example gpt", {"2026-11-22": 1, "2026-11-20": 4})
    store.put_many(IDENTITY, [Reply(ask("b"), raw="x")], server="api.example gpt")
    store.put_many(IDENTITY, [Reply(ask("c"), raw="x")])
    assert len(row(path)) == 8
    assert [store.requests_on("api.example gpt", f"2026-11-{day}") for day in (20, 21, 22, 23)] == [4, 11, 1, 0]

    with pytest.raises(ValueError, match="no digest"):
        store.put_many(IDENTITY, [Reply(ask("d")), Reply(replace(ask(), image=replace(ask().image, digest="")))])
    broken = Reply(ask("e"), raw="x", attempts=2**70)
    with pytest.raises(OverflowError):
        store.put_many(IDENTITY, [broken], server="api.example gpt", sent={"2026-11-21": 1})
    assert len(row(path)) == 8


def test_a_batch_is_collected_once(store):
    nonce = store.batches.open(IDENTITY, "api.example gpt", [ask()], 1.0)
    failure = Reply(ask(), error="no", cost_usd=0.5)
    with pytest.raises(OverflowError):
        store.batches.collect(nonce, IDENTITY, [failure, Reply(ask("b"), raw="x", attempts=2**70)])
    assert [batch.state for batch in store.batches.find()] == ["submitting"], "all of it or nothing"
    assert store.get(IDENTITY, [ask()]) == [None]
    assert store.batches.collect(nonce, IDENTITY, [failure])
    assert not store.batches.collect(nonce, IDENTITY, [failure])
    assert store.get(IDENTITY, [ask()]) == [failure]
    assert [batch.state for batch in store.batches.find()] == ["collected"]


def test_two_replies_to_one_request_in_one_call(store):
    store.put_many(IDENTITY, [Reply(ask(), error="timeout"), Reply(ask(), raw="Beagle"), Reply(ask(), raw="Pug")])
    reply = store.get(IDENTITY, [ask()])[0]
    assert (reply.raw, reply.attempts) == ("Beagle", 3)


def test_rows_are_filtered(store, path):
    store.put({"labeler": "one", "model": "gpt-4o"}, Reply(ask("herons/a"), raw="Beagle", model="gpt-4o-2024-08-06"))
    store.put({"labeler": "two"}, Reply(ask("terns/b"), error="timeout"))
    store.put({"labeler": "two"}, Reply(ask("terns/c"), raw="Pug", names=("Pug",), usage={"tokens": 3}))

    def images(**filters):
        return [row.sample_id for row in store.rows(**filters)]

    assert images() == ["herons/a.jpg", "terns/b.jpg", "terns/c.jpg"]
    assert images(newest_first=True) == ["terns/c.jpg", "terns/b.jpg", "herons/a.jpg"]
    assert images(labeler="TWO", failed=False) == ["terns/c.jpg"]
    assert images(failed=True) == ["terns/b.jpg"]
    assert images(model="GPT-4o") == images(model="2024-08") == images(image="HERONS") == ["herons/a.jpg"]
    assert images(image="digest-terns/c") == ["terns/c.jpg"]
    assert images(image="est-terns") == []
    last = next(store.rows(newest_first=True))
    assert (last.names, last.usage, last.identity, last.others) == (("Pug",), {"tokens": 3}, '{"labeler":"two"}', ())


@pytest.mark.parametrize("newest_first", [False, True])
def test_rows_come_in_pages_and_others_may_write_meanwhile(store, newest_first):
    store.put_many(IDENTITY, [Reply(ask(str(number)), raw="x") for number in range(2500)])
    seen = []
    for stored in store.rows(newest_first=newest_first):
        seen.append(int(stored.sample_id.removesuffix(".jpg")))
        if len(seen) == 1500:
            store.put(IDENTITY, Reply(ask("99999"), raw="x"))
    expected = list(range(2500))
    assert seen == (expected[::-1] if newest_first else [*expected, 99999])


def test_failures_may_be_asked_again(store):
    store.put(IDENTITY, Reply(ask("a"), error="Timeout after 60 s", attempts=5, cost_usd=0.5))
    store.put(IDENTITY, Reply(ask("b"), error="blocked", attempts=5))
    store.put(IDENTITY, Reply(ask("c"), raw="Beagle", attempts=5))
    assert store.retry_failed("timeout") == 1
    assert [reply.attempts for reply in store.get(IDENTITY, [ask("a"), ask("b"), ask("c")])] == [0, 5, 5]
    assert store.get(IDENTITY, [ask("a")])[0].cost_usd == 0.5
    assert store.retry_failed() == 2


def test_a_batch_outlives_its_process(path):
    requests = [ask("a", answer=1), group("b", "c")]
    with LabelStore(path) as store:
        nonce = store.batches.open(IDENTITY, "api.example", requests, reserved_usd=1.25)
        other = store.batches.open({"labeler": "other"}, "api.example", [ask()], reserved_usd=0.0)
    with LabelStore(path) as store:
        [batch] = store.batches.find(IDENTITY)
        assert (batch.nonce, batch.server, batch.state, batch.remote_id) == (nonce, "api.example", "submitting", "")
        assert (batch.identity, batch.reserved_usd, batch.open) == (IDENTITY, 1.25, True)
        assert request_keys(IDENTITY, batch.requests) == request_keys(IDENTITY, requests)
        assert [image.sample_id for image in batch.requests[1].images] == ["b.jpg", "c.jpg"]
        store.batches.update(nonce, "submitted", remote_id="batch_7")
        store.batches.update(other, "failed")
        assert [(batch.remote_id, batch.state) for batch in store.batches.find()] == [
            ("batch_7", "submitted"),
            ("", "failed"),
        ]
        assert [batch.nonce for batch in store.batches.find(states=("submitting", "submitted"))] == [nonce]
        store.batches.update(nonce, "collected")
        store.batches.update(nonce, "failed")  # of a second process that came late
        [batch] = store.batches.find(IDENTITY)
        assert (batch.state, batch.remote_id, batch.open) == ("collected", "batch_7", False)


def test_mistakes_with_batches(store):
    with pytest.raises(KeyError, match="nobody"):
        store.batches.update("nobody", "failed")
    with pytest.raises(ValueError, match="'done' is no state"):
        store.batches.update("nobody", "done")


def test_what_a_person_says_stands_beside_the_replies(store):
    store.put(IDENTITY, Reply(ask(), raw="A cat."))
    key = request_key(IDENTITY, ask())
    store.revise(corrections={key: ["Siamese"], "other": []}, aliases={"Siamese-Cat": "Siamese"})
    assert store.corrections() == {key: ("Siamese",), "other": ()}
    assert store.corrections([key, "nobody"]) == {key: ("Siamese",)}
    assert store.aliases() == {"siamesecat": "Siamese"}
    assert store.written_aliases() == {"Siamese-Cat": "Siamese"}
    assert store.get(IDENTITY, [ask()])[0].raw == "A cat."
    assert store.known([key, "other"]) == {key}
    store.revise(corrections={key: ["Balinese"]}, aliases={"siamese cat": "Balinese"})
    assert (store.corrections([key]), store.aliases()) == ({key: ("Balinese",)}, {"siamesecat": "Balinese"})
    store.revise(corrections={key: None, "other": None}, aliases={"SIAMESE CAT": None})
    assert (store.corrections(), store.aliases()) == ({}, {})


OPENER = """
import sys
from pathlib import Path
from fgvr.labelling.store.label_store import LabelStore

sys.stdin.readline()
with LabelStore(Path(sys.argv[1])) as store:
    print(len(list(store.rows())))
"""


def test_several_processes_make_a_store_at_once(path):
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert [process.communicate("go\n", timeout=120)[0] for process in openers] == ["0\n"] * 4


def test_a_transaction_that_fails_leaves_nothing(store, path, monkeypatch):
    monkeypatch.setattr("fgvr.labelling.store.label_store.PUT_REPLY", "INSERT INTO replies (key) VALUES (?)")
    with pytest.raises(FgvrError, match="cannot be written"):
        store.put_many(IDENTITY, [Reply(ask())])
    monkeypatch.undo()
    assert row(path) == []
    store.put(IDENTITY, Reply(ask(), raw="x"))
    assert len(row(path)) == 1


WRITER = """
import sys
from pathlib import Path
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

path, writer = Path(sys.argv[1]), sys.argv[2]
with LabelStore(path) as store:
    print("open", flush=True)
    for number in range(200):
        for name in (f"{writer}-{number}", f"shared-{number}"):
            request = LabelRequest(ImageRecord(sample_id=name, path=Path(name), split="support", digest=name), "?")
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
    assert sorted(attempts for (attempts,) in row(path, "attempts")) == [1] * 600 + [3] * 200


RUN = """
import sys
from pathlib import Path
from fgvr.labelling.labelling import label
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord
from tiny.labeler import TinyLabeler

class Journaled(TinyLabeler):
    def ask(self, requests):
        with Path(sys.argv[2]).open("a", buffering=1) as journal:
            for reply in super().ask(requests):
                yield reply
                # the caller wants the next one, so it must have stored this one
                journal.write(reply.request.image.digest + "\\n")

names = [f"{number}.jpg" for number in range(20_000)]
images = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=name) for name in names]
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
            in_store = {image for (image,) in row(path, "photo")}
        assert set(yielded) <= in_store
        assert len(in_store) > stored
        stored = len(in_store)
        # one reply may be stored but not journaled at each kill, and no photo was asked twice
        assert len(yielded) == len(set(yielded))
    assert stored >= 244
