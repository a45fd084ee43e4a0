"""What every protocol of fgvr must fulfil; call it from the tests of a protocol plugin."""

from pathlib import Path

import numpy as np

from fgvr.judging.base import Protocol
from fgvr.judging.truth import JudgedImage
from fgvr.judging.world import World
from fgvr.records import ImageRecord
from fgvr.testing.tasks import HOSTILE_REPLIES

_NAMES = tuple(f"breed {number}" for number in range(30))


def check_protocol(protocol: Protocol) -> None:
    """Check that a protocol keeps the contract of ``fgvr.judging.base``.

    - ``row`` is a short name, and there are templates, each with one ``{}``.
    - The question is a text, the same each time, about one photo and several, and holds no photo's id.
    - Options are class names, each once, the same for the same photo and repeat; at most one of them is right.
    - ``find`` gives a class or -1 for any answer, however hostile, and finds each option that is given.

    Args:
        protocol: The protocol, as its constructor left it.

    Raises:
        AssertionError: It breaks the contract; the message says where.

    Example:
        >>> from fgvr.judging.cw import CwProtocol
        >>> check_protocol(CwProtocol())
    """
    assert protocol.row.isidentifier(), f"row is {protocol.row!r}, not a short name"
    assert all(template.count("{}") == 1 for template in protocol.class_templates), "a template needs one {}"
    world = World(_NAMES, lambda texts: np.eye(len(_NAMES), dtype=np.float32)[[len(text) % 30 for text in texts]])
    images = [_image(number) for number in range(5)]
    for repeat in range(2):
        options = [protocol.options(image, world, repeat) for image in images]
        assert options == [protocol.options(image, world, repeat) for image in images], "options differ each time"
        for image, each in zip(images, options, strict=True):
            assert len(set(each)) == len(each), f"an option is there twice: {each}"
            assert set(each) <= set(_NAMES), f"an option is no class name: {each}"
            right = [name for name in each if _NAMES.index(name) in image.accepted]
            assert len(right) <= 1, f"more than one option is right: {right}"
            for name in each:
                assert protocol.find(name, each, world) == _NAMES.index(name), f"the option {name!r} is not found"
        for number in (1, len(images)):
            question = protocol.question(world, options[:number])
            assert question.strip(), "the question is empty"
            assert question == protocol.question(world, options[:number]), "the question differs each time"
            assert not any(image.image.sample_id in question for image in images), "the question holds a photo's id"
        for raw in HOSTILE_REPLIES:
            found = protocol.find(raw, options[0], world)
            assert -1 <= found < len(_NAMES), f"find gave {found!r} for {raw[:60]!r}"


def _image(number: int) -> JudgedImage:
    record = ImageRecord(sample_id=f"secret_{number}.jpg", path=Path("secret.jpg"), split="test", digest="0" * 64)
    return JudgedImage(record, (number, number + 1), frozenset({number, number + 1, number + 2}), number)
