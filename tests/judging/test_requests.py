from judging.judged import image, world
from tiny.remote import TinyRemoteLabeler

from fgvr.judging.cw import CwProtocol
from fgvr.judging.cw_plus import CwPlusProtocol
from fgvr.judging.mc import McProtocol
from fgvr.judging.options import JudgeOptions
from fgvr.judging.requests import make_parts
from fgvr.labelling.store.keys import request_keys

IMAGES = [image(f"{number}.jpg", labels=(number % 5,)) for number in range(11)]
LABELER = TinyRemoteLabeler("http://127.0.0.1:9")


def parts(protocol=None, images=IMAGES, **options):
    return make_parts(LABELER, protocol or CwProtocol(), world(), images, JudgeOptions(**options))


def ids(part):
    return [[each.judged.image.sample_id for each in group] for group in part.asked]


def test_photos_are_dealt_out_by_the_seed_and_each_is_asked_about_once():
    large, small = parts(photos_per_request=4)
    assert (large.task.photos, small.task.photos) == (4, 3)
    shown = [*ids(large), *ids(small)]
    assert sorted(sample_id for group in shown for sample_id in group) == sorted(
        each.image.sample_id for each in IMAGES
    )
    assert ids(parts(photos_per_request=4, images=IMAGES[::-1])[0]) == ids(large), "whatever order they come in"
    assert ids(parts(photos_per_request=4, seed=1)[0]) != ids(large)
    assert [each.position for each in large.asked[0]] == [1, 2, 3, 4]


def test_repeats_deal_anew_and_are_requests_of_their_own():
    (part,) = parts(photos_per_request=11, repeats=2)
    first, second = ids(part)
    assert first != second
    assert sorted(first) == sorted(second)
    assert len(part.different) == 2
    (alone,) = parts(repeats=3)
    assert len(alone.different) == 33


def test_sorted_photos_stand_with_those_of_their_class():
    (part, _) = parts(photos_per_request=10, order="sorted")
    labels = [each.judged.labels[0] for each in part.asked[0]]
    assert labels == sorted(labels)


def test_both_closed_worlds_ask_the_same():
    for one, two in zip(parts(photos_per_request=4), parts(CwPlusProtocol(), photos_per_request=4), strict=True):
        assert request_keys(one.labeler.identity(), one.requests) == request_keys(two.labeler.identity(), two.requests)


def test_no_request_holds_a_true_name_beside_the_options_or_the_list():
    (part,) = parts(McProtocol(choices=2))
    for request, (asked,) in zip(part.requests, part.asked, strict=True):
        assert request.image.true_name is None
        assert all(option in request.prompt for option in asked.options)
        assert asked.judged.image.sample_id not in request.prompt


def test_equal_photos_share_a_request():
    twin = image("twin.jpg")
    twin = type(twin)(IMAGES[0].image, twin.labels, twin.accepted, twin.own)
    (part,) = parts(images=[IMAGES[0], twin])
    assert len(part.requests) == 2
    assert len(part.different) == 1
