import hashlib

import pytest

from fgvr.datasets.fieldguide import FieldguideDataset
from fgvr.errors import FgvrError
from fgvr.fieldguide.image import read_image


def digests(records):
    return {record.sample_id: hashlib.sha256(record.path.read_bytes()).hexdigest() for record in records}


def test_photos_are_drawn_once_and_by_the_seed_alone(tmp_path):
    small = FieldguideDataset(tmp_path / "a", species=3, support=2, test=1).records()
    assert [record.split for record in small].count("support") == 6
    assert [record.sample_id for record in small] == sorted(record.sample_id for record in small)
    stamps = {record.path: record.path.stat().st_mtime_ns for record in small}
    again = FieldguideDataset(tmp_path / "a", species=3, support=2, test=1).records()
    assert {record.path: record.path.stat().st_mtime_ns for record in again} == stamps
    more = digests(FieldguideDataset(tmp_path / "b", species=3, support=3, test=2).records())
    assert {key: more[key] for key in digests(small)} == digests(small)
    assert len(set(more.values())) == len(more) == 15
    other = digests(FieldguideDataset(tmp_path / "a", species=3, support=2, test=1, seed=1).records())
    assert not set(other.values()) & set(more.values())


def test_a_photo_shows_the_species_that_it_is_filed_under(tmp_path):
    for record in FieldguideDataset(tmp_path, species=5, support=1, test=1, part="development").records():
        image = read_image(record.path)
        assert image.species.name == record.true_name == record.sample_id.split("/")[1]
        assert image.species in image.guide
        assert image.species.part == "development"


def test_the_default_folder_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path))
    dataset = FieldguideDataset(species=1, support=1, test=0)
    assert not list(tmp_path.iterdir()), "constructors are pure"
    assert dataset.records()[0].path.is_relative_to(tmp_path / "fieldguide")


def test_mistakes_are_named(tmp_path):
    with pytest.raises(FgvrError, match=r"data\.dataset\.species is 0; expected 1 or more"):
        FieldguideDataset(species=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FgvrError, match=r"Set data\.dataset\.root to another folder"):
        FieldguideDataset(tmp_path / "file", species=1).records()
