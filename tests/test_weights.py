"""What a file of weights is, whatever it is called."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from fgvr.errors import FgvrError
from fgvr.weights import check_model_folder, weights_format

TENSORS = {"weight": torch.arange(2000.0)}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1710540580\n".format("ab" * 32)


def saved(**kwargs):
    stream = io.BytesIO()
    torch.save(TENSORS, stream, **kwargs)
    return stream.getvalue()


def zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def lying(header, size=16):
    """A safetensors file of which the header says what is not so."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


SAFETENSORS = save(TENSORS)
NOT_WEIGHTS = {
    "pointer": (POINTER.encode(), ["a Git LFS pointer that stands for 1710540580 bytes", "`git lfs pull`"]),
    "pointer of Windows": (b"\xef\xbb\xbf" + POINTER.replace("\n", "\r\n").encode(), ["1710540580", "`git lfs pull`"]),
    "pointer without size": (POINTER[:42].encode(), ["a Git LFS pointer,", "`git lfs pull`"]),
    "annex": (b"/annex/objects/SHA256E-s605--4d7a.safetensors\n", ["git-annex", "`git annex get`"]),
    "page": (b"<!DOCTYPE html>\n<html><title>Sign in</title>", ["a web page", "download it again"]),
    "page after blank lines": (b"\r\n\n  <HTML lang='en'>", ["a web page"]),
    "refusal of a store": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', ["a web page"]),
    "empty": (b"", ["is empty", "download it again"]),
    "zeros": (bytes(9000), ["zeros", "download it again"]),
    "few zeros": (bytes(7), ["7 zeros"]),
    "safetensors cut in its tensors": (SAFETENSORS[:-1], ["cut off", f"{len(SAFETENSORS) - 1} of {len(SAFETENSORS)}"]),
    "safetensors cut in its header": (SAFETENSORS[:30], ["cut off", "30 of at least"]),
    "safetensors with a broken header": (struct.pack("<Q", 9) + b"{'a': 1} ", ["a header that is none of safetensors"]),
    "safetensors without tensors": (save({}), ["without a single tensor"]),
    "a longer header than the file": (struct.pack("<Q", 19_000_000) + b"{}", ["cut off", "at least 19000008"]),
    "a header of gigabytes": (struct.pack("<Q", 2**40) + b"{}", ["neither a safetensors file"]),
    "tensors beyond the file": (lying({"a": entry(offsets=(0, 2**62), shape=(2**60,))}), ["cut off"]),
    "negative places": (lying({"a": entry(offsets=(-8, 0))}), ["a header that is none"]),
    "places back to front": (lying({"a": entry(offsets=(8, 0))}, 0), ["says of 'a' what cannot be"]),
    "places on top of each other": (lying({"a": entry(), "b": entry(offsets=(4, 12))}, 12), ["of 'b' what cannot be"]),
    "a gap": (lying({"a": entry(offsets=(8, 16))}), ["of 'a' what cannot be"]),
    "another shape": (lying({"a": entry(shape=(3,))}, 8), ["of 'a' what cannot be"]),
    "an enormous shape": (lying({"a": entry(shape=[10**6] * 10**5)}, 8), ["of 'a' what cannot be"]),
    "another kind of number": (lying({"a": entry(dtype="F64")}, 8), ["of 'a' what cannot be"]),
    "shapes that are texts": (lying({"a": entry(shape="23")}, 8), ["a header that is none"]),
    "places that are fractions": (lying({"a": entry(offsets=(0, 8.0))}, 8), ["a header that is none"]),
    "one name twice": (
        lying(b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2), 8),
        ["a header that is none"],
    ),
    "deep header": (lying(b'{"a":' + b"[" * 100_000), ["a header that is none"]),
    "more than the header says": (lying({"a": entry()}), ["longer than its header says"]),
    "torch cut off": (saved()[:-30], ["cut off", "download it again"]),
    "JSON": (b'{"error": "Invalid username or password."}', ["JSON and not weights"]),
    "list of shards": (b'{"metadata": {}, "weight_map": {"a": "b"}}', ["the list of the files", "one file with all"]),
    "text": ("Accès refusé, 日本\n".encode(), ["a text that begins with 'Accès refusé, 日本'"]),
    "gzip": (b"\x1f\x8b\x08\x00 and so on", ["packed by gzip: unpack it"]),
    "packed weights": (zipped(**{"clip/model.pt": b"x"}), ["a zip archive: unpack it", "'clip/model.pt'"]),
    "packed photos": (zipped(**{"a.jpg": b"x"}), ["a zip archive without weights"]),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(50), ["Keras"]),
    "GGUF": (b"GGUF\x03" + bytes(50), ["llama.cpp"]),
    "bytes": (bytes(range(128, 256)), ["neither a safetensors file nor one that torch.save wrote"]),
}


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".bin"])
@pytest.mark.parametrize("name", NOT_WEIGHTS)
def test_what_is_no_weights_is_named_in_one_line(tmp_path, name, ending):
    content, parts = NOT_WEIGHTS[name]
    file = tmp_path / f"weights{ending}"
    file.write_bytes(content)
    with pytest.raises(FgvrError) as caught:
        weights_format(file)
    message = str(caught.value)
    assert message.startswith(f"{file} ")
    assert message.endswith(".")
    assert ".." not in message.removeprefix(str(file))
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit", "ignore:.*TorchScript", "ignore:Converting a tensor"
)  # TorchScript is old; its files stay
@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".ckpt", ""])
def test_the_content_counts(tmp_path, ending):
    file = tmp_path / f"weights{ending}"
    arrays = io.BytesIO()
    np.savez(arrays, a=np.zeros(3))
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    for content, form in [
        (SAFETENSORS, "safetensors"),
        (saved(), "torch"),
        (saved(_use_new_zipfile_serialization=False), "torch"),
        (script.getvalue(), "torchscript"),
        (arrays.getvalue(), "numpy"),
    ]:
        file.write_bytes(content)
        assert weights_format(file) == form


def test_a_folder_is_whole_or_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    save_file(TENSORS, tmp_path / "model-00001-of-00002.safetensors")
    check_model_folder(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index.write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(FgvrError, match=r"has no model-00002-of-00002.safetensors, which model.safetensors.index.json"):
        check_model_folder(tmp_path)
    (tmp_path / shards["b"]).write_text(POINTER)
    with pytest.raises(FgvrError, match=r"model-00002-of-00002.safetensors is a Git LFS pointer"):
        check_model_folder(tmp_path)
    save_file(TENSORS, tmp_path / shards["b"])
    check_model_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text(POINTER)
    with pytest.raises(FgvrError, match=r"tokenizer.json is a Git LFS pointer"):
        check_model_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    index.write_text("<html>")
    with pytest.raises(FgvrError, match=r"model.safetensors.index.json is a web page"):
        check_model_folder(tmp_path)
