"""Runs the released code of CaSED, FineR and TFUP beside fgvr's, on the same made-up features and candidate lists.

    git clone https://github.com/altndrr/vic && git clone https://github.com/OatmealLiu/FineR
    git clone https://github.com/wlb12345/TFUP
    python scripts/beside_public_code.py --cased vic --finer FineR --tfup TFUP    # or some of them

Only the functions that are compared are run, out of their files: nothing of these projects is installed or imported.
They are other people's code: look at what was cloned (e31087f, 6a98db0, d95d4d3) before you run it. Prints one line of
JSON.
"""

import argparse
import ast
import json
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import ImageFeatures
from fgvr.captions.words import distinct
from fgvr.classifiers.feature_cache import FeatureCacheClassifier, kept_photo_scores, log_denominators
from fgvr.methods.cased import two_way_scores
from fgvr.methods.finer import class_rows, votes
from fgvr.methods.tfup_selection import typical_photos

_ALPHA = 0.7


def main() -> None:
    """Compare, and print the largest differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cased", type=Path, help="a clone of altndrr/vic")
    parser.add_argument("--finer", type=Path, help="a clone of OatmealLiu/FineR")
    parser.add_argument("--tfup", type=Path, help="a clone of wlb12345/TFUP")
    args = parser.parse_args()
    compared = {"cased": compare_cased, "finer": compare_finer, "tfup": compare_tfup}
    given = {name: clone for name, clone in vars(args).items() if clone is not None}
    if not given:
        parser.error(f"no clone to compare with: give one or more of --{', --'.join(compared)}")
    print(json.dumps({key: value for name, clone in given.items() for key, value in compared[name](clone).items()}))


def compare_cased(clone: Path) -> dict[str, float]:
    """Scores of candidates, and which captions are near-duplicates."""
    classifier_file = clone / "src/models/components/nn/classifiers.py"
    classifier = _functions(classifier_file, {"torch": torch, "np": np}, ("NearestNeighboursClassifier",))
    step = _functions(clone / "src/models/cased.py", {"torch": torch}, ("batch_step",))["batch_step"]
    apart, photos, same = 0.0, 0, 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        images = _unit(64, 128, seed=seed)
        captions = [[f"caption {photo} {number}" for number in range(draw.integers(1, 11))] for photo in range(64)]
        words = [list(dict.fromkeys(f"word {draw.integers(400)}" for _ in range(draw.integers(0, 9)))) for _ in images]
        features = _Features(128, seed)
        for scale in (1 / 0.07, 100.0):
            theirs = classifier["NearestNeighboursClassifier"]()
            theirs.logit_scale = torch.nn.Parameter(torch.tensor(float(np.log(scale))))
            model = types.SimpleNamespace(
                hparams=types.SimpleNamespace(alpha=_ALPHA),
                classifier=theirs,
                device="cpu",
                encode_vocabulary=lambda texts, use_prompts=False, known=features: known(texts)[None],
                vocab_transform=lambda _, found=words: found,
            )
            with torch.no_grad():
                expected, _, _ = step(model, images, captions)
            centroids = torch.stack([F.normalize(features(each).mean(0), dim=-1) for each in captions])
            found, at = _ours(images, centroids, words, features, scale), 0
            for photo, row in enumerate(found):
                size = len(words[photo]) or 1  # where there is no word, "object"
                mine, other = row[:size], expected[photo, at : at + size]
                apart, at, photos = max(apart, float((mine - other).abs().max())), at + size, photos + 1
                same += int(mine.argmax() == other.argmax())
    return {"cased_scores_apart": apart, "cased_same_word": same / photos, "cased_duplicates_equal": _duplicates(clone)}


def _ours(images: Tensor, centroids: Tensor, words: list[list[str]], features: "_Features", scale: float) -> Tensor:
    candidates = [each or ["object"] for each in words]
    width = max(map(len, candidates))
    present = torch.tensor([[number < len(each) for number in range(width)] for each in candidates])
    texts = torch.stack([features([*each, *["none"] * (width - len(each))]) for each in candidates])
    return two_way_scores(images, centroids, texts, present, scale, _ALPHA)


def _duplicates(clone: Path) -> float:
    """Share of 300 draws of ten captions of which the same ones are left out."""
    names = ("_get_connected_components", "_deduplicate_embeddings")
    needs = {"faiss": faiss, "defaultdict": defaultdict, "np": np}
    found = _functions(clone / "src/models/components/retrieval.py", needs, names)
    database: Any = types.SimpleNamespace()
    database._get_connected_components = lambda graph: found[names[0]](database, graph)
    equal = 0
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        near = _unit(4, 32, seed=seed)[torch.randint(4, (10,), generator=generator)]
        captions = F.normalize(near + 0.06 * torch.randn(10, 32, generator=generator), dim=-1)
        gone = found[names[1]](database, captions.numpy())
        equal += [number not in gone for number in range(10)] == distinct(captions).tolist()
    return equal / 300


def compare_finer(clone: Path) -> dict[str, float]:
    """Votes and class rows of 120 photos in eleven views and 90 names."""
    photos, classes, views = 120, 90, 11
    apart, equal = 0.0, 0
    for seed in range(10):
        texts, voting_texts = _unit(classes, 64, seed=seed), _unit(classes, 48, seed=seed + 50)
        seen, voting = _unit(views, photos, 64, seed=seed + 100), _unit(photos, 48, seed=seed + 200)
        voters, names = _finer_rows(clone, texts, voting_texts, seen, voting)
        voted = votes(voting, voting_texts)
        equal += sorted(names) == voted.unique().tolist()
        apart = max(apart, float((voters - class_rows(texts, seen, voted, _ALPHA)[names]).abs().max()))
    return {"finer_votes_equal": equal / 10, "finer_class_rows_apart": apart}


def _finer_rows(
    clone: Path, texts: Tensor, voting_texts: Tensor, seen: Tensor, voting: Tensor
) -> tuple[Tensor, list[int]]:
    """The released code's class rows and their classes; a photo is its number, and a view of it a pair of numbers."""
    drawn: dict[int, int] = defaultdict(int)

    def another_view(photo: int) -> Tensor:
        drawn[photo] += 1
        return torch.tensor([photo, drawn[photo]])

    def plain_view(photo: int) -> Tensor:
        return torch.tensor([photo, 0])

    judge = types.SimpleNamespace(
        encode_text=lambda tokens: voting_texts, encode_image=lambda pixels: voting[pixels[:, 0]]
    )
    encoder = types.SimpleNamespace(
        encode_text=lambda tokens: texts, encode_image=lambda pixels: seen[pixels[:, 1], pixels[:, 0]]
    )
    needs = {
        "torch": torch,
        "F": F,
        "defaultdict": defaultdict,
        "tqdm": lambda each: each,
        "print": lambda *_: None,
        "clip": types.SimpleNamespace(tokenize=lambda names: torch.zeros(len(names))),
        "DATA_TRANSFORM": {"made up": lambda size: plain_view},
        "DATA_DISCOVERY": {"made up": lambda config, folder_suffix: [(photo, 0) for photo in range(len(voting))]},
        "build_clip": lambda *_, **__: (judge, None),
        "plain_augmentation": lambda size: plain_view,
        "tta": lambda size: another_view,
    }
    found = _functions(clone / "grouping.py", needs, ("generate_voted_classifier", "get_tta_exemplars"))
    config = {"dataset_name": "made up", "device": "cpu", "device_ids": [0], "image_size": 224}
    rows, names, _ = found["generate_voted_classifier"](
        config, encoder, list(range(len(texts))), modality="cross", alpha=_ALPHA, N_tta=len(seen) - 1
    )
    return rows, names


