"""Finding a configuration file by its name."""

import difflib
from pathlib import Path

import yaml

import fgvr
from fgvr.errors import FgvrError
from fgvr.runs import check_run_config
from fgvr.yaml_text import load_yaml

_PACKAGE = Path(fgvr.__file__).parent


def shipped_folder() -> Path:
    """Folder of the configurations that come with fgvr: inside the wheel, or beside the package in a checkout."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def shipped_configs() -> list[str]:
    """Names of the configurations that come with fgvr, as ``--config`` takes them; sweeps last, and no bases."""
    folder = shipped_folder()
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml") if path.parent.name != "bases"]
    return sorted(names, key=lambda name: (name.count("/"), name))


def find_config(name: str) -> Path:
    """The file that ``--config name`` means: as given, else in ``./configs``, else among the shipped ones.

    Raises:
        FgvrError: There is none; the message has the closest name.
    """
    for folder in (Path(), Path("configs"), shipped_folder()):
        for candidate in (folder / name, folder / f"{name}.yaml"):
            if candidate.is_file():
                _check_syntax(candidate)
                return candidate
    there = [*shipped_configs(), *(path.name for path in Path("configs").glob("*.yaml"))]
    near = difflib.get_close_matches(Path(name).name, there, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise FgvrError(
        f"There is no configuration {name!r}, neither here, nor in ./configs, nor among those that come with fgvr."
        f"{hint} To see the latter: fgvr list configs"
    )


def _check_syntax(path: Path) -> None:
    """Refuse what is no YAML mapping here, where the file's name is known."""
    try:
        text = path.read_text(encoding="utf-8")
        check_run_config(path, text)
        content = load_yaml(text)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FgvrError(f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8.") from None
    except yaml.YAMLError as error:
        raise FgvrError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise FgvrError(f"{path} holds no keys; expected data, model and trainer, as in: fgvr show configs NAME")


def config_chain(path: Path) -> list[Path]:
    """The files that a configuration is made of: what it names as its ``base`` comes before itself.

    Args:
        path: A file that ``find_config`` found.

    Raises:
        FgvrError: A base cannot be found, or is based on itself.
    """
    chain = [path]
    while (base := load_yaml(chain[0].read_text(encoding="utf-8")).get("base")) is not None:
        if not isinstance(base, str):
            raise FgvrError(f"{chain[0]}: 'base' is {base!r}; expected the name of a configuration.")
        beside = chain[0].parent / base
        found = beside if beside.is_file() else find_config(base)
        if any(found.samefile(other) for other in chain):
            raise FgvrError(f"{chain[0]} is based on {base!r}, which is based on it: leave one of the two out.")
        _check_syntax(found)
        chain.insert(0, found)
    return chain


def expand_config_names(argv: list[str]) -> list[str]:
    """Replace the value of every ``--config`` (``-c``) by the files that it means, each after its base."""
    expanded: list[str] = []
    flag = ""
    for token in argv:
        if flag:
            expanded += [part for path in config_chain(find_config(token)) for part in (flag, str(path))]
            flag = ""
        elif token.startswith("--config="):
            chain = config_chain(find_config(token.removeprefix("--config=")))
            expanded += [f"--config={path}" for path in chain]
        elif token in ("--config", "-c"):
            flag = token
        else:
            expanded.append(token)
    return [*expanded, flag] if flag else expanded
