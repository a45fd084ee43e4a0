import pytest
import torch
from lightning.pytorch import Trainer
from tower_run import birds, labelled_birds, trainer

from fgvr.errors import FgvrError
from fgvr.heads.prompt import PromptHead
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.losses.base import PartialLabels, state_key
from fgvr.losses.proden import ProdenLoss
from fgvr.methods.coop import CoOpMethod
from fgvr.records import CandidateSets, Vocabulary
from fgvr.testing.tiny import TinyBackbone


@pytest.fixture
def data(tiny_run):
    return labelled_birds()


@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")
def test_from_python_without_the_command_line(data, tiny_run):
    method = CoOpMethod(TinyBackbone(), PromptHead(n_ctx=4), lr=0.1)
    run = trainer(tiny_run / "mine", max_epochs=3)
    run.fit(method, datamodule=data)
    run.test(method, datamodule=data, verbose=False)
    assert (tiny_run / "mine/candidates.parquet").is_file()
    assert [p.sample_id for p in method.predictions] == [r.sample_id for r in data.records_of("test")]
    assert all(set(p.names) == {"zero_shot", "coop"} for p in method.predictions)


class WatchedLoss(ProdenLoss):
    """Keeps what it was called with."""

    def __init__(self, update="same_forward", needs_features=False):
        super().__init__(update=update)
        self.needs_features = needs_features
        self.calls = []

    def forward(self, logits, labels):
        self.calls.append(("forward", self.step, logits.detach()))
        return super().forward(logits, labels)

    def new_state(self, logits, labels):
        self.calls.append(("new_state", self.step, logits))
        return super().new_state(logits, labels)


@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")
@pytest.mark.parametrize("update", ["same_forward", "refresh"])
@pytest.mark.parametrize("needs_features", [False, True])
def test_a_loss_gets_what_it_asks_for(data, tiny_run, update, needs_features):
    loss = WatchedLoss(update, needs_features)
    method = CoOpMethod(TinyBackbone(), PromptHead(n_ctx=4), loss=loss, lr=0.1, warmup_epochs=0)
    trainer(tiny_run / "mine", max_epochs=3).fit(method, datamodule=data)
    names, steps, logits = zip(*loss.calls, strict=True)
    steps_an_epoch = len(names) // 6
    assert names == ("forward", "new_state") * 3 * steps_an_epoch
    assert [step.epoch for step in steps] == [epoch for epoch in range(3) for _ in range(2 * steps_an_epoch)]
    assert {step.epochs for step in steps} == {3}
    before, after = logits[::2], logits[1::2]
    same = [torch.equal(first, second) for first, second in zip(before, after, strict=True)]
    assert same == [update == "same_forward"] * len(same)
    for step, values in zip(steps, logits, strict=True):
        if needs_features:
            assert not step.image_features.requires_grad
            assert not step.class_features.requires_grad
            similarity = step.image_features @ step.class_features.T
            torch.testing.assert_close(method.backbone.logit_scale * similarity, values)
        else:
            assert step.image_features is None
            assert step.class_features is None


def test_unlabelled_photos_stop_the_run_with_the_command(tiny_run):
    data = birds(labeler=RecordedLabeler(tiny_run / "replies.jsonl"), class_names="labels")
    with pytest.raises(FgvrError, match=r"16 of 16 photos to be labelled have no reply .* Run the label stage"):
        trainer(tiny_run / "mine", max_epochs=1).fit(CoOpMethod(TinyBackbone()), datamodule=data)


def test_frozen_weights_stay_out_of_the_checkpoint_and_nothing_else_may_be_missing():
    method = CoOpMethod(TinyBackbone(), PromptHead(n_ctx=2))
    method.backbone.load()
    sets = CandidateSets.from_lists(["a", "b"], [[0], [0, 1]])
    method.build(Vocabulary(("finch", "jay")), sets)
    state = method.state_dict()
    assert set(state) == {"head.context", "loss._extra_state"}
    method.load_state_dict(state)
    del state["head.context"]
    with pytest.raises(FgvrError, match=r"missing head\.context, left over nothing"):
        method.load_state_dict(state)


def test_loss_state_belongs_to_photos_sets_and_classes():
    vocabulary = ("finch", "jay")
    keys = {
        state_key(CandidateSets.from_lists(["a", "b"], [[0], [0, 1]]), vocabulary),
        state_key(CandidateSets.from_lists(["a", "c"], [[0], [0, 1]]), vocabulary),
        state_key(CandidateSets.from_lists(["a", "b"], [[0], [1, 0]]), vocabulary),
        state_key(CandidateSets.from_lists(["a", "b"], [[0], [0, 1]]), ("finch", "gull")),
    }
    assert len(keys) == 4


def test_partial_labels_are_the_padded_sets():
    labels = PartialLabels.from_sets(CandidateSets.from_lists(["a", "b"], [[3], [0, 1]]))
    assert labels.candidates.tolist() == [[3, 0], [0, 1]]
    assert labels.mask.tolist() == [[True, False], [True, True]]
    assert labels.weights.tolist() == [[1, 0], [0.5, 0.5]]


def test_warm_up_and_cosine():
    method = CoOpMethod(TinyBackbone(), PromptHead(n_ctx=2), lr=0.002, warmup_epochs=1, warmup_lr=1e-5)
    method.backbone.load()
    method.build(Vocabulary(("finch", "jay")), None)
    method.trainer = Trainer(max_epochs=5, logger=False, accelerator="cpu", enable_checkpointing=False)
    optimizers = method.configure_optimizers()
    rates = []
    for _ in range(5):
        rates.append(optimizers["optimizer"].param_groups[0]["lr"])
        optimizers["optimizer"].step()
        optimizers["lr_scheduler"].step()
    cosine = [0.001 * (1 + torch.cos(torch.tensor(torch.pi * i / 4)).item()) for i in range(4)]
    assert rates == pytest.approx([1e-5, *cosine])
