import pytest
import yaml

from fgvr.errors import FgvrError
from fgvr.sweeps.grid import parse_options, read_grid


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a sweep's file, the given keys instead of these."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("data: {}")

    def write(**keys):
        content = {"base": "base.yaml", "seeds": [0, 1], "vary": {"data.candidates": ["random", "knn"]}, **keys}
        content = {key: value for key, value in content.items() if value is not ...}
        (tmp_path / "grid.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return tmp_path / "grid.yaml"

    return write


def test_the_grid_is_the_product_of_what_is_varied(write, tmp_path):
    vary = {"data.candidates": ["random", "knn"], "m": {1: {"data.shots": 1}, 2: {"data.shots": 2}}}
    grid = read_grid(write(vary=vary, set={"data.direct": False}))
    assert grid.base == tmp_path / "base.yaml"
    assert grid.seeds == (0, 1)
    assert grid.columns == ("candidates", "m")
    assert [variant.slug for variant in grid.variants] == ["random-m1", "random-m2", "knn-m1", "knn-m2"]
    assert grid.variants[1].values == {"candidates": "random", "m": 2}
    assert grid.variants[1].tokens == ["--data.direct=false", "--data.candidates=random", "--data.shots=2"]


def test_a_class_stands_before_its_options_wherever_they_are_given(write):
    vary = {"data.candidates.k": [1, 2], "data.candidates": ["knn", "random"]}
    grid = read_grid(write(vary=vary), ["--model.head.n_ctx", "4", "--model=coop"])
    assert grid.columns == ("k", "candidates")
    assert grid.variants[0].tokens == [
        *("--model=coop", "--data.candidates=knn", "--data.candidates.k=1", "--model.head.n_ctx=4")
    ]


def test_values_become_what_the_command_line_takes(write):
    options = {"a": None, "b": True, "c": [1, "x"], "d": {"e": 0.5}, "f": "text", "g": 1e-05}
    grid = read_grid(write(set=options))
    assert grid.variants[0].tokens[:6] == [
        *("--a=null", "--b=true", '--c=[1, "x"]', '--d={"e": 0.5}', "--f=text", "--g=1e-05")
    ]


def test_options_that_are_seeded_take_the_seed_after_the_class_that_they_belong_to(write):
    grid = read_grid(write(seeded=["data.labeler.seed"], set={"data.labeler": "fieldguide"}))
    assert grid.options(grid.variants[0], 7) == [
        *("--data.labeler=fieldguide", "--data.candidates=random", "--data.labeler.seed=7", "--seed_everything=7")
    ]
    with pytest.raises(FgvrError, match=r"'seeded' gives 'data.candidates' the seed, but it has a value of its own"):
        read_grid(write(seeded=["data.candidates"]))
    with pytest.raises(FgvrError, match=r"'seeded' is 'data.shots'; expected a list of options"):
        read_grid(write(seeded="data.shots"))
    for wrong in (
        {"data.labeler.path": "names.csv"},
        {"data.shots": 3},
        [1],
        [{"data.labeler.path": "names_{seed}.csv"}],
    ):
        with pytest.raises(FgvrError, match=r"'seeded' is .*\{seed\} stands for the seed"):
            read_grid(write(seeded=wrong))


def test_an_option_may_name_a_file_for_each_seed(write):
    grid = read_grid(write(seeded={"data.labeler.path": "draws/{seed}/names.csv"}))
    assert "--data.labeler.path=draws/7/names.csv" in grid.options(grid.variants[0], 7)


def test_the_command_line_wins_over_the_file(write):
    grid = read_grid(write(set={"trainer.max_epochs": 5}), ["--trainer.max_epochs", "1", "--trainer.callbacks+=A"])
    assert grid.variants[0].tokens == ["--trainer.max_epochs=1", "--data.candidates=random", "--trainer.callbacks+=A"]
    with pytest.raises(FgvrError, match=r"'random' and 'knn' have the same options\. An option given beside the file"):
        read_grid(write(), ["--data.candidates", "knn"])


def test_columns_keep_their_whole_key_where_the_last_part_is_not_clear(write):
    vary = {"data.seed": [1], "data.candidates": ["knn"], "x.candidates": ["knn"]}
    assert read_grid(write(vary=vary)).columns == ("data.seed", "candidates", "x.candidates")
    vary = {"model.cacc": [1], "data.size": [1], "size": {"small": {"data.shots": 1}}}
    assert read_grid(write(vary=vary)).columns == ("model.cacc", "data.size", "size")


@pytest.mark.parametrize("name", ["seed", "row", "run", "classes", "cacc", "label_seconds"])
def test_what_is_varied_is_not_called_like_a_column_of_the_result(write, name):
    with pytest.raises(FgvrError, match=f"'{name}' of 'vary' is a column of the result already"):
        read_grid(write(vary={name: {"few": {"data.shots": 1}, "many": {"data.shots": 2}}}))


def test_slugs_are_file_names_and_each_its_own(write):
    values = ["a/b", "a b", "../..", "", "x" * 300, "é", [1, 2], None]
    slugs = [variant.slug for variant in read_grid(write(vary={"model.templates": values})).variants]
    assert len(set(slugs)) == len(values)
    assert all(slug.isascii() and "/" not in slug and not slug.startswith(".") and len(slug) < 100 for slug in slugs)
    assert slugs[0] == "a_b"
    assert slugs[1].startswith("a_b-")


def test_files_lie_over_the_base_before_options(write, tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yaml").write_text("data: {}")
    varied = {"labeler": {"a": {"data.shots": 2, "config": "one.yaml"}, "b": {"config": "two.yaml"}}}
    path = write(vary=varied, set={"compare": None, "config": "three.yaml"})
    grid = read_grid(path)
    first, second = grid.variants
    assert first.tokens == ["--config=three.yaml", "--config=one.yaml", "--compare=null", "--data.shots=2"]
    assert second.tokens == ["--config=three.yaml", "--config=two.yaml", "--compare=null"]
    before = grid.base_digest()
    (tmp_path / "two.yaml").write_text("data: {shots: 1}")
    assert read_grid(path).base_digest() != before, "a run of before is of another text"


def test_a_base_beside_the_file_is_taken_first(write, tmp_path):
    (tmp_path / "sweeps").mkdir()
    path = write().rename(tmp_path / "sweeps/grid.yaml")
    assert read_grid(path).base.resolve() == tmp_path / "base.yaml"
    (tmp_path / "sweeps/base.yaml").write_text("data: {}")
    assert read_grid(path).base == tmp_path / "sweeps/base.yaml"
    before = read_grid(path).base_digest()
    (tmp_path / "sweeps/base.yaml").write_text("data: {x: 1}")
    assert read_grid(path).base_digest() != before


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"varry": {}}, "'varry' is not a key of a sweep; .* Did you mean 'vary'"),
        ({"data": {}}, "is the configuration of one run, not of a sweep: give it to fit\\."),
        ({"vary": ...}, "has no 'vary'"),
        ({"base": ...}, "has no 'base'"),
        ({"base": "bace.yaml"}, "There is no configuration 'bace.yaml'"),
        ({"base": 3}, "'base' is 3"),
        ({"vary": {}}, "'vary' is {}"),
        ({"vary": {"data.shots": []}}, "'data.shots' of 'vary' is \\[\\]"),
        ({"vary": {"data.shots": 3}}, "'data.shots' of 'vary' is 3"),
        ({"vary": {"m": {"1": 1}}}, "'1' is 1; expected options"),
        ({"vary": {"data.shots": [1, 1]}}, "has the value 1 twice"),
        ({"vary": {"m": {"a": {"data.shots": 1}, "b": {"data.shots": 1}}}}, "two names for the same options"),
        ({"seeds": []}, "'seeds' is \\[\\]"),
        ({"seeds": 3}, "'seeds' is 3"),
        ({"seeds": [0, True]}, "'seeds' is \\[0, True\\]"),
        ({"seeds": [1, 1]}, "a seed is there twice"),
        ({"set": {"seed_everything": 1}}, "'seed_everything' cannot be given here; give the list 'seeds'"),
        ({"set": [1]}, "'set' is \\[1\\]"),
        ({"vary": {"run.name": ["a"]}}, "'run.name' cannot be given here; give root and name to the sweep"),
        ({"set": {"x": float("nan")}}, "nan cannot be given to fit"),
    ],
)
def test_mistakes_are_named(write, keys, message):
    with pytest.raises(FgvrError, match=message):
        read_grid(write(**keys))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["--data.shots"], "--data.shots has no value"),
        (["--data.shots", "--model", "coop"], "--data.shots has no value"),
        (["shots"], "'shots' follows no option"),
        (["--ckpt_path", "x"], "runs that have a checkpoint go on by themselves"),
    ],
)
def test_mistakes_on_the_command_line_are_named(tokens, message):
    with pytest.raises(FgvrError, match=message):
        parse_options(tokens)
