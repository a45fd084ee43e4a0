import pytest

from fgvr.records import Join
from fgvr.registry import VOCABULARIES
from fgvr.testing.vocabulary import check_vocabulary
from fgvr.vocabulary.spelling import SpellingVocabulary


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_contract_is_kept(name):
    check_vocabulary(VOCABULARIES.load(name))


class Broken(SpellingVocabulary):
    def __init__(self, joins):
        self.joins = joins


@pytest.mark.parametrize(
    ("joins", "message"),
    [
        (lambda vocabulary, given: [Join("Pug", "Pug", "test", "why")], "with itself"),
        (lambda vocabulary, given: [Join("Pug", "BMW M5", "test", "")], "or why"),
        (
            lambda vocabulary, given: [Join("Pug", "BMW M5", "test", "why")] if given.labels[0].names else [],
            "joined again|order|one class",
        ),
        (lambda vocabulary, given: given.labels.reverse() or [], "changed what it was given"),
        (
            lambda vocabulary, given: [Join(vocabulary.names[-1], vocabulary.names[0], "test", "why")],
            "joined again|with itself",
        ),
    ],
)
def test_a_strategy_that_breaks_it_is_caught(joins, message):
    with pytest.raises(AssertionError, match=message):
        check_vocabulary(lambda: Broken(joins))
