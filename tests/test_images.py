import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fgvr.images import UnreadableImageError, open_image, photo_endings, photo_formats, unread_advice


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    if mode in ("I", "F"):
        image = Image.fromarray(np.full((6, 8), 200, dtype=np.int32 if mode == "I" else np.float32))
    elif mode == "I;16":
        image = Image.fromarray(np.full((6, 8), 65535, dtype=np.uint16))
    else:
        image = Image.new("RGB", (8, 6), "white").convert(mode)
    path = tmp_path / "photo.tiff"
    image.save(path)
    opened = open_image(path)
    assert (opened.mode, opened.size) == ("RGB", (8, 6))
    assert np.asarray(opened).min() > 150


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.jpg", exif=exif)
    assert open_image(tmp_path / "photo.jpg").size == (4, 8)


def test_transparent_parts_become_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "photo.png")
    assert open_image(tmp_path / "photo.png").getpixel((0, 0)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "photo.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "photo.gif").getpixel((0, 0)) == (255, 0, 0)


def test_what_cannot_be_read_says_why(tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "JPEG")
    files = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"no photo of anything", "not an image"),
        "cut.jpg": (whole.getvalue()[: len(whole.getvalue()) // 2], "truncated"),
    }
    for name, (content, reason) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError, match=reason):
            open_image(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="no such file"):
        open_image(tmp_path / "missing.jpg")


def test_pipes_devices_and_folders_are_no_photos(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.jpg", "link.png", "zero.png", "folder.png"):
        with pytest.raises(UnreadableImageError, match="no regular file"):
            open_image(tmp_path / name)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)


@pytest.mark.skipif("HEIF" in photo_formats(), reason="pillow-heif is installed")
@pytest.mark.parametrize("name", ["a.heic", "a.HIF", "a.jpg", "a"])
def test_heic_says_what_it_needs(tmp_path, name):
    (tmp_path / name).write_bytes(HEIC)
    with pytest.raises(UnreadableImageError, match=r"^HEIC; .*pip install 'fgvr\[heic\]'"):
        open_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "words"), [("a.CR2", "camera's raw"), ("a.jxl", "Pillow does not read"), ("a.jpg", "")]
)
def test_other_formats_say_what_to_do(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"no photo that Pillow knows")
    with pytest.raises(
        UnreadableImageError, match=f"{words}.*convert" if words else "^not an image that Pillow can read$"
    ):
        open_image(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 35000\n",
            "^a Git LFS pointer .*git lfs pull",
        ),
        (b"version https://git-lfs.github.com/spec/v1\r\noid sha256:12ab\r\nsize 9\r\n", "^a Git LFS pointer"),
        (b"\n\n<!DOCTYPE html><html>", "^a web page and not the photo: download it again$"),
        (b"<html><body>Not found", "^a web page"),
    ],
)
def test_what_is_left_in_a_photos_place_is_named(tmp_path, content, said):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=said):
        open_image(tmp_path / "a.jpg")


def test_heic_is_read_where_its_package_is_installed(tmp_path, monkeypatch):
    """With a stand-in for the package: it registers a reader of PNG files for the ending."""

    def register():
        Image.register_open("HEIF", PngImagePlugin.PngImageFile, lambda start: start.startswith(b"HEIF"))
        Image.register_extension("HEIF", ".heic")

    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    for function in (photo_formats, photo_endings):
        function.cache_clear()
    try:
        assert "HEIF" in photo_formats()
        assert ".heic" in photo_endings()
        assert unread_advice(".heic") == ""
    finally:
        monkeypatch.undo()
        for function in (photo_formats, photo_endings):
            function.cache_clear()
