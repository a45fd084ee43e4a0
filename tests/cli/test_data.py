import json
import subprocess
import sys

import pytest
from PIL import Image

from fgvr.cli import main
from fgvr.datasets import download as downloads


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))

    def run(*args, code=0):
        assert main(["data", *map(str, args)]) == code
        captured = capsys.readouterr()
        return captured.err if code == 2 else captured.out

    return run


@pytest.fixture
def images(tmp_path):
    for split, colour in (("train", "red"), ("test", "blue")):
        folder = tmp_path / "photos" / split / "Pug"
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4), colour).save(folder / "a.png")
    return tmp_path / "photos"


@pytest.fixture
def downloaded(monkeypatch):
    """Names that were downloaded, without a network."""
    asked = []

    def download(name, dataset):
        asked.append(name)
        (dataset.root / dataset.info.image_folders[0]).mkdir(parents=True)

    monkeypatch.setattr(downloads, "download", download)
    return asked


def test_verify_a_folder(run, images):
    assert run("verify", "folder", "--root", images).splitlines() == [
        "split    expected  listed  readable  classes  photos a class",
        "support         -       1         1        1          1 to 1",
        "test            -       1         1        1          1 to 1",
        "",
        "1 class",
        "",
        "All is well.",
    ]


def test_verify_reports_what_is_wrong(run, images):
    (images / "test/Pug/b\x1b[2J.png").write_bytes(b"nothing")
    (images / "train/Beagle").mkdir()
    for name in ("train/Beagle/a", "train/Pug/b", "test/Pug/c"):
        (images / f"{name}.png").write_bytes((images / "test/Pug/a.png").read_bytes())
    out = run("verify", "folder", "--root", images, code=1)
    assert "1 photo cannot be opened:\n  test/Pug/b\\x1b[2J.png (not an image" in out
    assert "2 pairs of files in two splits have the same bytes:\n  test/Pug/a.png = train/Beagle/a.png\n" in out
    assert "NOT as it should be: see above.\n\nWorth knowing:\n1 pair of files in one split has" in out
    assert "1 pair of files with the same bytes has different class names:" in out
    assert "1 class is in the split 'support' only:\n  Beagle\n" in out


def test_verify_takes_the_options_of_the_data_set(run, images):
    (images / "mine.csv").write_text("file,split\ntrain/Pug/a.png,test\n")
    out = run("verify", "manifest", "--root", images, "--manifest", "mine.csv")
    assert out.splitlines()[1].split() == ["test", "-", "1", "1", "0", "-"]
    # a class path is as good as a name
    assert "All is well" in run("verify", "fgvr.datasets.folder.FolderDataset", "--root", images)


def test_verify_a_data_set_without_a_root(run, tmp_path):
    out = run("verify", "fieldguide", "--root", tmp_path / "birds", "--species", 2, "--support", 1, "--test", 1)
    assert "2 classes" in out


def test_verify_a_standard_data_set(run, tmp_path):
    (tmp_path / "2750").mkdir()
    for number in range(8):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"2750/{number}.png")
    split = {"train": [["0.png", 1, "Forest"]], "val": [], "test": [["1.png", 1, "Forest"]]}
    (tmp_path / "split_zhou_EuroSAT.json").write_text(json.dumps(split))
    out = run("verify", "eurosat", "--root", tmp_path, code=1)
    assert out.splitlines()[1:3] == [
        "support    18,900       1         1        1          1 to 1",
        "test        8,100       1         1        1          1 to 1",
    ]
    assert "1 of 10 classes\nsupport: 1 photo is listed, expected 18,900\ntest: 1 photo" in out
    assert "\n9 classes of the data set have no photo:\n  Annual Crop Land" in out
    assert "  and 4 more" in out
    assert "6 files in the image folder are in no list:\n  2.png" in out


def test_errors_name_the_options_of_this_command(run, tmp_path):
    err = run("verify", "dtd", "--root", tmp_path, code=2)
    assert "set --split_file to it." in err
    assert "set --official to true (the command `fgvr show datasets dtd` says" in err
    assert "data.dataset" not in err
    assert "Set --root to the right one." in run("verify", "folder", "--root", tmp_path / "none", code=2)
    err = run("verify", "manifest", "--root", tmp_path, code=2)
    assert "Set --manifest to the CSV, or, to read the folder itself, use fgvr data verify folder." in err


