import functools
import math

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.losses.abs_gce import AbsGCELoss
from fgvr.losses.alim import AlimLoss
from fgvr.losses.base import Loss
from fgvr.losses.ce import CELoss
from fgvr.losses.crdpll import CrdpllLoss
from fgvr.losses.lws import LwsLoss
from fgvr.losses.near import NearLoss
from fgvr.losses.pico import PicoLoss
from fgvr.losses.pop import PopLoss
from fgvr.losses.proden import ProdenLoss
from fgvr.registry import LOSSES
from fgvr.testing.losses import check_loss


@pytest.mark.parametrize("name", LOSSES)
def test_contract(name):
    check_loss(LOSSES.load(name))


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (ProdenLoss, {"momentum": 0.9}),
        (ProdenLoss, {"update": "refresh"}),
        (LwsLoss, {"surrogate": "sigmoid", "beta": 2.0}),
        (PicoLoss, {"start_epoch": 0}),
        # those that wait for some epochs do so for longer than the check goes on
        (PopLoss, {"window": 2, "warmup_epochs": 1, "theta": 0.1, "growth": 0.5}),
        (AlimLoss, {"warmup_epochs": 1, "noise_rate": 0.5}),
        (NearLoss, {"warmup_epochs": 1, "temperature": 1.0}),
        (NearLoss, {"warmup_epochs": 2}),
    ],
    ids=str,
)
def test_contract_with_options(loss, options):
    check_loss(functools.partial(loss, **options))


@pytest.mark.parametrize(
    ("loss", "option", "value"),
    [
        *((AbsGCELoss, "gamma", value) for value in (0.0, 1.1, math.nan)),
        *((ProdenLoss, "momentum", value) for value in (-0.1, 1.0, math.nan)),
        (ProdenLoss, "update", "later"),
        *((LwsLoss, *option) for option in (("beta", -1.0), ("surrogate", "hinge"))),
        *((PicoLoss, *option) for option in (("momentum", 1.1), ("final_momentum", math.nan), ("start_epoch", -1))),
        *((CrdpllLoss, *option) for option in (("weight", -1.0), ("ramp", 0.0), ("momentum", 1.0))),
        *((AlimLoss, *option) for option in (("noise_rate", 1.0), ("warmup_epochs", 0), ("temperature", 0.0))),
        *((NearLoss, *option) for option in (("warmup_epochs", 0), ("temperature", 0.0), ("temperature", math.nan))),
        *((PopLoss, *option) for option in (("window", 0), ("warmup_epochs", -1), ("theta", 1.0))),
        *((PopLoss, *option) for option in (("theta_max", -0.1), ("growth", math.nan))),
    ],
)
def test_options_that_make_no_sense_are_refused(loss, option, value):
    with pytest.raises(FgvrError, match=rf"loss\.{option} (is )?'?{value}"):
        loss(**{option: value})


def broken(kind, **methods):
    return type("BrokenLoss", (kind,), methods)


def of_all_columns(self, logits, labels):
    return -torch.log_softmax(logits.float(), dim=1).gather(1, labels.candidates).mean(dim=1)


def in_half_precision(self, logits, labels):
    return logits.gather(1, labels.candidates).masked_fill(~labels.mask, -torch.inf).softmax(dim=1)


class ForgetfulLoss(ProdenLoss):
    def get_extra_state(self):
        return {"state": torch.zeros_like(self.state), "key": self.state_key}


class MeanLoss(CELoss):
    def forward(self, logits, labels):
        return super().forward(logits, labels).mean()


class HalfPrecisionLoss(Loss):
    def forward(self, logits, labels):
        log_probs = torch.log_softmax(logits, dim=1).gather(1, labels.candidates)
        return -(labels.weights * log_probs).sum(dim=1)


class LogOfSoftmaxLoss(Loss):
    def forward(self, logits, labels):
        probs = torch.softmax(logits.float(), dim=1).gather(1, labels.candidates)
        return -(labels.weights * probs.log()).sum(dim=1)


class CenteredLoss(CELoss):
    def forward(self, logits, labels):
        return super().forward(logits.float() - logits.float().mean(dim=0), labels)


class KeylessLoss(ProdenLoss):
    def set_extra_state(self, state):
        self.state = state["state"]


class BatchPrototypesLoss(PicoLoss):
    def forward(self, logits, labels):
        images, _ = self.features()
        return super().forward(logits, labels) + images.mean()


class BatchStateLoss(ProdenLoss):
    def new_state(self, logits, labels):
        return super().new_state(logits.float() - logits.float().mean(dim=0), labels)


class DrawingLoss(ProdenLoss):
    def end_epoch(self, labels):
        self.state = self.state + torch.rand_like(self.state) * labels.mask


class WideningLoss(CELoss):
    def init_state(self, labels):
        return labels.weights.clone()

    def end_epoch(self, labels):
        self.state = torch.nn.functional.pad(self.state, (0, 1))


class MovingMaskLoss(ProdenLoss):
    def end_epoch(self, labels):
        labels.mask[:, 1:] = False


class LocalEndLoss(ProdenLoss):
    """Ends an epoch by what the last call of ``new_state`` saw, which is this process's share."""

    def new_state(self, logits, labels):
        self.seen = len(logits)
        return super().new_state(logits, labels)

    def end_epoch(self, labels):
        self.state = self.state * self.seen


class BatchViewsLoss(CrdpllLoss):
    """Breaks the contract where there are further views."""

    def _views(self, logits):
        views = super()._views(logits)
        return views if len(views) == 1 else views - views.mean(dim=(1, 2), keepdim=True) * torch.arange(views.shape[2])


class AlwaysViewsLoss(CrdpllLoss):
    """Breaks it where there are none."""

    def _views(self, logits):
        return torch.cat([logits.float()[None], self.step.view_logits])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (BatchViewsLoss, "rest of the batch"),
        (MeanLoss, "shape"),
        (HalfPrecisionLoss, "float32"),
        (LogOfSoftmaxLoss, "not finite"),
        (CenteredLoss, "rest of the batch"),
        (BatchPrototypesLoss, "rest of the batch"),
        (broken(Loss, forward=of_all_columns), "padding"),
        (broken(ProdenLoss, init_state=lambda self, labels: labels.weights), "weights was changed"),
        (
            ForgetfulLoss,
            "does not survive a checkpoint",
        ),
        (broken(ProdenLoss, write_state=lambda self, index, rows: self.state.index_add_(0, index, rows)), "twice"),
        (BatchStateLoss, "two processes"),
        (DrawingLoss, "draws at random"),
        (WideningLoss, "changes the state's shape"),
        (MovingMaskLoss, "mask was changed"),
        (LocalEndLoss, "what else this process has seen"),
        (broken(ProdenLoss, new_state=in_half_precision), "is not computed in float32"),
        (KeylessLoss, "another key"),
    ],
)
def test_a_loss_that_breaks_the_contract_is_caught(loss, message):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss)


def test_a_loss_that_looks_at_further_views_is_checked_without_them_too():
    with pytest.raises(TypeError, match="NoneType"):
        check_loss(AlwaysViewsLoss)
