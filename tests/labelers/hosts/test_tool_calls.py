import json

import pytest

from fgvr.labelers.hosts.tool_calls import called_in_vain, read_calls

NAMED = '{"name": "Basset Hound"}'


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"type": "function", "function": {"name": "classify", "arguments": NAMED}}, NAMED),
        ({"function": {"name": "classify", "arguments": {"name": "Basset Hound"}}}, NAMED),
        ({"function": {"name": "classify", "arguments": json.dumps(NAMED)}}, NAMED),
        ({"name": "classify", "arguments": NAMED}, NAMED),
        ({"name": "classify", "args": {"name": "Basset Hound"}}, NAMED),
        ({"type": "tool_use", "name": "classify", "input": {"name": "Basset Hound"}}, NAMED),
        ({"name": "classify", "arguments": "Basset Hound"}, "Basset Hound"),
        ({"name": "classify", "arguments": '{"name": "Basset'}, '{"name": "Basset'),
        ({"name": "classify", "arguments": {"name": "Großer Münsterländer"}}, '{"name": "Großer Münsterländer"}'),
        *(
            ({"name": "classify", "arguments": nothing}, "")
            for nothing in (None, "", " ", "{}", "null", {}, [], 3, '""')
        ),
        ({"name": "classify"}, ""),
    ],
)
def test_what_a_call_passes_on(call, text):
    assert read_calls([call]) == (text, "classify")


def test_of_several_calls_the_first_with_arguments_counts():
    calls = [
        None,
        "?",
        {"name": "look", "args": {}},
        {"name": "say", "args": {"a": 1}},
        {"name": "say", "args": {"b": 2}},
    ]
    assert read_calls(calls) == ('{"a": 1}', "look")
    assert read_calls([]) == ("", "")
    assert "tool call (look)" in called_in_vain("look")


def test_a_call_without_a_name():
    assert read_calls([{"function": {"arguments": "{}"}}]) == ("", "without a name")
