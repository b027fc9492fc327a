"""The demo on a terminal: a live picture, or plain lines where nobody looks."""

import sys
import time
from collections.abc import Callable
from typing import Any, Self

from rollout.sandbox.demo.observer import Sample
from rollout.sandbox.demo.scenario import Outcome, Story

LINE_SECONDS = 5.0
RECENT = 6


class PlainView:
    """One line a turn of the story, and one every few seconds beside it."""

    def __init__(self) -> None:
        self._began, self._last = time.monotonic(), 0.0

    def tell(self, text: str) -> None:
        """Say what happens."""
        sys.stdout.write(f"{time.monotonic() - self._began:6.1f}s  {text}\n")
        sys.stdout.flush()

    def show(self, sample: Sample) -> None:
        """Show a second, now and then."""
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            self.tell(f"        {line_of(sample)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def line_of(sample: Sample) -> str:
    """A second in one line."""
    arms = ", ".join(f"{v}: {c.total} req/s {c.errors} errors" for v, c in sorted(sample.arms.items())) or "no requests"
    evidence = f"; evidence {sample.evidence:.3g}:1 of {sample.limit:.0f}:1" if sample.limit else ""
    state = f"{sample.phase} {sample.message}".strip()
    return f"{state}; canary {sample.weight_percent} % on {sample.canary_pods} pods; {arms}{evidence}"


class LiveView:
    """A picture that redraws itself: arms, evidence, and the story so far."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._story: list[str] = []
        self._began = time.monotonic()
        self._sample: Sample | None = None
        self._live = Live(self._picture(), console=Console(), refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, text: str) -> None:
        """Say what happens."""
        self._story.append(f"{time.monotonic() - self._began:6.1f}s  {text}")
        self._live.update(self._picture())

    def show(self, sample: Sample) -> None:
        """Show a second."""
        self._sample = sample
        self._live.update(self._picture())

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        story = Panel(Text("\n".join(self._story[-RECENT:]) or "starting the sandbox"), title="what happens")
        if self._sample is None:
            return story
        log = Panel(Text("\n".join(self._sample.log), no_wrap=True, overflow="ellipsis"), title="Git log")
        return Group(_arms(self._sample), log, story)


def _arms(sample: Sample) -> Any:
    from rich.table import Table

    table = Table(title=f"shop: {sample.phase} {sample.message}  step {sample.step}", expand=True)
    for column in ("arm", "pods", "weight", "requests/s", "errors/s"):
        table.add_column(column)
    versions = sorted(sample.arms.items())
    shares = {"stable": 100 - sample.weight_percent, "canary": sample.weight_percent}
    pods = {"stable": sample.stable_pods, "canary": sample.canary_pods}
    for arm in ("stable", "canary"):
        table.add_row(arm, str(pods[arm]), f"{shares[arm]} %", "", "")
    for version, counts in versions:
        table.add_row(f"version {version}", "", "", str(counts.total), str(counts.errors))
    if sample.limit:
        interval = f", errors {sample.ratio:.2f}x ({sample.lower:.2f} to {sample.upper:.2f})" if sample.ratio else ""
        table.caption = f"evidence against the canary {sample.evidence:.3g}:1, limit {sample.limit:.0f}:1{interval}"
    return table


def make_view() -> PlainView | LiveView:
    """The picture on a terminal, else lines."""
    return LiveView() if sys.stdout.isatty() else PlainView()


def summary(story: Story) -> str:
    """The table at the end."""
    head = ("release", "expected", "seen", "seconds", "requests as clients counted them", "unanswered")
    rows = [head, *(_row(outcome) for outcome in story.outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(outcome: Outcome) -> tuple[str, ...]:
    counts = "; ".join(f"{version}: {c.total} ({c.errors} errors)" for version, c in sorted(outcome.clients.items()))
    return outcome.release, outcome.expected, outcome.seen, f"{outcome.seconds:.0f}", counts, str(outcome.failed)


Tell = Callable[[str], None]
