import pytest

from fgvr.config.files import expand_config_names, find_config, shipped_configs, shipped_folder
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


@pytest.mark.parametrize(("text", "message"), [("data: [", "broken.yaml is not YAML"), ("- 1", "holds no keys")])
def test_a_broken_file_is_named(here, text, message):
    (here / "broken.yaml").write_text(text)
    with pytest.raises(FgvrError, match=message):
        find_config("broken.yaml")
