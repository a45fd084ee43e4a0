"""Building, resuming, opening and searching an index of captions."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fgvr.captions import build, files, index
from fgvr.captions.build import build_index, index_folder
from fgvr.captions.index import CaptionIndex
from fgvr.captions.sources import Captions
from fgvr.captions.words import cleaned
from fgvr.errors import FgvrError
from fgvr.testing.tiny import TinyBackbone

TEXTS = [f"caption {number} of a {colour} finch" for number in range(9) for colour in ("red", "blue")]


class Counting(TinyBackbone):
    """Notes texts, and may be interrupted at one."""

    def __init__(self, failing="", **kwargs):
        super().__init__(**kwargs)
        self.failing = failing
        self.encoded = []
        self.load()

    def encode_text(self, texts, truncate=False):
        if self.failing in texts:
            raise KeyboardInterrupt
        found = super().encode_text(texts, truncate)
        self.encoded += texts
        return found


def captions_of(texts, name="made up", digest=None):
    return Captions(name, "", digest or str(hash(tuple(texts))), lambda: iter(texts))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    for module in (files, build):
        monkeypatch.setattr(module, "CHUNK_ROWS", 4)
    monkeypatch.setattr(build, "_TEXTS_A_PASS", 3)


def test_what_is_stored(tmp_path):
    backbone = Counting()
    texts = ["a finch", "", "Blue jays", "a finch", "é", "", "x" * 40]
    found = build_index(captions_of(texts), backbone, tmp_path / "i", progress=False)
    kept = ["a finch", "Blue jays", "é", "x" * 40]
    assert (len(found), found.empty, found.repeated, found.cut, found.captions) == (4, 2, 1, 0, "made up")
    assert found.texts(range(4)) == kept
    assert found.words == tuple(sorted({word for text in kept for word in cleaned(text)}))
    rows = np.array([[3, 0], [1, 1]])
    features = found.features(rows)
    assert (features.shape, features.dtype) == ((2, 2, 16), torch.float32)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 2))
    expected = TinyBackbone.encode_text(backbone, kept)
    torch.testing.assert_close(features, expected[torch.from_numpy(rows)], atol=1e-3, rtol=0)
    found.require_tower(backbone)


@pytest.mark.parametrize("kept", [0, 2**26])
@pytest.mark.parametrize("k", [1, 5, 40, 100])
def test_search_is_that_of_all_cosines(tmp_path, monkeypatch, kept, k):
    monkeypatch.setattr(index, "_MOST_KEPT", kept)
    monkeypatch.setattr(index, "_BLOCK_ROWS", 7)
    # in lower case all are one to the text tower: many equal cosines
    texts = [*TEXTS, *(text.upper() for text in TEXTS), *(text.title() for text in TEXTS), "another one"]
    found = build_index(captions_of(texts), Counting(), tmp_path / "i", progress=False)
    queries = F.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    queries = torch.cat([queries, found.features(np.array([0, 3]))])
    rows, cosines = found.search(queries, k)
    every = found.features(np.arange(len(found)))
    exact = np.einsum("bd,nd->bn", queries.double().numpy(), every.double().numpy()).astype(np.float32)
    expected = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    assert rows.dtype == np.int64
    assert cosines.dtype == np.float32
    assert np.array_equal(rows, expected)
    assert np.array_equal(cosines, np.take_along_axis(exact, expected, 1))


def test_one_caption(tmp_path):
    found = build_index(captions_of(["a finch"]), Counting(), tmp_path / "i", progress=False)
    rows, cosines = found.search(found.features(np.array([0])), 10)
    assert rows.tolist() == [[0]]
    assert cosines[0, 0] == pytest.approx(1)
    assert found.search(torch.zeros(0, 16), 3)[0].shape == (0, 1)


@pytest.mark.parametrize(("texts", "said"), [([], "made up has no caption:"), (["", ""], "only 2 empty rows:")])
def test_no_caption(tmp_path, texts, said):
    with pytest.raises(FgvrError, match=said):
        build_index(captions_of(texts), Counting(), tmp_path / "i", progress=False)
    with pytest.raises(FgvrError, match=r"model.index: there is no caption index in .*cased-index"):
        CaptionIndex.open(tmp_path / "i")


def test_features_that_do_not_fit(tmp_path):
    found = build_index(captions_of(TEXTS), Counting(), tmp_path / "i", progress=False)
    with pytest.raises(FgvrError, match="features of 16 numbers"):
        found.search(torch.ones(2, 8), 3)
    with pytest.raises(FgvrError, match="not finite"):
        found.search(torch.full((2, 16), torch.nan), 3)


def test_it_goes_on_where_it_was(tmp_path):
    failing = Counting(failing=TEXTS[9])
    with pytest.raises(KeyboardInterrupt):
        build_index(captions_of(TEXTS), failing, tmp_path / "i", progress=False)
    with pytest.raises(FgvrError, match=r"my_option: .* not complete: about 12 captions of 18 .*goes on where it was"):
        CaptionIndex.open(tmp_path / "i", "my_option")
    backbone = Counting()
    found = build_index(captions_of(TEXTS), backbone, tmp_path / "i", progress=False)
    assert sorted(backbone.encoded) == sorted(TEXTS[8:])
    whole = build_index(captions_of(TEXTS), Counting(), tmp_path / "j", progress=False)
    every = np.arange(len(TEXTS))
    torch.testing.assert_close(found.features(every), whole.features(every))
    again = Counting()
    build_index(captions_of(TEXTS), again, tmp_path / "i", progress=False)
    assert again.encoded == []


def test_texts_that_were_not_stored_are_read_again(tmp_path):
    def failing():
        yield from TEXTS[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(Captions("x", "", "d", failing), Counting(), tmp_path / "i", progress=False)
    assert len(build_index(captions_of(TEXTS, "x", "d"), Counting(), tmp_path / "i", progress=False)) == len(TEXTS)
    assert {path.name for path in (tmp_path / "i").iterdir()} == {
        *(files.STATE, files.TEXTS, files.OFFSETS, files.WORDS, files.FEATURES, files.LOCK)
    }


def test_other_captions_and_other_towers_keep_away(tmp_path):
    found = build_index(captions_of(TEXTS), Counting(), tmp_path / "i", progress=False)
    other = Counting(seed=1)
    with pytest.raises(FgvrError, match=r"made with the text tower Counting-\w{8}, and this backbone's is Counting-"):
        found.require_tower(other)
    for captions, backbone in ((captions_of(TEXTS[1:]), Counting()), (captions_of(TEXTS), other)):
        with pytest.raises(FgvrError, match=r"has an index of 18 captions .*name another folder"):
            build_index(captions, backbone, tmp_path / "i", progress=False)
    folders = {
        index_folder(captions, backbone, tmp_path).name
        for captions in (captions_of(TEXTS), captions_of(TEXTS[1:]))
        for backbone in (Counting(), other)
    }
    assert len(folders) == 4
    assert all(name.startswith("made-up-counting-") for name in folders)


def test_texts_that_are_too_long_are_cut_off_and_counted(tmp_path, caplog):
    texts = [*TEXTS, "very " * 100 + "long", "long " * 90, "long " * 91]
    found = build_index(captions_of(texts), Counting(), tmp_path / "i", progress=False)
    assert found.cut == 3
    assert caplog.text.count("3 captions are longer than the text tower's context") == 1
    build_index(captions_of(texts), Counting(), tmp_path / "i", progress=False)
    assert caplog.text.count("longer than") == 1, "said again of an index that is only opened"
    expected = TinyBackbone.encode_text(Counting(), texts, truncate=True)
    torch.testing.assert_close(found.features(np.arange(len(texts))), expected, atol=1e-3, rtol=0)


def test_features_that_are_not_finite_are_not_stored(tmp_path):
    backbone = Counting()
    backbone.text_projection.data[:] = np.inf
    with pytest.raises(FgvrError, match=r"Counting gives the caption 'caption . of .* features that are not finite"):
        build_index(captions_of(TEXTS), backbone, tmp_path / "i", progress=False)


@pytest.mark.parametrize("name", [files.TEXTS, files.OFFSETS, files.WORDS, files.FEATURES])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_damage_is_seen(tmp_path, caplog, name, damage):
    folder = tmp_path / "i"
    before = build_index(captions_of(TEXTS), Counting(), folder, progress=False).features(np.arange(len(TEXTS)))
    content = bytearray((folder / name).read_bytes())
    content[-20] ^= 1
    (folder / name).unlink()
    if damage != "gone":
        (folder / name).write_bytes(content if damage == "flipped" else content[:-3])
    with pytest.raises(FgvrError, match=rf"{name}.* (damaged|cannot be read).*cased-index"):
        CaptionIndex.open(folder)
    if name != files.FEATURES:
        with pytest.raises(FgvrError, match=f"{name}.*Delete the folder"):
            build_index(captions_of(TEXTS), Counting(), folder, progress=False)
        return
    backbone = Counting()
    mended = build_index(captions_of(TEXTS), backbone, folder, progress=False)
    assert len(backbone.encoded) == (2 if damage == "flipped" else len(TEXTS)), "its chunk alone, or the whole file"
    assert "look after the disk" in caplog.text
    torch.testing.assert_close(mended.features(np.arange(len(TEXTS))), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: {**state, "format": 2}, "has format 2; this version of fgvr reads 1"),
        (lambda state: [state], "has format None"),
        (lambda state: {**state, "rows": "many"}, "does not say"),
        (lambda state: {**state, "chunks": None}, "does not say"),
        (lambda state: {**state, "chunks": [1]}, "does not say"),
        (lambda state: {**state, "sums": {"../x": 1}}, "does not say"),
        (lambda state: {**state, "width": True}, "does not say"),
        (lambda state: {**state, "captions": " "}, "does not say"),
        (lambda state: {key: state[key] for key in ("format", "rows")}, "does not say"),
        (lambda state: {**state, "width": 17}, "features.npy is damaged"),
        (lambda state: {**state, "rows": 17}, r"offsets.npy is damaged"),
    ],
)
def test_a_state_that_says_something_else(tmp_path, change, said):
    folder = tmp_path / "i"
    build_index(captions_of(TEXTS), Counting(), folder, progress=False)
    state = json.loads((folder / files.STATE).read_text())
    (folder / files.STATE).write_text(json.dumps(change(state)))
    with pytest.raises(FgvrError, match=said):
        CaptionIndex.open(folder)
    (folder / files.STATE).write_text('{"format": 1')
    with pytest.raises(FgvrError, match=r"index.json cannot be read"):
        CaptionIndex.open(folder)


def _sent(folder, name, content, **state):
    """An index as somebody may send it: changed, with checksums that fit."""
    build_index(captions_of(TEXTS), Counting(), folder, progress=False)
    (folder / name).write_bytes(content)
    stated = {**json.loads((folder / files.STATE).read_text()), **state}
    stated["sums"] = {each: files.checksum_of(folder / each) for each in stated["sums"]}
    (folder / files.STATE).write_text(json.dumps(stated))


def test_an_index_with_no_text_or_strange_words_and_names(tmp_path):
    _sent(tmp_path / "i", files.TEXTS, b"")
    with pytest.raises(FgvrError, match="is damaged"):
        CaptionIndex.open(tmp_path / "i")
    _sent(tmp_path / "j", files.WORDS, b"\xff\nfinch\n", captions="\x1b[2Jmine", made_with="\x1b[2J" + "0" * 32)
    found = CaptionIndex.open(tmp_path / "j")
    assert (found.captions, found.words[1]) == (r"\x1b[2Jmine", "finch")
    with pytest.raises(FgvrError, match=r"the text tower \\x1b\[2J0000"):
        found.require_tower(Counting())


def test_an_index_whose_features_are_not_finite(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_ROWS", 100)
    monkeypatch.setattr(build, "CHUNK_ROWS", 100)
    features = np.full((len(TEXTS), 16), np.nan, np.float16)
    np.save(tmp_path / "bad.npy", features)
    _sent(tmp_path / "i", files.FEATURES, (tmp_path / "bad.npy").read_bytes(), chunks=[zlib.crc32(features.data)])
    with pytest.raises(FgvrError, match=r"features.npy has features that are not finite.*delete the folder"):
        CaptionIndex.open(tmp_path / "i").search(F.normalize(torch.ones(2, 16), dim=-1), 3)


def test_no_pickle_is_read(tmp_path):
    folder = tmp_path / "i"
    build_index(captions_of(TEXTS), Counting(), folder, progress=False)
    np.save(folder / files.FEATURES, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FgvrError, match=r"features.npy cannot be read"):
        CaptionIndex.open(folder)


BUILD = """
import sys, time
from pathlib import Path
from fgvr.captions import build, files
from fgvr.captions.sources import Captions
from fgvr.testing.tiny import TinyBackbone
files.CHUNK_ROWS = build.CHUNK_ROWS = 4
texts = [f"caption {number}" for number in range(18)]
backbone = TinyBackbone()
backbone.load()
write = build.write_state
def slowly(folder, state):
    write(folder, state)
    print(len(state.missing), flush=True)
    time.sleep(0.2)
