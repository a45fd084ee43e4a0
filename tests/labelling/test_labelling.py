import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny.labeler import TinyLabeler

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.plan import FollowUps, LabelPlan, count_follow_ups, summary
from fgvr.labelling.store.keys import request_key
from fgvr.records import ImageRecord, LabelRecord

NAMES = [f"{number}.jpg" for number in range(10)]
REPLIES = dict.fromkeys(NAMES, "Beagle")


def records(names=NAMES):
    return [
        ImageRecord(
            sample_id=name, path=Path("true") / name, split="support", digest=f"digest-{name}", true_name="Secret Hound"
        )
        for name in names
    ]


def asked(labeler):
    return [request.image.sample_id for request in labeler.asked]


def test_plan_counts_and_asks_nothing(store):
    labeler = TinyLabeler(REPLIES, failing=["3.jpg"], price_usd=0.5)
    assert plan(labeler, records(), store) == LabelPlan(10, 10, 0, 0, 10, 5.0)
    assert not labeler.asked
    label(labeler, records(NAMES[:4]), store, progress=False)
    later = plan(labeler, records(), store)
    assert later == LabelPlan(images=10, requests=10, stored=3, failed_before=1, missing=7, estimate_usd=3.5)
    assert str(later) == "10 photos, 10 requests: 3 stored, 7 to ask (1 of them failed before), about $3.50"


def test_only_what_is_missing_is_asked(store):
    label(TinyLabeler(REPLIES), records(NAMES[:6]), store, progress=False)
    labeler = TinyLabeler(REPLIES)
    assert label(labeler, records(), store, progress=False).asked == 4
    assert asked(labeler) == NAMES[6:]
    assert label(labeler, records(), store, progress=False).asked == 0


def test_failures_are_retried_and_reported(store):
    labeler = TinyLabeler(REPLIES, failing=["2.jpg", "5.jpg"], price_usd=0.1)
    run = label(labeler, records(), store, progress=False)
    assert (run.asked, run.failed, run.cost_usd) == (10, 2, pytest.approx(1.0))
    assert run.first_error == "2.jpg: no reply for '2.jpg'"
    assert [record.flag for record in read_labels(labeler, records(), store)].count("failed") == 2

    labeler.asked.clear()
    labeler.failing = []
    assert label(labeler, records(), store, progress=False).failed == 0
    assert asked(labeler) == ["2.jpg", "5.jpg"]
    assert all(record.names == ("Beagle",) for record in read_labels(labeler, records(), store))


def test_not_one_reply_is_an_error(store):
    with pytest.raises(FgvrError, match=r"None of the 10 photos has a reply of TinyLabeler.*0\.jpg: no reply"):
        label(TinyLabeler({}), records(), store, progress=False)


def test_no_true_name_reaches_the_labeler(store):
    seen = []

    class Nosy(TinyLabeler):
        def check_images(self, images):
            seen.extend(images)

        def estimate_usd(self, requests):
            seen.extend(request.image for request in requests)
            return 0.0

        def ask(self, requests):
            seen.extend(request.image for request in requests)
            return super().ask(requests)

    labeler = Nosy(REPLIES)
    plan(labeler, records(), store)
    label(labeler, records(), store, progress=False)
    read_labels(labeler, records(), store)
    assert len(seen) == 50
    assert {image.true_name for image in seen} == {None}


def test_equal_photos_are_asked_and_paid_once(store):
    images = [
        *records(),
        ImageRecord(sample_id="copy.jpg", path=Path("copy.jpg"), split="support", digest="digest-4.jpg"),
    ]
    labeler = TinyLabeler(REPLIES, price_usd=0.5)
    assert plan(labeler, images, store).requests == 10
    label(labeler, images, store, progress=False)
    labels = read_labels(labeler, images, store)
    assert Counter(asked(labeler)) == Counter(NAMES)
    assert labels[10].names == ("Beagle",)
    assert summary(labels).cost_usd == pytest.approx(5.0)


