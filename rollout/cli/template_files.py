"""Templates, Rollouts and presets out of files, as the verbs of `coalmine analysis` read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from analysis.authoring.filled import Filled, fill
from analysis.comparison_spec import ComparisonSettings
from analysis.evidence.metric_parts import MetricNoise
from analysis.model.artefact import digest
from analysis.model.history import query_digests
from analysis.model.noise import noises_of
from analysis.model.validate import validate_failure_model
from analysis.presets.load import presets
from analysis.run_spec import Arms
from analysis.spec import AnalysisTemplateSpec, TemplateRef
from rollout.api.analysis import AnalysisTemplate, ClusterAnalysisTemplate
from rollout.api.failuremodel import FailureModel
from rollout.api.rollout import Rollout
from rollout.cli.arguments import UsageError
from rollout.errors import CoalmineError, InvalidSpec
from rollout.render.limits import DEFAULT_LIMITS
from rollout.render.manifests import parse_manifests

Json = dict[str, Any]
StructT = TypeVar("StructT", bound=msgspec.Struct)

TEMPLATE_KINDS = ("AnalysisTemplate", "ClusterAnalysisTemplate")


class FileError(CoalmineError):
    """A file that cannot be read as what it was given for."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file."""

    path: str
    manifest: Json

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest.get("kind", ""))

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        metadata = self.manifest.get("metadata")
        return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"{self.path}: {self.kind} {self.name}"

    @property
    def ref(self) -> TemplateRef:
        """How other templates refer to it."""
        return TemplateRef(template_name=self.name, cluster_scope=self.kind == "ClusterAnalysisTemplate")

    @property
    def template(self) -> AnalysisTemplateSpec:
        """Its spec; raises FileError where a field has a wrong type."""
        if self.kind == "ClusterAnalysisTemplate":
            return self.as_struct(ClusterAnalysisTemplate).spec
        return self.as_struct(AnalysisTemplate).spec

    def as_struct(self, struct: type[StructT]) -> StructT:
        """The object as a struct of ours; raises FileError where a field has a wrong type."""
        try:
            return msgspec.convert(self.manifest, struct)
        except msgspec.ValidationError as error:
            raise FileError(f"{self.title}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file of at most a mebibyte; raises FileError."""
    try:
        with path.open("rb") as file:
            content = file.read(DEFAULT_LIMITS.file_bytes + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > DEFAULT_LIMITS.file_bytes:
        raise FileError(f"{path} has more than {DEFAULT_LIMITS.file_bytes} bytes")
    return content


def read_documents(names: Iterable[str]) -> tuple[Document, ...]:
    """All objects of some files; a name that is no file may be a preset's; raises FileError or RenderError."""
    found: list[Document] = []
    for name in names:
        shipped = next((one for one in presets() if one.name == name), None)
        content = shipped.text.encode() if shipped and not Path(name).exists() else read_bytes(Path(name))
        found += [Document(name, obj) for obj in parse_manifests(content, name, DEFAULT_LIMITS)]
    return tuple(found)


def find_in(documents: Sequence[Document], ref: TemplateRef) -> AnalysisTemplateSpec | None:
    """The template that is referred to: of the files, else a preset."""
    for document in documents:
        if document.kind in TEMPLATE_KINDS and document.ref == ref:
            return document.template
    if not ref.cluster_scope:
        return None
    return next((one.spec for one in presets() if one.name == ref.template_name), None)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a run would be made of.

    Attributes:
        title: name of the template or Rollout.
        refs: the templates.
        args: values a Rollout gives to arguments; those with valueFrom are not known in a file.
        rollout: the Rollout that was in the files, if any.
    """

    title: str
    refs: tuple[TemplateRef, ...]
    args: Mapping[str, str]
    settings: ComparisonSettings | None
    rollout: Rollout | None = None


def choose(documents: Sequence[Document], wanted: str | None) -> Chosen:
    """The template that is meant: named, or a Rollout's background analysis, or the one that no other includes.

    Raises:
        UsageError: it is not clear which.
    """
    templates = [document for document in documents if document.kind in TEMPLATE_KINDS]
    rollouts = [document.as_struct(Rollout) for document in documents if document.kind == "Rollout"]
    rollout = rollouts[0] if len(rollouts) == 1 else None
    analysis = rollout.spec.strategy.canary.analysis if rollout and rollout.spec.strategy.canary else None
    if rollout and analysis and not wanted:
        args = {arg.name: arg.value for arg in analysis.args if arg.value is not None}
        return Chosen(rollout.metadata.name, analysis.templates, args, analysis.comparison, rollout)
    settings = analysis.comparison if analysis else None
    if wanted:
        found = [document for document in templates if document.name == wanted]
    else:
        included = {ref for document in templates for ref in document.template.templates}
        found = [document for document in templates if document.ref not in included]
    if len(found) != 1:
        known = ", ".join(document.name for document in templates) or "none"
        raise UsageError(f"name one template with --template; the files have: {known}")
    return Chosen(found[0].name, (found[0].ref,), {}, settings, rollout)


def filled(
    documents: Sequence[Document],
    chosen: Chosen,
    args: Mapping[str, str],
    settings: ComparisonSettings | None = None,
    *,
    weight_increases: int = 1,
    arms: Arms | None = None,
) -> Filled:
    """The templates as a run would have them; raises InvalidSpec."""
    return fill(
        chosen.refs,
        lambda ref: find_in(documents, ref),
        {**chosen.args, **args},
        settings or chosen.settings,
        weight_increases=weight_increases,
        arms=arms,
    )


def noises_of_model(path: Path, template: Filled) -> tuple[Mapping[str, MetricNoise], tuple[str, ...]]:
    """The noise that a FailureModel in a file gives a template, and the metrics that it says nothing of.

    Raises:
        FileError: the file has no FailureModel, or several.
        InvalidSpec: the model is none.
    """
    models = [document for document in read_documents([str(path)]) if document.kind == "FailureModel"]
    if len(models) != 1:
        raise FileError(f"{path} has {len(models)} FailureModels; one is expected")
    spec = models[0].as_struct(FailureModel).spec
    for problem in validate_failure_model(spec):
        raise problem
    digests = query_digests({metric.name: metric for metric in template.metrics})
    noises = noises_of(spec, template.rules, digests, digest(spec))
    return noises, tuple(name for name, noise in noises.items() if not noise.main.certified)


def settings_of(chosen: Chosen, budget: str | None, warm_up: str | None) -> ComparisonSettings:
    """The settings of the run: those of flags win over the Rollout's; raises InvalidSpec."""
    given = {"false_rollback_budget": budget, "warm_up": warm_up}
    base = chosen.settings or ComparisonSettings()
    try:
        return msgspec.structs.replace(base, **{name: value for name, value in given.items() if value is not None})
    except msgspec.ValidationError as error:
        raise InvalidSpec("--budget", str(error)) from error
