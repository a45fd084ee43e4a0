import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.data import extraction
from fgvr.data.augmentation import Augmentation
from fgvr.data.extraction import extract_features
from fgvr.data.feature_store import FeatureStore
from fgvr.data.features import StoredFeatures
from fgvr.data.together import together
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.errors import FgvrError
from fgvr.images import open_image
from fgvr.testing.tiny import TinyBackbone


@pytest.fixture
def images(tmp_path, draw):
    for number, colour in enumerate(["red", "green", "blue", "red"]):
        draw(f"photos/{number}.png", colour)
    return scan(FolderDataset(tmp_path / "photos").records(), tmp_path).readable


class Counting(TinyBackbone):
    encoded = 0

    def encode_image(self, pixels):
        self.encoded += len(pixels)
        return super().encode_image(pixels)


@pytest.fixture
def backbone():
    backbone = Counting()
    backbone.load()
    return backbone


@pytest.fixture
def noise(tmp_path):
    """Photos that look different wherever they are cropped."""
    for number in range(3):
        (tmp_path / "noise").mkdir(exist_ok=True)
        Image.effect_noise((40, 40), 80).convert("RGB").save(tmp_path / f"noise/{number}.png")
    return scan(FolderDataset(tmp_path / "noise").records(), tmp_path).readable


@pytest.fixture
def many(tmp_path):
    for number in range(7):
        (tmp_path / "many").mkdir(exist_ok=True)
        Image.effect_noise((40, 40), 20 + 10 * number).convert("RGB").save(tmp_path / f"many/{number}.png")
    return scan(FolderDataset(tmp_path / "many").records(), tmp_path).readable


def joint(*args, **options):
    return extract_features(*args, **options)["joint"]


def plain(backbone, images, folder, **options):
    return joint(backbone, images, folder / "features", progress=False, **options).to_numpy()


def all_views(stored):
    """Shape (V, N, D)."""
    return stored.gather(np.arange(len(stored)), np.arange(stored.views))


def test_each_photo_is_encoded_once_in_the_order_asked_for(images, backbone, tmp_path):
    features = plain(backbone, images, tmp_path, batch_size=2)
    assert features.shape == (4, backbone.embed_dim)
    assert features.dtype == np.float32
    assert backbone.encoded == 3, "two photos are the same bytes"
    np.testing.assert_array_equal(features[0], features[3])
    again = plain(backbone, images[::-1], tmp_path)
    assert backbone.encoded == 3
    np.testing.assert_array_equal(again, features[::-1])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_computed_is_what_is_stored(noise, backbone, tmp_path, workers):
    pixels = torch.stack([backbone.transform(open_image(record.path)) for record in noise])
    exact = backbone.encode_image(pixels).numpy()
    rounded = exact.astype(np.float16).astype(np.float64)
    expected = rounded / np.sqrt((rounded**2).sum(1, keepdims=True))
    now = plain(backbone, noise, tmp_path, batch_size=2, num_workers=workers)
    np.testing.assert_allclose(now, expected, rtol=0, atol=1e-7)
    assert abs(now @ now.T - exact @ exact.T).max() < 1e-3
    np.testing.assert_array_equal(plain(backbone, noise, tmp_path), now)


