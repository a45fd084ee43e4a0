"""Messages and docstrings speak of keys and arguments, which are the same in Python, in YAML and when typed."""

import ast
import contextlib
import itertools
import re
from pathlib import Path

import lightning.pytorch  # noqa: F401 - its loggers keep the standard error of when they are made
import pytest
from PIL import Image

import fgvr
from fgvr.cli import COMMANDS, main

PACKAGE = Path(fgvr.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ("cli", "config")]
TYPED = re.compile(rf"(?<![\w-])--[a-z{{]|\bfgvr (?:(?:{'|'.join(COMMANDS)})\b|{{)|\bsame command\b")
# what is done in a shell alone may be named in backticks: these commands have no function in fgvr's Python interface,
# and the others are not fgvr's
SHELL = re.compile(r"`(?:fgvr (?:cased-index|data|discover|list|show|store)|hf download|pip install)\b[^`]*`")
ALLOWED = {
    # these read, make or explain the arguments of a process
    *("api.py: configure", "api.py: judge", "sweeps/compare.py: compared_args"),
    "sweeps/requirements.py: requirements_of",
    *("sweeps/grid.py: Grid.options", "sweeps/grid.py: read_grid", "sweeps/grid.py: parse_options"),
    *("sweeps/grid.py: as_tokens", "sweeps/launch.py: resume_args", "sweeps/launch.py: command_line"),
    *("sweeps/sweep.py: Sweep.fit_args", "sweeps/sweep.py: Sweep.asking_args"),
    *("sweeps/asking_plan.py: plan_asking", "sweeps/asking_plan.py: _with_compared"),
    # variables of a style sheet
    "reports/plots.py: ",
}


def texts(node, owner=""):
    """Owner, line and text of every string; an f-string is one text, with {} for what is put in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owner = f"{owner}.{node.name}".lstrip(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield owner, node.lineno, node.value
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        yield owner, node.lineno, "".join(parts)
        children = [part for part in node.values if isinstance(part, ast.FormattedValue)]
    for child in children:
        yield from texts(child, owner)


def test_messages_speak_of_keys():
    found = {}
    for path in FILES:
        for owner, line, text in texts(ast.parse(path.read_text())):
            if said := TYPED.search(SHELL.sub("", text)):
                place = f"{path.relative_to(PACKAGE).as_posix()}: {owner}"
                found.setdefault(place, []).append(f"{path}:{line}: {said[0]}")
    wrong = [line for place, lines in found.items() if place not in ALLOWED for line in lines]
    assert not wrong, "say it with keys and arguments, as in 'set data.shots to 2':\n" + "\n".join(wrong)
    assert set(found) == ALLOWED, "what is allowed and not there any more"


@pytest.mark.parametrize(
    "code",
    ['def f():\n    """As ``fgvr fit``."""', 'f"{x!r}: " "fgvr " "{x}"', "f'set --{x}'", "f'{\"--c\"}'", "'--a.b 1'"],
)
def test_flags_and_commands_are_found(code):
    assert any(TYPED.search(text) for _, _, text in texts(ast.parse(code)))
    assert not TYPED.search(
        SHELL.sub("", "the command `fgvr data verify dtd --root X`, fgvr from Python, a -- b, w--x")
    )


# numbers and the words for what is counted

COUNTED = (
    "photo|request|name|classe|failure|pair|row|description|epoch|run|variant|seed|batche|attempt|spelling|label|group|"
    "token|picture|image|file|prediction|processe"
)
PLURAL = re.compile(rf"^,? (?:of the )?(?:[a-z]+ )?(?:replies|(?:{COUNTED})s)\b")
FORMAT = re.compile(rf"%d (?:[a-z]+ )?(?:replies|(?:{COUNTED})s)\b")
NOT_ONE = {
    # always more than one, or any number in a question to a model, or a fraction
    *("backbones/base.py: check_lengths", "sweeps/result.py: caption", "labelers/tasks/names.py: NamesTask.__init__"),
    *("labelers/tasks/names.py: NamesTask.schema", "reports/sections/summary.py: Summary.tiles"),
    "labelers/hosts/hosted.py: HostedLabeler._cut_off",
    # what is put in is a word
    *(
        "cli/describe.py: _print_plan",
        "cli/discover.py: _no_model",
        "descriptions/describe.py: Descriptions._describer",
    ),
    *("descriptions/summary.py: DescriptionSummary.__str__", "labelers/asking/engine.py: _Session._day_over"),
    *("metrics/sentence_encoder.py: _refuse_foreign_modules", "relabelling/gate.py: judge"),
    "reports/sections/training.py: curve_plots",
    # defects of a plugin or of the program
    *("descriptions/describe.py: Descriptions._class_of_each", "records.py: CandidateSets.__post_init__"),
}


def numbers(node, owner=""):
    """Owner, line and text of every number that stands before a plural without ``counted``."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owner = f"{owner}.{node.name}".lstrip(".")
    if isinstance(node, ast.JoinedStr):
        for value, after in itertools.pairwise(node.values):
            if isinstance(after, ast.Constant) and PLURAL.match(after.value) and is_number(value):
                yield owner, node.lineno, f"{ast.unparse(value.value)}{after.value}"
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and (said := FORMAT.search(node.value)):
        yield owner, node.lineno, said[0]
    for child in ast.iter_child_nodes(node):
        yield from numbers(child, owner)


