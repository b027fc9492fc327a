"""AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun; their specs live in `analysis`."""

from analysis.model_base import Model
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus
from analysis.spec import AnalysisTemplateSpec
from rollout.api.meta import ObjectMeta


class AnalysisTemplate(Model):
    """What to measure of a release, and what is good; used by Rollouts of the same namespace."""

    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    spec: AnalysisTemplateSpec = AnalysisTemplateSpec()
    """The metrics."""


class ClusterAnalysisTemplate(Model):
    """What to measure of a release, and what is good; used by Rollouts of every namespace."""

    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    spec: AnalysisTemplateSpec = AnalysisTemplateSpec()
    """The metrics."""


class AnalysisRun(Model):
    """Measurements of one release, and the verdict."""

    spec: AnalysisRunSpec
    """What is measured."""
    metadata: ObjectMeta = ObjectMeta()
    """Standard object metadata."""
    status: AnalysisRunStatus = AnalysisRunStatus()
    """What was found."""
