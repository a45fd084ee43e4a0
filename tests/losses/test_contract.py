import functools

import pytest
import torch

from fgvr.losses.base import Loss
from fgvr.losses.ce import CELoss
from fgvr.losses.proden import ProdenLoss
from fgvr.registry import LOSSES
from fgvr.testing.losses import check_loss


@pytest.mark.parametrize("name", LOSSES)
def test_contract(name):
    check_loss(LOSSES.load(name))


def test_contract_of_proden_with_momentum():
    check_loss(functools.partial(ProdenLoss, momentum=0.9))


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


class MaskBlindLoss(Loss):
    def forward(self, logits, labels):
        return -torch.log_softmax(logits.float(), dim=1).gather(1, labels.candidates).mean(dim=1)


class AliasingLoss(ProdenLoss):
    def init_state(self, labels):
        return labels.weights


class ForgetfulLoss(ProdenLoss):
    def get_extra_state(self):
        return {"state": torch.zeros_like(self.state), "key": self.state_key}


class CountingLoss(ProdenLoss):
    def write_state(self, sample_index, rows):
        self.state.index_add_(0, sample_index, rows)


class KeylessLoss(ProdenLoss):
    def set_extra_state(self, state):
        self.state = state["state"]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (MeanLoss, "shape"),
        (HalfPrecisionLoss, "float32"),
        (LogOfSoftmaxLoss, "not finite"),
        (CenteredLoss, "rest of the batch"),
        (MaskBlindLoss, "padding"),
        (AliasingLoss, "weights was changed"),
        (ForgetfulLoss, "does not survive a checkpoint"),
        (CountingLoss, "twice"),
        (KeylessLoss, "another key"),
    ],
)
def test_a_loss_that_breaks_the_contract_is_caught(loss, message):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss)
