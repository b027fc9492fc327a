"""The CRDs in the repository are those that the structs make, and every field of ours explains itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollout.api.crds import KINDS, Kind, text

CRDS = Path(__file__).parents[2] / "crds"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_the_crd_in_the_repository_is_the_generated_one(kind: Kind) -> None:
    assert (CRDS / f"coalmine.dev_{kind.plural}.yaml").read_text() == text(kind), "run `make crds`"


def test_there_is_a_crd_for_each_kind_and_no_other() -> None:
    assert {path.name for path in CRDS.glob("coalmine.dev_*")} == {f"coalmine.dev_{k.plural}.yaml" for k in KINDS}
    assert len(KINDS) == 8


def undescribed(schema: dict, path: str) -> Iterator[str]:
    for name, child in (schema.get("properties") or {}).items():
        here = f"{path}.{name}"
        if not child.get("description") and name != "metadata":
            yield here
        if name != "template":  # The pod template is Kubernetes', its prose is left out.
            yield from undescribed(child, here)
            yield from undescribed(child.get("items") or {}, f"{here}[]")
            if isinstance(child.get("additionalProperties"), dict):
                yield from undescribed(child["additionalProperties"], f"{here}{{}}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_every_field_of_ours_has_a_description(kind: Kind) -> None:
    manifest = yaml.safe_load((CRDS / f"coalmine.dev_{kind.plural}.yaml").read_text())
    schema = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["description"]
    assert list(undescribed(schema, kind.plural)) == []
