"""What every loss of fgvr must fulfil; call it from the tests of a loss plugin."""

import io
import pickle
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fgvr.errors import FgvrError
from fgvr.losses.base import Loss, PartialLabels, StepContext

_SAMPLES, _CLASSES, _WIDTH, _EMBED_DIM, _VIEWS = 12, 9, 4, 6, 2
_EPOCHS = 6


def check_loss(loss_factory: Callable[[], Loss]) -> None:
    """Check a loss against the contract in :mod:`fgvr.losses.base`, on the CPU, in a second.

    - One float32 loss a sample; finite, with finite gradients, for logits of any size and of half precision; computed
      in float32, under autocast too; every sample's gradient is other than zero on ordinary logits.
    - It depends on a sample's own logits, features and candidates: not on the rest of the batch, on the order of the
      classes or on padding columns; and it leaves the labels as they are.
    - Its state is the same for one process and for several and for samples that occur twice, before and after
      ``end_epoch``, which may not draw from torch's generator nor change the state's shape; it survives pickling and a
      checkpoint (``torch.load`` with ``weights_only=True``); a run that is resumed goes on as if unbroken; the state of
      other data is refused.

    ``step`` is set as a method sets it: the epochs go on, and features are there if the loss says that it needs them.
    Every step is an epoch with an ``end_epoch``. A loss that says ``needs_views`` is checked with logits of further
    views and, as photos may have one view only, without.

    Args:
        loss_factory: Makes a new loss, the same each time: the class itself, or a ``functools.partial`` of it.

    Raises:
        AssertionError: The loss breaks the contract; the message says where.

    Example:
        >>> from fgvr.losses.proden import ProdenLoss
        >>> check_loss(ProdenLoss)
    """
    _check_contract(loss_factory)
    if loss_factory().needs_views:
        _check_contract(lambda: _of_one_view(loss_factory()))


def _check_contract(loss_factory: Callable[[], Loss]) -> None:
    _check_labels_are_left_alone(loss_factory)
    _check_values(loss_factory)
    _check_extreme_logits(loss_factory)
    _check_end_of_epoch(loss_factory)
    _check_half_precision(loss_factory)
    _check_samples_are_independent(loss_factory)
    _check_padding(loss_factory)
    _check_order_of_classes(loss_factory)
    _check_shards(loss_factory)
    _check_repeated_samples(loss_factory)
    _check_resuming(loss_factory)
    _check_key(loss_factory)


