import pytest
from judging.judged import NAMES, world

from fgvr.errors import FgvrError
from fgvr.judging.ow import OwProtocol


def test_examples_give_no_class_away():
    asked = OwProtocol().question(world([*NAMES, "Golden Retriever"]), [()])
    assert "how specific: monarch butterfly, espresso maker, convertible." in asked
    assert "golden retriever, monarch butterfly" in OwProtocol().question(world(), [()])
    with pytest.raises(FgvrError, match=r"protocol\.examples has 'pug', which is a class of the list"):
        OwProtocol(examples=["tabby cat", "pug"]).question(world(), [()])
