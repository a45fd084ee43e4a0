import json
from dataclasses import asdict

import pytest
from PIL import Image, PngImagePlugin

from fgvr.fieldguide.image import DrawnImage, read_image, save_image
from fgvr.fieldguide.species import draw_guide

GUIDE = draw_guide(8, 0, "development")
IMAGE = DrawnImage(GUIDE[3], 8, 0, "development")


def test_what_is_written_is_read(tmp_path):
    save_image(Image.new("RGB", (8, 8)), IMAGE, tmp_path / "a.png")
    assert read_image(tmp_path / "a.png") == IMAGE
    assert IMAGE.guide == GUIDE
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def chunk(**changes):
    return json.dumps({**asdict(IMAGE), **changes})


CHUNKS = [None, "null", "{", "[1]", chunk(species={}), chunk(species={**asdict(GUIDE[0]), "build": "x"})]
CHUNKS += [chunk(part="x"), chunk(size="8"), chunk(size=10**9), chunk(seed=None), chunk(size=3), chunk(more=1)]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_other_files_are_not_drawn_photos(tmp_path, chunk):
    about = PngImagePlugin.PngInfo()
    if chunk is not None:
        about.add_itxt("fgvr-fieldguide", chunk)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=about)
    assert read_image(tmp_path / "a.png") is None
    (tmp_path / "b.png").write_bytes(b"no image")
    assert read_image(tmp_path / "b.png") is None
    assert read_image(tmp_path / "none.png") is None
