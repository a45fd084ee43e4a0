import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.hosts.addresses import is_private, server_url

OWN = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, None),
        (OWN, None),
        ("https://API.OpenAI.com:443/v1/", None),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        ("HTTP://H:80/v1", "http://h/v1"),
        ("http://[::1]:8000/V1", "http://[::1]:8000/V1"),
        ("https://h.example.:8443", "https://h.example:8443"),
    ],
)
def test_one_spelling_for_one_server(url, expected):
    assert server_url(url, OWN) == expected


@pytest.mark.parametrize("url", ["", "h:80", "http://", "http://h:port", "http://[::1", "file:///a"])
def test_what_is_no_address(url):
    with pytest.raises(FgvrError, match="expected an address"):
        server_url(url, OWN)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("127.1.2.3", True),
        ("10.0.0.1", True),
        ("100.64.0.1", True),
        ("[fd00::1]", True),
        ("a.local", True),
        ("local.example", False),
        ("[2001:4860:4860::8888]", False),
    ],
)
def test_servers_of_ones_own(host, private):
    assert is_private(f"http://{host}:8000/v1") == private