build.write_state = slowly
build.build_index(Captions("x", "", "d", lambda: iter(texts)), backbone, Path(sys.argv[1]), progress=False)
"""


@pytest.mark.slow
def test_a_killed_process_loses_a_chunk_and_its_lock(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path / "i")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == "3\n":
                os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 1 <= len(files.read_state(tmp_path / "i").missing) <= 3
    texts = [f"caption {number}" for number in range(18)]
    backbone = TinyBackbone()
    backbone.load()
    found = build_index(captions_of(texts, "x", "d"), backbone, tmp_path / "i", progress=False)
    torch.testing.assert_close(found.features(np.arange(18)), backbone.encode_text(texts), atol=1e-3, rtol=0)


def test_two_at_once_compute_once(tmp_path, caplog):
    backbones = [Counting(), Counting()]
    inside, seen = threading.Event(), threading.Event()

    def slow_texts():
        inside.set()
        assert seen.wait(30)
        yield from TEXTS

    def first():
        build_index(Captions("x", "", "d", slow_texts), backbones[0], tmp_path / "i", progress=False)

    class Watched(logging.Handler):
        def emit(self, record):
            seen.set()

    logger, watched = logging.getLogger("fgvr.captions.build"), Watched()
    logger.addHandler(watched)
    try:
        thread = threading.Thread(target=first)
        thread.start()
        assert inside.wait(30)
        found = build_index(captions_of(TEXTS, "x", "d"), backbones[1], tmp_path / "i", progress=False)
        thread.join()
    finally:
        logger.removeHandler(watched)
    assert caplog.text.count("Another process makes the index") == 1
    assert len(found) == len(backbones[0].encoded) == len(TEXTS)
    assert backbones[1].encoded == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FgvrError, match="of the caption index cannot be written"):
        build_index(captions_of(TEXTS), Counting(), tmp_path / "file/i", progress=False)
