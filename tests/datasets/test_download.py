"""torchvision's own downloads, from a server on loopback that has archives in the layout of the real ones."""

import hashlib
import io
import tarfile
import zipfile
from types import SimpleNamespace

import pytest
from filelock import FileLock
from scipy.io import savemat
from torchvision import datasets
from torchvision.datasets import utils

from fgvr.datasets import download as module
from fgvr.datasets.download import SOURCES, download
from fgvr.errors import FgvrError
from fgvr.registry import DATASETS


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def matrix(**values):
    stream = io.BytesIO()
    savemat(stream, values)
    return stream.getvalue()


LISTS = {f"dtd/labels/{part}1.txt": b"banded/a.jpg\n" for part in ("train", "val", "test")}
VARIANTS = {f"data/images_variant_{part}.txt": b"1 707-320\n" for part in ("train", "val", "trainval", "test")}
AIRCRAFT = {"data/variants.txt": b"707-320\n", "data/images/1.jpg": b"1", **VARIANTS}
SERVED = {
    "caltech101": {
        "caltech-101.zip": zipped(
            {
                "caltech-101/101_ObjectCategories.tar.gz": tar(
                    {
                        "101_ObjectCategories/BACKGROUND_Google/image_0001.jpg": b"1",
                        "101_ObjectCategories/chair/image_0001.jpg": b"1",
                    }
                ),
                "caltech-101/Annotations.tar": b"not unpacked by torchvision",
            }
        )
    },
    "dtd": {"dtd-r1.0.1.tar.gz": tar({"dtd/images/banded/a.jpg": b"1", **LISTS})},
    "eurosat": {"EuroSAT.zip": zipped({"2750/Forest/Forest_1.jpg": b"1"})},
    "fgvc_aircraft": {
        "fgvc-aircraft-2013b.tar.gz": tar({f"fgvc-aircraft-2013b/{name}": text for name, text in AIRCRAFT.items()})
    },
    "flowers102": {
        "102flowers.tgz": tar({"jpg/image_00001.jpg": b"1"}),
        "imagelabels.mat": matrix(labels=[[1, 1]]),
        "setid.mat": matrix(trnid=[[1, 2]], valid=[[1, 2]], tstid=[[1, 2]]),
    },
    "food101": {
        "food-101.tar.gz": tar(
            {
                "food-101/images/apple_pie/1.jpg": b"1",
                "food-101/meta/train.json": b'{"apple_pie": ["apple_pie/1"]}',
                "food-101/meta/test.json": b'{"apple_pie": ["apple_pie/1"]}',
            }
        )
    },
    "oxford_pets": {
        "images.tar.gz": tar({"images/beagle_1.jpg": b"1"}),
        "annotations.tar.gz": tar({"annotations/trainval.txt": b"beagle_1 1 2 1\n", "annotations/test.txt": b""}),
    },
}
FOUND = {
    "caltech101": ["101_ObjectCategories"],
    "dtd": ["images", "labels"],
    "eurosat": ["2750"],
    "fgvc_aircraft": ["images", *sorted(name[5:] for name in VARIANTS), "variants.txt"],
    "flowers102": ["imagelabels.mat", "jpg", "setid.mat"],
    "food101": ["images", "meta"],
    "oxford_pets": ["annotations", "images"],
}


def room(monkeypatch, free):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


@pytest.fixture
def server(httpserver, monkeypatch):
    """Serve the archives, and let torchvision's constants point there, with the checksums of these files.

    The disk has room for the real ones, whatever this machine's has.
    """
    room(monkeypatch, 1e12)
    digests = {}
    for files in SERVED.values():
        for name, content in files.items():
            httpserver.expect_request(f"/{name}").respond_with_data(content)
            digests[name] = hashlib.md5(content).hexdigest()
    url = httpserver.url_for("/")
    monkeypatch.setattr(datasets.DTD, "_URL", f"{url}dtd-r1.0.1.tar.gz")
    monkeypatch.setattr(datasets.DTD, "_MD5", digests["dtd-r1.0.1.tar.gz"])
    monkeypatch.setattr(datasets.Food101, "_URL", f"{url}food-101.tar.gz")
    monkeypatch.setattr(datasets.Food101, "_MD5", digests["food-101.tar.gz"])
    monkeypatch.setattr(datasets.FGVCAircraft, "_URL", f"{url}fgvc-aircraft-2013b.tar.gz")
    pets = tuple((f"{url}{name}", digests[name]) for name in SERVED["oxford_pets"])
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", pets)
    monkeypatch.setattr(datasets.Flowers102, "_download_url_prefix", url)
    flowers = datasets.Flowers102._file_dict
    monkeypatch.setattr(
        datasets.Flowers102, "_file_dict", {key: (name, digests[name]) for key, (name, _) in flowers.items()}
    )

    # these two have their addresses in the middle of their code
    def local(address, download_root, filename=None, md5=None, **options):
        name = address.rpartition("/")[2]
        return utils.download_and_extract_archive(f"{url}{name}", download_root, filename=filename, md5=digests[name])

    monkeypatch.setattr(datasets.eurosat, "download_and_extract_archive", local)
    monkeypatch.setattr(datasets.caltech, "download_and_extract_archive", local)
    return httpserver


