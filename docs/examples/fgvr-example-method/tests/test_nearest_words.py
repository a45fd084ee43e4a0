from functools import partial

import pytest
from fgvr.errors import FgvrError
from fgvr.testing.methods import check_method
from fgvr.testing.tiny import TinyBackbone

from fgvr_example_method.nearest_words import NearestWordsMethod


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("finch\n\njay\nparakeet\nfinch\ncanary\n")
    return path


def test_it_fulfils_the_contract(words):
    check_method(partial(NearestWordsMethod, words=words))


def test_more_words_a_photo_than_there_are(words):
    check_method(partial(NearestWordsMethod, words=words, per_photo=9))


def test_a_list_without_words(words):
    words.write_text("\n \n")
    method = NearestWordsMethod(TinyBackbone(), words)
    with pytest.raises(FgvrError, match="has no word"):
        method.discover(None)


def test_no_words_wanted(words):
    with pytest.raises(FgvrError, match="model.per_photo is 0"):
        NearestWordsMethod(TinyBackbone(), words, per_photo=0)
