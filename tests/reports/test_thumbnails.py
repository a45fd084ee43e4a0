import base64
import io

import numpy as np
import pytest
from PIL import Image

from fgvr.reports.thumbnails import SIDE, make_thumbnail, thumbnails


def opened(thumbnail):
    return Image.open(io.BytesIO(base64.b64decode(thumbnail.data)))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("jpg", mode) for mode in ("RGB", "L", "CMYK")),
        *(("png", mode) for mode in ("RGB", "L", "P", "RGBA", "I;16")),
        *(("tiff", mode) for mode in ("RGB", "CMYK")),
    ],
)
def test_a_photo_of_any_kind_is_small_rgb(tmp_path, kind, mode):
    Image.new(mode, (600, 300)).save(tmp_path / f"a.{kind}")
    small = opened(made := make_thumbnail(tmp_path / f"a.{kind}"))
    assert (small.mode, small.format, small.size) == ("RGB", "JPEG", (SIDE, SIDE // 2))
    assert small.size == (made.width, made.height)


def test_a_photo_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (600, 300)).save(tmp_path / "a.jpg", exif=exif)
    assert opened(make_thumbnail(tmp_path / "a.jpg")).size == (SIDE // 2, SIDE)


def test_the_comment_of_a_photo_is_left_behind(tmp_path):
    Image.new("RGB", (600, 300)).save(tmp_path / "plain.jpg")
    Image.new("RGB", (600, 300)).save(tmp_path / "a.jpg", comment=b"taken at home" * 4000)
    assert make_thumbnail(tmp_path / "a.jpg") == make_thumbnail(tmp_path / "plain.jpg")


def test_a_small_photo_stays_as_it_is(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    assert opened(make_thumbnail(tmp_path / "a.png")).size == (8, 6)


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff\xe0 cut"])
def test_what_cannot_be_read_has_none(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    assert make_thumbnail(tmp_path / "a.jpg") is None
    assert make_thumbnail(tmp_path / "gone.jpg") is None


def test_the_first_that_fit_are_taken(tmp_path):
    noise = np.random.default_rng(0)
    paths = {}
    for number in range(6):
        paths[str(number)] = tmp_path / f"{number}.jpg"
        Image.fromarray(noise.integers(0, 255, (96, 96, 3), dtype=np.uint8)).save(paths[str(number)])
    paths["1"].unlink()
    everything = thumbnails(paths, most=10, most_bytes=10**6)
    assert list(everything) == ["0", "2", "3", "4", "5"]
    assert list(thumbnails(paths, most=3, most_bytes=10**6)) == ["0", "2"]
    size = sum(len(everything[name].data) for name in ("0", "2"))
    assert list(thumbnails(paths, most=10, most_bytes=size)) == ["0", "2"]