@pytest.mark.parametrize("estimate", [None, 0.0, 0.02])
def test_the_cost_cap_holds_and_a_later_run_goes_on(store, estimate):
    labeler = TinyLabeler(REPLIES, price_usd=0.1, estimated_price_usd=estimate)
    with pytest.raises(FgvrError) as stopped:
        label(labeler, records(), store, max_cost_usd=0.7, progress=False)
    assert "$0.7:" in str(stopped.value)
    assert "spent $0.7000" in str(stopped.value)
    assert "3 of 10 requests are missing" in str(stopped.value)
    assert "the same run again, which may spend data.max_cost_usd dollars" in str(stopped.value)
    assert asked(labeler) == NAMES[:7]
    assert plan(labeler, records(), store).stored == 7

    label(labeler, records(), store, max_cost_usd=0.7, progress=False)
    assert asked(labeler) == NAMES


def test_a_cap_below_the_first_request_asks_nothing(store):
    labeler = TinyLabeler(REPLIES, price_usd=0.1)
    with pytest.raises(FgvrError, match="10 of 10 requests are missing"):
        label(labeler, records(), store, max_cost_usd=0.05, progress=False)
    assert not labeler.asked


def test_a_cap_does_not_stop_what_is_free_or_fits_exactly(store):
    assert label(TinyLabeler(REPLIES), records(), store, max_cost_usd=0.0, progress=False).asked == 10
    exact = TinyLabeler(REPLIES, price_usd=0.1, prompt="Another")
    assert label(exact, records(), store, max_cost_usd=1.0, progress=False).asked == 10


def test_failed_requests_count_towards_the_cap(store):
    labeler = TinyLabeler(REPLIES, failing=NAMES, price_usd=0.1)
    with pytest.raises(FgvrError, match="stopped"):
        label(labeler, records(), store, max_cost_usd=0.3, progress=False)
    assert len(labeler.asked) == 3


def test_each_reply_is_stored_before_the_next_is_asked(store):
    class Breaking(TinyLabeler):
        def ask(self, requests):
            for number, reply in enumerate(super().ask(requests)):
                if number == 4:
                    raise FgvrError("no quota")
                yield reply

    labeler = Breaking(REPLIES)
    with pytest.raises(FgvrError, match="no quota"):
        label(labeler, records(), store, progress=False)
    assert plan(labeler, records(), store).stored == 4


def test_a_labeler_that_breaks_its_contract_is_named(store):
    class Silent(TinyLabeler):
        def ask(self, requests):
            return super().ask(requests[1:])

    class Twice(TinyLabeler):
        def ask(self, requests):
            for reply in super().ask(requests):
                yield reply
                yield reply

    with pytest.raises(FgvrError, match="Silent left 1 of 10 requests"):
        label(Silent(REPLIES), records(), store, progress=False)
    with pytest.raises(FgvrError, match=r"Twice replied for '0\.jpg', answer 0, twice.*check_labeler"):
        label(Twice(REPLIES, prompt="Another"), records(), store, progress=False)


def test_the_bar_shows_done_failed_and_dollars(store, capsys):
    label(TinyLabeler(REPLIES, failing=["2.jpg"], price_usd=0.1), records(), store)
    assert re.search(r"10/10.*0 stored before, 1 failed, \$1\.0000 of about \$1\.0000", capsys.readouterr().err)


def test_labels_come_in_the_order_of_the_photos(store):
    labeler = TinyLabeler({"a.jpg": "Beagle", "b.jpg": "Poodle", "c.jpg": "", "d.jpg": "I cannot tell."}, price_usd=0.5)
    images = records(["d.jpg", "b.jpg", "never.jpg", "c.jpg", "a.jpg"])
    label(labeler, images[:2] + images[3:], store, progress=False)
    labels = read_labels(labeler, images, store)
    assert [record.sample_id for record in labels] == ["d.jpg", "b.jpg", "never.jpg", "c.jpg", "a.jpg"]
    assert [record.names for record in labels] == [(), ("Poodle",), (), (), ("Beagle",)]
    assert [record.flag for record in labels] == ["refusal", "", "failed", "empty", ""]
    assert labels[2] == LabelRecord("never.jpg", (), flag="failed")
    assert (labels[0].raw, labels[0].model, labels[0].cost_usd) == ("I cannot tell.", "tiny", 0.5)