def get(name, root):
    download(name, DATASETS.load(name)(root))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", SOURCES)
def test_photos_are_put_where_the_reader_looks(name, server, tmp_path):
    root = tmp_path / "new" / name
    get(name, root)
    assert names(root) == FOUND[name]
    reader = DATASETS.load(name)(root)
    assert reader.image_folder() == root / reader.info.image_folders[0]
    assert [path.suffix for path in reader.image_folder().rglob("*.jpg")]


def test_what_the_user_has_stays(server, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/mine.txt").write_text("mine")
    (tmp_path / "split_zhou_DescribableTextures.json").write_text("{}")
    get("dtd", tmp_path)
    assert names(tmp_path) == ["images", "labels", "split_zhou_DescribableTextures.json"]
    assert names(tmp_path / "labels") == ["mine.txt"]


def test_nothing_half_done_is_taken_for_done(server, tmp_path, monkeypatch):
    """Stopped while it unpacks: the archive stays, what was unpacked of it goes."""

    def stopped(*args):
        (tmp_path / ".download/dtd/dtd/images/half").mkdir(parents=True)
        (tmp_path / ".download/dtd/dtd/images/half/a.tar.gz").write_bytes(b"of the archive")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(utils, "extract_archive", stopped)
        with pytest.raises(KeyboardInterrupt):
            get("dtd", tmp_path)
    assert names(tmp_path) == [".download"]
    asked = len(server.log)
    get("dtd", tmp_path)
    assert len(server.log) == asked  # the archive has its checksum
    assert names(tmp_path / "images") == ["banded"]


def test_an_archive_without_a_checksum_is_downloaded_again(server, tmp_path):
    (tmp_path / ".download").mkdir()
    (tmp_path / ".download/fgvc-aircraft-2013b.tar.gz").write_bytes(b"half of it")
    get("fgvc_aircraft", tmp_path)
    assert names(tmp_path) == FOUND["fgvc_aircraft"]


def test_stopped_between_two_renames(server, tmp_path):
    get("oxford_pets", tmp_path)
    (tmp_path / "images/beagle_1.jpg").unlink()
    (tmp_path / "images").rmdir()
    get("oxford_pets", tmp_path)
    assert names(tmp_path / "images") == ["beagle_1.jpg"]


def test_a_wrong_checksum(server, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.DTD, "_MD5", "0" * 32)
    with pytest.raises(FgvrError, match=r"dtd could not be downloaded .*corrupted.*Download again.*section DTD"):
        get("dtd", tmp_path)
    assert names(tmp_path) == [".download"]


def test_a_server_that_has_no_such_file(server, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.DTD, "_URL", server.url_for("/gone.tar.gz"))
    with pytest.raises(FgvrError, match="could not be downloaded"):
        get("dtd", tmp_path)


def test_an_archive_that_is_cut_off(server, tmp_path, monkeypatch):
    content = SERVED["fgvc_aircraft"]["fgvc-aircraft-2013b.tar.gz"]
    server.expect_request("/half.tar.gz").respond_with_data(content[: len(content) // 2])
    monkeypatch.setattr(datasets.FGVCAircraft, "_URL", server.url_for("/half.tar.gz"))
    with pytest.raises(FgvrError, match="could not be downloaded"):
        get("fgvc_aircraft", tmp_path)
    assert names(tmp_path) == [".download"]


def test_an_archive_that_would_write_elsewhere(server, tmp_path):
    entries = {"../../outside.txt": b"1", "fgvc-aircraft-2013b/data/variants.txt": b""}
    server.expect_request("/outside.tar.gz").respond_with_data(tar(entries))
    before = vars(tarfile.TarFile)["extraction_filter"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.FGVCAircraft, "_URL", server.url_for("/outside.tar.gz"))
        with pytest.raises(FgvrError, match=r"fgvc_aircraft could not be downloaded .*OutsideDestinationError"):
            get("fgvc_aircraft", tmp_path / "root")
    assert not (tmp_path / "outside.txt").exists()
    assert vars(tarfile.TarFile)["extraction_filter"] is before


def test_a_python_that_cannot_check_archives(server, tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(FgvrError, match=r"Use Python 3\.11\.4 or later"):
        get("dtd", tmp_path)
    assert not server.log


def test_too_little_room(server, tmp_path, monkeypatch):
    room(monkeypatch, 1e9)
    with pytest.raises(FgvrError, match=r"has 1\.0 GB of room, and dtd needs about 1\.3 GB"):
        get("dtd", tmp_path)
    assert not server.log


def test_one_at_a_time(server, tmp_path):
    (tmp_path / ".download").mkdir()
    with FileLock(tmp_path / ".download/lock"), pytest.raises(FgvrError, match="Another process"):
        get("dtd", tmp_path)


def test_every_source_is_a_registered_data_set():
    for name, source in SOURCES.items():
        assert issubclass(getattr(datasets, source.torchvision), datasets.VisionDataset)
        assert DATASETS.load(name).info.images_from.startswith(f"The command `fgvr data download {name} ")
