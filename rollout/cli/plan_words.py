"""A plan in words and bars. Pure."""

from collections.abc import Iterator

from analysis.authoring.plan import Plan, StepPlan
from analysis.authoring.play import HORIZON_SECONDS, Wait
from analysis.authoring.proposal import LONGEST_SECONDS, Proposal
from analysis.percent import format_decimal, format_percent
from rollout.cli.screen import Screen, table

BAR_COLUMNS = 48
_BAR_STEPS = 3
"""A bar reaches three times the step's duration."""


def words(plan: Plan, title: str, screen: Screen) -> Iterator[str]:
    """The plan, table by table."""
    service = plan.service
    noise = "noise learned" if plan.certified else "noise assumed by priors"
    yield (
        f"{title}: {format_decimal(service.requests_per_second)} requests a second, "
        f"{format_percent(service.error_rate)} errors, {service.stable_pods} stable pods; "
        f"budget {format_percent(plan.budget)}, {noise}"
    )
    yield from ("", "Time until harm that begins with a step is seen at it: half of the releases (nine of ten)")
    yield from _grid(plan, [_sights(step) for step in plan.steps], screen)
    if plan.steps[0].proofs:
        yield from ("", "Time until a tolerance is proven at a step by `verify`: half of the releases (nine of ten)")
        yield from _grid(plan, [_proofs(step) for step in plan.steps], screen)
    yield from ("", "A release that is bad from its first minute, with these steps:")
    yield from (f"  {line}" for line in _wholes(plan))


_Row = tuple[str, Wait, Wait]
"""What is waited for: by the median release, and by nine of ten."""


def _sights(step: StepPlan) -> list[_Row]:
    return [(f"{sight.metric} {sight.harm.label}", sight.wait, sight.most) for sight in step.sights]


def _proofs(step: StepPlan) -> list[_Row]:
    named = [(f"{one.metric} within {format_percent(one.tolerance)}", one) for one in step.proofs]
    return [(name, one.wait, one.most) for name, one in named]


def _grid(plan: Plan, columns: list[list[_Row]], screen: Screen) -> Iterator[str]:
    """A row a harm, a column a step."""
    steps = [step.step for step in plan.steps]
    head = ("", *(f"{s.weight_percent}% ({s.canary_pods}), {minutes(s.seconds)}" for s in steps))
    rows = (
        (one[0], *(_cells(column[row], step.seconds, screen) for column, step in zip(columns, steps, strict=True)))
        for row, one in enumerate(columns[0])
    )
    yield from (f"  {line}" for line in table(head, rows))


def _cells(row: _Row, step_seconds: float, screen: Screen) -> str:
    _, median, most = row
    first = _cell(median, step_seconds, screen)
    return first if median.seconds is None else f"{first} ({_cell(most, step_seconds, screen)})"


def _cell(wait: Wait, step_seconds: float, screen: Screen) -> str:
    if wait.never:
        return screen.paint("never", "red")
    if wait.seconds is None:
        return screen.paint(f">{minutes(HORIZON_SECONDS)}", "red")
    return screen.paint(minutes(wait.seconds), "green" if wait.seconds <= step_seconds else "yellow")


def minutes(seconds: float) -> str:
    """A span in the words of a plan: `30s`, `9m30s`, `1h20m`."""
    whole = round(seconds)
    units = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60 if whole < 3600 else 0, "s"))
    return "".join(f"{count}{unit}" for count, unit in units if count) or "0s"


def _wholes(plan: Plan) -> Iterator[str]:
    unseen = [whole for whole in plan.wholes if whole.seconds is None]
    for whole in plan.wholes:
        if whole.seconds is not None and whole.step is not None:
            weight = plan.steps[whole.step].step.weight_percent
            yield (
                f"{whole.metric} {whole.harm.label}: seen after {minutes(whole.seconds)}, at {weight}%, "
                f"when the canary has served {whole.canary_requests:,.0f} requests"
            )
    if unseen:
        names = ", ".join(f"{whole.metric} {whole.harm.label}" for whole in unseen)
        yield f"not seen, while the canary serves {unseen[0].canary_requests:,.0f} requests: {names}"