@pytest.mark.parametrize(
    "raw", ["x" * 10_000, "<div><b>" * 900, "# **Beagle**\n\n" * 700, "\x00\ufffd", "", "```json\n{}\n```"]
)
def test_any_reply_can_be_read(store, raw):
    labeler = TinyLabeler({"a.jpg": raw})
    label(labeler, records(["a.jpg"]), store, progress=False)
    [record] = read_labels(labeler, records(["a.jpg"]), store)
    assert record.raw == raw
    assert bool(record.names) != bool(record.flag)


def test_several_answers_are_merged(store):
    labeler = TinyLabeler(
        {"a.jpg": ["", "House Finch", "Purple Finch (Haemorhous purpureus)", "house finch (Haemorhous mexicanus)"]},
        answers=4,
        price_usd=0.5,
    )
    assert plan(labeler, records(["a.jpg"]), store).requests == 4
    label(labeler, records(["a.jpg"]), store, progress=False)
    [record] = read_labels(labeler, records(["a.jpg"]), store)
    assert record.names == ("House Finch", "Purple Finch")
    assert record.scientific_names == ("Haemorhous mexicanus", "Haemorhous purpureus")
    assert (record.flag, record.cost_usd) == ("", 2.0)


def test_given_names_are_taken_as_they_are(store, tmp_path):
    csv = tmp_path / "names.csv"
    csv.write_text('file,name\na.jpg,"the **Heron**, grey"\nb.jpg,\n')
    labeler = FixedLabeler(csv)
    images = records(["a.jpg", "b.jpg"])
    label(labeler, images, store, progress=False)
    first, second = read_labels(labeler, images, store)
    assert (first.names, first.scientific_names, first.flag) == (("the **Heron**, grey",), (None,), "")
    assert (second.names, second.flag) == ((), "empty")


def test_summary():
    labels = [
        LabelRecord("a", ("Beagle", "Poodle"), cost_usd=0.5, seconds=1.0),
        LabelRecord("b", ("Beagle",), cost_usd=0.25, seconds=2.0),
        LabelRecord("c", (), flag="failed"),
    ]
    found = summary(labels)
    assert found.flags == {"": 2, "failed": 1}
    assert (found.unique_names, found.cost_usd, found.seconds) == (2, 0.75, 3.0)
    assert str(found) == "2 usable, 1 failed; 2 different names; $0.7500, 3 s"


def test_a_failure_in_the_store_is_never_a_label(store):
    labeler = TinyLabeler(REPLIES)
    [image] = records(NAMES[:1])
    store.put(labeler.identity(), Reply(LabelRequest(image, labeler.prompt), raw="half a rep", error="cut off"))
    [record] = read_labels(labeler, [image], store)
    assert (record.names, record.raw, record.flag) == ((), "", "failed")


def test_a_request_that_keeps_failing_is_given_up(store):
    labeler = TinyLabeler(REPLIES, failing=["2.jpg"])
    labeler.max_attempts = 2
    for _ in range(2):
        assert label(labeler, records(), store, progress=False).failed == 1
    assert label(labeler, records(), store, progress=False).asked == 0
    later = plan(labeler, records(), store)
    assert (later.stored, later.missing, later.unasked, later.exhausted) == (9, 0, 0, 1)
    assert "9 stored, 0 to ask, 1 given up (to ask again: `fgvr store retry-failed`)" in str(later)
    store.retry_failed()
    assert label(labeler, records(), store, progress=False).asked == 1


def test_where_all_are_given_up_the_error_says_how_to_go_on(store):
    labeler = TinyLabeler(REPLIES, failing=NAMES)
    labeler.max_attempts = 1
    for first in ("The first failure is 0.jpg", "10 requests were given up"):
        with pytest.raises(FgvrError, match=rf"None of the 10 photos.*{first}"):
            label(labeler, records(), store, progress=False)


