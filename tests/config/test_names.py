import pytest

from fgvr.config.names import expand_argv, expand_config
from fgvr.errors import FgvrError
from fgvr.registry import VOCABULARIES

PRODEN = "fgvr.losses.proden.ProdenLoss"
RECORDED = "fgvr.labelers.recorded.RecordedLabeler"
COOP = "fgvr.methods.coop.CoOpMethod"


@pytest.mark.parametrize(
    ("given", "expanded"),
    [
        (["--model.loss", "proden"], ["--model.loss", PRODEN]),
        (["--model.loss=proden"], [f"--model.loss={PRODEN}"]),
        (["--model.loss", "ProdenLoss"], ["--model.loss", PRODEN]),
        (["--model.loss", PRODEN], ["--model.loss", PRODEN]),
        (["--model.init_args.loss.class_path", "proden"], ["--model.init_args.loss.class_path", PRODEN]),
        (["--model.loss.help", "proden"], ["--model.loss.help", PRODEN]),
        (["--model.loss.scale", "proden"], ["--model.loss.scale", "proden"]),
        (["--model", "coop", "--data.labeler", "recorded"], ["--model", COOP, "--data.labeler", RECORDED]),
        (["--data.labeler.model", "coop"], ["--data.labeler.model", "coop"]),
        (["--data.labeler", "null"], ["--data.labeler", "null"]),
        (["--trainer.loss", "proden"], ["--trainer.loss", "proden"]),
        (["--model.loss", "--help"], ["--model.loss", "--help"]),
        (
            ["--model.loss", "{class_path: proden, init_args: {momentum: 0.5}}"],
            ["--model.loss", f'{{"class_path": "{PRODEN}", "init_args": {{"momentum": 0.5}}}}'],
        ),
    ],
)
def test_command_line(given, expanded):
    assert expand_argv(given) == expanded


def test_config():
    config = {
        "data": {"labeler": "recorded", "batch_size": 3},
        "model": {
            "class_path": "coop",
            "init_args": {"loss": {"class_path": "proden", "init_args": {"momentum": 0.5}}},
        },
        "trainer": {"callbacks": [{"loss": "proden"}]},
    }
    assert expand_config(config) == {
        "data": {"labeler": {"class_path": RECORDED}, "batch_size": 3},
        "model": {"class_path": COOP, "init_args": {"loss": {"class_path": PRODEN, "init_args": {"momentum": 0.5}}}},
        "trainer": {"callbacks": [{"loss": "proden"}]},
    }
    assert expand_config({"model": "coop"}) == {"model": {"class_path": COOP}}


@pytest.mark.parametrize("part", ["fallback", "chooser", "reader", "vqa", "llm"])
def test_parts_of_combined_labelers_have_short_names(part):
    assert expand_argv([f"--data.labeler.{part}", "recorded", f"--data.labeler.labeler.{part}=recorded"]) == [
        f"--data.labeler.{part}",
        RECORDED,
        f"--data.labeler.labeler.{part}={RECORDED}",
    ]


def test_old_names_of_arguments_go_on_working(caplog):
    assert expand_argv(["--data.labeler.cheap", "recorded", "--data.labeler.init_args.dear.path=x"]) == [
        "--data.labeler.first",
        RECORDED,
        "--data.labeler.init_args.fallback.path=x",
    ]
    labeler = {"class_path": "cascade", "init_args": {"cheap": "recorded", "dear": "recorded", "neighbours": 0}}
    assert expand_config({"data": {"labeler": labeler}})["data"]["labeler"]["init_args"] == {
        "first": {"class_path": RECORDED},
        "fallback": {"class_path": RECORDED},
        "neighbours": 0,
    }
    assert expand_argv(["--data.describe.group_labeler.cheap.path=x", "--data.labeler.dear.dear.path=y"]) == [
        "--data.describe.group_labeler.first.path=x",
        "--data.labeler.fallback.fallback.path=y",
    ]
    # other plugins may have arguments of these names
    own = {"class_path": "my.Labeler", "init_args": {"first": "mean", "cheap": 1, "vocabulary": "birds.txt"}}
    assert expand_config({"data": {"labeler": own, "vocabulary": "spelling"}})["data"] == {
        "labeler": own,
        "vocabulary": {"class_path": VOCABULARIES["spelling"]},
    }
    assert caplog.messages[0] == "The cascade's cheap is first now; the old name will go with fgvr 0.2."


def test_typos():
    with pytest.raises(FgvrError, match="Did you mean 'proden'"):
        expand_argv(["--model.loss", "prodn"])
    with pytest.raises(FgvrError, match="Did you mean 'recorded'"):
        expand_config({"data": {"labeler": "recorder"}})
