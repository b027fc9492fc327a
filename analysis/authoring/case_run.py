"""A test of a template is played: the operator's own measurer looks at it as it would at a rollout."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from analysis.authoring.case_data import CaseData, ReadFile, recorded, simulated
from analysis.authoring.cases import Case, Expected, TestFile, percent, seconds
from analysis.authoring.filled import Filled
from analysis.explain import describe
from analysis.judgement import Judgement
from analysis.measure import Look, RunMeasurer
from analysis.run_spec import AnalysisRunSpec, Arm, Arms, RunComparison
from analysis.simulation.rollout import STARTED_AT
from analysis.verdict import Verdict


@dataclass(frozen=True)
class Played:
    """What one run came to.

    Attributes:
        seconds: from the run's start until the verdict was there.
        metric: that failed it; empty where nothing did.
        last: the last judgement.
    """

    verdict: Verdict
    seconds: float
    metric: str
    last: Judgement


@dataclass(frozen=True)
class CaseResult:
    """What became of a test.

    Attributes:
        wrong: what was expected and did not come, a sentence; empty where the test is passed.
        played: one a seed.
        agreeing: how many of them said what was expected.
    """

    name: str
    wrong: str
    played: tuple[Played, ...]
    agreeing: int


def arms_of(file: TestFile) -> Arms:
    """Return the arms of the runs of a file."""
    return Arms(
        canary=Arm(pod_template_hash="canary", pods=file.canary, service="canary"),
        stable=Arm(pod_template_hash="stable", pods=file.stable, service="stable"),
    )


def run_case(file: TestFile, case: Case, filled: Filled, field: str, read: ReadFile) -> CaseResult:
    """Play a test.

    Args:
        file: that it is in.
        case: the test.
        filled: the template, with the arguments of this test.
        field: of the test, for messages.
        read: reads a file beside the file of tests.

    Raises:
        InvalidSpec: the test is none.
    """
    by = None if case.expect.by is None else seconds(case.expect.by, f"{field}.expect.by")
    played = tuple(asyncio.run(_play(filled, file, data)) for data in _data(file, case, filled, field, read))
    wrong = [_wrong(case.expect, by, one) for one in played]
    agreeing = sum(not one for one in wrong)
    enough = agreeing >= percent(case.expect.share, f"{field}.expect.share") * len(played)
    first = next((one for one in wrong if one), "")
    more = f"; {agreeing} of {len(played)} seeds agree, {case.expect.share} were expected" if len(played) > 1 else ""
    return CaseResult(case.name, "" if enough else f"{first}{more}", played, agreeing)


def _data(file: TestFile, case: Case, filled: Filled, field: str, read: ReadFile) -> Iterator[CaseData]:
    if case.simulate is None:
        yield recorded(file, case, field, read)
        return
    for seed in range(case.simulate.seed, case.simulate.seed + case.simulate.seeds):
        yield simulated(filled, arms_of(file), file, case, field, seed)


async def _play(filled: Filled, file: TestFile, data: CaseData) -> Played:
    measurer = RunMeasurer(_spec(filled, file, data), file.namespace, STARTED_AT, data.provider, _secrets(filled))
    interval = min(rule.interval_seconds for rule in filled.rules.rules)
    looks = max(int((data.ends - STARTED_AT) / interval), 1)
    proven: float | None = None
    for number in range(1, looks + 1):
        now = STARTED_AT + number * interval
        seen = await measurer.look(Look(now, data.weights, data.pods(now)))
        if seen.verdict is Verdict.FAIL:
            return Played(Verdict.FAIL, now - STARTED_AT, seen.culprit, seen)
        if seen.verdict is not Verdict.PASS:
            proven = None
        elif proven is None:
            proven = now - STARTED_AT
    return Played(seen.verdict, proven if proven is not None else looks * interval, "", seen)


def _spec(filled: Filled, file: TestFile, data: CaseData) -> AnalysisRunSpec:
    comparison = filled.run.comparison or RunComparison()
    raises = sum(change.percent > 0 for change in data.weights)
    return msgspec.structs.replace(
        filled.run,
        comparison=msgspec.structs.replace(comparison, arms=arms_of(file), weight_increases=max(raises, 1)),
    )


def _secrets(filled: Filled) -> dict[str, str]:
    return {arg.name: "" for arg in filled.run.args if arg.value is None}


def _wrong(expect: Expected, by: float | None, played: Played) -> str:
    """Return what is not as expected; empty where all is."""
    if played.verdict.value != expect.verdict:
        return f"expected {expect.verdict}, came {_came(played)}"
    if expect.metric and played.metric != expect.metric:
        return f'expected metric "{expect.metric}" to fail, "{played.metric}" did: {played.last.explanation}'
    if by is not None and played.seconds > by:
        return f"expected {expect.verdict} within {by / 60:g} min, came after {played.seconds / 60:g} min"
    if expect.says and expect.says not in describe(played.last):
        return f"expected the words {expect.says!r}, came {_came(played)}"
    return ""


def _came(played: Played) -> str:
    who = f" by {played.metric}" if played.metric else ""
    return f"{played.verdict.value}{who} after {played.seconds / 60:g} min: {played.last.explanation}"
