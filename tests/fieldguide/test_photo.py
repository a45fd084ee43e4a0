import json

import pytest
from PIL import Image, PngImagePlugin

from fgvr.fieldguide.photo import DrawnPhoto, read_photo, save_photo
from fgvr.fieldguide.species import draw_guide

GUIDE = draw_guide(8, 0, "development")
PHOTO = DrawnPhoto(GUIDE[3], 8, 0, "development")


def test_what_is_written_is_read(tmp_path):
    save_photo(Image.new("RGB", (8, 8)), PHOTO, tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png") == PHOTO
    assert PHOTO.guide == GUIDE
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "chunk", [None, "null", "{", "[1]", json.dumps({"species": {}}), json.dumps({"species": {"build": "x"}})]
)
def test_other_files_are_not_drawn_photos(tmp_path, chunk):
    about = PngImagePlugin.PngInfo()
    if chunk is not None:
        about.add_itxt("fgvr-fieldguide", chunk)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=about)
    assert read_photo(tmp_path / "a.png") is None
    (tmp_path / "b.png").write_bytes(b"no image")
    assert read_photo(tmp_path / "b.png") is None
    assert read_photo(tmp_path / "none.png") is None
