import pytest

from fgvr.labelers.tasks.discover import DiscoverTask


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ('{"super_category": "bird", "unit": "species"}', ("bird", "species")),
        ('```json\n{"super_category": "Dogs", "unit": "Breed."}\n```', ("dog", "breed")),
        ('Here it is: {"unit": "make, model and year", "super_category": "car"} Bye.', ("car", "make, model and year")),
        ("**Super-category:** Bird\n- Unit: species\n", ("bird", "species")),
        ("supercategory = flower\nunit = species", ("flower", "species")),
        ('{"super_category": "bir\\u0000d\\u001b", "unit": "spe\\ncies"}', ("bird", "spe cies")),
    ],
)
def test_category_and_unit_are_read(raw, found):
    parsed = DiscoverTask().read(raw)
    assert (parsed.names, parsed.scientific_names, parsed.flag) == (found, (None, None), "")


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        ("", "empty"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("birds", "unparsed"),
        ('{"super_category": "bird"}', "unparsed"),
        ('{"super_category": "bird", "unit": ""}', "unparsed"),
        ('{"super_category": ["bird"], "unit": "species"}', "unparsed"),
        ('{"super_category": "bird", "unit": "' + "x" * 80 + '"}', "unparsed"),
    ],
)
def test_half_an_answer_is_none(raw, flag):
    parsed = DiscoverTask().read(raw)
    assert (parsed.names, parsed.flag) == ((), flag)
