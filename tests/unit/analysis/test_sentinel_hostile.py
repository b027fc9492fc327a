"""Sentinels that somebody wrote by hand: each damage is refused with the place and a remedy."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis.errors import InvalidSpec
from analysis.model.sentinel.forest import NODES_MAX, TREES_MAX, average_path_length
from analysis.model.sentinel.model import parse_sentinel
from analysis.model.sentinel.neighbors import POINTS_MAX

Json = dict[str, Any]

TREE: Json = {
    "left": [1, -1, 3, -1, -1],
    "right": [2, -1, 4, -1, -1],
    "feature": [0, -1, 1, -1, -1],
    "threshold": [0.5, 0.0, -1.25, 0.0, 0.0],
    "samples": [8, 5, 3, 1, 2],
}


def _forest() -> Json:
    tree = {name: list(values) for name, values in TREE.items()}
    return _sentinel({"type": "IsolationForest", "dimensions": 2, "maxSamples": 8, "trees": [tree]})


def _neighbors() -> Json:
    return _sentinel({"type": "NearestNeighbors", "neighbors": 2, "points": [[0.0, 1.0], [1.0, 0.5], [2.0, 2.0]]})


def _mahalanobis() -> Json:
    return _sentinel({"type": "Mahalanobis", "mean": [0.1, 0.2], "covariance": [[1.0, 0.5], [0.5, 2.0]]})


def _sentinel(detector: Json) -> Json:
    scores = {"medians": [0.0, 0.1], "largestScores": [0.5, 0.75]}
    return {"version": 1, "features": ["errors", "latency"], **scores, "detector": detector}


@pytest.mark.parametrize("valid", [_forest, _neighbors, _mahalanobis])
def test_the_undamaged_ones_are_read(valid: Callable[[], Json]) -> None:
    assert parse_sentinel(json.dumps(valid()).encode()).features == ("errors", "latency")


def _set(*path: Any, to: Any) -> Callable[[Json], None]:
    def damage(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return damage


def _tree(name: str, index: int, to: Any) -> Callable[[Json], None]:
    return _set("detector", "trees", 0, name, index, to=to)


_ROUND = {**TREE, "left": [-1, 2, 1, -1, -1], "right": [-1, 3, 4, -1, -1], "feature": [-1, 0, 0, -1, -1]}
"""Beside a root that is a leaf, two nodes lead to each other, and every place has one parent."""

FOREST = [
    (_set("detector", "trees", 0, to=_ROUND), "children must come after their parent"),
    (_tree("left", 0, 0), "children must come after their parent"),
    (_tree("left", 2, 1), "children must come after their parent"),
    (_tree("right", 2, 3), "each with one parent"),
    (_tree("right", 2, 77), "each with one parent"),
    (_tree("right", 2, NODES_MAX), "<= 1022"),
    (_tree("left", 2, -2), ">= -1"),
    (_tree("left", 0, -1), "has one child"),
    (_tree("feature", 1, 0), "a leaf decides"),
    (_tree("feature", 0, 2), "a feature that is not there"),
    (_tree("threshold", 0, 1e7), "1000000.0"),
    (_tree("threshold", 0, "0.5"), "Expected `float`"),
    (_tree("left", 0, True), "Expected `int`"),
    (_tree("left", 0, 1.0), "Expected `int`, got `float`"),
    (_tree("samples", 0, 9), "not the sum of its children's"),
    (_tree("samples", 4, 0), ">= 1"),
    (_set("detector", "trees", 0, "samples", to=[1]), "different lengths"),
    (_set("detector", "trees", 0, "left", to=[]), "length >= 1"),
    (_set("detector", "trees", 0, "code", to="import os"), "unknown field `code`"),
    (_set("detector", "trees", 0, "left", to=[-1] * (NODES_MAX + 1)), f"length <= {NODES_MAX}"),
    (_set("detector", "trees", to=[TREE] * (TREES_MAX + 1)), f"length <= {TREES_MAX}"),
    (_set("detector", "trees", to=[]), "length >= 1"),
    (_set("detector", "maxSamples", to=1), ">= 2"),
    (_set("detector", "dimensions", to=3), "different numbers of contrasts"),
    (_set("detector", "type", to="Pickle"), "Invalid value 'Pickle'"),
    (_set("detector", to=None), "Expected `object`"),
    (_set("version", to=2), "Invalid enum value 2"),
    (_set("features", to=["errors", "errors"]), "named twice"),
    (_set("features", to=["errors", ""]), "length >= 1"),
    (_set("features", to=["errors"]), "different numbers of contrasts"),
    (_set("medians", to=[0.0]), "different numbers of contrasts"),
    (_set("medians", to=[0.0, None]), "Expected `float`"),
    (_set("largestScores", to=[2.0, 1.0]), "not sorted"),
    (_set("largestScores", to=[0.0] * 10_001), "length <= 10000"),
]
NEIGHBORS = [
    (_set("detector", "points", 0, to=[1.0]), "different numbers of features"),
    (_set("detector", "points", 0, to=[1.0, 1e300]), "1000000.0"),
    (_set("detector", "points", to=[[0.0, 0.0]] * (POINTS_MAX + 1)), f"length <= {POINTS_MAX}"),
    (_set("detector", "points", to=[]), "length >= 1"),
    (_set("detector", "neighbors", to=4), "fewer points than neighbors"),
    (_set("detector", "neighbors", to=0), ">= 1"),
]
MAHALANOBIS = [
    (_set("detector", "covariance", 0, 1, to=0.4), "not symmetric"),
    (_set("detector", "covariance", to=[[1.0, 2.0], [2.0, 1.0]]), "not positive definite"),
    (_set("detector", "covariance", to=[[0.0, 0.0], [0.0, 0.0]]), "not positive definite"),
    (_set("detector", "covariance", to=[[1.0, 1.0], [1.0, 1.0]]), "two features are the same"),
    (_set("detector", "covariance", to=[[1.0]]), "another number of rows"),
    (_set("detector", "covariance", to=[[1.0, 0.0], [0.0]]), "another number of rows"),
    (_set("detector", "mean", to=[]), "length >= 1"),
    (_set("detector", "mean", 0, to=-1e7), "-1000000.0"),
]


@pytest.mark.parametrize(
    ("valid", "damage", "words"),
    [
        *((_forest, *case) for case in FOREST),
        *((_neighbors, *case) for case in NEIGHBORS),
        *((_mahalanobis, *case) for case in MAHALANOBIS),
    ],
)
def test_damage_is_refused_with_its_place(
    valid: Callable[[], Json], damage: Callable[[Json], None], words: str
) -> None:
    damaged = valid()
    damage(damaged)
    with pytest.raises(InvalidSpec) as caught:
        parse_sentinel(json.dumps(damaged).encode())
    assert words in caught.value.problem
    assert caught.value.field.startswith("sentinel.artifact")
    assert caught.value.remedy


def test_the_place_leads_to_the_number_that_is_wrong() -> None:
    damaged = _forest()
    damaged["detector"]["trees"][0]["threshold"][2] = 1e9
    with pytest.raises(InvalidSpec) as caught:
        parse_sentinel(json.dumps(damaged).encode())
    assert caught.value.field == "sentinel.artifact.detector.trees[0].threshold[2]"


def test_the_longest_tree_and_the_shortest_are_scored() -> None:
    # Inner nodes at even places; to the left of each a leaf, to the right the rest of the branch.
    inner = NODES_MAX // 2
    branch: Json = {
        "left": [place + 1 if place % 2 == 0 else -1 for place in range(2 * inner)] + [-1],
        "right": [place + 2 if place % 2 == 0 else -1 for place in range(2 * inner)] + [-1],
        "feature": [0, -1] * inner + [-1],
        "threshold": [0.0] * NODES_MAX,
        "samples": [value for left in range(inner) for value in (inner + 1 - left, 1)] + [1],
    }
    leaf = {"left": [-1], "right": [-1], "feature": [-1], "threshold": [0.0], "samples": [8]}
    sentinel = _forest()
    sentinel["detector"]["trees"] = [leaf, branch]
    detector = parse_sentinel(json.dumps(sentinel).encode()).detector
    shallow, deep = detector.anomaly(np.array([[-1.0, 0.0], [1.0, 0.0]]))
    usual = 2 * float(average_path_length(np.array([8]))[0])
    assert shallow == pytest.approx(2 ** -((usual / 2 + 1) / usual))
    assert deep == pytest.approx(2 ** -((usual / 2 + inner) / usual))