def compare_tfup(clone: Path) -> dict[str, float]:
    """Cache, logits and refined set of 600 photos, 9 a class and 21 for the refined set, and 80 other photos."""
    photos, classes, kept, refined = 600, 20, 9, 21
    apart, apart_float32, same_cache, same_refined = 0.0, 0.0, 0, 0
    for seed in range(10):
        texts = F.normalize(_unit(classes, 64, seed=seed).double(), dim=-1)
        near = texts[torch.randint(classes, (photos + 80,), generator=torch.Generator().manual_seed(seed))]
        seen = F.normalize(near + _unit(photos + 80, 64, seed=seed + 50), dim=-1)
        support, other = seen[:photos], seen[photos:]
        theirs, labels, logits = _tfup(clone, texts, support, other, kept, refined)
        keys = support[typical_photos(support, texts, kept)]
        same_cache += torch.equal(keys.flatten(0, 1), theirs)
        denominators = log_denominators(keys.flatten(0, 1), texts)
        mine = 100 * other @ texts.T + 0.3 * kept_photo_scores(other, texts, keys, denominators, beta=1.0)
        apart = max(apart, float((mine - logits).abs().max()))
        classifier = FeatureCacheClassifier(texts, keys, scale=100.0)
        apart_float32 = max(apart_float32, float((classifier(ImageFeatures(other)) - logits).abs().max()))
        chosen = typical_photos(support, texts, refined).flatten()
        said = classifier(ImageFeatures(support)).argmax(1)
        same_refined += [*zip(chosen.tolist(), said[chosen].tolist(), strict=True)] == labels
    return {
        "tfup_caches_equal": same_cache / 10,
        "tfup_logits_apart": apart,
        "tfup_logits_apart_float32": apart_float32,
        "tfup_refined_sets_equal": same_refined / 10,
    }


