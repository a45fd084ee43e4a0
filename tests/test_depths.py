import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from fgvr.images import open_image, upright_rgb

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def seen(path):
    """The grey values of a photo as it is opened."""
    image = open_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)[..., 0]


def expected(share):
    return (share * 255).astype(np.uint8)


def save_tiff(path, samples, **tags):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        info[int(number[1:])] = value
    Image.fromarray(samples).save(path, tiffinfo=info)


def save_raw(path, data, size, bits, photometric=1, sample_format=1):
    """A TIFF of one strip, of kinds that Pillow reads and does not write."""
    width, height = size
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height)]
    tags += [(279, len(data)), (339, sample_format)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0\0\0\0")


def with_significant_bits(path, bits):
    """Say in a PNG how many bits of its samples are used."""
    content = path.read_bytes()
    chunk = b"sBIT" + bytes([bits])
    path.write_bytes(content[:33] + b"\0\0\0\1" + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:])


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_samples_of_a_camera_in_16_bits(tmp_path, ending, bits):
    samples = np.round(RAMP * (2**bits - 1)).astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / f"a.{ending}")
    assert np.abs(seen(tmp_path / f"a.{ending}").astype(int) - expected(RAMP)).max() <= 1


@pytest.mark.parametrize("white", [65535, 50000, 20000, 4096])
def test_photos_of_16_bits_are_only_cut(tmp_path, white):
    samples = (RAMP * white).astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / "a.png")
    # as it has always been
    before = (np.clip(samples.astype(np.float32) / 65535.0, 0, 1) * 255).astype(np.uint8)
    assert (seen(tmp_path / "a.png") == before).all()


def test_a_tiff_of_12_bits(tmp_path):
    samples = np.round(RAMP * 4095 * 0.2).astype(np.uint16)  # dark: its largest value does not give it away
    pairs = samples.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    save_raw(tmp_path / "a.tif", packed.astype(np.uint8).tobytes(), (8, 8), 12)
    assert np.abs(seen(tmp_path / "a.tif").astype(int) - expected(RAMP * 0.2)).max() <= 1


@pytest.mark.parametrize(("tags", "top"), [({"_281": 16383}, 16383), ({"_281": 4000}, 4095), ({"_281": 65535}, 65535)])
def test_the_largest_value_that_a_tiff_states(tmp_path, tags, top):
    samples = np.round(RAMP * min(top, 16383) * 0.5).astype(np.uint16)
    samples[0, 0] = 0
    save_tiff(tmp_path / "a.tif", samples, **tags)
    white = top if top < 65535 else 65535
    assert np.abs(seen(tmp_path / "a.tif").astype(int) - expected(samples / white)).max() <= 1


@pytest.mark.parametrize(("bits", "white"), [(14, 16383), (16, 65535)])
def test_the_bits_that_a_png_states(tmp_path, bits, white):
    samples = np.round(RAMP * 9000).astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / "a.png")
    with_significant_bits(tmp_path / "a.png", bits)
    assert np.abs(seen(tmp_path / "a.png").astype(int) - expected(samples / white)).max() <= 1


def test_a_png_whose_samples_were_scaled_up_as_they_should_be(tmp_path):
    samples = (np.round(RAMP * 4095).astype(np.uint16)) << 4
    Image.fromarray(samples).save(tmp_path / "a.png")
    with_significant_bits(tmp_path / "a.png", 12)
    assert np.abs(seen(tmp_path / "a.png").astype(int) - expected(RAMP)).max() <= 1


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        ((RAMP * 255).astype(np.int32), RAMP),
        ((RAMP * 65535).astype(np.int32), RAMP),
        ((RAMP * (2**20 - 1)).astype(np.int32), RAMP),
        ((RAMP * (2**31 - 1)).astype(np.int32), RAMP),
        ((RAMP * 3000 - 1000).astype(np.int32), RAMP),  # of a scanner: its zero is no black
        (RAMP.astype(np.float32), RAMP),
        ((RAMP * 0.2).astype(np.float32), RAMP * 0.2),  # a dark one stays dark
        ((RAMP * 255).astype(np.float32), RAMP),
        ((RAMP * 100).astype(np.float32), RAMP * 100 / 255),
        ((RAMP * 65535).astype(np.float32), RAMP),
        ((RAMP * 1.5).astype(np.float32), RAMP),  # light beyond white
        ((RAMP * 2 - 1).astype(np.float32), RAMP),
        ((RAMP - 0.01).astype(np.float32), np.clip(RAMP - 0.01, 0, 1)),
        (np.zeros((8, 8), np.float32), RAMP * 0),
        (np.zeros((8, 8), np.int32), RAMP * 0),
    ],
)
def test_integers_of_32_bits_and_fractions(tmp_path, samples, share):
    image = Image.fromarray(samples)
    assert image.mode in ("I", "F")
    image.save(tmp_path / "a.tif")
    for grey in (seen(tmp_path / "a.tif"), np.asarray(upright_rgb(image))[..., 0]):
        assert np.abs(grey.astype(int) - expected(share)).max() <= 1


def test_integers_of_32_bits_without_a_sign(tmp_path):
    samples = np.round(RAMP * (2**32 - 1)).astype(np.uint32)
    save_raw(tmp_path / "a.tif", samples.tobytes(), (8, 8), 32)
    assert np.abs(seen(tmp_path / "a.tif").astype(int) - expected(RAMP)).max() <= 1


def test_no_number_and_no_end_are_no_light(tmp_path):
    samples = RAMP.astype(np.float32).copy()
    samples[0, :3] = (np.nan, np.inf, -np.inf)
    Image.fromarray(samples).save(tmp_path / "a.tif")
    grey = seen(tmp_path / "a.tif")
    assert list(grey[0, :3]) == [0, 255, 0]
    assert np.abs(grey[1:].astype(int) - expected(RAMP)[1:]).max() <= 1


def test_white_may_be_zero(tmp_path):
    samples = np.round(RAMP * 65535).astype(np.uint16)
    save_raw(tmp_path / "a.tif", samples.tobytes(), (8, 8), 16, photometric=0)
    assert np.abs(seen(tmp_path / "a.tif").astype(int) - expected(1 - RAMP)).max() <= 1


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_deep_photo_is_turned_upright(tmp_path, ending):
    samples = np.round(RAMP * 65535).astype(np.uint16)
    image = Image.fromarray(samples)
    exif = image.getexif()
    exif[0x0112] = 3
    image.save(tmp_path / f"a.{ending}", exif=exif)
    assert np.abs(seen(tmp_path / f"a.{ending}").astype(int) - expected(RAMP[::-1, ::-1])).max() <= 1


@pytest.mark.parametrize("kind", ["RGB", "LA"])
def test_colours_of_16_bits(tmp_path, kind):
    """Pillow gives them with 8 bits."""
    channels = len(kind)
    rows = np.repeat(np.round(RAMP * 65535).astype(">u2")[..., None], channels, axis=2)
    if kind == "LA":
        rows[..., 1] = 65535
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2 if kind == "RGB" else 4, 0, 0, 0)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert np.abs(seen(tmp_path / "a.png").astype(int) - expected(RAMP)).max() <= 1
