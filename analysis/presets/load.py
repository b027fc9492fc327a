"""The presets as they are shipped: text for people and the chart, templates for the engine."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import yaml

from analysis.errors import InvalidSpec
from analysis.spec import AnalysisTemplateSpec

PRESET_LABEL = "coalmine.dev/preset"
RELABELINGS_ANNOTATION = "coalmine.dev/metric-relabelings"
"""Rules for a ServiceMonitor's metricRelabelings, where a preset cannot do without."""


@dataclass(frozen=True)
class Preset:
    """One ClusterAnalysisTemplate.

    Attributes:
        name: of the object.
        system: what it is for, the value of its label coalmine.dev/preset.
        text: the YAML with its comments, which say what has to be scraped.
        spec: the template.
        relabelings: rules of metric_relabel_configs that have to be in place, as YAML; empty for most.
    """

    name: str
    system: str
    text: str
    spec: AnalysisTemplateSpec
    relabelings: str = ""


@cache
def presets() -> tuple[Preset, ...]:
    """Return all presets, ordered by name."""
    found = [file for file in files(__package__).iterdir() if file.name.endswith(".yaml")]
    return tuple(_parsed(file.read_text(encoding="utf-8")) for file in sorted(found, key=lambda file: file.name))


def preset(name: str) -> Preset:
    """Return one preset by its name; raises InvalidSpec naming those that exist."""
    for one in presets():
        if one.name == name:
            return one
    known = ", ".join(one.name for one in presets())
    raise InvalidSpec("preset", f'there is no preset "{name}"', f"there are {known}")


def _parsed(text: str) -> Preset:
    manifest: dict[str, Any] = yaml.safe_load(text)
    metadata = manifest["metadata"]
    return Preset(
        name=metadata["name"],
        system=metadata["labels"][PRESET_LABEL],
        text=text,
        spec=msgspec.convert(manifest["spec"], AnalysisTemplateSpec),
        relabelings=metadata.get("annotations", {}).get(RELABELINGS_ANNOTATION, ""),
    )
