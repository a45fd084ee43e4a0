from types import SimpleNamespace

import pytest
import torch

from fgvr.checkpoints.best_checkpoint import BestCheckpoint


class Saver(SimpleNamespace):
    """What the callback needs of a trainer; ``values`` are those of the epochs."""

    fast_dev_run = False
    strategy = SimpleNamespace(broadcast=lambda path: path)

    def run(self, best, values, first=0):
        self.saved = []
        best.on_fit_start(self, None)
        for self.current_epoch, value in enumerate(values, start=first):
            self.callback_metrics = {best.monitor: torch.tensor(value)}
            self.best = best
            best.on_train_epoch_end(self, None)
        return self.saved

    def save_checkpoint(self, path):
        self.saved.append(self.current_epoch)
        path.parent.mkdir(exist_ok=True)
        own = {"class_names": [], "config": ""}
        states = {self.best.state_key: self.best.state_dict()}
        torch.save({"fgvr": own, "state_dict": {}, "callbacks": states}, path)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def test_the_last_of_the_highest_is_kept(folder):
    best = BestCheckpoint(folder, "select/covering_rate")
    assert Saver().run(best, [50.0, 40.0, 75.0, 75.0, 60.0]) == [0, 2, 3]
    assert (best.epoch, best.value) == (4, 75)


def test_nan_is_never_the_best(folder):
    best = BestCheckpoint(folder, "select/approximated_accuracy")
    assert Saver().run(best, [float("nan"), 0.0, float("nan")]) == [1]
    assert best.epoch == 2


def test_the_best_so_far_is_what_the_file_says(folder):
    Saver().run(BestCheckpoint(folder, "select/covering_rate"), [50.0, 90.0])
    again = BestCheckpoint(folder, "select/covering_rate")
    assert Saver().run(again, [60.0, 80.0], first=2) == []
    assert (again.epoch, again.value) == (2, 90)
    # values of another figure do not compare
    other = BestCheckpoint(folder, "select/approximated_accuracy")
    assert Saver().run(other, [10.0], first=4) == [4]


def test_a_trial_run_writes_nothing(folder):
    best = BestCheckpoint(folder, "select/covering_rate")
    assert Saver(fast_dev_run=True).run(best, [50.0]) == []
    assert best.epoch is None
