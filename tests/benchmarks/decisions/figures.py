"""From outcomes to figures: rates with their bounds, times, users exposed; as JSON and as tables."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.decisions.settings import INTERVAL_SECONDS
from tests.benchmarks.decisions.work import Outcome

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Figure:
    """What a judge did in a scenario.

    Attributes:
        rate: share of rollouts that were rolled back, with its two-sided 95 % Clopper-Pearson interval.
        median_minutes: until the rollback, over all rollouts; None where fewer than half were rolled back.
        exposed_median: requests of users to the canary until the rollback, over all rollouts.
    """

    scenario: str
    judge: str
    rollouts: int
    rolled_back: int
    rate: float
    lower: float
    upper: float
    median_minutes: float | None
    exposed_median: float
    reasons: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def figures(outcomes: Iterable[Outcome]) -> list[Figure]:
    """Return a figure for each judge in each scenario, in order of appearance."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.scenario, outcome.judge), []).append(outcome)
    return [_figure(scenario, judge, group) for (scenario, judge), group in groups.items()]


def _figure(scenario: str, judge: str, group: Sequence[Outcome]) -> Figure:
    fired = [one for one in group if one.windows is not None]
    times = [math.inf if one.windows is None else one.windows * INTERVAL_SECONDS / 60 for one in group]
    median = statistics.median(times)
    lower, upper = clopper_pearson(len(fired), len(group))
    reasons: dict[str, int] = {}
    for one in fired:
        reasons[one.by] = reasons.get(one.by, 0) + 1
    return Figure(
        scenario=scenario,
        judge=judge,
        rollouts=len(group),
        rolled_back=len(fired),
        rate=len(fired) / len(group),
        lower=lower,
        upper=upper,
        median_minutes=median if math.isfinite(median) else None,
        exposed_median=statistics.median(one.exposed for one in group),
        reasons=dict(sorted(reasons.items())),
    )


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a rate (Clopper and Pearson 1934), by bisection on binomial sums."""
    tail = (1 - confidence) / 2
    lower = 0.0 if successes == 0 else _solve(lambda p: 1 - _at_most(successes - 1, trials, p), tail, rising=True)
    upper = 1.0 if successes == trials else _solve(lambda p: _at_most(successes, trials, p), tail, rising=False)
    return lower, upper


def _solve(probability: Any, wanted: float, *, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (probability(middle) < wanted) == rising else (low, middle)
    return (low + high) / 2


def _at_most(successes: int, trials: int, p: float) -> float:
    if p <= 0 or p >= 1:
        return 1.0 if p <= 0 or successes >= trials else 0.0
    choose = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(
            choose - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * math.log(p) + (trials - k) * math.log1p(-p)
        )
        for k in range(successes + 1)
    )


def pooled(found: Sequence[Figure], judge: str) -> tuple[int, int, float]:
    """Return false rollbacks, healthy rollouts and the upper bound of their rate, all environments together."""
    healthy = [figure for figure in found if figure.judge == judge and figure.scenario.endswith(":healthy")]
    events, trials = sum(one.rolled_back for one in healthy), sum(one.rollouts for one in healthy)
    return events, trials, clopper_pearson(events, trials)[1] if trials else 1.0


def rate_table(found: Sequence[Figure], judges: Sequence[str], scenarios: Sequence[str]) -> str:
    """Return false rollbacks as a table in Markdown, in percent; the first judge with its bounds."""
    known = {(figure.scenario, figure.judge): figure for figure in found}
    lines = [_row(["healthy rollouts", "n", *judges]), _row(["---"] * (len(judges) + 2))]
    for scenario in scenarios:
        cells = [_rate(known.get((scenario, judge)), bounds=judge == judges[0]) for judge in judges]
        first = known.get((scenario, judges[0]))
        lines.append(_row([scenario.removesuffix(":healthy"), str(first.rollouts if first else 0), *cells]))
    return "\n".join(lines)


def _rate(figure: Figure | None, *, bounds: bool) -> str:
    if figure is None:
        return "-"
    text = f"{100 * figure.rate:.1f}"
    return f"{text} ({100 * figure.lower:.2f}-{100 * figure.upper:.2f})" if bounds else text


def power_table(found: Sequence[Figure], judges: Sequence[str], scenarios: Sequence[str]) -> str:
    """Return detection in percent and median minutes as a table in Markdown."""
    known = {(figure.scenario, figure.judge): figure for figure in found}
    lines = [_row(["fault", *judges]), _row(["---"] * (len(judges) + 1))]
    lines += [_row([scenario, *(_power(known.get((scenario, judge))) for judge in judges)]) for scenario in scenarios]
    return "\n".join(lines)


def exposure_table(found: Sequence[Figure], judges: Sequence[str], scenarios: Sequence[str]) -> str:
    """Return the median requests of users to a faulty canary as a table in Markdown."""
    known = {(figure.scenario, figure.judge): figure for figure in found}
    lines = [_row(["users exposed", *judges]), _row(["---"] * (len(judges) + 1))]
    for scenario in scenarios:
        cells = [known.get((scenario, judge)) for judge in judges]
        lines.append(_row([scenario, *("-" if one is None else f"{one.exposed_median:.0f}" for one in cells)]))
    return "\n".join(lines)


def _power(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    minutes = "-" if figure.median_minutes is None else f"{figure.median_minutes:.3g}m"
    return f"{100 * figure.rate:.0f} / {minutes}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