def test_a_blocked_reply_is_a_refusal(store):
    [image] = records(NAMES[:1])
    labeler = TinyLabeler(REPLIES)
    store.put(labeler.identity(), Reply(LabelRequest(image, labeler.prompt), usage={"blocked": "SAFETY"}))
    [record] = read_labels(labeler, [image], store)
    assert (record.names, record.flag) == ((), "refusal")


class SecondOpinion(CombinedLabeler):
    """The second labeler where the first says Pug."""

    def wanted(self, part, labels, features=None):
        return [label is not None and "Pug" in label.names for label in labels[0]]

    def combine(self, labels):
        return [second if second and second.names else first for first, second in zip(*labels, strict=True)]


def second_opinion(price_usd=0.5):
    first = TinyLabeler({**REPLIES, "3.jpg": "Pug", "7.jpg": "Pug"}, prompt="First", price_usd=price_usd)
    return SecondOpinion([first, TinyLabeler(dict.fromkeys(NAMES, "Boxer"), prompt="Second", price_usd=price_usd)])


def test_each_part_is_asked_what_it_is_wanted_for_and_stored_as_its_own(store):
    labeler = second_opinion()
    before = plan(labeler, records(), store)
    assert (before.missing, before.estimate_usd, before.follow_ups, before.follow_ups_usd) == (10, 5.0, 10, 5.0)
    assert str(before).endswith("10 to ask, about $5.00; then up to 10 more, about $5.00")
    run = label(labeler, records(), store, progress=False)
    assert (run.asked, run.failed, run.cost_usd) == (12, 0, pytest.approx(6.0))
    assert asked(labeler.parts[1]) == ["3.jpg", "7.jpg"]
    names = [record.names[0] for record in read_labels(labeler, records(), store)]
    assert Counter(names) == {"Beagle": 8, "Boxer": 2}
    again = (
        "asked again about 2 photos: 2 requests, $1.0000; 2 have a new name, 2 different first names before and 2 after"
    )
    assert str(summary(read_labels(labeler, records(), store))).endswith(f" s; {again}")
    after = plan(labeler, records(), store)
    assert (after.requests, after.stored, after.missing, after.follow_ups) == (12, 12, 0, 0)
    assert plan(labeler.parts[0], records(), store).missing == 0, "what a part has said is its own"


class Vote(CombinedLabeler):
    """The last one's label; all are asked about all photos."""

    def combine(self, labels):
        return list(labels[-1])


def counts(label):
    return label.requests, label.follow_ups, round(label.follow_ups_usd, 6), label.name_before


def test_a_label_says_which_requests_asked_again(store):
    labeler = second_opinion(price_usd=0.25)
    copy = ImageRecord(sample_id="copy.jpg", path=Path("copy.jpg"), split="support", digest="digest-3.jpg")
    images = [*records(), copy]
    label(labeler, images, store, progress=False)
    found = read_labels(labeler, images, store)
    assert counts(found[0]) == (1, 0, 0.0, None)
    assert counts(found[3]) == counts(found[7]) == (2, 1, 0.25, "Pug")
    assert counts(found[10]) == (0, 0, 0.0, "Pug"), "a copy costs nothing, and has the other name too"
    assert count_follow_ups(found) == FollowUps(3, 2, 0.5, renamed=3, names_before=2, names=2)
    assert sum(record.requests for record in found) == 12
    assert count_follow_ups(read_labels(labeler.parts[0], images, store)) is None


def test_second_opinions_that_all_photos_get_are_no_follow_ups(store):
    inner, other = second_opinion(price_usd=0.25), TinyLabeler(REPLIES, prompt="Third", price_usd=0.5)
    vote = Vote([inner, other])
    label(vote, records(), store, progress=False)
    found = read_labels(vote, records(), store)
    assert counts(found[0]) == (2, 0, 0.0, None)
    assert counts(found[3]) == (3, 1, 0.25, None), "the vote's name is not one before that part asked again"


