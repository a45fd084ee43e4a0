import numpy as np
import pytest
from jsonargparse import ArgumentParser

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.mllm_direct import MllmDirectCandidates
from fgvr.candidates.random import RandomCandidates
from fgvr.candidates.single import SingleCandidates
from fgvr.candidates.union import UnionCandidates
from fgvr.config.names import PARSER_MODE, expand_argv
from fgvr.errors import FgvrError


def random_images(count=50, num_classes=6, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = [tuple(generator.permutation(num_classes)[: generator.integers(4)].tolist()) for _ in range(count)]
    return NamedImages(tuple(f"{image:02}.jpg" for image in range(count)), labels, num_classes, features)


def reference(images, strategies):
    parts = []
    for strategy in strategies:
        sets = strategy.build(images)
        parts.append(dict(zip(sets.sample_ids, sets, strict=True)))
    result = {}
    for sample_id in images.sample_ids:
        given = [part[sample_id] for part in parts if sample_id in part]
        totals = {}
        for indices, weights in given:
            for index, weight in zip(indices.tolist(), weights.tolist(), strict=True):
                totals[index] = totals.get(index, 0) + weight / len(given)
        if totals:
            result[sample_id] = totals
    return result


@pytest.mark.parametrize(
    "strategies",
    [
        [KnnCandidates(4, weights="similarity"), MllmDirectCandidates(), SingleCandidates()],
        [MllmDirectCandidates(), RandomCandidates(3)],
        [SingleCandidates(), MllmDirectCandidates()],  # neither has a set for photos without a name
    ],
)
def test_it_is_the_definition(strategies):
    images = random_images()
    sets = UnionCandidates(strategies).build(images)
    expected = reference(images, strategies)
    assert sets.sample_ids == tuple(expected)
    for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True):
        assert indices.tolist() == list(expected[sample_id])
        np.testing.assert_allclose(weights, list(expected[sample_id].values()), atol=1e-6)


def test_features_are_needed_where_a_part_needs_them():
    assert not UnionCandidates([SingleCandidates(), MllmDirectCandidates()]).needs_features
    assert UnionCandidates([SingleCandidates(), KnnCandidates()]).needs_features


def test_one_strategy_is_no_union():
    with pytest.raises(FgvrError, match=r"candidates\.strategies has 1"):
        UnionCandidates([SingleCandidates()])


YAML = """
data:
  candidates:
    class_path: union
    init_args:
      strategies:
      - class_path: knn
        init_args: {k: 5, weights: count, backbone: lite}
      - mllm_direct
"""


def test_short_names_in_yaml_and_on_the_command_line(tmp_path):
    parser = ArgumentParser(parser_mode=PARSER_MODE)
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(CandidateStrategy, "data.candidates")
    path = tmp_path / "union.yaml"
    path.write_text(YAML)
    strategy = parser.instantiate(parser.parse_args(["--config", str(path)])).data.candidates
    assert [type(part) for part in strategy.strategies] == [KnnCandidates, MllmDirectCandidates]
    assert (strategy.strategies[0].k, strategy.strategies[0].weights) == (5, "count")
    assert type(strategy.strategies[0].backbone).__name__ == "LiteBackbone"
    assert not strategy.needs_features

    argv = expand_argv(["--data.candidates", "union", "--data.candidates.strategies", "[knn, single]"])
    strategy = parser.instantiate(parser.parse_args(argv)).data.candidates
    assert [type(part) for part in strategy.strategies] == [KnnCandidates, SingleCandidates]
