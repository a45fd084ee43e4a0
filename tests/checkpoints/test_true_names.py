import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from lightning.pytorch import Callback

import fgvr.checkpoints
from fgvr.checkpoints.true_names import check_callbacks, check_configured, check_monitor, uses_true_names
from fgvr.errors import FgvrError
from fgvr.metrics.protocol import score


def test_every_figure_of_the_protocol_uses_true_names():
    for name in [*score(["a"], ["a"], encoders=[]), "sacc_all_minilm_l6_v2"]:
        assert uses_true_names(f"val/{name}")
        assert uses_true_names(f"test/zero_shot/{name}")
        assert uses_true_names(f"val/{name}/dataloader_idx_0")


@pytest.mark.parametrize(
    "name", ["train/loss", "select/covering_rate", "select/approximated_accuracy", "candidates/mean_size", "epoch"]
)
def test_what_is_computed_from_candidate_sets_may_be_monitored(name):
    assert not uses_true_names(name)
    check_monitor("anybody", name, allow_val=False)


def test_only_figures_of_val_may_be_allowed():
    check_monitor("somebody", "val/cacc", allow_val=True)
    check_monitor("somebody", None, allow_val=False)
    for name in ("test/cacc", "candidates/purity", "train/cacc"):
        with pytest.raises(FgvrError, match="would have seen the answers"):
            check_monitor("somebody", name, allow_val=True)


def test_a_monitor_is_found_wherever_the_configuration_has_it():
    plain = {"class_path": "package.Keep", "init_args": {"monitor": "val/cacc"}}
    inside = {
        "class_path": "Both",
        "dict_kwargs": {"parts": [{"class_path": "Inner", "init_args": plain["init_args"]}]},
    }
    for callbacks, owner in ((plain, "Keep"), ([None, inside], "Both")):
        with pytest.raises(FgvrError, match=rf"trainer\.callbacks: {owner} monitors 'val/cacc'"):
            check_configured(callbacks, allow_val=False)
        check_configured(callbacks, allow_val=True)
    check_configured(None, allow_val=False)


def own_callbacks():
    """Every callback class of the package."""
    for found in pkgutil.iter_modules(fgvr.checkpoints.__path__, "fgvr.checkpoints."):
        for kind in vars(import_module(found.name)).values():
            if inspect.isclass(kind) and issubclass(kind, Callback) and kind.__module__ == found.name:
                yield kind


def test_what_fgvrs_own_callbacks_look_at_is_seen_too():
    """Whatever takes the name of a figure takes it as ``monitor`` and keeps it under that name."""
    examples = {"folder": Path("checkpoints"), "allow_val": False, "monitor": "val/cacc"}
    seen = []
    for kind in own_callbacks():
        parameters = inspect.signature(kind).parameters
        assert set(parameters) <= set(examples), f"{kind.__name__}: say here what the argument is"
        callback = kind(**{name: examples[name] for name in parameters})
        if "monitor" not in parameters:
            assert "val/cacc" not in vars(callback).values()
            continue
        seen.append(kind.__name__)
        with pytest.raises(FgvrError, match=rf"{kind.__name__} monitors 'val/cacc'"):
            check_callbacks([callback], allow_val=False)
        entry = {"class_path": f"{kind.__module__}.{kind.__name__}", "init_args": {"monitor": "val/cacc"}}
        with pytest.raises(FgvrError, match=rf"{kind.__name__} monitors 'val/cacc'"):
            check_configured([entry], allow_val=False)
    assert seen == ["BestCheckpoint"]
