import os
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from fgvr.cache import cache_database
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.walk import files_below, walk
from fgvr.errors import FgvrError
from fgvr.images import photo_formats


def photos(root):
    return sorted("/".join((*folder.parts, name)) for folder in walk(root).folders for name in folder.names)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "photos"
    for name in ("Pug/a.jpg", "Boxer/b.PNG", "Boxer/old/c.webp"):
        touch(root / name)
    return root


ALL = ["Boxer/b.PNG", "Boxer/old/c.webp", "Pug/a.jpg"]


def test_photos_are_found_and_nothing_else(root):
    for name in (
        ".hidden/x.jpg",
        "Pug/._a.jpg",
        "notes.txt",
        "__MACOSX/Pug/x.jpg",
        "Pug/@eaDir/a.jpg/THUMB.jpg",
        ".jpg",
    ):
        touch(root / name)
    (root / "empty").mkdir()
    assert photos(root) == ALL
    assert walk(root).remark() == ""
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == [*ALL, "notes.txt"]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("Boxer/loop", "Boxer"),  # the folder that it is in
        ("Boxer/loop", ""),  # the root
        ("Boxer/loop", ".."),  # above the root
        ("Boxer/old/loop", "Boxer"),
        ("loop", "."),
        ("Boxer/loop", "Boxer/loop"),  # itself
        ("loop.jpg.d", "nowhere"),
    ],
)
def test_links_that_lead_back_are_not_followed(root, link, target):
    (root / link).symlink_to(root / target if target != "." else Path())
    assert photos(root) == ALL


def test_links_that_lead_round_in_a_circle(root):
    (root / "Pug/others").symlink_to(root / "Boxer")
    (root / "Boxer/others").symlink_to(root / "Pug")
    assert photos(root) == ALL


def test_a_circle_by_way_of_a_folder_elsewhere(root, tmp_path):
    touch(tmp_path / "elsewhere/d.jpg")
    (root / "Beagle").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(root)
    assert photos(root) == sorted([*ALL, "Beagle/d.jpg"])


def test_links_that_lead_elsewhere_are_followed(root, tmp_path):
    touch(tmp_path / "elsewhere/d.jpg")
    (root / "Beagle").symlink_to(tmp_path / "elsewhere")
    (root / "Hound").symlink_to(tmp_path / "elsewhere")
    (root / "Pug/e.jpg").symlink_to(tmp_path / "elsewhere/d.jpg")
    (root / "All boxers").symlink_to("Boxer")
    assert photos(root) == sorted(
        [*ALL, "Beagle/d.jpg", "Hound/d.jpg", "Pug/e.jpg", "All boxers/b.PNG", "All boxers/old/c.webp"]
    )


def test_links_in_links_end_some_time(root):
    """Two links in each of many folders to the next one: two to the power of their number ways."""
    for number in range(20):
        (root / f"{number}").mkdir()
        touch(root / f"{number}/a.jpg")
        for way in "xy":
            (root / f"{number}" / way).symlink_to(root / f"{number + 1}")
    start = time.monotonic()
    found = walk(root)
    assert time.monotonic() - start < 20
    assert found.closed


