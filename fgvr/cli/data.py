"""``fgvr data``: gets standard data sets, and looks whether a data set is as it should be."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fgvr.cli.plain_parser import PlainParser
from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.registry import DATASETS
from fgvr.text import counted, verb, visible

if TYPE_CHECKING:
    from fgvr.datasets.verify import Verification

USAGE = """\
usage: fgvr data download NAME --root FOLDER
       fgvr data verify NAME --root FOLDER [options of the data set]
       fgvr data finer NAME --root FOLDER --discovery PATH --output FILE [options of the data set]
       fgvr data finer_names GUESSED --output FILE

Gets standard data sets, and looks whether a data set is as it should be.

  download   the photos of a standard data set, into FOLDER, with the folders that CoOp's DATASETS.md describes
  verify     of any data set: numbers of photos and classes, photos that are missing or cannot be opened, files that are
             in two splits, and photos that look nearly the same as a support photo. The exit code is 0 if all is well,
             1 if not, and 2 if it cannot be read at all.
  finer      a list of the photos, for the data set manifest, whose support photos are FineR's discovery set: PATH is
             its folder images_discovery_all_3, or a list of its files such as FiNDR's dogs_qwen.json
  finer_names  the names that FineR has published, each once, as a list for data.class_names: GUESSED is a file such as
             dog_llm_gussed_names_3.json, or the replies that name them, such as dog_llm_replies_raw_3.json

