import json
from pathlib import Path

import pytest

import fgvr
from fgvr.reading.plain import decoded, plain
from fgvr.reading.replies import parse_reply
from fgvr.reading.structures import STRUCTURES
from fgvr.reading.texts import TEXTS
from fgvr.reading.words import lines_of, pattern_of
from fgvr.vocabulary.build import fold_name

WORDS = sorted(path.stem for path in Path(fgvr.__file__).parent.glob("reading/words/*.txt"))
INVENTED = Path(__file__).parent / "invented"
EXAMPLES = [(kind, raw, name) for kind in (*STRUCTURES, *TEXTS) for raw, name in kind.examples]


@pytest.mark.parametrize("kind", [*STRUCTURES, *TEXTS], ids=lambda kind: type(kind).__name__)
def test_a_kind_has_examples(kind):
    assert len(kind.examples) >= 4
    assert type(kind).__doc__


@pytest.mark.parametrize(
    ("kind", "raw", "name"), EXAMPLES, ids=[f"{type(k).__name__}-{raw[:30]}" for k, raw, _ in EXAMPLES]
)
def test_examples_are_read(kind, raw, name):
    assert parse_reply(raw).names[:1] == ((name,) if name else ())


def test_most_examples_are_read_by_their_own_kind():
    for kind in (*STRUCTURES, *TEXTS):
        own = [
            kind.read(decoded(raw) if kind in STRUCTURES else plain(decoded(raw))) is not None
            for raw, _ in kind.examples
        ]
        assert sum(own) >= len(own) / 2, type(kind).__name__


@pytest.mark.parametrize("name", WORDS)
def test_files_of_words(name):
    lines = lines_of(name)
    assert len(lines) == len(set(lines))
    if name in ("errors", "refusals", "sentence_words"):
        assert not pattern_of(name).search("House Finch")


@pytest.mark.parametrize(
    "line", (INVENTED / "building.jsonl").read_text(encoding="utf-8").splitlines(), ids=lambda line: line[8:12]
)
def test_invented_replies(line):
    row = json.loads(line)
    parsed = parse_reply(row["raw"])
    assert [fold_name(name) for name in parsed.names[:1]] == [fold_name(name) for name in row["names"][:1]]