def test_pipes_and_sockets_are_no_photos(root, tmp_path):
    os.mkfifo(root / "Pug/pipe.jpg")
    (root / "Pug/link.jpg").symlink_to(root / "Pug/pipe.jpg")
    (root / "Pug/null.png").symlink_to("/dev/null")
    os.mkfifo(root / "Pug/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # the name of a socket may not be long
        try:
            server.bind("socket.jpg")
        finally:
            os.chdir(here)
    assert photos(root) == ALL
    assert "4 that are pipes, devices or sockets (Pug/link.jpg, Pug/null.png, Pug/pipe.jpg, ...)" in walk(root).remark()


def test_a_link_to_nowhere_stays_a_photo_that_cannot_be_read(root):
    (root / "Pug/gone.jpg").symlink_to("missing")
    (root / "Pug/itself.jpg").symlink_to("itself.jpg")
    assert photos(root) == sorted([*ALL, "Pug/gone.jpg", "Pug/itself.jpg"])


def test_what_fgvr_wrote_is_passed_over_by_what_it_is(root, tmp_path):
    for run in ("runs/run/0", "runs/run/0/compare/clip", "old results/7"):
        touch(root / run / "metrics.json")
        touch(root / run / "media/images/x.png")
        (root / run / "config.yaml").write_text(
            "data:\n  dataset:\n    class_path: fgvr.datasets.folder.FolderDataset\n"
        )
    touch(root / "wandb/offline-run-1/run-1.wandb")
    touch(root / "wandb/offline-run-1/files/media/images/x.png")
    with cache_database(root / "cache/photos.sqlite") as database:
        database.execute("CREATE TABLE IF NOT EXISTS photos (stamp TEXT PRIMARY KEY, digest TEXT NOT NULL)")
    touch(root / "cache/fieldguide/x.png")
    touch(root / "runs/labels.sqlite")
    assert photos(root) == ALL
    # the folder that was asked for is never passed over
    assert photos(root / "runs/run/0") == ["media/images/x.png"]


def test_a_class_may_be_called_runs(root):
    touch(root / "runs/a.jpg")
    touch(root / "runs/b/c.jpg")
    (root / "runs/b/config.yaml").write_text("class_path: fgvr.datasets.folder.FolderDataset")  # kept by a person
    touch(root / "Ski/a.jpg")
    touch(root / "Ski/metrics.json")
    (root / "Ski/config.yaml").write_text("lens: 50mm")
    sqlite3.connect(root / "Pug/photos.sqlite").close()
    assert photos(root) == sorted([*ALL, "runs/a.jpg", "runs/b/c.jpg", "Ski/a.jpg"])


def test_photos_of_other_formats_are_counted_once_and_named(root, monkeypatch):
    for name in ("Pug/1.nef", "Pug/2.NEF", "Boxer/3.Dng", "Boxer/4.jxl", "Pug/noending", "README", "LICENSE.", "5.xml"):
        touch(root / name)
    assert walk(root).remark() == (
        "5 files that may be photos were not read: 2 .NEF (Pug/1.nef, Pug/2.NEF), 1 .DNG (Boxer/3.Dng), 1 .JXL "
        "(Boxer/4.jxl), 1 without an ending (Pug/noending). Convert raw files of cameras to JPEG or TIFF; convert what "
        "Pillow does not read to JPEG or PNG; give files without an ending the one of their format, such as .jpg."
    )
    assert photos(root) == ALL


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.jpg_large", "with more than an ending"),
        ("a.JPG?w=300&h=2", "with more than an ending"),
        ("a.jpg.1", "with more than an ending"),
        ("a.jpeg~", "with more than an ending"),
        ("a.png ", "with more than an ending"),
        ("a.webp (2)", "with more than an ending"),
        ("Heron no. 5", "without an ending"),
        ("photo 1.2", "without an ending"),
        ("a.jpg_original", ""),
        ("a.jpg.json", ""),
        ("a.jpg.txt", ""),
        ("script.py~", ""),
        ("a.bmp-notes.txt", ""),
        ("notes.tar.gz", ""),
    ],
)
def test_photos_under_odd_names_are_counted(root, name, said):
    touch(root / "Pug" / name)
    remark = walk(root).remark()
    assert f"1 {said} (Pug/{name})" in remark if said else remark == ""
    assert photos(root) == ALL


@pytest.mark.skipif("HEIF" in photo_formats(), reason="pillow-heif is installed")
def test_heic_is_counted_where_it_is_not_read(root):
    for name in ("Pug/IMG_1.HEIC", "Pug/IMG_2.heic", "Boxer/x.heif", "Boxer/y.hif"):
        touch(root / name)
    remark = walk(root).remark()
    assert remark.startswith("4 files that may be photos were not read: 2 .HEIC (Pug/IMG_1.HEIC, Pug/IMG_2.heic), ")
    assert "HEIC is read after pip install 'fgvr[heic]', which brings pillow-heif" in remark


def test_a_folder_that_cannot_be_looked_into(root, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "Pug":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(root).closed == {"Pug": "Permission denied"}
    with pytest.raises(FgvrError, match=r"Pug' cannot be looked into \(Permission denied\)"):
        walk(root / "Pug")


@pytest.mark.skipif(os.name == "nt", reason="file names of Windows have no backslash")
def test_an_archive_of_windows_that_was_unpacked_elsewhere(tmp_path):
    names = ["train\\Pug\\a.png", "train\\Pug\\b.png", "test\\Boxer\\a.png", "c.png"]
    others = ["__MACOSX\\train\\._a.png", "train\\.hidden\\x.png", "train\\.x.png", "..\\out.png", "\\x.png"]
    for name in [*names, *others]:
        (tmp_path / name).touch()
    found = {"/".join(each.parts): (each.names, list(each.paths())) for each in walk(tmp_path).folders}
    assert {folder: sorted(inside) for folder, (inside, _) in found.items()} == {
        "": ["c.png"],
        "train/Pug": ["a.png", "b.png"],
        "test/Boxer": ["a.png"],
    }
    assert files_below(tmp_path) == sorted(tmp_path / name for name in names)
    assert {path for _, paths in found.values() for path in paths} == {tmp_path / name for name in names}
    (tmp_path / "c.png").unlink()
    records = FolderDataset(tmp_path).records()
    assert [(r.sample_id, r.split, r.true_name) for r in records] == [
        ("test/Boxer/a.png", "test", "Boxer"),
        ("train/Pug/a.png", "support", "Pug"),
        ("train/Pug/b.png", "support", "Pug"),
    ]
