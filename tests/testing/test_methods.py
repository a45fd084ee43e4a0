from functools import partial

import pytest
import torch
from tiny.wordnet import write_wordnet

from fgvr.methods.untrained import UntrainedMethod
from fgvr.methods.zero_shot import ZeroShotMethod
from fgvr.registry import METHODS
from fgvr.testing.methods import check_method
from fgvr.testing.tiny import TinyBackbone

_LEFT_OUT = {
    "labeler_direct": "names no photo without asking",
    "reclip": "tunes normalisation layers, of which the tiny backbone has none",
}


@pytest.mark.parametrize("name", sorted(set(METHODS.builtins) - set(_LEFT_OUT)))
def test_every_method_fulfils_the_contract(name, tmp_path, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    options = {"wordnet": write_wordnet(tmp_path / "wordnet")} if name in ("cased", "zs_wordnet") else {}
    check_method(partial(METHODS.load(name), **options))


def test_a_method_of_one_function(tmp_path):
    """Without classifiers, ``predict`` is its only row."""

    class Alone(UntrainedMethod):
        row = "alone"

        def row_names(self):
            return (self.row,)

        def build(self, vocabulary, candidates):
            self.count = len(vocabulary)

        def predict(self, features):
            return features.joint[:, : self.count]

    check_method(Alone)


class Broken(ZeroShotMethod):
    def __init__(self, backbone, how):
        super().__init__(backbone)
        self.how = how
        if how == "load":
            backbone.load()

    def classifiers(self):
        if self.how == "other row":
            return {"other": self._class_features}
        return {self.row: self._class_features * (torch.nan if self.how == "nan" else 1)}

    def discover(self, support):
        found = super().discover(support)
        return list(found.names) if self.how == "list" else found


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("load", "the constructor loads the backbone"),
        ("list", "discover gives a list"),
        ("other row", "the last row is 'other'"),
        ("nan", "is not a number"),
    ],
)
def test_it_says_what_is_broken(how, message):
    with pytest.raises(AssertionError, match=message):
        check_method(partial(Broken, how=how))


def test_neither_predict_nor_classifiers():
    class Silent(UntrainedMethod):
        row = "silent"

        def build(self, vocabulary, candidates):
            """Nothing."""

    with pytest.raises(NotImplementedError, match="Silent has neither predict nor classifiers"):
        Silent(TinyBackbone()).predict(None)
