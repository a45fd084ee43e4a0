"""scripts/layouts_agree.py, which reads one data set in every form in which people have it."""

from pathlib import Path

import pytest

SCRIPT = "layouts_agree"
SOURCE = Path(__file__).parents[2] / "shared/data/plants41"


@pytest.mark.skipif(not SOURCE.is_dir(), reason=f"needs the photos in {SOURCE}")
def test_a_data_set_gives_the_same_candidate_sets_in_every_form(script):
    forms = script.agreement(SOURCE, limit=12)
    assert len(forms) == 7
    assert all(forms.values()), forms
