import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.tasks.describe_group import DescribeGroupTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.pictures import PictureOptions, encode_pictures, open_pictures
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.records import ImageRecord


def request(*paths):
    images = [ImageRecord(sample_id=path.name, path=path, split="support", digest=path.name) for path in paths]
    return LabelRequest(images[0], "What is it?", others=tuple(images[1:]))


def encoded(path, **options):
    (picture,) = encode_pictures(request(path), NameTask(), PictureOptions(**options))
    image = Image.open(io.BytesIO(picture.data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert image.size == (picture.width, picture.height)
    return image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path, orientation):
    upright = np.zeros((40, 60, 3), dtype=np.uint8)
    upright[:20, :30] = 255  # white in the corner at the top left
    # what a camera stores that was held so
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(turned))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    picture = encoded(tmp_path / "photo.jpg")
    assert picture.size == (60, 40)
    assert picture.getpixel((5, 5))[0] > 200
    assert max(picture.getpixel(corner)[0] for corner in [(55, 5), (5, 35), (55, 35)]) < 50


def test_no_metadata_leaves_the_machine(tmp_path):
    image = Image.effect_noise((64, 64), 60).convert("RGB")
    exif = image.getexif()
    exif[0x010F] = "SECRET camera"
    exif[0x013B] = "SECRET photographer"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (52.0, 31.0, 12.0)
    gps[0x1D] = "SECRET date"
    image.save(
        tmp_path / "photo.jpg",
        exif=exif,
        comment=b"SECRET comment",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        xmp=b"<x>SECRET xmp</x>",
    )
    original = (tmp_path / "photo.jpg").read_bytes()
    assert original.count(b"SECRET") == 5, "the photo has what is to be taken away"

    (picture,) = encode_pictures(request(tmp_path / "photo.jpg"), NameTask(), PictureOptions())
    for trace in (b"SECRET", b"Exif", b"ICC_PROFILE", b"http://ns.adobe.com", b"photo.jpg"):
        assert trace not in picture.data
    assert set(Image.open(io.BytesIO(picture.data)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    (opened,) = open_pictures(request(tmp_path / "photo.jpg"), NameTask(), PictureOptions())
    assert not opened.info
    assert not opened.getexif()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 300), (100, 75)),
        ((300, 400), (75, 100)),
        ((100, 80), (100, 80)),
        ((30, 20), (30, 20)),  # never enlarged
        ((1000, 16), (100, 2)),
    ],
)
def test_the_longest_side_is_max_side(tmp_path, size, expected, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.new("RGB", size, "green").save(path)
    assert encoded(path, max_side=100).size == expected


def test_a_large_jpeg_file_is_decoded_at_a_smaller_size(tmp_path, monkeypatch):
    Image.new("RGB", (1600, 400)).save(tmp_path / "photo.jpg")
    decoded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self.size) or load(self))
    assert encoded(tmp_path / "photo.jpg", max_side=100).size == (100, 25)
    assert max(decoded) == (200, 50)  # an eighth is the least that the format allows


def test_quality_is_that_of_the_file(tmp_path):
    Image.effect_noise((200, 200), 60).save(tmp_path / "photo.png")
    sizes = [
        len(encode_pictures(request(tmp_path / "photo.png"), NameTask(), PictureOptions(quality=quality))[0].data)
        for quality in (10, 50, 90)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16"])
def test_photos_of_every_mode_are_sent(tmp_path, mode):
    if mode in ("I", "F", "I;16"):
        ramp = np.tile(np.linspace(0, 65535, 32), (16, 1))
        image = Image.fromarray(ramp.astype({"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]))
    elif mode == "LAB":
        image = Image.new("LAB", (32, 16))
    else:
        image = Image.linear_gradient("L").resize((32, 16)).convert("RGB" if mode != "PA" else "P").convert(mode)
    image.save(tmp_path / "photo.tiff")
    picture = encoded(tmp_path / "photo.tiff")
    assert picture.size == (32, 16)
    if mode in ("I", "F", "I;16"):
        levels = np.asarray(picture.convert("L"))[8]
        assert levels[0] < 10
        assert levels[-1] > 245
        assert 100 < levels[16] < 160


def test_a_jpeg_file_in_cmyk_is_sent_in_its_colours(tmp_path):
    Image.new("RGB", (32, 32), "red").convert("CMYK").save(tmp_path / "photo.jpg")
    red, green, blue = encoded(tmp_path / "photo.jpg").getpixel((16, 16))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


def test_transparent_parts_are_white(tmp_path):
    Image.new("RGBA", (16, 16), (200, 0, 0, 0)).save(tmp_path / "rgba.png")
    palette = Image.new("P", (16, 16))
    palette.putpalette([200, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    for path in tmp_path.iterdir():
        assert min(encoded(path).getpixel((8, 8))) > 250


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_metadata_is_no_reason_to_do_without_a_photo(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert encoded(tmp_path / "photo.jpg").size == (16, 16)


def write_header(path, width, height):
    """A PNG file that claims to be large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_a_photo_that_cannot_be_read_is_an_os_error(tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((128, 128), 60).save(whole, "JPEG")
    png = io.BytesIO()
    Image.effect_noise((128, 128), 60).save(png, "PNG")
    files = {
        "empty.jpg": b"",
        "text.jpg": b"<html>not found</html>",
        "cut.jpg": whole.getvalue()[: len(whole.getvalue()) // 2],
        "cut.png": png.getvalue()[: len(png.getvalue()) // 2],
        "broken.png": png.getvalue()[:60] + b"\x00" * 40 + png.getvalue()[100:],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OSError):  # noqa: PT011 - the words are Pillow's
            encoded(tmp_path / name)
    with pytest.raises(OSError, match="no such file"):
        encoded(tmp_path / "missing.jpg")
    with pytest.raises(OSError):  # noqa: PT011
        encoded(tmp_path)


def test_a_decompression_bomb_is_an_os_error(tmp_path):
    write_header(tmp_path / "bomb.png", 60_000, 60_000)
    with pytest.raises(OSError, match="pixels"):
        encoded(tmp_path / "bomb.png")


def test_a_task_may_show_several_photos_as_one(tmp_path):
    for number in range(3):
        Image.new("RGB", (900, 600), (number * 100, 0, 0)).save(tmp_path / f"{number}.png")
    group = request(*sorted(tmp_path.iterdir()))
    (collage,) = encode_pictures(group, DescribeGroupTask(), PictureOptions(max_side=300))
    assert (collage.width, collage.height) == (300, 300)
    assert len(encode_pictures(group, NameTask(), PictureOptions())) == 3


def test_options_out_of_range_are_refused():
    with pytest.raises(FgvrError, match=r"pictures\.max_side is 8; expected 16 or more"):
        PictureOptions(max_side=8)
    with pytest.raises(FgvrError, match=r"pictures\.quality is 100; expected 1 to 95"):
        PictureOptions(quality=100)


def test_other_pictures_are_other_questions():
    assert PictureOptions(max_side=512).identity() != PictureOptions().identity()
    assert PictureOptions(quality=50).identity() != PictureOptions().identity()


def test_no_photo_is_opened_for_a_task_about_a_text(tmp_path):
    assert encode_pictures(request(tmp_path / "none.jpg"), RestateTask("A Pug."), PictureOptions()) == ()