def _tfup(
    clone: Path, texts: Tensor, support: Tensor, other: Tensor, kept: int, refined: int
) -> tuple[Tensor, list[tuple[int, int]], Tensor]:
    """The released code's keys, photos and labels of its refined set, and logits, in float64 and without its GPU."""
    files: dict[str, Tensor] = {}
    found: list[Tensor] = []

    class Torch:
        """torch, but on the CPU, with float64 for float16, and with files in memory."""

        float16 = torch.float64
        device = staticmethod(lambda name: torch.device("cpu"))
        save = staticmethod(lambda tensor, path: files.__setitem__(path, tensor))
        load = staticmethod(files.__getitem__)

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    def one_hot(values: Tensor) -> Any:
        return types.SimpleNamespace(half=lambda: F.one_hot(values).double())

    needs = {
        "torch": Torch(),
        "F": types.SimpleNamespace(softmax=F.softmax, one_hot=one_hot),
        "Datum": types.SimpleNamespace,
        "print": lambda *_: None,
        "cls_acc": lambda logits, _: found.append(logits) or 0.0,
    }
    names = ("refine_few_shots_without_label", "get_sim_based_kl")
    needs |= (functions := _functions(clone / "utils.py", needs, names))
    unknown = torch.full((len(support),), -1)
    data = [types.SimpleNamespace(impath=row, domain=0, classname="") for row in range(len(support))]
    given = ([""] * len(texts), texts, support, unknown, data)
    functions[names[0]](*given, kept, "")
    chosen = functions[names[0]](*given, refined, "", cache=False)
    keys, values = files["/cache_keys.pt"], F.one_hot(files["/cache_values.pt"]).double()
    options = types.SimpleNamespace(TRAINER=types.SimpleNamespace(TFUP=types.SimpleNamespace(beta=1, alpha=0.3)))
    _functions(clone / "main.py", needs, ("TFUP",))["TFUP"](options, keys, values, other, None, texts)
    return keys, [(item.impath, item.label) for item in chosen], found[-1]


class _Features:
    """L2-normalised features of texts, each drawn once."""

    def __init__(self, width: int, seed: int) -> None:
        self._width = width
        self._generator = torch.Generator().manual_seed(seed)
        self._known: dict[str, Tensor] = {}

    def __call__(self, texts: list[str]) -> Tensor:
        for text in texts:
            if text not in self._known:
                self._known[text] = F.normalize(torch.randn(self._width, generator=self._generator), dim=-1)
        return torch.stack([self._known[text] for text in texts])


def _unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def _functions(path: Path, needs: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Functions and classes of a file by their names, wherever in it they stand, without its imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kept = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names]
    if len(kept) != len(names):
        raise SystemExit(
            f"{path} has not all of {', '.join(names)}: expected a clone of the commit that is named above."
        )
    for node in kept:
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef):
                inner.returns = None
                for argument in (*inner.args.args, *inner.args.kwonlyargs):
                    argument.annotation = None
    space = dict(needs)
    exec(compile(ast.Module(kept, []), str(path), "exec"), space)
    return space


if __name__ == "__main__":
    main()
