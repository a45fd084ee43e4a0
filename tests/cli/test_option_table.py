"""Help, typing mistakes and completion, without the parsers that take seconds to import."""

import json
import subprocess
import sys

import pytest

from fgvr.cli import COMMANDS, main
from fgvr.cli.option_table import TABLE, check_flags, help_of, options_of
from fgvr.errors import FgvrError
from fgvr.registry import KINDS, LABELERS, METHODS

SCRIPT = "write_options"
CONFIGURED = ("fit", "validate", "test", "predict", "candidates", "label", "describe", "sentences", "judge", "discover")


def test_the_table_is_what_the_parsers_take(script):
    written = json.loads(TABLE.read_text(encoding="utf-8"))
    assert written == script.table(), "run: python scripts/write_options.py"
    assert set(written["takes"]) == {*CONFIGURED, *(path for kind in KINDS.values() for path in kind.builtins.values())}


@pytest.mark.parametrize("command", CONFIGURED)
def test_help_has_every_key_of_fgvr_and_the_names_of_plugins(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    own = [option["flags"][0] for option in options_of(command) if not option["flags"][0].startswith("--trainer")]
    groups = ("--data", "--run", "--checkpoint")
    assert [flag for flag in own if not flag.endswith(".help") and flag not in groups and f"  {flag}" not in text] == []
    assert ", ".join(sorted(LABELERS)) in " ".join(text.split())
    assert ", ".join(sorted(METHODS)) in " ".join(text.split())
    assert "--trainer.max_epochs" in text
    assert "--trainer.gradient_clip_val" not in text
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.index("--data.labeler") < text.index("--trainer.devices")


def test_every_option_is_shown_where_it_is_asked_for(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--help-all"])
    assert stopped.value.code == 0
    assert "--trainer.gradient_clip_val" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["--data.shotss", "3"], "--data.shots"),
        (["--trainer.max_epoch=3"], "--trainer.max_epochs"),
        (["--run.nmae", "x"], "--run.name"),
        (["--confg", "x.yaml"], "--config"),
    ],
)
def test_a_mistyped_option_is_answered_with_the_closest(args, meant, capsys):
    assert main(["fit", *args]) == 2
    error = capsys.readouterr().err
    assert f"unrecognized arguments: {args[0]}" in error
    assert f"Did you mean {meant!r}?" in error


@pytest.mark.parametrize(
    "args",
    [
        ["--data.labeler.max_output_tokens", "3", "--model.head.n_ctx=4", "--model.lr", "1"],
        ["--trainer.callbacks+", "a.B", "--trainer.callbacks+=a.B", "--trainer.logger.project", "x"],
        ["--data.describe.images", "true", "--data.class_names", "--", "-1"],
        ["--data.candidates", "knn", "--data.candidates.help", "knn", "-c", "x.yaml", "--print_config=skip_default"],
    ],
)
def test_what_only_a_parser_can_judge_is_left_to_it(args):
    check_flags("fit", args)


def test_commands_without_such_options_judge_for_themselves():
    check_flags("evaluate", ["--no_such_thing"])
    with pytest.raises(FgvrError, match="fgvr label --help"):
        check_flags("label", ["--dryrun"])
    check_flags("label", ["--dry-run", "--batch", "--engine", "ray"])


def test_help_and_mistakes_need_no_torch(tmp_path):
    code = (
        "import sys; from fgvr.cli import main;"
        "main(['fit', '--help']); main(['fit', '--data.shotss', '1']); main(['report', '--help']);"
        "main(['report', 'no/such/run']); main(['show', 'losses', 'proden']); main(['--completion', 'zsh']);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, capsys):
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert "--data.labeler" in script
    assert "openai" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_an_unknown_shell(capsys):
    assert main(["--completion", "elvish"]) == 2
    assert "'elvish' is not a shell that can be served: bash" in capsys.readouterr().err


def test_a_summary_is_a_sentence():
    assert help_of("fit", COMMANDS["fit"]).splitlines()[2].startswith("Label what is missing")