fgvr data verify NAME --help has the options of a data set; fgvr list datasets has the names."""

_SHOWN = 5


def main(argv: list[str]) -> int:
    """Runs ``fgvr data`` with the arguments after the subcommand; returns the exit code.

    Raises:
        FgvrError: There is no such command or data set, it cannot be read, or it cannot be downloaded.
    """
    if not argv or argv[0] in ("-h", "--help"):
        say(USAGE)
        return 0
    commands = {"download": _download, "verify": _verify, "finer": _finer, "finer_names": _finer_names}
    if argv[0] not in commands:
        raise FgvrError(f"{argv[0]!r} is not a command of fgvr data, which are {', '.join(commands)}.")
    if len(argv) < 2 or argv[1] in ("-h", "--help"):
        say(USAGE)
        return 0 if len(argv) == 2 else 2
    return commands[argv[0]](argv[1], argv[2:])


def _download(name: str, args: list[str]) -> int:
    from fgvr.datasets.download import SOURCES, download
    from fgvr.datasets.standard import StandardDataset

    parser = PlainParser(prog=f"fgvr data download {name}", description="Get the photos of a standard data set.")
    parser.add_argument("--root", type=Path, required=True, help="Folder for it; made where there is none.")
    plugin = DATASETS.load(name)
    options = parser.parse_args(args)
    if not issubclass(plugin, StandardDataset):
        raise FgvrError(f"{name!r} is not downloaded by fgvr. What is: {', '.join(SOURCES)}.")
    dataset = plugin(options.root)
    info = dataset.info
    check = f"To check them: fgvr data verify {name} --root {dataset.root}"
    wanted = []
    if info.split_file and not dataset.split_path().is_file():
        wanted = [f"Still to be got with a browser: {info.split_link}, to be saved as {dataset.split_path()}"]
        if info.official:
            wanted[0] += f", or --data.dataset.official true instead (what differs: fgvr show datasets {name})"
        wanted[0] += "."
    if name not in SOURCES:
        raise FgvrError("\n".join([f"{name} cannot be downloaded by fgvr. {info.images_from}", *wanted, check]))
    if any((dataset.root / folder).is_dir() for folder in info.image_folders):
        say(f"There are photos of {name} in {dataset.root} already.")
    else:
        # before an hour's wait, not after it
        say(f"{name}: {SOURCES[name].size / 1e6:,.0f} MB to download into {dataset.root}")
        download(name, dataset)
        say(f"The photos of {name} are in {dataset.root}.")
    say("\n".join([*wanted, check]))
    return 0


def _verify(name: str, args: list[str]) -> int:
    from fgvr.cache import default_cache_dir
    from fgvr.datasets.near_duplicates import write_near_duplicates
    from fgvr.datasets.verify import verify

    parser = PlainParser(prog=f"fgvr data verify {name}", description="Look whether a data set is as it should be.")
    plugin = DATASETS.load(name)
    parser.add_class_arguments(plugin, fail_untyped=False)
    parser.add_argument(
        "--cache_dir", type=Path, default=default_cache_dir(), help="Folder that remembers which photos were read."
    )
    parser.add_argument(
        "--near_duplicates", type=Path, help="CSV file for the photos that look nearly the same as a support photo."
    )
    options = vars(parser.instantiate_classes(parser.parse_args(args)))
    cache_dir, listed = options.pop("cache_dir"), options.pop("near_duplicates")
    with _own_options():
        found = verify(plugin(**options), cache_dir)
    say("\n".join(_described(found)))
    if listed is not None:
        write_near_duplicates(found.near_duplicates, listed)
    return 0 if found.sound else 1


def _finer(name: str, args: list[str]) -> int:
    from fgvr.datasets.finer_split import finer_split, read_discovery_set

    parser = PlainParser(prog=f"fgvr data finer {name}", description="Make FineR's discovery set the support photos.")
    plugin = DATASETS.load(name)
    parser.add_class_arguments(plugin, fail_untyped=False)
    parser.add_argument("--discovery", type=Path, required=True, help="Folder or list of FineR's discovery set.")
    parser.add_argument("--output", type=Path, required=True, help="CSV file for the list of photos.")
    options = vars(parser.instantiate_classes(parser.parse_args(args)))
    discovery, output = options.pop("discovery"), options.pop("output")
    dataset = plugin(**options)
    with _own_options("finer"):
        found = finer_split(dataset.records(), read_discovery_set(discovery))
    found.write(output, dataset.root)
    counts = Counter(record.split for record in found.records)
    said = counted(counts["support"], "support photo"), counted(counts["test"], "test photo")
    say(f"{', '.join(said)}: {output}")
    if found.left_out:
        say(f"left out: {counted(found.left_out, 'photo')} to learn from that FineR has not drawn")
    if found.from_test:
        say(
            f"{counted(found.from_test, 'of them is a test photo', 'of them are test photos')} of the data set's own "
            "split. FineR is evaluated on these, too; here they are support photos only, and figures are of the others."
        )
    listed = f"--data.dataset.root {dataset.root} --data.dataset.manifest {output.absolute()}"
    say(f"To train on it: --data.dataset manifest {listed}")
    return 0


def _finer_names(path: str, args: list[str]) -> int:
    from fgvr.files import replacing
    from fgvr.labelers.finer_names import read_finer_names

    parser = PlainParser(prog=f"fgvr data finer_names {path}", description="List the names that FineR has published.")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the list of names.")
    output = parser.parse_args(args).output
    names, unread = read_finer_names(Path(path))
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(names, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    said = f" ({counted(unread, 'reply names', 'replies name')} nothing)" if unread else ""
    say(f"{counted(len(names), 'name')}{said}: {output}")
    say(f"To take them as classes: --data.class_names {output}")
    return 0


@contextlib.contextmanager
def _own_options(command: str = "verify") -> Iterator[None]:
    """Let errors name the options of a command of ``fgvr data``, not those of ``fgvr fit``."""
    try:
        yield
    except FgvrError as error:
        message = re.sub(r"set data\.dataset to (?=\w)", f"use fgvr data {command} ", str(error))
        raise FgvrError(message.replace("data.dataset.", "--").replace("data.cache_dir", "--cache_dir")) from error


def _described(found: "Verification") -> list[str]:
    rows = [("split", "expected", "listed", "readable", "classes", "photos a class")]
    for split, count in found.splits.items():
        expected = "-" if count.expected is None else f"{count.expected:,}"
        sizes = f"{count.smallest:,} to {count.largest:,}" if count.classes else "-"
        rows.append((split, expected, f"{count.listed:,}", f"{count.readable:,}", f"{count.classes:,}", sizes))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    of = "" if found.expected_classes is None else f" of {found.expected_classes:,}"
    lines += ["", f"{found.classes:,}{of} {verb(found.expected_classes or found.classes, 'class', 'classes')}"]
    lines += [
        f"{split}: {count.listed:,} {verb(count.listed, 'photo is', 'photos are')} listed, expected {count.expected:,}"
        for split, count in found.splits.items()
        if count.expected not in (None, count.listed)
    ]
    unreadable = [f"{name} ({why})" for name, why in found.unreadable.items()]
    lines += _some("photo cannot be opened", "photos cannot be opened", unreadable)
    lines += _some(*_both("{} of files in two splits {} the same bytes", "pair"), _pairs(found.overlaps))
    lines += _some("class name is not the data set's", "class names are not the data set's", found.unknown_names)
    lines += _some(*_both("{} of the data set {} no photo", "class", "classes"), found.missing_names)
    lines += ["", "All is well." if found.sound else "NOT as it should be: see above."]
    notes = [visible(remark) for remark in found.remarks]
    notes += _some(*_both("{} of files in one split {} the same bytes", "pair"), _pairs(found.repeats))
    notes += _some(
        *_both("{} with the same bytes {} different class names", "pair of files", "pairs of files"),
        _pairs(found.contradictions),
    )
    notes += _some(
        "photo looks nearly the same as a support photo",
        "photos look nearly the same as a support photo",
        [f"{each.sample_id} and {each.support_id}" for each in found.near_duplicates],
    )
    for split, names in found.in_one_split.items():
        notes += _some(f"class is in the split {split!r} only", f"classes are in the split {split!r} only", names)
    notes += _some(
        "file in the image folder is in no list", "files in the image folder are in no list", found.unlisted or []
    )
    return [*lines, *(["", "Worth knowing:", *notes] if notes else [])]


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{one} = {other}" for one, other in pairs]


def _both(said: str, one: str, many: str = "") -> tuple[str, str]:
    """What is said of one and of several, which have something."""
    return said.format(one, "has"), said.format(many or f"{one}s", "have")


def _some(one: str, many: str, items: Sequence[str]) -> list[str]:
    """How many there are, and the first few; nothing where there are none."""
    if not items:
        return []
    more = [f"  and {len(items) - _SHOWN:,} more"] if len(items) > _SHOWN else []
    return [
        f"{len(items):,} {one if len(items) == 1 else many}:",
        *(f"  {visible(item)}" for item in items[:_SHOWN]),
        *more,
    ]