def is_number(value):
    """Whether what is put in may be a number: no call of a helper, no text."""
    if not isinstance(value, ast.FormattedValue):
        return False
    name = ast.unparse(value.value)
    return value.conversion == -1 and not name.startswith(("counted(", "none_of(", "verb(", "', '.join", "visible("))


def test_numbers_stand_before_words_that_go_with_them():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] != "testing":
            for owner, line, text in numbers(ast.parse(path.read_text())):
                found.setdefault(f"{path.relative_to(PACKAGE).as_posix()}: {owner}", []).append(
                    f"{path}:{line}: {text}"
                )
    wrong = [line for place, lines in found.items() if place not in NOT_ONE for line in lines]
    assert not wrong, "say it with counted() or none_of() of fgvr.text:\n" + "\n".join(wrong)
    assert set(found) == NOT_ONE, "what is allowed and not there any more"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("f'{n} photos'", 1),
        ("f'None of the {len(a)} support photos has one'", 1),
        ("f'{a} of {b:,} requests are missing'", 1),
        ("log.info('%d replies are stored', n)", 1),
        ("f'{n} classes, {m} batches'", 2),
        ("f\"{counted(n, 'photo')} of the file\"", 0),
        ("f'{name!r} photos'", 0),
        ("f'{n} of them'", 0),
    ],
)
def test_numbers_before_plurals_are_found(code, found):
    assert len(list(numbers(ast.parse(code)))) == found


# registry names, and not our classes

PLUGINS = re.compile(
    r"type\((?:[\w.]+ or |\w+\.)*_?(?:labeler|chooser|backbone|method|learner|head|select|strategy)\)\.__name__"
)


def test_plugins_are_called_as_they_are_typed():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and (said := PLUGINS.search(ast.unparse(node))):
                wrong.append(f"{path}:{node.lineno}: {said[0]}")
    wrong = [line for line in wrong if not line.startswith(tuple(f"{PACKAGE / place}:" for place in NO_NAME))]
    assert not wrong, "say it with short_name() of the registry:\n" + "\n".join(wrong)


# the message is that it is no plugin; what its author tests
NO_NAME = ("data/datamodule.py", "testing")


# what is said of one photo

ODD = re.compile(
    rf"\b1 (?:[a-z]+ )?(?:replies|(?:{COUNTED})s)\b|\bof the 1\b|[\w)'\"]\.\.(?:\s|$)"
    r"|\b[A-Z]\w+(?:Labeler|Backbone|Method)\b|Traceback|init_args"
)
FIT = [
    *["--data.dataset", "folder", "--data.dataset.root", "photos", "--model", "zero_shot"],
    *["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"],
]

EVALUATE = ["evaluate", "--encoder", "[]", "--predictions", "predictions.csv", "--truth"]


@pytest.fixture
def one_photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16), "red").save("photos/a.png")
    Path("names.csv").write_text("file,name\na.png,Pug\n")
    Path("other.csv").write_text("file,name\nb.png,Pug\n")
    Path("empty.csv").write_text("file,name\na.png,\n")
    Path("refusals.jsonl").write_text('{"image": "a.png", "raw": "I cannot help with that."}\n')
    Path("truth.csv").write_text("sample_id,true_name\na.png,Pug\n")
    Path("predictions.csv").write_text("sample_id,name\na.png,Pug\n")


def fixed(file):
    return ["--data.labeler", "fixed", "--data.labeler.path", file]


@pytest.mark.parametrize(
    "commands",
    [
        [["label", *FIT, *fixed("names.csv"), "--dry-run"], ["label", *FIT, *fixed("names.csv")], ["store", "stats"]],
        [["fit", *FIT, *fixed("names.csv")], ["store", "review", "review.csv"], ["store", "export", "replies.csv"]],
        [["fit", *FIT, *fixed("other.csv")], ["label", *FIT, *fixed("empty.csv")], ["fit", *FIT, *fixed("empty.csv")]],
        [["fit", *FIT, "--data.labeler", "recorded", "--data.labeler.path", "refusals.jsonl"], ["store", "show"]],
        [["fit", *FIT, "--data.labeler", "openai", "--data.labeler.base_url", "http://127.0.0.1:9/v1"]],
        [["label", *FIT, *fixed("names.csv"), "--batch"]],
        [[*EVALUATE, "truth.csv"], [*EVALUATE, "none.csv"]],
    ],
    ids=lambda commands: "-".join(command[0] for command in commands),
)
def test_what_is_said_of_one_photo(one_photo, capsys, caplog, commands):
    for command in commands:
        main(command)
    said = "\n".join([*capsys.readouterr(), *(record.getMessage() for record in caplog.records)])
    assert said.strip()
    odd = [line for line in said.splitlines() if ODD.search(line)]
    assert not odd, "\n".join(odd)


@pytest.mark.parametrize(
    "line",
    ["1 photos, 1 request", "None of the 1 photos", "no such file.. Mend it", "a reply of OpenAILabeler", "1 replies"],
)
def test_odd_lines_are_found(line):
    assert ODD.search(line)
    assert not ODD.search("1 photo, 11 requests, 21 replies ... and v1.0, ../shared")


def test_the_help_says_which_command_asks(capsys):
    for command, part in (("label", "Ask the labeler about"), ("store", "nobody is asked")):
        with contextlib.suppress(SystemExit):
            main([command, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert part in said
        assert {"label": "fgvr store", "store": "fgvr label"}[command] in said
