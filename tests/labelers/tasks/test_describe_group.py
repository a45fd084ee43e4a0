import numpy as np
import pytest
from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.describe_group import DescribeGroupTask

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250)]


def collage(images):
    (picture,) = DescribeGroupTask().compose(images)
    assert (picture.mode, picture.size) == ("RGB", (672, 672))
    return picture


def test_the_prompt_is_latteclips():
    # section 3.1 of the paper
    prompt = "Describe the common visual attributes of the car in all the photos concisely, in fewer than 20 words."
    assert DescribeGroupTask("car").prompt() == DescribeGroupTask("car").prompt("Fiat") == prompt


def test_four_photos_fill_two_rows_with_a_gap_of_20_pixels():
    pixels = np.asarray(collage([Image.new("RGB", (50, 50), colour) for colour in COLOURS[:4]]))
    first, second = slice(326), slice(346, None)
    places = [(first, first), (first, second), (second, first), (second, second)]
    for place, colour in zip(places, COLOURS[:4], strict=True):
        assert (pixels[place] == colour).all()
    assert not pixels[326:346].any()
    assert not pixels[:, 326:346].any()


def test_a_photo_keeps_its_form_and_stands_in_the_middle_of_its_cell():
    pixels = np.asarray(collage([Image.new("RGB", (200, 100), COLOURS[0]), Image.new("RGB", (30, 90), COLOURS[1])]))
    rows, columns = np.nonzero(pixels[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (81, 81 + 162, 0, 325)
    rows, columns = np.nonzero(pixels[..., 1])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 325, 346 + 109, 346 + 109 + 107)


@pytest.mark.parametrize(("count", "side"), [(1, 2), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4), (16, 4)])
def test_there_are_as_many_rows_as_columns(count, side):
    pixels = np.asarray(collage([Image.new("RGB", (50, 50), "white")] * count))
    cell = (672 - 20 * (side - 1)) // side
    corners = pixels[cell // 2 :: cell + 20, cell // 2 :: cell + 20][:side, :side]
    assert (corners[..., 0].ravel() == 255).tolist() == [number < count for number in range(side * side)]


def test_order_counts_and_chance_does_not():
    images = [Image.effect_noise((60, 40), 60).convert("RGB") for _ in range(3)]
    assert collage(images).tobytes() == collage(images).tobytes()
    assert collage(images).tobytes() != collage(images[::-1]).tobytes()


def test_a_sliver_is_one_pixel_wide():
    assert np.asarray(collage([Image.new("RGB", (1, 5000), "white")])).any()


@pytest.mark.parametrize("count", [0, 17])
def test_too_many_photos_are_refused(count):
    with pytest.raises(FgvrError, match=rf"A collage of {count} photos: .* 1 to 16"):
        DescribeGroupTask().compose([Image.new("RGB", (9, 9))] * count)
