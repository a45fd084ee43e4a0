import hashlib
from collections import Counter
from dataclasses import replace

import pytest

from fgvr.datasets.fieldguide import FieldguideDataset
from fgvr.errors import FgvrError
from fgvr.fieldguide.image import read_image
from fgvr.fieldguide.species import draw_guide
from fgvr.fieldguide.words import in_common, words_for
from fgvr.labelers.base import PAPER_PROMPT, LabelRequest
from fgvr.labelers.fieldguide import FieldguideLabeler
from fgvr.labelers.tasks.describe_group import DescribeGroupTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.reading.replies import parse_reply
from fgvr.testing.labelers import check_labeler

SPECIES = 12


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fieldguide")
    records = FieldguideDataset(folder, species=SPECIES, support=25, test=0, part="development").records()
    return [replace(record, digest=hashlib.sha256(record.path.read_bytes()).hexdigest()) for record in records]


def replies(labeler, images):
    requests = [LabelRequest(replace(image, true_name=None), labeler.prompt) for image in images]
    return [reply.raw for reply in labeler.ask(requests)]


def kinds(labeler, images):
    guide = {bird.name for bird in draw_guide(SPECIES, 0, "development")}
    counts = Counter()
    for image, raw in zip(images, replies(labeler, images), strict=True):
        reading = parse_reply(raw)
        first = reading.names[0] if reading.names else ""
        kind = reading.flag or ("right" if first == image.true_name else "look-alike" if first in guide else "invented")
        counts[kind] += 1 / len(images)
    return counts


def test_contract(images):
    check_labeler(FieldguideLabeler(), images[:3])
    check_labeler(FieldguideLabeler(names=3, seed=1), images[:3])


def test_it_is_as_wrong_as_it_says(images):
    found = kinds(FieldguideLabeler(confusion=0.3, invention=0.1, generic=0.06, refusal=0.04), images)
    assert found["right"] == pytest.approx(0.5, abs=0.08)
    assert found["look-alike"] + found["invented"] == pytest.approx(0.4, abs=0.08)
    assert found["look-alike"] > 2 * found["invented"]
    assert found["generic"] + found["refusal"] == pytest.approx(0.1, abs=0.05)


def test_without_noise_it_is_right(images):
    labeler = FieldguideLabeler(confusion=0, invention=0, generic=0, refusal=0, latin=0)
    assert kinds(labeler, images) == {"right": pytest.approx(1)}


def test_it_names_look_alikes(images):
    labeler = FieldguideLabeler(confusion=1, invention=0, generic=0, refusal=0)
    guide = {bird.name: bird for bird in draw_guide(SPECIES, 0, "development")}
    for image, raw in zip(images, replies(labeler, images), strict=True):
        true = guide[image.true_name]
        nearest = min(true.distance(bird) for bird in guide.values() if bird != true)
        for name in parse_reply(raw).names:
            assert true.distance(guide[name]) == nearest


def test_three_names_when_asked(images):
    one, three = FieldguideLabeler(), FieldguideLabeler(names=3)
    assert one.prompt == PAPER_PROMPT
    assert "3" in three.prompt
    readings = [parse_reply(raw) for raw in replies(three, images)]
    assert Counter(len(reading.names) for reading in readings if reading.names).most_common(1)[0][0] == 3
    hits = [sum(image.true_name in r.names[:n] for image, r in zip(images, readings, strict=True)) for n in (1, 3)]
    assert hits[1] > 1.2 * hits[0]


def test_a_reply_depends_on_seed_and_photo_alone(images):
    labeler = FieldguideLabeler()
    assert replies(labeler, images[:20]) == replies(FieldguideLabeler(), images[:20][::-1])[::-1]
    assert replies(labeler, images[:20]) != replies(FieldguideLabeler(seed=1), images[:20])
    assert labeler.identity() != FieldguideLabeler(seed=1).identity()


def test_everything_says_that_it_is_simulated(images):
    labeler = FieldguideLabeler()
    reply = next(iter(labeler.ask([LabelRequest(images[0], labeler.prompt)])))
    assert labeler.simulated
    assert "simulated" in reply.model
    assert labeler.estimate_usd([reply.request] * 10) == pytest.approx(0.03)


def test_mistakes_are_named():
    with pytest.raises(FgvrError, match=r"data\.labeler\.latin is 2"):
        FieldguideLabeler(latin=2)
    with pytest.raises(FgvrError, match=r"sum to 1\.20"):
        FieldguideLabeler(confusion=0.9, invention=0.3, generic=0, refusal=0)
    with pytest.raises(FgvrError, match=r"data\.labeler\.names is 0"):
        FieldguideLabeler(names=0)


QUIET = {"confusion": 0, "invention": 0, "generic": 0, "refusal": 0}


def described(labeler, images, size=1):
    groups = [images[start : start + size] for start in range(0, len(images) - size + 1, size)]
    requests = [
        LabelRequest(replace(first, true_name=None), labeler.prompt, others=tuple(others)) for first, *others in groups
    ]
    return [(group, labeler.read(reply)) for group, reply in zip(groups, labeler.ask(requests), strict=True)]


def test_it_describes_what_is_drawn(images):
    labeler = FieldguideLabeler(**QUIET).for_task(DescribeImageTask("bird"))
    for (image,), reading in described(labeler, images[:60]):
        bird = read_image(image.path).species
        assert f"{bird.body} {bird.build}" in reading.names[0]
        for attribute, word in (("wing", "wings"), ("crown", "crown"), ("tail", "tail"), ("breast", "breast")):
            if word in reading.names[0]:
                assert f"{getattr(bird, attribute)} {word}" in reading.names[0]


def test_it_describes_what_most_of_a_group_have(images):
    quiet = FieldguideLabeler(**QUIET).for_task(DescribeGroupTask("bird"))
    for group, reading in described(quiet, images[:80], size=4):
        assert words_for(in_common([read_image(image.path).species for image in group])) in reading.names[0]


def test_groups_outvote_mistakes(images):
    # 25 photos of a species each: the larger the group, the more often the right colour and build are said
    named = sorted(images, key=lambda image: image.true_name)
    rights = []
    for size in (1, 5):
        labeler = FieldguideLabeler(confusion=0, invention=0.4, generic=0, refusal=0).for_task(DescribeGroupTask())
        readings = described(labeler, named, size)
        said = [words_for(in_common([read_image(group[0].path).species])) in r.names[0] for group, r in readings]
        rights.append(sum(said) / len(said))
    assert rights[0] == pytest.approx(0.6, abs=0.08)
    assert rights[1] > 0.8


def test_some_descriptions_say_nothing(images):
    labeler = FieldguideLabeler(confusion=0, invention=0, generic=0.3, refusal=0.3).for_task(DescribeImageTask())
    readings = [reading for _, reading in described(labeler, images)]
    assert sum(reading.flag == "refusal" for reading in readings) / len(readings) == pytest.approx(0.3, abs=0.08)


def test_a_describer_is_another_labeler(images):
    labeler = FieldguideLabeler()
    image, group = labeler.for_task(DescribeImageTask("bird")), labeler.for_task(DescribeGroupTask("bird"))
    assert len({str(each.identity()) for each in (labeler, image, group)}) == 3
    assert labeler.task is None
    assert labeler.for_task(NameTask()) is None
    assert image.simulated
    missing = LabelRequest(images[0], group.prompt, others=(replace(images[1], path=images[1].path / "no"),))
    (reply,) = group.ask([missing])
    assert images[1].sample_id in reply.error
