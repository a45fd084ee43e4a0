"""Whether a data set gives the same candidate sets in every form in which people have it.

    python scripts/layouts_agree.py ../shared/data/plants41

The argument is a folder with ``manifest.csv``. Its support photos are written anew below names with accents, and read
as class folders, as manifests of spreadsheets, by absolute paths, and unpacked from archives as a Mac writes them
(accents apart, ``__MACOSX``) and as Windows does (backslashes). The labels are true names, from a table of the same
manner. A form agrees if ``fgvr candidates`` writes the same sets for the same photos as for the class folders. The last
line is JSON.
"""

import argparse
import csv
import json
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

import fgvr
from fgvr.tables import read_csv


def photos_of(source: Path, limit: int | None) -> dict[str, tuple[Path, str]]:
    """Path in the class folders -> the photo, and its class."""
    rows = [
        row.cells for row in read_csv(source / "manifest.csv").rows if row.cells.get("split") in ("support", "train")
    ]
    classes = {row["class_name"]: f"{row['class_name'].replace('/', ' ')} \u00e9\u00fc" for row in rows}
    named = ((classes[row["class_name"]], source / row["file"]) for row in rows[:limit])
    return {f"train/{name}/\u00c5 {path.name}": (path, name) for name, path in named}


def write_table(
    path: Path, rows: Iterable[tuple[str, str]], column: str, separator: str = ",", encoding: str = "utf-8"
) -> Path:
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows([("file", column), *rows])
    return path


def apart(text: str) -> str:
    """As a Mac writes it: accents apart from their letters."""
    return unicodedata.normalize("NFD", text)


def windows(text: str) -> str:
    return text.replace("/", "\\")


def folder(root: Path) -> dict[str, object]:
    return {"class_path": "folder", "init_args": {"root": str(root)}}


def manifest(root: Path) -> dict[str, object]:
    return {"class_path": "manifest", "init_args": {"root": str(root)}}


class Forms:
    """Each method writes one form below a folder; it returns the options of the data set and the table of names."""

    def __init__(self, photos: dict[str, tuple[Path, str]]) -> None:
        self.photos = photos
        self.names = {path: name for path, (_, name) in photos.items()}

    def class_folders(self, at: Path) -> tuple[dict[str, object], Path]:
        self._copy(at / "photos")
        return folder(at / "photos"), write_table(at / "n.csv", self.names.items(), "name")

    def plain_manifest(self, at: Path) -> tuple[dict[str, object], Path]:
        root = at / "photos"
        self._copy(root)
        write_table(root / "manifest.csv", self.names.items(), "class_name")
        return manifest(root), write_table(at / "n.csv", self.names.items(), "name")

    def manifest_of_a_spreadsheet(self, at: Path) -> tuple[dict[str, object], Path]:
        root = at / "photos"
        self._copy(root)
        rows = [(windows(path), name) for path, name in self.names.items()]
        write_table(root / "manifest.csv", rows, "class_name", ";", "utf-8-sig")
        table = write_table(
            at / "n.csv", [(f"C:\\Users\\me\\photos\\{path}", name) for path, name in rows], "name", "\t", "utf-16"
        )
        return manifest(root), table

    def manifest_of_absolute_paths(self, at: Path) -> tuple[dict[str, object], Path]:
        root = at / "photos"
        self._copy(root)
        write_table(
            root / "manifest.csv", [(str(root / path), name) for path, name in self.names.items()], "class_name"
        )
        moved = [(f"/home/me/photos/{path}", name) for path, name in self.names.items()]
        return manifest(root), write_table(at / "n.csv", moved, "name")

    def zip_of_a_mac(self, at: Path) -> tuple[dict[str, object], Path]:
        with zipfile.ZipFile(at / "photos.zip", "w") as archive:
            for path, (photo, _) in self.photos.items():
                archive.write(photo, apart(f"Archive/{path}"))
                before, _, name = path.rpartition("/")
                archive.writestr(apart(f"__MACOSX/Archive/{before}/._{name}"), b"\0\5\26\7")
            archive.writestr("Archive/.DS_Store", b"\0\0\0\1Bud1")
        self._unpack(at)
        rows = [(apart(f"photos/{path}"), apart(name)) for path, name in self.names.items()]
        return folder(at / "unpacked" / "Archive"), write_table(at / "n.csv", rows, "name")

    def zip_of_a_mac_with_a_manifest(self, at: Path) -> tuple[dict[str, object], Path]:
        _, table = self.zip_of_a_mac(at)
        root = at / "unpacked" / "Archive"
        write_table(root / "manifest.csv", self.names.items(), "class_name")  # typed: accents together
        return manifest(root), table

    def zip_of_windows(self, at: Path) -> tuple[dict[str, object], Path]:
        with zipfile.ZipFile(at / "photos.zip", "w") as archive:
            for path, (photo, _) in self.photos.items():
                info = zipfile.ZipInfo("x")
                info.filename = windows(path)  # the constructor would put it right
                archive.writestr(info, photo.read_bytes())
        self._unpack(at)
        rows = [(windows(f"photos/{path}"), name) for path, name in self.names.items()]
        table = write_table(at / "n.csv", rows, "name", ";", "utf-8-sig")
        return folder(at / "unpacked"), table

    def _copy(self, root: Path) -> None:
        for path, (photo, _) in self.photos.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, root / path)

    @staticmethod
    def _unpack(at: Path) -> None:
        with zipfile.ZipFile(at / "photos.zip") as archive:
            archive.extractall(at / "unpacked")


def candidate_sets(dataset: dict[str, object], names: Path, at: Path) -> dict[str, tuple[tuple[str, float], ...]]:
    """Photo -> its candidates and their weights."""
    run = fgvr.configure(
        dataset=dataset,
        labeler={"class_path": "fixed", "init_args": {"path": str(names)}},
        data={"label_store": str(at / "labels.sqlite"), "candidates": "knn"},
        model={"backbone": {"class_path": "open_clip", "init_args": {"model": "fieldguide-clip"}}},
        run={"root": str(at / "runs")},
    )
    run.label()
    run.candidates()
    rows = pq.read_table(run.folder.candidates).to_pylist()
    return {row["sample_id"]: tuple(zip(row["candidates"], row["weights"], strict=True)) for row in rows}


def agreement(source: Path, limit: int | None = None) -> dict[str, bool]:
    """Form -> whether its candidate sets are those of the class folders."""
    photos = photos_of(source, limit)
    forms = Forms(photos)
    found = {}
    for name in [name for name, value in vars(Forms).items() if callable(value) and not name.startswith("_")]:
        with tempfile.TemporaryDirectory() as at:
            dataset, names = getattr(forms, name)(Path(at))
            found[name] = candidate_sets(dataset, names, Path(at))
    first = found["class_folders"]
    if set(first) != set(photos):
        raise SystemExit(f"The photos are {sorted(first)[:3]} ...; expected {sorted(photos)[:3]} ...")
    return {name: sets == first for name, sets in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, help="only so many of each data set")
    arguments = parser.parse_args()
    results = {source.name: agreement(source, arguments.photos) for source in arguments.sources}
    for source, forms in results.items():
        for name, agrees in forms.items():
            print(f"{source:12} {name.replace('_', ' '):32} {'the same' if agrees else 'OTHERS'}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
