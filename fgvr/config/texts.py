"""YAML scalars that are to stay as they are written: ``no`` as a class name is ``no``, and not false."""

import json
from collections.abc import Iterator

import yaml

from fgvr.yaml_text import compose_yaml

TEXT_LISTS = frozenset(
    {"attributes", "class_names", "examples", "options", "others", "redirects_to", "templates", "without"}
)
"""Options that are lists of texts."""
TEXT_OPTIONS = TEXT_LISTS | {
    *("attribute", "question_key", "super_category"),
    *("api_key_env", "base_url", "cache_dir", "category", "config_dir", "day_starts_in", "device", "domain"),
    *("confusions", "encoder", "encoding", "equivalents", "file", "group_prompt", "image_column", "image_key"),
    *("image_prompt", "index", "init_words", "label_store", "layout", "manifest", "model", "name", "name_column"),
    *(
        "path",
        "pretrained",
        "prompt",
        "question",
        "reasoning_effort",
        "reply_key",
        "revision",
        "root",
        "run",
        "sentences",
    ),
    *("separator", "split_file", "text", "thinking_level", "truth", "unit", "version", "wordnet"),
}
"""Options that are a text, a path or a list of those, wherever fgvr has one of this name."""

_NULL = "tag:yaml.org,2002:null"
_NOT_OURS = "trainer"


def keep_texts(text: str, key: str = "") -> str:
    """YAML in which what is a text by its key is in quotes, so that any reader takes it for one.

    Only what is written without quotes, tag and anchor is changed. ``null`` stays the absence of a text, but is a text
    in a list.

    Args:
        text: YAML.
        key: The option that the whole is given for.

    Raises:
        yaml.YAMLError: It is not YAML.

    Example:
        >>> keep_texts("data: {class_names: [no, 1e3, Pug], shots: 010}")
        'data: {class_names: ["no", "1e3", "Pug"], shots: 010}'
        >>> keep_texts("[on, 12:30]", "model.templates")
        '["on", "12:30"]'
    """
    root = compose_yaml(text)
    if root is None:
        return text
    places: dict[int, tuple[int, str]] = {}
    for node in _texts(root, key, set()):
        start, end = node.start_mark.index, node.end_mark.index
        if text[start:end] and text[start] not in "&!":
            places[start] = end, node.value
    for start in sorted(places, reverse=True):
        end, value = places[start]
        text = f"{text[:start]}{json.dumps(value, ensure_ascii=False)}{text[end:]}"
    return text


def _texts(node: yaml.Node, key: str, seen: set[tuple[int, bool]]) -> Iterator[yaml.ScalarNode]:
    """Scalars without quotes below a key that is one of the texts."""
    is_text = key.removesuffix("+").rpartition(".")[2] in TEXT_OPTIONS
    if (id(node), is_text) in seen:  # an alias may stand inside what it is an alias of
        return
    seen.add((id(node), is_text))
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value.partition(".")[0] != _NOT_OURS:
                yield from _texts(value, name.value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if not isinstance(item, yaml.ScalarNode):
                yield from _texts(item, key, seen)
            elif is_text and not item.style:
                yield item
    elif isinstance(node, yaml.ScalarNode) and is_text and not node.style and node.tag != _NULL:
        yield node
