"""One whole render: what hostile objects cost, and that no shape of an object breaks what follows."""

import json
from collections.abc import Iterable

import msgspec
import pytest

from rollout.api.application import ApplicationSource
from rollout.domain.sync.digest import images_of, rollout_template
from rollout.domain.sync.driven import drivers_of, with_live_values
from rollout.domain.sync.files import TreeEntry
from rollout.domain.sync.objects import ObjectId, Rendered
from rollout.domain.sync.ordering import in_stages
from rollout.errors import RenderError
from rollout.kube.inventory import Owner, marked
from rollout.render.amount import expanded_bytes
from rollout.render.limits import DEFAULT_LIMITS, Limits
from rollout.render.render import render
from tests.support.memory_tree import MemoryReader

SOURCE = msgspec.convert({"repositoryRef": {"name": "shop"}, "path": "app"}, ApplicationSource)
COMMIT = "c" * 40
CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


class Repository:
    """One commit."""

    def __init__(self, files: dict[str, str]) -> None:
        self._contents = {name: text.encode() for name, text in files.items()}
        self._reader = MemoryReader(self._contents)

    def files(self, revision: str, path: str = "") -> tuple[TreeEntry, ...]:
        assert (revision, path) == (COMMIT, "")
        return tuple(TreeEntry(name, "100644", f"blob-{name}", len(text)) for name, text in self._contents.items())

    def read(self, entries: Iterable[TreeEntry], total_bytes_max: int) -> dict[str, bytes]:
        return self._reader.read(tuple(entries), total_bytes_max)


def rendered(files: dict[str, str], limits: Limits = DEFAULT_LIMITS) -> Rendered:
    return render(Repository(files), COMMIT, SOURCE, "shop", limits=limits)


def test_many_small_alias_bombs_are_refused_together() -> None:
    row = f"a: &a [{','.join(['x' * 100] * 100)}]\nb: [{','.join(['*a'] * 100)}]\n"
    files = {f"app/{i}.yaml": CM % f"c{i}" + row for i in range(20)}
    assert sum(map(len, files.values())) < 300_000
    assert rendered({"app/0.yaml": files["app/0.yaml"]}).size_bytes > 1_000_000
    with pytest.raises(RenderError, match="more than 10000000 bytes together; split it"):
        rendered(files, Limits(rendered_bytes=10_000_000))


def test_the_number_of_objects_is_bounded_over_all_files() -> None:
    files = {f"app/{i}.yaml": CM % f"a{i}" + "---\n" + CM % f"b{i}" for i in range(3)}
    assert len(rendered(files).objects) == 6
    with pytest.raises(RenderError, match="more than 5 objects"):
        rendered(files, Limits(objects=5))


def test_an_amount_counts_shared_parts_each_time_and_stops_early() -> None:
    shared = ["x" * 1000] * 100
    bomb: list[object] = shared
    for _ in range(30):
        bomb = [bomb] * 10
    assert expanded_bytes(shared, 10**9) > 100_000
    assert 10**6 < expanded_bytes(bomb, 10**6) < 2 * 10**6


@pytest.mark.parametrize(
    "spec",
    [
        "x",
        [1],
        None,
        {"template": "x"},
        {"template": {"metadata": "x", "spec": [1]}},
        {"template": {"metadata": {"annotations": [1]}, "spec": {"containers": 5, "initContainers": ["x"]}}},
        {"template": {"spec": {"containers": [{"env": {"a": 1}, "envFrom": "x"}], "volumes": [1]}}},
        {"selector": "x", "scaleTargetRef": 5, "strategy": [1], "names": [], "versions": ["a", {"name": {}}]},
        {"names": {"kind": ["x"]}, "versions": {"a": 1}, "rules": [1, {"backendRefs": [1]}]},
    ],
)
@pytest.mark.parametrize(
    "kind",
    [
        "coalmine.dev/v1alpha1/Rollout",
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        "autoscaling/v2/HorizontalPodAutoscaler",
        "v1/Service",
        "gateway.networking.k8s.io/v1/HTTPRoute",
        "batch/v1/CronJob",
    ],
)
def test_an_object_of_any_shape_can_be_marked_staged_and_merged(spec: object, kind: str) -> None:
    """The API server says what is wrong with it; nothing of ours may fall over it before."""
    api_version, _, name = kind.rpartition("/")
    wild = {"apiVersion": api_version, "kind": name, "metadata": {"name": "web"}, "spec": spec}
    sane = {
        "apiVersion": "coalmine.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "other"},
        "spec": {"strategy": {"canary": {"stableService": "web", "canaryService": "web2"}}},
    }
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "other"},
        "spec": {"scaleTargetRef": {"apiVersion": "coalmine.dev/v1alpha1", "kind": "Rollout", "name": "web"}},
    }
    files = {f"app/{i}.json": json.dumps(obj) for i, obj in enumerate((wild, sane, scaler))}
    result = rendered(files)
    live = {**wild, "spec": {"replicas": 3, "selector": {"rollouts-pod-template-hash": "abc"}, "rules": []}}
    for wanted in (o for stage in in_stages(result.objects) for o in stage):
        assert ObjectId.parse(str(wanted.id)) == wanted.id
        images_of(rollout_template(wanted.obj))
        desired = with_live_values(marked(wanted, Owner("shop", "web")), live, drivers_of(result))
        assert desired["metadata"]["name"] == wanted.id.name


@pytest.mark.parametrize("wave", ["--5", "\u00b2", "1e3", "", "99999999"])
def test_a_wave_that_is_no_number_is_the_middle_one(wave: str) -> None:
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "x", "annotations": {"coalmine.dev/sync-wave": wave}},
        }
    )
    late = CM % "late" + "".join(
        ["---\n", CM.replace("name: %s", "name: z, annotations: {coalmine.dev/sync-wave: '5'}")]
    )
    stages = in_stages(rendered({"app/a.json": text, "app/b.yaml": late}).objects)
    assert [[o.id.name for o in stage] for stage in stages] == [["late", "x"], ["z"]]
