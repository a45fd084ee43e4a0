from pathlib import Path

import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Description, ImageRecord


@pytest.mark.parametrize("given", [("a.jpg",), ("a.jpg", Path("a.jpg")), ("a.jpg", Path("a.jpg"), "support", "d")])
def test_the_fields_of_a_photo_are_given_by_name(given):
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        ImageRecord(*given)


def test_ragged_sets_and_their_padded_form():
    sets = CandidateSets.from_lists(["a", "b", "c"], [[2], [0, 1], [3, 1, 2]])
    indices, weights = sets.padded()
    assert indices.tolist() == [[2, -1, -1], [0, 1, -1], [3, 1, 2]]
    np.testing.assert_allclose(weights.sum(1), 1)
    assert [row.tolist() for row, _ in sets] == [[2], [0, 1], [3, 1, 2]]


@pytest.mark.parametrize(
    ("indices", "weights", "message"),
    [
        ([[0], []], [[1.0], []], "'b' is empty"),
        ([[0], [1, 1]], None, "'b' holds class 1 twice"),
        ([[0], [1, 2]], [[1.0], [0.5, 0.4]], "'b' are not positive, or sum to 0.9"),
        ([[0], [1, 2]], [[1.0], [1.5, -0.5]], "'b' are not positive"),
        ([[0]], None, "2 photos, but candidate sets for 1"),
        ([[0], []], None, "'b' is empty"),
        ([[0], [-1]], None, "holds class -1"),
        ([[0], [1, 2]], [[1.0], [1.0]], "3 class indices and 2 weights"),
        ([[0], [1]], [[1.0], [float("nan")]], "'b' are not positive"),
    ],
)
def test_what_is_no_candidate_set_is_refused(indices, weights, message):
    with pytest.raises(FgvrError, match=message):
        CandidateSets.from_lists(["a", "b"], indices, weights)


def test_no_photos():
    assert len(CandidateSets.from_lists([], [])) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "class", "text": "A jay.", "class_name": "Jay"}, "of the kind 'class'; expected 'image' or 'group'"),
        ({"kind": "image", "text": " ", "sample_id": "a.jpg"}, "has no text"),
        ({"kind": "image", "text": "A jay.", "class_name": "Jay"}, "of the kind 'image' has no sample_id: 'A jay.'"),
        ({"kind": "group", "text": "Jays.", "sample_id": "a.jpg"}, "of the kind 'group' has no class_name"),
    ],
)
def test_what_is_no_description_is_refused(fields, message):
    with pytest.raises(FgvrError, match=message):
        Description(**fields)
