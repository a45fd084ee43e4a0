"""What every backbone of fgvr must fulfil; call it from the tests of a backbone plugin."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from fgvr.backbones.base import Backbone, ImageFeatures, VisualPromptEncoder
from fgvr.errors import FgvrError, TextTooLongError
from fgvr.records import Space

_NAMES = ("tabby cat", "Great Pyrenees", "1967 Ford Mustang Convertible", "oat milk", "St. Bernard")
_N_CTX = 4


def check_backbone(backbone: Backbone, prompts: bool = True, hard_words: str | None = "a photo of a") -> None:
    """Check a backbone against the contract in :mod:`fgvr.backbones.base`, on the CPU.

    - ``load`` can be called twice, and leaves every parameter frozen and every module in evaluation mode.
    - The transform makes photos of any size and mode the same float32 shape. Image and text features are L2-normalised
      float32 of ``embed_dim``, the same each time, do not depend on the rest of the batch, and texts leave no graph.
    - One pass gives both spaces: the joint features are those of ``encode_image``, the visual ones are L2-normalised
      float32 of ``visual_dim`` and do not depend on the rest of the batch. Without a visual space of its own, both are
      the same.
    - The fingerprint stays as it is until the weights change.
    - With ``embed_text``, both towers can be trained: where weights need a gradient, they get a finite one from the
      features of their tower and none from those of the other; features are those of the frozen towers, and of too long
      texts the beginning counts.
    - The prompt encoder's features are normalised float32; gradients reach the context and no parameter; classes do not
      depend on each other or on their order, whether their names are equal, begin alike or differ; one context for all
      is the same as a copy for each class, gradients included; a name that is too long is an error for the user. With
      the embeddings of words as context, the result is that of ``encode_text`` with these words, before or behind the
      name, with or without a full stop at the end.
    - Where the image tower takes visual prompts, features with them are those of both spaces and do not depend on the
      rest of the batch; without any they are exactly those of ``encode_spaces``, before and after; gradients reach each
      prompt and no parameter, and are the same when blocks are computed again; prompts of each photo that are copies
      give the same; other shapes are an error for the user. Where it takes none, the error says so in one line.

    Args:
        backbone: Loaded or not.
        prompts: Whether it has a prompt encoder.
        hard_words: Words to compare prompts with ``encode_text`` by; ``None`` where the two differ by design.

    Raises:
        AssertionError: The backbone breaks the contract; the message says where.

    Example:
        >>> from fgvr.testing.tiny import TinyBackbone
        >>> check_backbone(TinyBackbone())
    """
    _check_loading(backbone)
    _check_images(backbone)
    _check_texts(backbone)
    _check_fingerprint(backbone)
    if type(backbone).embed_text is not Backbone.embed_text:
        _check_training(backbone)
    _check_visual_prompts(backbone)
    if prompts:
        _check_prompts(backbone)
        _check_shared_context(backbone)
        _check_too_long_name(backbone)
        if hard_words is not None:
            _check_hard_words(backbone, hard_words)


def check_features(features: Tensor, shape: tuple[int, int], what: str) -> None:
    """Check that ``features`` are L2-normalised float32 of ``shape``; ``what`` names them in the message."""
    assert features.shape == shape, f"{what}: shape {tuple(features.shape)} instead of {shape}"
    assert features.dtype == torch.float32, f"{what}: {features.dtype} instead of float32"
    norms = features.norm(dim=-1)
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-4), f"{what}: norms {norms.tolist()} instead of 1"


def check_close(found: Tensor, expected: Tensor, message: str, tolerance: float = 1e-4) -> None:
    """Check that no value differs by ``tolerance`` or more; ``message`` is what is wrong otherwise."""
    gap = (found - expected).abs().max().item()
    assert gap < tolerance, f"{message} (largest difference {gap:.1e})"


def _check_loading(backbone: Backbone) -> None:
    backbone.load()
    before = [(name, parameter.data_ptr()) for name, parameter in backbone.named_parameters()]
    backbone.load()
    after = [(name, parameter.data_ptr()) for name, parameter in backbone.named_parameters()]
    assert after == before, "load() read the weights again when called twice"
    assert before, "there are no parameters, so nobody can tell which device the backbone is on"
    thawed = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    assert not thawed, f"not frozen after load(): {thawed[:5]}"
    training = [name for name, module in backbone.named_modules() if name and module.training]
    assert not training, f"in training mode after load(): {training[:5]}"
    assert isinstance(backbone.logit_scale, float), f"logit_scale is a {type(backbone.logit_scale).__name__}"
    assert backbone.logit_scale > 0, f"logit_scale is {backbone.logit_scale}, as if it were the logarithm"


def _check_images(backbone: Backbone) -> None:
    images = [_image(64, 48), _image(300, 200), _image(50, 400)]
    pixels = [backbone.transform(image) for image in images]
    shapes = {tuple(image.shape) for image in pixels}
    assert len(shapes) == 1, f"the transform makes several shapes of photos of several sizes: {sorted(shapes)}"
    (shape,) = shapes
    assert len(shape) == 3, f"the transform makes {shape} instead of (3, H, W)"
    assert shape[0] == 3, f"the transform makes {shape} instead of (3, H, W)"
    assert pixels[0].dtype == torch.float32, f"the transform makes {pixels[0].dtype} instead of float32"

    batch = torch.stack(pixels)
    with torch.no_grad():
        features = backbone.encode_image(batch)
        check_features(features, (3, backbone.embed_dim), "encode_image")
        assert torch.equal(backbone.encode_image(batch), features), "encode_image: other features for the same photos"
        alone = torch.cat([backbone.encode_image(image.unsqueeze(0)) for image in batch])
        check_close(alone, features, "encode_image: a photo's features depend on the rest of the batch")
        _check_spaces(backbone, batch, features)


def _check_spaces(backbone: Backbone, batch: Tensor, features: Tensor) -> None:
    spaces = backbone.encode_spaces(batch)
    check_close(spaces.joint, features, "encode_spaces: the joint features are not those of encode_image")
    if spaces.visual is None:
        tower = backbone.tower_of("visual")
        assert tower is not backbone, "encode_spaces: no visual features, although they are of this tower"
        _check_images(tower)
        return
    check_features(spaces.visual, (len(batch), backbone.visual_dim), "encode_spaces, visual")
    alone = torch.cat([backbone.encode_spaces(image.unsqueeze(0)).of("visual") for image in batch])
    check_close(alone, spaces.visual, "encode_spaces: a photo's visual features depend on the rest of the batch")
    if not backbone.has_visual_space:
        check_close(spaces.visual, spaces.joint, "encode_spaces: other visual features, but has_visual_space is false")


def _check_texts(backbone: Backbone) -> None:
    features = backbone.encode_text(_NAMES)
    check_features(features, (len(_NAMES), backbone.embed_dim), "encode_text")
    assert not features.requires_grad, "encode_text: the features carry a graph"
    alone = torch.cat([backbone.encode_text([name]) for name in _NAMES])
    check_close(alone, features, "encode_text: a text's features depend on the rest of the batch")
    long = "grey " * 1300
    try:
        backbone.encode_text([_NAMES[0], long])
    except TextTooLongError:
        pass
    else:
        raise AssertionError("encode_text: a text of 1,300 words is cut off silently")
    check_features(backbone.encode_text([long], truncate=True), (1, backbone.embed_dim), "encode_text, truncated")


def _check_fingerprint(backbone: Backbone) -> None:
    fingerprint = backbone.fingerprint()
    assert backbone.fingerprint() == fingerprint, "the fingerprint is another one when asked for again"
    parameters = list(backbone.parameters())
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(1e-3)
        changed = backbone.fingerprint()
        for parameter, values in zip(parameters, kept, strict=True):
            parameter.copy_(values)
    assert changed != fingerprint, "the fingerprint stays the same when the weights change"
    assert backbone.fingerprint() == fingerprint, "the fingerprint is another one once the weights are back"


def _check_training(backbone: Backbone) -> None:
    pixels, long = torch.stack([backbone.transform(_image(64, 48))]), ["grey " * 1300]
    with torch.no_grad():
        frozen = {"encode_image": backbone.encode_image(pixels), "embed_text": backbone.encode_text(_NAMES)}
        cut = backbone.embed_text(long)
    check_close(cut, backbone.encode_text(long, truncate=True), "embed_text: a text of 1,300 words is not cut off")
    parameters = dict(backbone.named_parameters())
    reached: dict[str, set[str]] = {}
    for what, expected in frozen.items():
        backbone.requires_grad_(True)
        features = backbone.encode_image(pixels) if what == "encode_image" else backbone.embed_text(_NAMES)
        check_features(features, (len(expected), backbone.embed_dim), what)
        check_close(features.detach(), expected, f"{what}: other features where weights need a gradient")
        assert features.requires_grad, f"{what}: no gradient where the weights need one"
        target = torch.linspace(-1, 1, features.numel()).view_as(features)
        gradients = torch.autograd.grad((features * target).sum(), list(parameters.values()), allow_unused=True)
        backbone.requires_grad_(False)
        found = {name: gradient for name, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
        assert found, f"{what}: no gradient reaches a weight"
        broken = [name for name, gradient in found.items() if not gradient.isfinite().all()]
        assert not broken, f"{what}: gradients that are not finite: {broken[:5]}"
        reached[what] = set(found)
    shared = sorted(reached["encode_image"] & reached["embed_text"])
    assert not shared, f"weights that both towers have, so that neither can be trained alone: {shared[:5]}"


def _check_visual_prompts(backbone: Backbone) -> None:
    refusal = ""
    try:
        encoder, again = (backbone.visual_prompt_encoder(recompute) for recompute in (False, True))
    except FgvrError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal, f"visual_prompt_encoder: it is refused in more than one line: {refusal}"
        return
    batch = torch.stack([backbone.transform(_image(64, 48)), backbone.transform(_image(50, 400))])
    generator = torch.Generator().manual_seed(0)
    for rows in sorted({1, encoder.depth}):
        what = f"visual prompts of shape ({rows}, 3, {encoder.width})"
        prompts = torch.randn(rows, 3, encoder.width, generator=generator) * 0.1
        with torch.no_grad():
            plain = backbone.encode_spaces(batch)
            for empty in (prompts[:, :0], prompts[:, :0].expand(len(batch), -1, -1, -1)):
                assert _equal(encoder(batch, empty), plain), f"{what}: without any, other features than encode_spaces"
            features = encoder(batch, prompts)
            alone = [encoder(photo.unsqueeze(0), prompts) for photo in batch]
            copies = encoder(batch, prompts.expand(len(batch), -1, -1, -1))
            assert _equal(backbone.encode_spaces(batch), plain), f"{what}: they stay when others ask for features"
        check_features(features.joint, (len(batch), backbone.embed_dim), what)
        assert (features.visual is None) == (plain.visual is None), f"{what}: not the spaces of encode_spaces"
        assert not torch.allclose(features.joint, plain.joint, atol=1e-6), f"{what}: they change nothing"
        for space in ("joint", "visual") if plain.visual is not None else ("joint",):
            found = features.of(space)
            check_features(found, (len(batch), plain.of(space).shape[1]), f"{what}, {space}")
            joined = torch.cat([each.of(space) for each in alone])
            check_close(joined, found, f"{what}, {space}: a photo's features depend on the rest of the batch")
            check_close(copies.of(space), found, f"{what}, {space}: a copy for each photo gives other features")
            gradient = _gradient_of_prompts(encoder, batch, prompts, space)
            assert gradient.isfinite().all(), f"{what}, {space}: a gradient is not finite"
            assert (gradient != 0).any(dim=-1).all(), f"{what}, {space}: not every prompt has a gradient"
            gap = (_gradient_of_prompts(again, batch, prompts, space) - gradient).norm() / gradient.norm()
            assert gap < 1e-4, f"{what}, {space}: other gradients with blocks computed again (difference {gap:.1e})"
        reached = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None]
        assert not reached, f"{what}: gradients reach frozen parameters: {reached[:5]}"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            check_features(encoder(batch, prompts).joint, (len(batch), backbone.embed_dim), f"{what}, under autocast")
    _check_shapes_of_visual_prompts(encoder, batch)


def _check_shapes_of_visual_prompts(encoder: VisualPromptEncoder, batch: Tensor) -> None:
    depth, width = encoder.depth, encoder.width
    for shape in ((3, width), (0, 3, width), (depth + 1, 3, width), (1, 3, width + 1), (len(batch) + 1, 1, 3, width)):
        try:
            encoder(batch, torch.zeros(shape))
        except FgvrError as error:
            message = str(error)
        else:
            raise AssertionError(f"visual prompts of shape {shape} are not refused")
        assert str(shape) in message, f"visual prompts of shape {shape}: the error does not show it: {message}"


def _equal(found: ImageFeatures, expected: ImageFeatures) -> bool:
    if found.visual is not None and expected.visual is not None and not torch.equal(found.visual, expected.visual):
        return False
    return torch.equal(found.joint, expected.joint)


def _gradient_of_prompts(encoder: VisualPromptEncoder, batch: Tensor, prompts: Tensor, space: Space) -> Tensor:
    prompts = prompts.clone().requires_grad_()
    features = encoder(batch, prompts).of(space)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    assert prompts.grad is not None, f"visual prompts, {space}: no gradient"
    return prompts.grad


def _check_prompts(backbone: Backbone) -> None:
    dim = backbone.prompt_encoder().token_dim
    context = torch.randn(_N_CTX, dim, generator=torch.Generator().manual_seed(0)) * 0.02
    order = [3, 0, 4, 2, 1]
    for position in ("end", "middle", "front"):
        what = f"prompt encoder, name at {position!r}"
        context.requires_grad_()
        features = _encode_prompts(backbone, _NAMES, context, position)
        check_features(features, (len(_NAMES), backbone.embed_dim), what)
        target = torch.linspace(-1, 1, features.numel()).view_as(features)
        (gradient,) = torch.autograd.grad((features * target).sum(), context, retain_graph=True)
        assert gradient.isfinite().all(), f"{what}: the context's gradient is not finite"
        assert (gradient != 0).any(dim=1).all(), f"{what}: not every context vector has a gradient"
        (features * target).sum().backward()
        reached = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None]
        assert not reached, f"{what}: gradients reach frozen parameters: {reached[:5]}"

        context, features = context.detach(), features.detach()
        moved = _encode_prompts(backbone, [_NAMES[i] for i in order], context, position)
        check_close(moved, features[order], f"{what}: features depend on the order of the classes")
        alone = torch.cat([_encode_prompts(backbone, [name], context, position) for name in _NAMES])
        check_close(alone, features, f"{what}: features depend on the other classes")
        copies = _encode_prompts(backbone, _NAMES, context.expand(len(_NAMES), -1, -1), position)
        check_close(copies, features, f"{what}: a copy of the context for each class gives other features")


def _check_shared_context(backbone: Backbone) -> None:
    # what encoders may compute once for several classes: equal names, and names that begin alike
    names = (*_NAMES, "Great Dane", "tabby cat", "Great Pyrenees Cross", "tabby")
    dim = backbone.prompt_encoder().token_dim
    context = torch.randn(_N_CTX, dim, generator=torch.Generator().manual_seed(1)) * 0.02
    for position in ("end", "middle", "front"):
        what = f"prompt encoder, name at {position!r}"
        one, copies = context.clone().requires_grad_(), context.repeat(len(names), 1, 1).requires_grad_()
        features, expected = (_encode_prompts(backbone, names, each, position) for each in (one, copies))
        check_close(features, expected, f"{what}: with names that begin alike, a shared context gives other features")
        target = torch.linspace(-1, 1, features.numel()).view_as(features)
        (gradient,) = torch.autograd.grad((features * target).sum(), one)
        (parts,) = torch.autograd.grad((expected * target).sum(), copies)
        gap = ((gradient - parts.sum(0)).norm() / parts.sum(0).norm()).item()
        assert gap < 1e-4, (
            f"{what}: the gradient of a shared context is not the sum of those of its copies (difference {gap:.1e})"
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = _encode_prompts(backbone, names, one, position)
        check_features(mixed, (len(names), backbone.embed_dim), f"{what}, under autocast")


def _check_too_long_name(backbone: Backbone) -> None:
    name = "an endless name of words that nobody would ever write out in full " * 100
    try:
        backbone.prompt_encoder().prepare(["cat", name], _N_CTX, "end")
    except FgvrError as error:
        message = str(error)
    else:
        raise AssertionError("a name of 1,300 words is not refused: it would be cut off silently")
    assert name[:60] in message, f"the error does not show the name: {message}"
    assert name[:61] not in message, f"the error shows more than the first 60 characters of the name: {message}"


def _check_hard_words(backbone: Backbone, words: str) -> None:
    context = backbone.prompt_encoder().embed(words)
    assert context.dtype == torch.float32, f"embed: {context.dtype} instead of float32"
    assert context.shape[1:] == (backbone.prompt_encoder().token_dim,), f"embed: shape {tuple(context.shape)}"
    texts = {"end": [f"{words} {name}" for name in _NAMES], "front": [f"{name} {words}" for name in _NAMES]}
    for position, prompts in texts.items():
        features = _encode_prompts(backbone, _NAMES, context, position)
        gaps = [
            (features - backbone.encode_text([prompt + stop for prompt in prompts])).abs().max().item()
            for stop in ("", ".")
        ]
        assert min(gaps) < 1e-5, (
            f"with the embeddings of {words!r} as context and the name at {position!r}, features differ from "
            f"encode_text({prompts[0]!r}) by {gaps[0]:.1e} (with a full stop: {gaps[1]:.1e})"
        )


def _encode_prompts(backbone: Backbone, names: Sequence[str], context: Tensor, position: str) -> Tensor:
    encoder = backbone.prompt_encoder()
    encoder.prepare(names, context.shape[-2], position)
    features: Tensor = encoder(context)
    return features


def _image(width: int, height: int) -> Image.Image:
    ramp = torch.arange(width * height * 3).remainder(251).to(torch.uint8)
    return Image.frombytes("RGB", (width, height), bytes(ramp.tolist()))
