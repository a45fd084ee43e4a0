from pathlib import Path

import pytest

from fgvr.config.files import config_chain, expand_config_names, find_config, shipped_configs, shipped_folder
from fgvr.errors import FgvrError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_order_of_places(here):
    name = shipped_configs()[0]
    assert find_config(name) == shipped_folder() / name
    (here / "configs").mkdir()
    (here / "configs" / name).write_text("data: {}")
    assert find_config(name).resolve() == here / "configs" / name
    (here / name).write_text("data: {}")
    assert find_config(name).resolve() == here / name
    assert find_config(name.removesuffix(".yaml")).resolve() == here / name


def test_every_way_to_write_the_option(here):
    (here / "a.yaml").write_text("data: {}")
    given = ["--config", "a", "-c", "a.yaml", "--config=a", "--x", "a"]
    assert expand_config_names(given) == ["--config", "a.yaml", "-c", "a.yaml", "--config=a.yaml", "--x", "a"]


def test_a_typo_gets_the_closest_name(here):
    with pytest.raises(FgvrError, match=r"Did you mean 'dogs120_recorded\.yaml'\?.*fgvr list configs"):
        find_config("dogs120_recorded.yml")


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 2), ("cp1252", 2), ("mac-roman", 2), ("utf-16", 1)])
def test_a_configuration_of_another_encoding_says_where(tmp_path, encoding, line):
    path = tmp_path / "mine.yaml"
    path.write_bytes("data:\n  class_names: [Héron]\n".encode(encoding))
    with pytest.raises(FgvrError, match=rf"mine\.yaml, line {line}: not UTF-8 text .*; save the file as UTF-8\.$"):
        find_config(str(path))


@pytest.mark.parametrize(("text", "message"), [("data: [", "broken.yaml is not YAML"), ("- 1", "holds no keys")])
def test_a_broken_file_is_named(here, text, message):
    (here / "broken.yaml").write_text(text)
    with pytest.raises(FgvrError, match=message):
        find_config("broken.yaml")


def test_a_base_stands_before_what_is_based_on_it(here):
    (here / "more").mkdir()
    (here / "more" / "deep.yaml").write_text("data: {shots: 1}")
    (here / "more" / "base.yaml").write_text("base: deep.yaml")
    (here / "own.yaml").write_text("base: more/base.yaml\ndata: {shots: 2}")
    files = ["more/deep.yaml", "more/base.yaml", "own.yaml"]
    assert expand_config_names(["--config", "own", "--x"]) == [
        *(part for file in files for part in ("--config", file)),
        "--x",
    ]
    assert expand_config_names(["--config=own.yaml"]) == [f"--config={file}" for file in files]
    assert expand_config_names(["--config"]) == ["--config"], "which the parser refuses"


@pytest.mark.parametrize(
    ("base", "message"),
    [("own.yaml", "is based on 'own.yaml', which is based on it"), ("none", "no configuration 'none'"), ("3", "is 3")],
)
def test_a_base_that_cannot_be(here, base, message):
    (here / "own.yaml").write_text(f"base: {base}")
    with pytest.raises(FgvrError, match=message):
        expand_config_names(["--config", "own.yaml"])


def test_bases_are_not_listed_and_every_base_is_used():
    bases = {path.name for path in (shipped_folder() / "bases").glob("*.yaml")}
    assert bases.isdisjoint(Path(name).name for name in shipped_configs())
    used = {path.name for name in shipped_configs() for path in config_chain(shipped_folder() / name)[:-1]}
    assert bases <= used
