import pytest
from PIL import Image


@pytest.fixture
def draw(tmp_path):
    """Write small one-coloured photos: ``draw("a/b.png", "red")``."""

    def draw_photo(name, colour="red"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
        return path

    return draw_photo
