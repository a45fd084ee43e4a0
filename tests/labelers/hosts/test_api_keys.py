import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.hosts.api_keys import check_variable, read_key


@pytest.mark.parametrize("key", ["sk-abc\u2019def", "sk-abc\ndef", "sk-\x7f"])
def test_a_key_that_cannot_be_sent(monkeypatch, key):
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(FgvrError, match="SOME_KEY holds a character that no key has") as caught:
        read_key("OTHER_KEY", "SOME_KEY")
    assert "sk-" not in str(caught.value)


def test_the_first_that_is_set(monkeypatch):
    monkeypatch.setenv("A_KEY", " ")
    monkeypatch.setenv("B_KEY", " sk-b\n")
    assert read_key("A_KEY", "B_KEY") == "sk-b"
    assert read_key("A_KEY") == ""


@pytest.mark.parametrize("name", ["", "sk-proj-REALKEY1234567890", "my_key", "KEY\n", "1KEY"])
def test_a_key_in_the_place_of_a_name_is_not_repeated(name):
    with pytest.raises(FgvrError, match="not the name of an environment variable") as caught:
        check_variable(name)
    assert "REALKEY" not in str(caught.value)