def _check_labels_are_left_alone(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    _run(_new(loss_factory, labels), [_logits(seed) for seed in (1, 2)], labels)
    for name in ("rows", "candidates", "mask", "weights"):
        same = torch.equal(getattr(labels, name), getattr(_labels(), name))
        assert same, f"labels.{name} was changed: clone it in init_state, because write_state works in place"


def _check_values(loss_factory: Callable[[], Loss]) -> None:
    labels, logits = _labels(), _logits(1).requires_grad_()
    for loss, when in ((_new(loss_factory, labels), "a new loss"), (_used(loss_factory, labels), "a used loss")):
        values = _call(loss, logits, labels)
        assert values.shape == (_SAMPLES,), f"{when}: shape {tuple(values.shape)} for a batch of {_SAMPLES}"
        assert values.dtype == torch.float32, f"{when}: {values.dtype} instead of float32"
        assert values.isfinite().all(), f"{when}: not finite: {values}"
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert gradient.isfinite().all(), f"{when}: gradient not finite: {gradient}"
        dead = (gradient == 0).all(dim=1).nonzero().flatten().tolist()
        assert not dead, f"{when}: samples {dead} have no gradient, so nothing is learned from them"


def _check_extreme_logits(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    inside = torch.zeros(_SAMPLES, _CLASSES).scatter_add_(1, labels.candidates, labels.mask.float()) > 0
    for sign in (inside, ~inside, _logits(2) > 0):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            loss = _used(loss_factory, labels)
            logits = torch.where(sign, 1e4, -1e4).to(dtype).requires_grad_()
            values = _call(loss, logits, labels)
            assert values.isfinite().all(), f"not finite for {dtype} logits of +-1e4: {values}"
            (gradient,) = torch.autograd.grad(values.sum(), logits)
            assert gradient.isfinite().all(), f"gradient not finite for {dtype} logits of +-1e4: {gradient}"
            _update(loss, logits, labels)
            _end_epoch(loss, labels)
            values = _call(loss, _logits(3), labels, epoch=2)
            assert values.isfinite().all(), f"not finite after {dtype} logits of +-1e4 went into the state: {values}"


def _check_end_of_epoch(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    first, second = _used(loss_factory, labels), _used(loss_factory, labels)
    shape = None if first.state is None else first.state.shape
    with torch.random.fork_rng(devices=[]):  # processes have generators of their own
        for seed, loss in enumerate((first, second)):
            torch.manual_seed(seed)
            _update(loss, _logits(1), labels)
            _end_epoch(loss, labels)
    found = None if first.state is None else first.state.shape
    assert found == shape, f"end_epoch changes the state's shape from {shape} to {found}"
    _assert_same_state(second, first, "end_epoch draws at random: processes would drift apart")


def _check_half_precision(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    loss = _used(loss_factory, labels)
    for dtype in (torch.float16, torch.bfloat16):
        half = _logits(1).to(dtype)
        expected = _call(loss, half.float(), labels)
        found = _call(loss, half, labels)
        assert found.dtype == torch.float32, f"{dtype} logits give a loss that is not float32"
        _assert_close(found, expected, f"{dtype} logits are not computed on in float32")
        with torch.autocast("cpu", dtype=dtype):
            _assert_close(_call(loss, half, labels), expected, f"autocast to {dtype} lowers the loss's precision")
        used, expected_state = _used(loss_factory, labels), _used(loss_factory, labels)
        _update(used, half, labels)
        _update(expected_state, half.float(), labels)
        _assert_same_state(used, expected_state, f"the state of {dtype} logits is not computed in float32")


def _check_samples_are_independent(loss_factory: Callable[[], Loss]) -> None:
    labels, logits = _labels(), _logits(1)
    loss = _used(loss_factory, labels)
    rows = torch.tensor([7, 0, 10])
    _assert_close(
        _call(loss, logits[rows], labels[rows]),
        _call(loss, logits, labels)[rows],
        "a sample's loss depends on the rest of the batch",
    )


def _check_padding(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    parts = (labels.candidates, labels.mask, labels.weights)
    wider = PartialLabels(labels.rows, *(torch.nn.functional.pad(part, (0, 2)) for part in parts))
    batches = [_logits(seed) for seed in range(1, 5)]
    _assert_close(
        _run(_new(loss_factory, wider), batches, wider),
        _run(_new(loss_factory, labels), batches, labels),
        "padding columns (mask false) change the loss",
    )


def _check_order_of_classes(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    new_index = torch.randperm(_CLASSES, generator=torch.Generator().manual_seed(5))
    renamed = PartialLabels(
        labels.rows, new_index[labels.candidates].where(labels.mask, 0), labels.mask, labels.weights
    )
    batches = [_logits(seed) for seed in range(1, 5)]
    old_column = new_index.argsort()
    _assert_close(
        _run(_new(loss_factory, renamed), [logits[:, old_column] for logits in batches], renamed, columns=old_column),
        _run(_new(loss_factory, labels), batches, labels),
        "the order of the classes changes the loss",
    )


def _check_shards(loss_factory: Callable[[], Loss]) -> None:
    labels, logits = _labels(), _logits(1)
    for epoch in (1, 4):
        whole, sharded = _used(loss_factory, labels), _used(loss_factory, labels)
        _update(whole, logits, labels, epoch)
        shards = [torch.arange(_SAMPLES)[:5], torch.arange(_SAMPLES)[5:]]
        new_rows = []
        for shard in shards:
            _set_step(sharded, labels[shard], epoch)
            new_rows.append(sharded.new_state(logits[shard], labels[shard]))
        gathered = [rows for rows in new_rows if rows is not None]
        if gathered:
            sharded.write_state(labels.rows[torch.cat(shards)], torch.cat(gathered))
        _assert_same_state(sharded, whole, "the state after two processes' parts is not the whole batch's")
        for loss in (whole, sharded):
            _end_epoch(loss, labels, epoch)
        _assert_same_state(sharded, whole, "the state after end_epoch depends on what else this process has seen")


def _check_repeated_samples(loss_factory: Callable[[], Loss]) -> None:
    labels, logits = _labels(), _logits(1)
    for epoch in (1, 4):
        once, twice = _used(loss_factory, labels), _used(loss_factory, labels)
        for loss, samples in ((once, [3, 8]), (twice, [3, 8, 3])):
            rows = torch.tensor(samples)
            _update(loss, logits[rows], labels[rows], epoch)
        _assert_same_state(twice, once, "a sample that occurs twice in write_state is not as if it occurred once")


def _check_resuming(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    batches = [_logits(seed) for seed in range(1, 5)]
    unbroken = _run(_new(loss_factory, labels), batches, labels)

    loss = _new(loss_factory, labels)
    _run(loss, batches[:2], labels)
    checkpoint = io.BytesIO()
    torch.save(loss.state_dict(), checkpoint)
    checkpoint.seek(0)
    resumed = _new(loss_factory, labels)
    resumed.load_state_dict(torch.load(checkpoint, weights_only=True))
    unpickled = pickle.loads(pickle.dumps(loss))
    _assert_same_state(resumed, loss, "the state does not survive a checkpoint")
    _assert_close(
        _run(resumed, batches[2:], labels, epoch=2), unbroken[2:], "a resumed run differs from an unbroken one"
    )
    _assert_close(_run(unpickled, batches[2:], labels, epoch=2), unbroken[2:], "a pickled loss goes on in another way")


def _check_key(loss_factory: Callable[[], Loss]) -> None:
    labels = _labels()
    other = loss_factory()
    other.setup(labels, key="other photos")
    try:
        other.load_state_dict(_new(loss_factory, labels).state_dict())
    except FgvrError:
        return
    raise AssertionError("a checkpoint's state under another key was taken instead of refused")


def _labels() -> PartialLabels:
    """Sets of 1 to 4 candidates with uneven weights."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(_WIDTH) < torch.arange(_SAMPLES)[:, None] % _WIDTH + 1
    candidates = torch.rand(_SAMPLES, _CLASSES, generator=generator).argsort(dim=1)[:, :_WIDTH].where(mask, 0)
    weights = (torch.rand(_SAMPLES, _WIDTH, generator=generator) + 0.1).where(mask, 0)
    return PartialLabels(torch.arange(_SAMPLES), candidates, mask, weights / weights.sum(dim=1, keepdim=True))


def _logits(seed: int) -> Tensor:
    return 3 * torch.randn(_SAMPLES, _CLASSES, generator=torch.Generator().manual_seed(seed))


def _new(loss_factory: Callable[[], Loss], labels: PartialLabels) -> Loss:
    loss = loss_factory()
    loss.setup(labels, key="check_loss")
    return loss


def _of_one_view(loss: Loss) -> Loss:
    """The loss where each photo has one view: ``step`` then has no logits of others."""
    loss.needs_views = False
    return loss


def _used(loss_factory: Callable[[], Loss], labels: PartialLabels) -> Loss:
    """A loss whose state is no longer the initial one."""
    loss = _new(loss_factory, labels)
    _update(loss, _logits(4), labels, epoch=0)
    _end_epoch(loss, labels, epoch=0)
    return loss


def _set_step(loss: Loss, labels: PartialLabels, epoch: int, columns: Tensor | None = None) -> None:
    """What a method does before the loss is called. ``columns`` puts the classes into another order."""
    generator = torch.Generator().manual_seed(6)
    images, classes = (
        torch.nn.functional.normalize(torch.randn(rows, _EMBED_DIM, generator=generator), dim=1)
        for rows in (_SAMPLES, _CLASSES)
    )
    views = 3 * torch.randn(_VIEWS, _SAMPLES, _CLASSES, generator=generator.manual_seed(7 + epoch))
    if columns is not None:
        classes, views = classes[columns], views[..., columns]
    features = (images[labels.rows], classes) if loss.needs_features else (None, None)
    further = views[:, labels.rows] if loss.needs_views else None
    loss.step = StepContext(epoch, _EPOCHS, features[0], features[1], further)


def _call(loss: Loss, logits: Tensor, labels: PartialLabels, epoch: int = 1) -> Tensor:
    _set_step(loss, labels, epoch)
    values: Tensor = loss(logits, labels)
    return values


def _update(loss: Loss, logits: Tensor, labels: PartialLabels, epoch: int = 1, columns: Tensor | None = None) -> None:
    """What a method does after the optimiser's step."""
    _set_step(loss, labels, epoch, columns)
    with torch.no_grad():
        rows = loss.new_state(logits.detach(), labels)
        if rows is not None:
            loss.write_state(labels.rows, rows)


def _end_epoch(loss: Loss, labels: PartialLabels, epoch: int = 1, columns: Tensor | None = None) -> None:
    """What a method does after the last step of an epoch."""
    _set_step(loss, labels, epoch, columns)
    with torch.no_grad():
        loss.end_epoch(labels)


def _run(
    loss: Loss, batches: Sequence[Tensor], labels: PartialLabels, epoch: int = 0, columns: Tensor | None = None
) -> Tensor:
    """The losses of some steps, one an epoch, shape ``(steps, N)``."""
    values = []
    for number, logits in enumerate(batches, start=epoch):
        _set_step(loss, labels, number, columns)
        values.append(loss(logits, labels).detach())
        _update(loss, logits, labels, number, columns)
        _end_epoch(loss, labels, number, columns)
    return torch.stack(values)


def _assert_same_state(actual: Loss, expected: Loss, problem: str) -> None:
    if expected.state is None:
        assert actual.state is None, f"{problem}: {actual.state} instead of no state"
    else:
        assert actual.state is not None, f"{problem}: no state"
        _assert_close(actual.state, expected.state, problem)


def _assert_close(actual: Tensor, expected: Tensor, problem: str) -> None:
    torch.testing.assert_close(actual, expected, msg=lambda difference: f"{problem}: {difference}")