def bars(plan: Plan, screen: Screen) -> Iterator[str]:
    """A bar a harm and proof that comes at all."""
    for step in plan.steps:
        yield from ("", f"{step.step.weight_percent}%, whose {minutes(step.step.seconds)} end at the stroke:")
        shown = [row for row in [*_sights(step), *_proofs(step)] if row[1].seconds is not None]
        width = max((len(row[0]) for row in shown), default=0)
        yield from (f"  {row[0]:{width}}  {_bar(row[1], step.step.seconds, screen)}" for row in shown)


def _bar(wait: Wait, step_seconds: float, screen: Screen) -> str:
    end = BAR_COLUMNS // _BAR_STEPS
    longest = step_seconds * _BAR_STEPS
    seconds = longest if wait.seconds is None else wait.seconds
    length = max(round(min(seconds / longest, 1.0) * BAR_COLUMNS), 1)
    bar = "".join("|" if place == end else "=" if place < length else " " for place in range(max(length, end + 1)))
    return f"{bar}{'>' if seconds > longest or wait.seconds is None else ''} {_cell(wait, step_seconds, screen)}"


def advice(plan: Plan, proposal: Proposal, first_weight: int | None, target_seconds: float) -> Iterator[str]:
    """What to change, and the steps proposed as YAML."""
    yield from ("", "What to change:")
    hints = [*_hints(plan), *_left_out(proposal)]
    if first_weight is not None and first_weight > plan.steps[0].step.weight_percent:
        hints.append(
            f"begin at {first_weight}% to see within {minutes(target_seconds)} what larger weights show in that time"
        )
    yield from (f"  - {hint}" for hint in hints or ["nothing: every harm is seen and every tolerance proven in time"])
    yield from ("", "Steps that see the first harm of every metric and prove what can be proven:")
    for step in proposal.steps:
        yield f"  - setCanaryScale: {{replicas: {step.step.canary_pods}}}"
        yield f"  - setWeight: {step.step.weight_percent}"
        hold = "verify: {timeout: %s}" if step.proofs else "pause: {duration: %s}"
        yield f"  - {hold % minutes(step.step.seconds)}"


def _hints(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        here = f"at {step.step.weight_percent}% with {_pods(step.step.canary_pods)}"
        for shown in step.proofs:
            if shown.wait.never:
                parts = " and ".join(part for part in shown.never if part)
                what = f"{shown.metric}{f' ({parts})' if parts else ''}"
                wider = "" if shown.provable is None else f"; from {_up(shown.provable)} on it can be"
                yield f"{here}, {what} within {format_percent(shown.tolerance)} is never proven{wider}"
        blind = [f"{s.metric} {s.harm.label}" for s in step.sights if s.wait.never and s.forgiven == 0]
        if blind:
            yield f"{here}, the usual differences between pods hide {', '.join(blind)}"
        for s in step.sights:
            if s.wait.never and s.forgiven > 0:
                yield f"{here}, {s.metric} {s.harm.label} hides behind minDifference, {format_percent(s.forgiven)}"
    if not plan.certified:
        yield "learn this service's noise with `coalmine model fit`: the priors assume more than most services have"


def _left_out(proposal: Proposal) -> Iterator[str]:
    for weight in proposal.left_out:
        yield f"leave out {weight}%: it would have to be held for more than {minutes(LONGEST_SECONDS)}"


def _pods(count: int) -> str:
    return f"{count} canary pod{'' if count == 1 else 's'}"


def _up(ratio: float) -> str:
    """A tolerance in percent, rounded up to two digits, so that it can be proven as it is written."""
    percent = ratio * 100
    unit = 1 if percent < 100 else 10
    return f"{-(-percent // unit) * unit:.0f}%"
