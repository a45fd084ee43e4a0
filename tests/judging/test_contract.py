import pytest

from fgvr.judging.cw import CwProtocol
from fgvr.judging.mc import McProtocol
from fgvr.judging.ow import OwProtocol
from fgvr.registry import PROTOCOLS
from fgvr.testing.protocols import check_protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_keeps_the_contract(name):
    protocol = PROTOCOLS.load(name)()
    assert protocol.row == name
    check_protocol(protocol)


@pytest.mark.parametrize(
    "protocol",
    [OwProtocol(category="dog", examples=["tabby cat"]), McProtocol(2, "near"), McProtocol(form="letters")],
)
def test_protocols_with_options_keep_the_contract(protocol):
    check_protocol(protocol)


class Forgetful(CwProtocol):
    row = "forgetful"

    def find(self, answer, options, world):
        return len(world.names)


class Twofold(CwProtocol):
    row = "twofold"

    def options(self, image, world, repeat):
        return (world.names[0],) * 2


@pytest.mark.parametrize(("protocol", "said"), [(Forgetful(), "find gave 30"), (Twofold(), "is there twice")])
def test_broken_protocols_are_found(protocol, said):
    with pytest.raises(AssertionError, match=said):
        check_protocol(protocol)