def test_what_is_not_there(run, tmp_path):
    assert "Did you mean 'dtd'?" in run("verify", "dtdd", "--root", tmp_path, code=2)
    assert "'fetch' is not a command of fgvr data" in run("fetch", "dtd", code=2)
    assert "'cub200' is not downloaded by fgvr. What is: caltech101, dtd" in run(
        "download", "cub200", "--root", tmp_path, code=2
    )


def test_download(run, tmp_path, downloaded):
    root = tmp_path / "dtd"
    out = run("download", "dtd", "--root", root)
    assert downloaded == ["dtd"]
    assert out.splitlines()[:2] == [
        f"dtd: 625 MB to download into {root}",
        f"The photos of dtd are in {root}.",
    ]
    assert (
        "Still to be got with a browser: https://drive.google.com/file/d/1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x/view" in out
    )
    assert f"saved as {root / 'split_zhou_DescribableTextures.json'}, or --data.dataset.official true instead" in out
    assert out.endswith(f"To check them: fgvr data verify dtd --root {root}\n")


def test_what_is_there_is_not_downloaded_again(run, tmp_path, downloaded):
    (tmp_path / "dtd/images").mkdir(parents=True)  # where torchvision has them
    (tmp_path / "split_zhou_DescribableTextures.json").write_text("{}")
    assert run("download", "dtd", "--root", tmp_path).splitlines() == [
        f"There are photos of dtd in {tmp_path} already.",
        f"To check them: fgvr data verify dtd --root {tmp_path}",
    ]
    assert downloaded == []


def test_a_data_set_that_needs_no_split_file(run, tmp_path, downloaded):
    assert "browser" not in run("download", "fgvc_aircraft", "--root", tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stanford_cars", ["since 2023", "pytorch/vision/issues/7545", "'cars_train' and 'cars_test'"]),
        ("sun397", ["pytorch/vision/issues/9348", "SUN397.tar.gz (37 GB)", "Partitions.zip"]),
        ("ucf101", ["UCF-101-midframes.zip", "https://drive.google.com/file/d/10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O/view"]),
    ],
)
def test_what_has_no_working_link(run, tmp_path, name, words):
    err = run("download", name, "--root", tmp_path / name, code=2)
    assert f"{name} cannot be downloaded by fgvr." in err
    assert all(word in err for word in words)
    assert f"to be saved as {tmp_path / name}/split_zhou_" in err
    assert f"fgvr data verify {name} --root {tmp_path / name}" in err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("args", [[], ["--help"], ["download", "-h"], ["verify", "--help"]])
def test_usage(run, args):
    assert run(*args).startswith("usage: fgvr data download NAME")


def test_usage_without_a_name(capsys):
    assert main(["data", "verify"]) == 2
    assert "usage: fgvr data" in capsys.readouterr().out


def test_options_of_a_data_set(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["data", "verify", "dtd", "--help"])
    assert stopped.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "--official" in out
    assert "Read the data set's own lists" in out


def test_the_root_is_needed_to_download(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["data", "download", "dtd"])
    assert stopped.value.code == 2
    assert "root" in capsys.readouterr().err


def test_help_imports_no_torch():
    code = "import sys; from fgvr.cli import main; main(['data', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_names_that_finer_has_published(run, tmp_path):
    guessed, output = tmp_path / "dog_llm_replies_raw_3.json", tmp_path / "out" / "names.json"
    output.parent.mkdir()
    guessed.write_text(json.dumps({"Pug_0": '{"Pug, Boxer": ["It is small."]}', "Pug_1": "It is a dog."}))
    out = run("finer_names", guessed, "--output", output)
    assert out.startswith(f"2 names (1 reply names nothing): {output}\n")
    assert f"--data.class_names {output}" in out
    assert json.loads(output.read_text()) == ["Pug", "Boxer"]
    assert "There is no file" in run("finer_names", tmp_path / "no.json", "--output", output, code=2)
