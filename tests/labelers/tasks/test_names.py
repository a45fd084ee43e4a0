import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.names import NamesTask

LIST = "1. **House Finch** (*Haemorhous mexicanus*)\n2. Purple Finch\n3. Cassin's Finch\n4. Common Redpoll"


def test_the_prompt_says_how_many_and_in_which_order():
    assert NamesTask(5).prompt().startswith("Provide the 5 best fine-grained class labels for this image, the best fir")
    expert = NamesTask(4, "dog", "breed").prompt()
    assert "the exact breed of the dog" in expert
    assert "the 4 likeliest, the best first, one per line" in expert
    assert "per line" not in NamesTask(4, "dog", "breed", structured=True).prompt()


def test_at_most_k_names_are_read_the_best_first():
    parsed = NamesTask(3).read(LIST)
    assert parsed.names == ("House Finch", "Purple Finch", "Cassin's Finch")
    assert parsed.scientific_names == ("Haemorhous mexicanus", None, None)
    structured = json.dumps({"names": ["House Finch", "Purple Finch", "Cassin's Finch"]})
    assert NamesTask(2, structured=True).read(structured).names == ("House Finch", "Purple Finch")
    assert NamesTask(3).read("House Finch").names == ("House Finch",)


@pytest.mark.parametrize("k", [0, 11])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(FgvrError, match=rf"data\.labeler\.task\.k is {k}; expected 1 to 10 names"):
        NamesTask(k)
