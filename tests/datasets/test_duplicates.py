"""The guard against training on test photos, with ``fgvr fit`` on a tiny data set."""

import shutil

import pytest
from PIL import Image
from tiny.images import noisy
from tiny_run import OPTIONS

from fgvr.cli import main
from fgvr.datasets.duplicates import equal_bytes
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord

ZERO_SHOT = [*OPTIONS[:8], "--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]


def record(name, digest, split="support"):
    return ImageRecord(sample_id=name, path=name, split=split, digest=digest)


def test_pairs_are_in_the_order_of_the_support_photos():
    support = [record("a", "1"), record("b", "2"), record("c", "1")]
    evaluated = [record("x", "3"), record("y", "1"), record("z", "1")]
    assert equal_bytes(support, evaluated) == [("a", "y"), ("c", "y")]
    assert equal_bytes(support, []) == []


@pytest.fixture
def fit(tiny_run, capsys):
    """``fgvr fit``; returns exit code and stderr."""

    def fit(*options):
        code = main(["fit", *ZERO_SHOT, "--trainer.accelerator", "cpu", *options])
        return code, capsys.readouterr().err

    return fit


def test_equal_bytes_are_refused_before_anything_is_asked(fit, tiny_run, caplog):
    photos = tiny_run / "birds/photos"
    for number in (0, 1, 2):
        shutil.copy(photos / f"{number}_0.png", photos / f"{number}_5.png")
    code, said = fit()
    assert code == 2
    assert "3 support photos have the same bytes as a photo of 'test': photos/0_0.png = photos/0_5.png, " in said
    assert "set data.duplicates to leave_out" in said
    assert not (tiny_run / "runs/labels.sqlite").exists()
    assert not list((tiny_run / "runs/run").glob("*"))
    assert fit("--data.duplicates", "allow")[0] == 0
    assert fit("--data.duplicates", "leave_out")[0] == 0
    assert "3 support photos are left out, whose bytes are those of a photo of 'test'" in caplog.text
    assert fit("--data.duplicates", "sometimes")[0] == 2


def test_photos_that_are_not_drawn_are_not_compared(fit, tiny_run):
    photos = tiny_run / "birds/photos"
    for number in range(4):
        shutil.copy(photos / f"0_{number}.png", photos / "0_5.png")
        codes = {fit("--data.shots", "1", "--data.support_seed", str(seed))[0] for seed in range(4)}
        if codes == {0, 2}:
            return
    pytest.fail("the draw never holds, or always holds, a photo")


def test_near_duplicates_are_listed(fit, tiny_run, caplog):
    photos = tiny_run / "birds/photos"
    (picture,) = noisy([(64, 64)])
    picture.resize((40, 40)).save(photos / "0_0.png")
    picture.resize((48, 40), Image.Resampling.LANCZOS).save(photos / "2_5.png")
    assert fit()[0] == 0
    assert "1 photo of 'test' looks nearly the same as a support photo" in caplog.text
    lines = (tiny_run / "runs/run/0/near_duplicates.csv").read_text("utf-8-sig").splitlines()
    assert lines[1].startswith("photos/2_5.png,photos/0_0.png,")


def test_leaving_out_leaves_something(tmp_path, draw):
    from fgvr.datasets.folder import FolderDataset
    from fgvr.datasets.images import read_images

    for split in ("train", "test"):
        draw(f"photos/{split}/Pug/0.png")
    images = read_images(FolderDataset(tmp_path / "photos"), tmp_path / "cache")
    with pytest.raises(FgvrError, match="Every support photo has the same bytes"):
        images.without_evaluated_bytes()
