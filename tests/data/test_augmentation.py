import pickle

import torch
from PIL import Image

from fgvr.data.augmentation import Augmentation
from fgvr.testing.tiny import TinyBackbone

IMAGE = Image.effect_noise((40, 40), 80).convert("RGB")


def to_pixels(size):
    backbone = TinyBackbone()
    return lambda image: backbone.transform(image.resize((size, size)))[:, :size, :size]


def test_a_view_is_random_and_in_the_backbones_form():
    transform = TinyBackbone().transform
    draw = Augmentation(transform)
    torch.manual_seed(0)
    first, second = draw(IMAGE), draw(IMAGE)
    assert first.shape == transform(IMAGE).shape
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    torch.testing.assert_close(draw(IMAGE), first, rtol=0, atol=0)


def test_a_numbered_view_depends_on_digest_and_number_and_leaves_the_generator_alone():
    draw = Augmentation(TinyBackbone().transform)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    views = [draw.view(IMAGE, digest, number) for digest in ("a", "b") for number in range(3)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({view.numpy().tobytes() for view in views}) == 6
    torch.manual_seed(1)
    copy = pickle.loads(pickle.dumps(draw))  # what a loader process may get
    torch.testing.assert_close(copy.view(IMAGE, "b", 1), views[4], rtol=0, atol=0)


def test_its_words_are_the_same_in_every_process_and_change_with_what_is_drawn():
    words = repr(Augmentation(TinyBackbone().transform))
    assert words == repr(Augmentation(TinyBackbone().transform))
    assert " at 0x" not in words
    assert words != repr(Augmentation(to_pixels(16)))


def test_views_of_finer_keep_the_photo_recognisable():
    """A crop, other colours or sharper, and a flip, a turn or another perspective: never all of it at once."""
    draw = Augmentation(TinyBackbone().transform, "finer")
    views = [draw.view(IMAGE, "a" * 64, number) for number in range(30)]
    assert {view.shape for view in views} == {views[0].shape}
    assert all(torch.equal(draw.view(IMAGE, "a" * 64, number), views[number]) for number in (0, 29))
    assert not all(torch.equal(view, views[0]) for view in views)
    assert repr(draw) != repr(Augmentation(TinyBackbone().transform, "coop"))