def test_an_interrupted_extraction_keeps_what_is_done(images, backbone, tmp_path, monkeypatch):
    put = FeatureStore.put

    def put_once(self, vectors):
        monkeypatch.setattr(FeatureStore, "put", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        put(self, vectors)

    monkeypatch.setattr(extraction, "_SECONDS_KEPT", 0)
    monkeypatch.setattr(FeatureStore, "put", put_once)
    with pytest.raises(KeyboardInterrupt):
        plain(backbone, images, tmp_path, batch_size=2)
    monkeypatch.setattr(FeatureStore, "put", put)
    before = backbone.encoded
    plain(backbone, images, tmp_path, batch_size=2)
    assert backbone.encoded == before + 1


def test_a_store_that_is_complete_is_not_opened_for_writing(images, backbone, tmp_path, monkeypatch):
    first = plain(backbone, images, tmp_path)
    monkeypatch.setattr(FeatureStore, "put", lambda *args: pytest.fail("it was written"))
    np.testing.assert_array_equal(plain(backbone, images, tmp_path), first)


def test_a_store_that_is_deleted_meanwhile(images, backbone, tmp_path, monkeypatch):
    put = FeatureStore.put

    def put_and_delete(self, vectors):
        put(self, vectors)
        shutil.rmtree(self.folder)

    monkeypatch.setattr(FeatureStore, "put", put_and_delete)
    with pytest.raises(FgvrError, match="deleted while it was written"):
        plain(backbone, images, tmp_path)


def test_other_weights_have_other_features(images, backbone, tmp_path):
    other = TinyBackbone(seed=1)
    other.load()
    first, second = (plain(b, images, tmp_path) for b in (backbone, other))
    assert not np.allclose(first, second)


def test_photos_without_a_digest_would_share_their_features(images, backbone, tmp_path):
    with pytest.raises(FgvrError, match=r"'1.png' has no digest.*data\.support"):
        extract_features(backbone, [images[0], replace(images[1], digest="")], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_no_photos(backbone, tmp_path):
    assert plain(backbone, [], tmp_path).shape == (0, backbone.embed_dim)
    assert all_views(joint(backbone, [], tmp_path, views=2)).shape == (2, 0, backbone.embed_dim)


def test_views_are_drawn_from_the_photo_and_their_number_alone(noise, backbone, tmp_path):
    draw = Augmentation(backbone.transform)
    pixels = [draw.view(open_image(record.path), record.digest, v) for v in range(3) for record in noise]
    expected = backbone.encode_image(torch.stack(pixels)).view(3, len(noise), -1)
    torch.manual_seed(1)
    here = joint(backbone, noise, tmp_path / "a", progress=False, views=3, batch_size=2)
    assert here.views == 3
    np.testing.assert_allclose(all_views(here), expected, atol=1e-3)
    assert abs(expected[0] - expected[1]).max() > 0.01
    torch.manual_seed(2)
    there = joint(backbone, noise[::-1], tmp_path / "b", progress=False, views=3, num_workers=2)
    # the batches are others, so that the last bit before rounding may be another
    np.testing.assert_allclose(all_views(there)[:, ::-1], all_views(here), atol=1e-3)


def test_more_views_later_compute_the_new_ones_alone(noise, backbone, tmp_path):
    two = joint(backbone, noise, tmp_path, progress=False, views=2)
    assert backbone.encoded == 6
    three = joint(backbone, noise, tmp_path, progress=False, views=3)
    assert backbone.encoded == 9
    np.testing.assert_array_equal(all_views(three)[:2], all_views(two))
    assert joint(backbone, noise, tmp_path, progress=False, views=1).views == 1
    assert backbone.encoded == 9
    joint(backbone, noise, tmp_path, progress=False)
    assert backbone.encoded == 12, "the plain view is none of them"


def test_some_of_the_photos_in_some_of_the_views(noise, backbone, tmp_path):
    stored = joint(backbone, noise, tmp_path, progress=False, views=3)
    everything = all_views(stored)
    some = stored.select([2, 0])
    assert len(some) == 2
    np.testing.assert_array_equal(some.gather(np.array([0, 1, 0]), np.array([2, 0])), everything[[2, 0]][:, [2, 0, 2]])
    np.testing.assert_array_equal(some.to_numpy(), everything[0, [2, 0]])


def test_features_that_are_not_finite_name_their_photo(images, backbone, tmp_path, monkeypatch):
    encode = backbone.encode_image

    def encode_image(pixels):
        features = encode(pixels)
        features[pixels[:, 1].mean(dim=(1, 2)) > pixels[:, 0].mean(dim=(1, 2))] = torch.nan  # green
        return features

    monkeypatch.setattr(backbone, "encode_image", encode_image)
    with pytest.raises(FgvrError, match=r"Counting gives '.*1\.png' features that are not finite"):
        plain(backbone, images, tmp_path)
    monkeypatch.undo()
    assert np.isfinite(plain(backbone, images, tmp_path)).all()


def test_features_whose_bits_flipped_are_computed_anew(images, backbone, tmp_path, caplog):
    whole = plain(backbone, images, tmp_path)
    [vectors] = tmp_path.glob("features/*/vectors.f16")
    # another process has stored them, which this one has not read
    other = shutil.copytree(tmp_path / "features", tmp_path / "copied/features") / vectors.parent.name / vectors.name
    data = bytearray(other.read_bytes())
    data[5] ^= 64
    other.write_bytes(data)
    before = backbone.encoded
    np.testing.assert_array_equal(plain(backbone, images, tmp_path / "copied"), whole)
    assert backbone.encoded == before + 1
    assert f"{str(other)!r} is damaged: the features of 1 picture" in caplog.text


def test_a_pickle_maps_the_file_again(noise, backbone, tmp_path):
    width = backbone.embed_dim + backbone.visual_dim
    store = FeatureStore(tmp_path, f"{backbone.fingerprint()}\njoint and visual space", width)
    store.put({(str(n), 0): np.ones(width, dtype=np.float32) for n in range(5000)})
    stored = joint(backbone, noise, tmp_path, progress=False).select([2, 0])
    sent = pickle.dumps(stored)
    assert len(sent) < 1000 < store.vectors_file.stat().st_size
    np.testing.assert_array_equal(pickle.loads(sent).to_numpy(), stored.to_numpy())
    alone = StoredFeatures(np.ones((2, 3), dtype=np.float16), np.array([[0, 1]]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(alone)).to_numpy(), alone.to_numpy())


def test_both_spaces_by_one_pass_and_from_one_entry_of_the_store(noise, backbone, tmp_path):
    spaces = extract_features(backbone, noise, tmp_path, progress=False)
    assert backbone.encoded == len(noise)
    pixels = torch.stack([backbone.transform(open_image(record.path)) for record in noise])
    expected = backbone.encode_spaces(pixels)
    for space in ("joint", "visual"):
        found = spaces[space].to_numpy()
        np.testing.assert_allclose(found, expected.of(space), atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(spaces[space])).to_numpy(), found)
    assert len(list(tmp_path.glob("*/vectors.f16"))) == 1


def test_a_tower_of_one_space_keeps_the_entry_that_it_always_had(noise, tmp_path):
    backbone = TinyBackbone(visual_width=None)
    backbone.load()
    spaces = extract_features(backbone, noise, tmp_path, progress=False)
    np.testing.assert_array_equal(spaces["joint"].to_numpy(), spaces["visual"].to_numpy())
    store = FeatureStore(tmp_path, backbone.fingerprint(), backbone.embed_dim)
    assert store.read().shape == (len(noise), backbone.embed_dim)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_photo_that_is_gone_is_named_and_what_was_computed_before_is_kept(noise, backbone, tmp_path, workers):
    gone = [*noise[:2], replace(noise[2], path=tmp_path / "gone.png")]
    with pytest.raises(FgvrError, match=r"gone\.png' cannot be read any more \(no such file\)") as error:
        plain(backbone, gone, tmp_path, batch_size=1, num_workers=workers)
    assert "Traceback" not in str(error.value)
    assert backbone.encoded == 2
    plain(backbone, noise, tmp_path)
    assert backbone.encoded == 3, "two were stored"


def drawn_clip():
    backbone = OpenClipBackbone("fieldguide-clip")
    backbone.load()
    return backbone


def test_float16_is_close_and_an_entry_of_its_own(noise, tmp_path):
    backbone = drawn_clip()
    exact = plain(backbone, noise, tmp_path)
    for _ in range(2):
        half = plain(backbone, noise, tmp_path, precision="float16")
        assert 0 < abs(half - exact).max() < 2e-3
    np.testing.assert_array_equal(plain(backbone, noise, tmp_path, precision="float32"), exact)
    np.testing.assert_array_equal(plain(backbone, noise, tmp_path), exact)
    assert len(list((tmp_path / "features").glob("*/vectors.f16"))) == 2


@pytest.mark.gpu
def test_a_gpu_computes_in_float16_while_the_disk_is_written(noise, tmp_path):
    backbone = drawn_clip()
    exact = plain(backbone, noise, tmp_path)
    found = plain(backbone, noise, tmp_path, device=torch.device("cuda"), batch_size=1)
    assert 0 < abs(found - exact).max() < 2e-3
    assert len(list((tmp_path / "features").glob("*/vectors.f16"))) == 2


def extract_share(rank, world_size, images, folder):
    backbone = Counting()
    backbone.load()
    features = plain(backbone, images, folder, batch_size=2, processes=together())
    return backbone.encoded, features


def test_processes_share_the_photos_and_get_the_same_features_to_the_bit(many, backbone, tmp_path, ddp_pool):
    expected = plain(backbone, many, tmp_path / "one", batch_size=2)
    for folder in (tmp_path / "two", tmp_path / "one"):
        (first, here), (second, there) = ddp_pool.run(extract_share, many, folder)
        np.testing.assert_array_equal(here, expected)
        np.testing.assert_array_equal(there, expected)
        # 7 photos are batches of 2, 2, 2 and 1
        assert (first, second) == ((4, 3) if folder.name == "two" else (0, 0))


@pytest.mark.parametrize("late", [0, 1])
def test_other_jobs_may_store_the_same_photos_meanwhile(many, backbone, tmp_path, ddp_pool, late):
    """What is missing is what process 0 has seen, whether process 1 looks later and sees more, or earlier and less."""
    expected = plain(backbone, many, tmp_path / "elsewhere", batch_size=2)
    plain(backbone, many[:3], tmp_path, batch_size=2)
    (first, here), (second, there) = ddp_pool.run(extract_what_another_job_stores, many, tmp_path, late)
    np.testing.assert_array_equal(here, there)
    np.testing.assert_allclose(here, expected, atol=1e-3)
    assert (first, second) == ((0, 0) if late == 0 else (2, 2))


def extract_what_another_job_stores(rank, world_size, images, folder, late):
    """The process ``late`` looks when another job has stored all photos."""

    def missing(digests, rows, look=extraction._missing):
        if rank != late:
            return look(digests, rows)
        if rank == 0:
            other = Counting()
            other.load()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(extraction, "_missing", look)
                plain(other, images, folder, batch_size=2)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "_missing", missing)
        return extract_share(rank, world_size, images, folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from fgvr.data import extraction
from fgvr.data.extraction import extract_features
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.testing.tiny import TinyBackbone

extraction._SECONDS_KEPT = 0

class Killed(TinyBackbone):
    batches = 0

    def encode_image(self, pixels):
        self.batches += 1
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_image(pixels)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    backbone = Killed()
    backbone.load()
    photos = scan(FolderDataset(folder / "many").records(), folder).readable
    extract_features(backbone, photos, folder / "features", batch_size=2, num_workers=2, progress=False)
"""


def test_a_killed_extraction_goes_on_where_it_was(many, backbone, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    features = plain(backbone, many, tmp_path, batch_size=2)
    assert backbone.encoded == 3, "four of seven were stored"
    np.testing.assert_array_equal(plain(backbone, many, tmp_path / "anew", batch_size=2), features)
