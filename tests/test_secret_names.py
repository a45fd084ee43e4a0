"""One rule for what a secret is called; an option of such a name is taken from nobody."""

from pathlib import Path

import pytest
import yaml

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.secret_names import is_secret_name, secrets_in

SECRET = "sk-5ecre7-0123456789"
MODULE = """
from fgvr.labelers.fixed import FixedLabeler

class PaidLabeler(FixedLabeler):
    def __init__(self, api_key: str | None = None, pin_token: int = 3, max_tokens: int = 5):
        super().__init__("Pug")
        self.api_key, self.pin_token, self.max_tokens = api_key, pin_token, max_tokens
"""


@pytest.mark.parametrize(
    "name",
    [
        *(
            "api_key",
            "API_KEY",
            "apiKey",
            "apikey",
            "x-api-key",
            "openai_api_key",
            "secret_key",
            "aws_secret_access_key",
        ),
        *("token", "hf_token", "access_token", "X-Auth-Token", "password", "dbPassword", "client_secret", "passphrase"),
        *("Authorization", "credentials", "data.labeler.api_key"),
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "key",
            "keys",
            "keyword",
            "reply_key",
            "image_key",
            "sort_key",
            "monkey",
            "tokenizer",
            "max_tokens",
            "tokens",
        ),
        *("pad_token", "image_token", "api_key_env", "token_file", "secretary", "passwords_file", "", "password.hint"),
    ],
)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


def test_what_holds_nothing_is_no_secret():
    config = {"api_key": None, "token": "", "use": {"hf_token": True}, "headers": [{"Authorization": "Bearer x"}]}
    assert list(secrets_in(config)) == ["headers.Authorization"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    Path("paid_module.py").write_text(MODULE)
    return tmp_path


def files_with_the_secret():
    return [path for path in Path().rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


LABELER = {"class_path": "paid_module.PaidLabeler", "init_args": {"api_key": SECRET}}


@pytest.mark.parametrize(
    ("config", "options", "key"),
    [
        ({"data": {"labeler": LABELER}}, [], "data.labeler.api_key"),
        ({"data": {"labeler": "paid_module.PaidLabeler"}}, ["--data.labeler.api_key", SECRET], "data.labeler.api_key"),
        (
            {"data": {"labeler": "paid_module.PaidLabeler"}},
            [f"--data.labeler.api_key={SECRET}"],
            "data.labeler.api_key",
        ),
        ({"compare": {"a": {"data.labeler.api_key": SECRET}}}, [], "compare.a.data.labeler.api_key"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "label"])
def test_a_secret_is_not_taken_and_nothing_is_written(folder, capsys, config, options, key, command):
    config = {**config, "data": {"dataset": "fieldguide", **config.get("data", {})}}
    Path("mine.yaml").write_text(yaml.safe_dump(config))
    assert main([command, "--config", "mine.yaml", *options]) == 2
    out, err = capsys.readouterr()
    assert f"{key} is a secret by its name" in err
    assert "environment variable" in err
    assert SECRET not in out + err
    Path("mine.yaml").unlink()
    assert not files_with_the_secret()
    assert not Path("runs").exists()


def test_a_secret_is_not_taken_from_python_or_the_environment(folder, monkeypatch):
    from paid_module import PaidLabeler

    with pytest.raises(FgvrError, match=r"data\.labeler\.api_key is a secret"):
        fgvr.configure(dataset="fieldguide", labeler=PaidLabeler(SECRET))
    free = fgvr.configure(dataset="fieldguide", labeler=PaidLabeler())
    assert free.data.labeler.max_tokens == 5
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("PL_DATA__LABELER", yaml.safe_dump(LABELER))
    with pytest.raises(FgvrError, match=r"data\.labeler\.api_key is a secret"):
        fgvr.configure(dataset="fieldguide")


def test_a_wrong_secret_is_not_repeated(folder, capsys):
    Path("mine.yaml").write_text(
        yaml.safe_dump(
            {"data": {"dataset": "fieldguide", "labeler": {**LABELER, "init_args": {"api_key": [SECRET, SECRET]}}}}
        )
    )
    assert main(["fit", "--config", "mine.yaml"]) == 2
    assert SECRET not in capsys.readouterr().err
