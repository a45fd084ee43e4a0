import pytest

from fgvr.config.cli import FgvrCLI
from fgvr.errors import FgvrError

BASE = ["--data.dataset", "fieldguide", "--model=zero_shot", "--model.backbone=lite"]
OPENAI = ["--data.labeler=openai", "--data.labeler.model=x"]
NAME = [*OPENAI, "--data.labeler.task=name"]
CASCADE = [
    "--data.labeler=cascade",
    "--data.labeler.first=openai",
    "--data.labeler.first.model=x",
    "--data.labeler.fallback=fieldguide",
]


def read(*args):
    return FgvrCLI("fit", [*BASE, *args]).config


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ([*NAME, "--data.labeler.task.structured", "null"], "labeler.init_args.task.init_args.structured"),
        ([*NAME, "--data.labeler.task.category=null"], "labeler.init_args.task.init_args.category"),
        (
            [*OPENAI, "--data.labeler.task=choose", "--data.labeler.task.options", "null"],
            "labeler.init_args.task.init_args.options",
        ),
        ([*CASCADE, "--data.labeler.first.prompt", "null"], "labeler.init_args.first.init_args.prompt"),
        ([*CASCADE, "--data.labeler.first.temperature=null"], "labeler.init_args.first.init_args.temperature"),
        (["--data.candidates=knn", "--data.candidates.backbone=null"], "candidates.init_args.backbone"),
    ],
)
def test_null_is_nothing_at_every_depth(options, key):
    assert f"data.{key}" in (config := read(*options))
    assert config[f"data.{key}"] is None


def test_lists_reach_a_class_inside_a_class_as_they_are():
    task = [*OPENAI, "--data.labeler.task=choose", "--data.labeler.task.options", '["It\'s a \\"Pug\\"", "Boxer"]']
    assert read(*task).data.labeler.init_args.task.init_args.options == ['It\'s a "Pug"', "Boxer"]


@pytest.mark.parametrize("template", ["a photo of a {}.", "{} in the wild", "no {}", "a photo: {}"])
def test_one_template_may_be_given_alone(template, tmp_path):
    assert read("--model.templates", template).model.init_args.templates in (template, [template])
    path = tmp_path / "one.yaml"
    path.write_text(f"model: {{class_path: zero_shot, init_args: {{backbone: lite, templates: '{template}'}}}}\n")
    assert FgvrCLI("fit", ["--data.dataset=fieldguide", "--config", str(path)]).build().method.templates == [template]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model=latteclip", "--model.texts", "class"],
            "model.texts is 'class'; expected a list, such as [\"class\"].",
        ),
        (["--model=latteclip", "--model.betas", "0.9"], "model.betas is '0.9'; expected a list, such as [0.9]."),
        (["--data.labeler=vote", "--data.labeler.weights", "2"], "weights is '2'; expected a list, such as [2]."),
        (
            ["--data.candidates=union", "--data.candidates.strategies=knn"],
            'expected a list, such as ["fgvr.candidates.knn',
        ),
        (
            ["--model=latteclip", "--model.texts", "[class, 5]"],
            "model.texts is '5'; expected one of class, image, group.",
        ),
        (["--data.candidates.k", "3"], "is an option of what is given with --data.candidates NAME; give that first."),
    ],
)
def test_a_value_alone_where_a_list_is_needed(options, message):
    with pytest.raises(FgvrError) as caught:
        read(*options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {class_path: latteclip, init_args: {backbone: lite, texts: class}}",
            "model.texts is 'class'; expected a list, such as [\"class\"].",
        ),
        ("data: {class_names: {a: 1}}", "expected one of labels, dataset or a list."),
        ("data: {class_names: [a, {b: 1}]}", "expected a text, in quotes."),
        ("data: {class_names: [a, , b]}", "is not YAML: while parsing a flow node"),
    ],
)
def test_the_same_of_a_file(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(FgvrError) as caught:
        read("--config", str(path))
    assert message in str(caught.value).splitlines()[0]


@pytest.mark.parametrize("key", ["trainer", "data", "run", "checkpoint"])
@pytest.mark.parametrize("value", ["1.5", "[1]", "text"])
def test_a_value_in_the_place_of_a_group_is_refused(tmp_path, key, value):
    path = tmp_path / "odd.yaml"
    path.write_text(f"{key}: {value}\n")
    with pytest.raises(FgvrError, match=key):
        read("--config", str(path))
