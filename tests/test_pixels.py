"""Photos of absurd size are refused before they are decoded; large honest ones are read within bounds."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from fgvr import pixels
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.images import UnreadableImageError, open_image
from fgvr.pixels import PixelGate


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, extra=b""):
    """A PNG whose header may say anything; its samples are those of 4 x 4 pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    samples = chunk(b"IDAT", zlib.compress((b"\0" + b"\1" * 12) * 4))
    return b"\x89PNG\r\n\x1a\n" + header + extra + samples + chunk(b"IEND", b"")


def bmp(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif(width, height):
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + b"\0\0\0,\0\0\0\0" + size + b"\0\2\2\x44\1\0;"


def tiff(width, height):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4)


def jpeg(width, height, **options):
    """A JPEG whose header may say anything."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", **options)
    content = bytearray(file.getvalue())
    place = content.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp(width, height):
    """The header of a lossy WebP, which says its size; the frame behind it is cut off."""
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (width - 1).to_bytes(3, "little")
    extended += (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended


TOO_MANY = "more than 179 million pixels; make it smaller"
ABSURD = {
    "line.png": (png(60_000, 1), "it is 60,000 x 1 pixels, more than 100 times as long as wide; cut it into pieces"),
    "tall.bmp": (bmp(5, 501), "it is 5 x 501 pixels, more than 100 times as long as wide; cut it into pieces"),
    "square.png": (png(2**31 - 1, 2**31 - 1), TOO_MANY),
    "square.bmp": (bmp(60_000, 60_000), TOO_MANY),
    "negative.bmp": (bmp(-5, 5), TOO_MANY),
    "square.gif": (gif(65_535, 65_535), TOO_MANY),
    "square.tif": (tiff(100_000, 100_000), TOO_MANY),
    "plain.pgm": (b"P5 100000 100000 255\n", TOO_MANY),
    "vast.jpg": (jpeg(65_500, 65_500), "it is 65,500 x 65,500 pixels, and 500 million are read of JPEG"),
    "vast_progressive.jpg": (jpeg(16_000, 12_000, progressive=True), "179 million are read of progressive JPEG"),
    "none.gif": (gif(0, 0), "not an image that Pillow can read"),
    "none.png": (png(0, 5), "not an image that Pillow can read"),
    "text.png": (png(4, 4, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "Decompressed data too large"),
    "profile.png": (png(4, 4, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "Decompressed data too"),
    "frame.webp": (webp(2**24, 2**24), TOO_MANY),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("name", ABSURD)
def test_absurd_photos_are_refused_by_their_header(tmp_path, name, monkeypatch):
    content, why = ABSURD[name]
    (tmp_path / name).write_bytes(content)
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image))
    with pytest.raises(UnreadableImageError) as caught:
        open_image(tmp_path / name)
    assert why in str(caught.value)
    assert not decoded


def test_the_scan_names_them_and_goes_on(tmp_path, draw):
    draw("photos/a.png")
    (tmp_path / "photos/line.png").write_bytes(png(60_000, 1))
    result = scan(FolderDataset(tmp_path / "photos").records(), tmp_path / "cache")
    assert [record.sample_id for record in result.readable] == ["a.png"]
    assert result.unreadable == {"line.png": ABSURD["line.png"][1]}


@pytest.mark.parametrize("size", [(1, 1), (100, 1), (1, 100), (1000, 100)])
def test_small_and_wide_photos_are_read(tmp_path, size):
    Image.new("RGB", size, "red").save(tmp_path / "photo.png")
    assert open_image(tmp_path / "photo.png").size == size


def test_a_progressive_jpeg_with_scans_without_end(tmp_path):
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan_again = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "photo.jpg").write_bytes(content[:-2] + scan_again * 1500 + b"\xff\xd9")
    with pytest.raises(UnreadableImageError, match="a JPEG of more than 1000 scans"):
        open_image(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").write_bytes(content)
    assert open_image(tmp_path / "photo.jpg").size == (64, 64)


def test_a_file_of_absurd_length(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    with (tmp_path / "photo.png").open("r+b") as file:
        file.truncate(3 * 2**30)  # without blocks on the disk
    with pytest.raises(UnreadableImageError, match=r"the file has 3\.2 GB, and at most 2\.1 are read"):
        open_image(tmp_path / "photo.png")


@pytest.fixture
def small_bounds(monkeypatch):
    """Bounds in the same order as they are, a ten thousandth of them."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_000)
    monkeypatch.setattr(pixels, "MOST", 18_000)
    monkeypatch.setattr(pixels, "_MOST_OF_OTHERS", 10_000)
    monkeypatch.setattr(pixels, "_MOST_OF_JPEG", 50_000)


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.filterwarnings("ignore:Image size")
def test_large_photos_are_read_within_bounds(tmp_path):
    # 48 megapixels, 150, a panorama of 10 to 1: to the bit as they are
    for number, size in enumerate([(80, 60), (140, 107), (400, 40)]):
        noise(*size).save(tmp_path / f"{number}.jpg")
        with Image.open(tmp_path / f"{number}.jpg") as plain:
            assert np.array_equal(np.asarray(open_image(tmp_path / f"{number}.jpg")), np.asarray(plain))
    # 200 and 400 megapixels: by half, with any orientation
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(163, 122).save(tmp_path / "200.jpg")
    noise(230, 172).save(tmp_path / "400.jpg", exif=exif)
    assert open_image(tmp_path / "200.jpg").size == (82, 61)
    assert open_image(tmp_path / "400.jpg").size == (86, 115)
    assert open_image(tmp_path / "400.jpg", max_side=50).size == (37, 50)


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize(
    ("name", "size", "why"),
    [
        ("photo.jpg", (240, 230), "million are read of JPEG; make it smaller"),
        ("photo.png", (140, 140), "pixels; make it smaller"),
        ("photo.webp", (110, 100), "it is 110 x 100 pixels, and 0 million are read of WEBP"),
    ],
)
def test_photos_beyond_the_bounds_of_their_format(tmp_path, name, size, why):
    noise(*size).save(tmp_path / name)
    with pytest.raises(UnreadableImageError, match=why):
        open_image(tmp_path / name)


def test_what_is_given_back_has_no_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "secret"
    noise(8, 8).save(tmp_path / "photo.jpg", exif=exif, comment="secret")
    photo = open_image(tmp_path / "photo.jpg")
    assert type(photo) is Image.Image
    assert (photo.info, dict(photo.getexif())) == ({}, {})


def test_what_is_decoded_at_one_time_is_bounded_whatever_the_threads():
    gate, lock, inside, most = PixelGate(100), threading.Lock(), 0, 0

    def decode(size):
        nonlocal inside, most
        with gate.room(size):
            with lock:
                inside += min(size, 100)
                most = max(most, inside)
            threading.Event().wait(0.001)
            with lock:
                inside -= min(size, 100)

    threads = [threading.Thread(target=decode, args=(size,)) for size in [10, 30, 60, 90, 500] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most <= 100) == (0, True)


def test_a_photo_that_cannot_be_decoded_gives_its_room_back():
    gate = PixelGate(100)
    with pytest.raises(ValueError, match="damaged"), gate.room(100):
        raise ValueError("damaged")
    with gate.room(100):
        gate.reset()  # as a process does that was forked meanwhile
        with gate.room(100):
            pass
