import random
from dataclasses import replace

import numpy as np
import pytest

from fgvr.fieldguide.drawing import DRAWING, draw_photo
from fgvr.fieldguide.species import ATTRIBUTES, Species, draw_guide

BIRD = Species("bunting", "yellow", "blue", "red", "plain", "plain", "plain")


def pixels(bird, style="plate", seed=0, size=64):
    return np.asarray(draw_photo(bird, style, random.Random(seed), size), dtype=float)


@pytest.mark.parametrize("style", ["plate", "field"])
def test_a_photo_is_what_its_seed_says(style):
    np.testing.assert_array_equal(pixels(BIRD, style), pixels(BIRD, style))
    assert np.abs(pixels(BIRD, style, 1) - pixels(BIRD, style)).mean() > 1
    assert pixels(BIRD, style, size=96).shape == (96, 96, 3)


@pytest.mark.parametrize(("attribute", "value"), [(a, v) for a, values in ATTRIBUTES.items() for v in values[1:]])
def test_every_attribute_shows(attribute, value):
    first = replace(BIRD, **{attribute: ATTRIBUTES[attribute][0]})
    difference = np.abs(pixels(replace(BIRD, **{attribute: value})) - pixels(first)).max(axis=2)
    assert (difference > 40).sum() > 8


def test_field_photos_are_the_harder_ones():
    guide = draw_guide(12, 0, "development")
    plates, field = (
        np.stack([pixels(bird, style, seed) for seed, bird in enumerate(guide)]) for style in ("plate", "field")
    )
    assert field.std(axis=(1, 2)).mean() < plates.std(axis=(1, 2)).mean()
    corner = plates[:, :3, :3].std(axis=(1, 2)), field[:, :3, :3].std(axis=(1, 2))
    assert corner[0].max() < 1 < corner[1].mean()


@pytest.mark.parametrize(
    ("style", "means"), [("plate", [205.7, 217.7, 228.6, 222.6]), ("field", [142.6, 139.2, 119.0, 120.8])]
)
def test_the_version_is_raised_when_the_drawing_changes(style, means):
    quarters = pixels(BIRD, style).reshape(2, 32, 2, 32, 3).mean(axis=(1, 3, 4)).ravel()
    # other releases of Pillow may round an edge otherwise
    assert np.abs(quarters - means).max() < 0.5, "raise DRAWING, measure fieldguide-clip anew, write the new means"
    assert DRAWING == 1
