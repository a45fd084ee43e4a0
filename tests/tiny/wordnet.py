"""A made-up WordNet of a few nouns, in the format of the real one."""

from pathlib import Path

NOUNS = {
    # offset: (lexicographer file, lemmas, pointers, gloss)
    100: (3, ("entity",), (), "whatever is"),
    200: (3, ("living_thing", "organism"), ("@ 100",), "it lives"),
    300: (5, ("bird",), ("@ 200", "~ 400"), 'it has feathers; "a bird sang"'),
    400: (5, ("finch",), ("@ 300",), "a small bird"),
    500: (5, ("house_finch", "linnet", "Carpodacus_mexicanus"), ("@ 400", "@ 200"), "a finch | of the west"),
    600: (5, ("blue_jay", "jaybird"), ("@ 300",), "a crested bird"),
    700: (5, ("crane",), ("@ 300",), "a wading bird"),
    800: (6, ("crane",), ("@ 100",), "it lifts"),
    900: (18, ("Crane", "Stephen_Crane"), ("@i 200",), "he wrote"),
    1000: (5, ("Blue-Jay",), ("@ 600",), "a made-up kind of it"),
}
"""``house finch`` is two steps below ``organism`` on one path, and one step on another."""
SENSES = {
    "bird": (300,),
    "blue-jay": (1000,),
    "blue_jay": (600,),
    "carpodacus_mexicanus": (500,),
    "crane": (900, 800, 700),
    "entity": (100,),
    "finch": (400,),
    "house_finch": (500,),
    "jaybird": (600,),
    "linnet": (500,),
    "living_thing": (200,),
    "organism": (200,),
    "stephen_crane": (900,),
}
FIRST_LEMMAS = ("entity", "living thing", "bird", "finch", "house finch", "blue jay", "crane", "Crane", "Blue-Jay")
FORMS = {"adj": ("red", "small"), "verb": ("fly", "sing")}
"""Adjectives and verbs, whose synsets nobody reads."""
EXCEPTIONS = {"noun": ("geese goose",), "adj": ("redder red",), "verb": ("flew fly",)}
_HEADER = "  1 This is made up for a test.  \n  2 WordNet 3.0 is its format.  \n"


def write_wordnet(folder: Path, nouns: dict[int, tuple] = NOUNS, senses: dict[str, tuple] = SENSES) -> Path:
    """Write the files of nouns, and the words of other parts of speech, into ``folder``, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for offset, (number, lemmas, pointers, gloss) in nouns.items():
        words = " ".join(f"{lemma} 0" for lemma in lemmas)
        shown = "".join(f" {symbol} {int(target):08d} n 0000" for symbol, target in map(str.split, pointers))
        lines.append(f"{offset:08d} {number:02d} n {len(lemmas):02x} {words} {len(pointers):03d}{shown} | {gloss}  \n")
    (folder / "data.noun").write_text(_HEADER + "".join(lines), encoding="utf-8")
    index = [
        f"{lemma} n {len(offsets)} 1 @ {len(offsets)} 0 {' '.join(f'{offset:08d}' for offset in offsets)}  \n"
        for lemma, offsets in senses.items()
    ]
    (folder / "index.noun").write_text(_HEADER + "".join(index), encoding="utf-8")
    for part, words in FORMS.items():
        lines = "".join(f"{word} {part[0]} 1 0  \n" for word in words)
        (folder / f"index.{part}").write_text(_HEADER + lines, encoding="utf-8")
    for part, pairs in EXCEPTIONS.items():
        (folder / f"{part}.exc").write_text("".join(f"{pair}\n" for pair in pairs), encoding="utf-8")
    return folder