def test_what_asks_again_of_what_asks_again_counts_both(store):
    inner, other = (
        second_opinion(price_usd=0.25),
        TinyLabeler(dict.fromkeys(NAMES, "Corgi"), prompt="Third", price_usd=0.5),
    )

    class Doubting(SecondOpinion):
        def wanted(self, part, labels, features=None):
            return [label.sample_id in ("0.jpg", "3.jpg") for label in labels[0]]

    outer = Doubting([inner, other])
    label(outer, records(), store, progress=False)
    found = read_labels(outer, records(), store)
    assert [counts(found[number]) for number in (0, 3, 7, 8)] == [
        (2, 1, 0.5, "Beagle"),
        (3, 2, 0.75, "Pug"),
        (2, 1, 0.25, "Pug"),
        (1, 0, 0.0, None),
    ]
    assert count_follow_ups(found) == FollowUps(3, 4, 1.5, renamed=3, names_before=2, names=3)


def test_failed_and_several_requests_count(store):
    first = TinyLabeler({**REPLIES, "3.jpg": "Pug", "4.jpg": "Pug"}, prompt="First")
    later = TinyLabeler({"3.jpg": ["Boxer", "Boxer"]}, prompt="Second", price_usd=0.25, answers=2)
    labeler = SecondOpinion([first, later])
    label(labeler, records(), store, progress=False)
    found = read_labels(labeler, records(), store)
    assert counts(found[3]) == counts(found[4]) == (3, 2, 0.5, "Pug")
    assert [found[number].names for number in (3, 4)] == [("Boxer",), ("Pug",)]
    assert count_follow_ups(found) == FollowUps(2, 4, 1.0, renamed=1, names_before=2, names=3)


def test_what_a_person_renamed_was_not_renamed_by_asking_again(store):
    labeler = second_opinion()
    label(labeler, records(), store, progress=False)
    part = labeler.parts[1]
    store.revise({request_key(part.identity(), LabelRequest(records(["3.jpg"])[0], part.prompt)): ("Corgi",)})
    found = read_labels(labeler, records(), store)
    assert found[3].names == ("Corgi",)
    assert count_follow_ups(found) == FollowUps(2, 2, 1.0, renamed=1, names_before=2, names=3)


def test_one_budget_for_all_parts(store):
    with pytest.raises(FgvrError, match=r"spent \$5\.5000"):
        label(second_opinion(), records(), store, max_cost_usd=5.6, progress=False)


def test_a_combined_labeler_gets_image_features_where_it_looks_at_them(store):
    seen = []

    class Looking(SecondOpinion):
        needs_features = True

        def wanted(self, part, labels, features=None):
            seen.append(None if features is None else features.shape)
            return super().wanted(part, labels, features)

    labeler = Looking(second_opinion().parts)
    label(
        labeler, records(), store, progress=False, features=lambda images, space: np.ones((len(images), 3), np.float32)
    )
    label(labeler, records(), store, progress=False)
    assert seen[0] == (10, 3)
    assert set(seen[1:]) == {None}


def test_what_a_person_corrected_is_read(store):
    labeler = TinyLabeler({**REPLIES, "3.jpg": "I cannot tell."})
    label(labeler, records(), store, progress=False)
    key = request_key(labeler.identity(), LabelRequest(records(["3.jpg"])[0], labeler.prompt))
    store.revise({key: ("Pug",)})
    [record] = read_labels(labeler, records(["3.jpg"]), store)
    assert (record.names, record.flag, record.raw) == (("Pug",), "", "I cannot tell.")


def test_a_part_that_fails_on_all_its_photos_does_not_stop_the_others(store):
    labeler = second_opinion()
    labeler.parts[1].failing = NAMES
    assert label(labeler, records(), store, progress=False).failed == 2
    labeler.parts[0].failing = NAMES
    labeler.parts[0].prompt = "Again"
    with pytest.raises(FgvrError, match="None of the 10 photos has a reply of SecondOpinion"):
        label(labeler, records(), store, progress=False)


def test_the_photos_of_a_run_are_checked_together(store):
    checked = []

    class Checking(TinyLabeler):
        def check_images(self, images):
            checked.append(len(images))

    first = second_opinion().parts[0]
    label(SecondOpinion([first, Checking(REPLIES, prompt="Second")]), records(), store, progress=False)
    assert checked == [10]
