from fgvr.labelers.base import LabelRequest
from fgvr.testing.labelers import check_labeler

from fgvr_example_labeler.hue import HueLabeler
from fgvr_example_labeler.prototype import PrototypeLabeler


def test_hue_keeps_the_contract(images):
    labeler = HueLabeler("bird")
    check_labeler(labeler, images)
    replies = labeler.ask([LabelRequest(image, labeler.prompt) for image in images])
    assert [labeler.read(reply).names for reply in replies] == [("red bird",), ("blue bird",), ("green bird",)]


def test_prototype_keeps_the_contract(images):
    labeler = PrototypeLabeler(device="cpu")
    check_labeler(labeler, images)
    replies = labeler.ask([LabelRequest(image, labeler.prompt) for image in images])
    names = [labeler.read(reply).names for reply in replies]
    assert names == [("Scarlet Ibis",), ("Blue Jay",), ("Monk Parakeet",)]
