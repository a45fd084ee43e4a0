"""``fgvr cased-index``: an index of captions for the method ``cased``."""

import argparse
from pathlib import Path
from typing import NoReturn

from fgvr.cache import default_cache_dir
from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.registry import BACKBONES
from fgvr.text import counted


def main(argv: list[str]) -> int:
    """Run ``fgvr cased-index`` with the arguments after the subcommand.

    Returns:
        The exit code.

    Raises:
        FgvrError: Something that the user can fix.
    """
    parser = _Parser(
        prog="fgvr cased-index",
        allow_abbrev=False,
        description=_DESCRIPTION,
        usage="fgvr cased-index --captions FILE|wordnet [--model.backbone NAME] [options]",
    )
    parser.add_argument(
        "--captions",
        required=True,
        metavar="FILE",
        help="Parquet, or JSONL (also .gz) of objects or texts; 'wordnet' for the glosses of an installed WordNet",
    )
    parser.add_argument("--column", metavar="NAME", help="the column or key of the captions (caption, or the only one)")
    parser.add_argument("--wordnet", type=Path, metavar="DIR", help="where the WordNet is (found by itself)")
    parser.add_argument(
        "--config", "-c", metavar="FILE", help="a configuration whose model.backbone is taken, such as RUN/config.yaml"
    )
    parser.add_argument(
        "--model.backbone",
        "--backbone",
        dest="backbone",
        metavar="NAME",
        help=f"whose text tower encodes them: {', '.join(sorted(BACKBONES))}, or a class path (that of --config, or "
        "lite); its options as --model.backbone.OPTION VALUE",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="the folder of the index (one in the cache)")
    args, others = parser.parse_known_args(argv)
    for token in others:
        if token.startswith("-") and not token.startswith(("--model.backbone.", "--backbone.")):
            parser.error(f"unrecognized arguments: {token}")
    if others and not others[0].startswith("-"):
        parser.error(f"unrecognized arguments: {others[0]}")
    if args.captions == "wordnet" and args.column is not None:
        raise FgvrError("--column is for files, and the glosses of WordNet have no columns: leave it out.")
    if args.captions != "wordnet" and args.wordnet is not None:
        raise FgvrError("--wordnet is for --captions wordnet, and the captions are those of a file: leave it out.")
    # imported late: they bring torch, which --help does not need
    import torch

    from fgvr.captions.build import build_index, index_folder
    from fgvr.captions.sources import file_captions, wordnet_captions
    from fgvr.cli.logs import configure_logging
    from fgvr.config.backbone import backbone_of

    configure_logging()
    backbone = backbone_of("cased-index", args.config, [*_named(args.backbone), *others])
    if args.captions == "wordnet":
        captions = wordnet_captions(args.wordnet, "--wordnet")
    else:
        captions = file_captions(Path(args.captions), args.column, "--column")
    backbone.load()
    if torch.cuda.is_available():
        backbone.to("cuda")
    folder = args.output or index_folder(captions, backbone, default_cache_dir())
    index = build_index(captions, backbone, folder)
    of = f"{index.captions}, WordNet {index.version}" if index.version else index.captions
    left = [counted(index.repeated, "repeated one")] * bool(index.repeated)
    left += [counted(index.empty, "empty one")] * bool(index.empty)
    without = f", without {' and '.join(left)}" if left else ""
    say(f"{counted(len(index), 'caption')} ({of}){without}, {counted(len(index.words), 'word')}")
    say(f"To use it: --model cased --model.index {folder}")
    say(folder)
    return 0


def _named(backbone: str | None) -> list[str]:
    return [] if backbone is None else ["--model.backbone", backbone]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FgvrError(f"fgvr cased-index: {message}. To see its options: fgvr cased-index --help")


_DESCRIPTION = (
    "Computes the text features of captions, which the method cased searches for names of photos. It may be stopped at "
    "any time; the same command goes on where it was. Captions of a file are your own; the glosses of WordNet need no "
    "network, and results with them say so: they are not those of CaSED with captions of the web."
)
