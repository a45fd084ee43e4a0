"""Words of captions, against slow references written from the descriptions of CaSED's steps."""

import random
import re

import numpy as np
import pytest
import torch
from tiny.wordnet import write_wordnet
from torch.nn import functional as F

from fgvr.captions.singular import singular
from fgvr.captions.words import WordnetWords, candidate_words, cleaned, distinct
from fgvr.errors import FgvrError

DROPPED = "image|photo|picture|thumbnail|logo|symbol|clipart|portrait|painting|illustration|icon|profile"


def slowly_cleaned(text):
    """Each step over the whole text, as the public code does it."""
    text = re.sub(r"<[^>]+>", "", text)
    text = re.sub(r"http\S+", "", text)
    text = re.sub(r"[^\w\s\-\.\'\&]", "", text)
    text = re.sub(r"\.\w+", "", text)
    text = re.sub(r"[_\-]", " ", text)
    text = " ".join(word for word in text.split() if len(word) >= 3)
    text = re.sub(r"[^a-zA-Z\s]", "", text).lower()
    text = " ".join(singular(word) for word in text.split())
    return re.sub(rf"\b(?:{DROPPED})\b", "", text, flags=re.IGNORECASE).split()


def slow_candidates(captions, keeps, least):
    words = slowly_cleaned(" ".join(captions))
    counts = {word: words.count(word) for word in words}
    least = min([least, *([max(counts.values())] if counts else [])])
    found = []
    for word in words:
        if counts[word] >= least and keeps(word) and word not in found:
            found.append(word)
    return tuple(found)


def made_up(random, words):
    pieces = [
        *words,
        "<b>",
        "http://a.org/x",
        "IMG_2.jpg",
        "red-eyed",
        "Photos",
        "é",
        "it's",
        "R&B",
        "a",
        "\t",
        "2nd",
        "x.y",
    ]
    return " ".join(random.choice(pieces) for _ in range(random.randrange(12)))


WORDS = ("finch", "Finches", "bird", "birds", "wolves", "the", "of", "buses", "glass", "berries")


def test_words_of_made_up_captions_are_those_of_the_reference():
    draw = random.Random(0)
    for _ in range(300):
        captions = [made_up(draw, WORDS) for _ in range(draw.randrange(6))]
        assert [cleaned(each) for each in captions] == [slowly_cleaned(each) for each in captions]
        for least in (1, 2, 3):
            found = candidate_words(captions, lambda word: word not in ("the", "bird"), least)
            assert found == slow_candidates(captions, lambda word: word not in ("the", "bird"), least)


def test_the_threshold_falls_to_the_commonest_word():
    assert candidate_words(["a finch, a jay"], lambda word: True) == ("finch", "jay")
    assert candidate_words(["a finch, a jay", "the jay"], lambda word: True) == ("jay",)
    assert candidate_words(["the jay", "the jay"], lambda word: word == "jay") == ("jay",)


@pytest.mark.parametrize("captions", [[], [""], ["photo of an image"], ["1 2 3 ..."], ["<all of it>"]])
def test_captions_without_words(captions):
    assert candidate_words(captions, lambda word: True) == ()


def test_captions_without_a_kept_word():
    assert candidate_words(["a finch", "a finch"], lambda word: False) == ()


def test_a_token_ends_in_its_own_caption():
    captions = ["a < finch", "a finch > b"]
    assert candidate_words(captions, lambda word: True) == ("finch",)
    assert {word for caption in captions for word in cleaned(caption)} == {"finch"}


@pytest.mark.parametrize(
    ("word", "one"),
    [
        *(("finches", "finch"), ("boxes", "box"), ("glasses", "glass"), ("wolves", "wolf"), ("knives", "knife")),
        *(("olives", "olive"), ("gloves", "glove"), ("leaves", "leaf"), ("houses", "house"), ("buses", "bus")),
        *(("irises", "iris"), ("horses", "horse"), ("moustaches", "moustache"), ("beaches", "beach"), ("news", "news")),
        *(("species", "species"), ("grass", "grass"), ("cactus", "cactus"), ("berries", "berries"), ("bird", "bird")),
        *(("analyses", "analysis"), ("possesses", "possess"), ("was", "wa"), ("biceps", "biceps"), ("causes", "cause")),
    ],
)
def test_singulars(word, one):
    assert singular(word) == one


def slowly_distinct(features, threshold):
    """Components by a search from each row that nobody has reached yet."""
    stays, seen = [False] * len(features), set()
    for row in range(len(features)):
        if row in seen:
            continue
        stays[row], waiting = True, {row}
        while waiting:
            at = waiting.pop()
            seen.add(at)
            waiting |= {each for each in range(len(features)) if features[at] @ features[each] >= threshold} - seen
    return stays


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.94])
def test_near_captions_are_joined_as_by_the_reference(threshold):
    torch.manual_seed(0)
    features = F.normalize(torch.randn(20, 12, 6) + 0.5, dim=-1)
    found = distinct(features, threshold)
    assert found.tolist() == [slowly_distinct(each, threshold) for each in features]
    assert torch.equal(found[3], distinct(features[3], threshold))
    assert found.any(1).all()


def test_a_chain_is_one_component():
    angles = np.deg2rad([40, 0, 10, 20, 30])
    features = torch.tensor(np.stack([np.cos(angles), np.sin(angles)], 1))
    assert distinct(features).tolist() == [True, False, False, False, False]
    assert distinct(features[:1]).tolist() == [True]


@pytest.fixture
def wordnet(tmp_path):
    folder = write_wordnet(tmp_path / "wordnet")
    for name, words in {
        "index.adj": ["small", "fine", "blue_green"],
        "index.verb": ["fly", "nest"],
        "noun.exc": ["geese goose"],
        "adj.exc": ["better good"],
        "verb.exc": ["flew fly", "spotted spot"],
    }.items():
        lines = [word if " " in word else f"{word} x 1 0 1 0 00000100" for word in words]
        (folder / name).write_text("  1 a header\n" * name.startswith("index") + "\n".join(lines) + "\n")
    return folder


def test_nouns_adjectives_and_participles_are_kept(wordnet):
    words = WordnetWords(wordnet)
    kept = ["bird", "finches", "geese", "small", "smaller", "finest", "flying", "nested", "spotted", "better"]
    left = ["nest", "flies", "flew", "quickly", "the", "blue", "living", "ing", "", "xbird"]
    assert [word for word in [*kept, *left] if words.keeps(word)] == kept


@pytest.mark.parametrize("lacking", ["index.adj", "verb.exc"])
def test_a_wordnet_of_nouns_alone(wordnet, lacking):
    (wordnet / lacking).unlink()
    with pytest.raises(FgvrError, match=rf"{lacking} of the WordNet .* cannot be read"):
        WordnetWords(wordnet)


def test_a_damaged_list_of_words(wordnet):
    (wordnet / "index.adj").write_text("small a 1\nnothing\n")
    with pytest.raises(FgvrError, match="line 2: no word"):
        WordnetWords(wordnet)
    with pytest.raises(FgvrError, match="my_option"):
        WordnetWords(wordnet / "none", "my_option")
