"""A release of real processes, and its AnalysisRun as the operator would take it through its life."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import yaml

from analysis.background_spec import RolloutAnalysisBackground
from analysis.comparison_spec import ComparisonSettings
from analysis.evidence.guards import PodSeen
from analysis.evidence.metric_parts import MetricNoise
from analysis.judgement import Judgement, WeightChange
from analysis.measure import Look, Models, RunMeasurer
from analysis.run import decide
from analysis.run_spec import AnalysisRunSpec, AnalysisRunStatus, Arm, Arms
from analysis.spec import AnalysisTemplateSpec, Argument, TemplateRef
from analysis.template import build_run
from analysis.validate import validate_template
from analysis.verdict import Verdict
from analysis.world import LookDue, RunWorld
from rollout.sandbox.node.behaviour import Behaviour
from tests.support.live_pods import NAMESPACE, LivePod
from tests.support.stretched_time import StretchedTime

ARMS = ("canary", "stable")


@dataclass
class LiveRelease:
    """Both arms of one release; each arm has `pods` pods, so that the canary's weight is 50 %.

    Attributes:
        name: one word, the first of its pods' names.
        judgement: of the last look.
        status: of the AnalysisRun.
    """

    name: str
    stable: Behaviour
    canary: Behaviour
    folder: Path
    pods: int = 3
    judgement: Judgement | None = None
    status: AnalysisRunStatus = field(default_factory=AnalysisRunStatus)
    looks: int = 0

    def __post_init__(self) -> None:
        self.arms = {
            arm: [LivePod(f"{self.name}-{arm}-{i}", behaviour, self.folder) for i in range(self.pods)]
            for arm, behaviour in zip(ARMS, (self.canary, self.stable), strict=True)
        }

    @property
    def all_pods(self) -> list[LivePod]:
        """The pods of both arms."""
        return [*self.arms["canary"], *self.arms["stable"]]

    @property
    def verdict(self) -> Verdict:
        """Of the last look."""
        return self.judgement.verdict if self.judgement is not None else Verdict.INCONCLUSIVE

    async def follow(
        self,
        spec: AnalysisRunSpec,
        watched: StretchedTime,
        noises: Mapping[str, MetricNoise],
        enough: Callable[["LiveRelease"], bool],
    ) -> None:
        """Take turns until the run has ended, or enough of it was seen."""
        began = watched.now()
        measurer = RunMeasurer(spec, NAMESPACE, began, watched, models=Models(noises))
        weights = (WeightChange(began, 50),)
        while True:
            decision = decide(RunWorld(spec, self.status, judgement=self.judgement), watched.now())
            self.status = decision.status
            if self.status.phase.completed or enough(self):
                return
            if LookDue() in decision.due:
                self.judgement = await measurer.look(Look(watched.now(), weights, self._seen(watched)))
                self.looks += 1
            elif decision.wake_at is not None:
                await watched.sleep_until(decision.wake_at)

    def _seen(self, watched: StretchedTime) -> list[PodSeen]:
        """The pods as the operator's cache shows them."""
        return [PodSeen(pod.name, watched.stretched(pod.started_at), pod.restarts) for pod in self.all_pods]


def run_spec(name: str, template: str, prometheus: str) -> AnalysisRunSpec:
    """What the background analysis of a Rollout of that name measures by a template."""
    spec = msgspec.convert(yaml.safe_load(template), AnalysisTemplateSpec)
    assert validate_template(spec) == ()
    canary, stable = (
        Arm(pod_template_hash=arm, pods=f"{name}-{arm}-[a-z0-9]+", service=f"{name}-{arm}") for arm in ARMS
    )
    # Pods are as young as their test.
    settings = ComparisonSettings(warm_up="0s")
    analysis = RolloutAnalysisBackground(templates=(TemplateRef(template_name="health"),), comparison=settings)
    arguments = (Argument(name="prometheus", value=prometheus),)
    return build_run(analysis, lambda _: spec, args=arguments, arms=Arms(canary=canary, stable=stable))
