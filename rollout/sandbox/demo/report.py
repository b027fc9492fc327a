"""The report of the demo: one HTML file with its pictures inside, that needs nothing from anywhere."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rollout.sandbox.demo.observer import Counts, Sample
from rollout.sandbox.demo.scenario import Story
from rollout.sandbox.demo.view import summary

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 960, 240, 70, 30, 36
STABLE, CANARY, LIMIT, GRID, MARK = "#2b6cb0", "#dd6b20", "#c53030", "#e2e8f0", "#4a5568"
Z_95 = 1.96
WINDOW_SECONDS = 5.0

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1020px;margin:2em auto;padding:0 1em;color:#1a202c}
h1{margin-bottom:0}h2{margin-top:1.6em}pre{background:#f7fafc;border:1px solid #e2e8f0;padding:.8em;overflow-x:auto}
svg{width:100%;height:auto}.add{color:#276749}.del{color:#9b2c2c}.note{color:#4a5568}
"""


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a picture's values lie."""

    start: float
    end: float
    low: float
    high: float

    def x(self, at: float) -> float:
        """Pixels of a time."""
        return LEFT + (at - self.start) / max(self.end - self.start, 1.0) * (WIDTH - LEFT - 10)

    def y(self, value: float) -> float:
        """Pixels of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / max(self.high - self.low, 1e-9)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


@dataclass(frozen=True, slots=True)
class Ticks:
    """Values that the vertical axis names, and how."""

    values: Sequence[float]
    label: Callable[[float], str]


def write_report(story: Story, path: Path) -> None:
    """Write the report."""
    path.write_text(page(story), encoding="utf-8")


def page(story: Story) -> str:
    """The whole document."""
    parts = [
        "<h1>Coalmine: three releases of a shop</h1>",
        '<p class="note">Real processes, real HTTP, real Git. Times are seconds since the first request.</p>',
        f"<pre>{html.escape(summary(story))}</pre>",
        *(f"<p><b>{html.escape(o.release)}</b>: {html.escape(o.detail)}</p>" for o in story.outcomes),
        "<h2>The canary's share of the traffic</h2>",
        _weights(story),
        "<h2>Errors as clients saw them, with 95 % intervals (5-second windows)</h2>",
        _errors(story),
        "<h2>Evidence against the canary (odds), and the limit of the budget</h2>",
        _evidence(story),
        "<h2>The revert in Git</h2>",
        f"<p>Signature verified by git: <b>{'yes' if story.revert_signed else 'no'}</b></p>",
        f"<pre>{html.escape(story.revert_message)}</pre>",
        f"<pre>{_diff(story.revert_diff)}</pre>",
        "<h2>Git log at the end</h2>",
        f"<pre>{html.escape(chr(10).join(story.log))}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>Coalmine demo</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _diff(text: str) -> str:
    lines = []
    for line in text.splitlines():
        kind = {"+": "add", "-": "del"}.get(line[:1], "")
        lines.append(f'<span class="{kind}">{html.escape(line)}</span>' if kind else html.escape(line))
    return "\n".join(lines)


def _axes(story: Story, low: float, high: float) -> Axes:
    times = [sample.at for sample in story.samples] or [0.0, 1.0]
    return Axes(min(times), max(times), low, high)


def _weights(story: Story) -> str:
    axes = _axes(story, 0, 100)
    points = [(sample.at, float(sample.weight_percent)) for sample in story.samples]
    drawn = [_steps(axes, points, CANARY)]
    return _picture(story, axes, drawn, Ticks((0, 25, 50, 75, 100), lambda v: f"{v:.0f} %"), "canary's weight")


def _errors(story: Story) -> str:
    """Error rates by version, whole windows, each with Wilson's interval."""
    axes = _axes(story, 0, 0.5)
    versions = sorted({version for sample in story.samples for version in sample.arms})
    colours = dict(zip(versions, (STABLE, "#2f855a", CANARY), strict=False))
    drawn = [_rates(axes, story.samples, version, colours.get(version, GRID)) for version in versions]
    legend = [(f"version {v}", colours.get(v, GRID)) for v in versions]
    return _picture(story, axes, drawn, Ticks((0, 0.1, 0.2, 0.3, 0.4, 0.5), lambda v: f"{v:.0%}"), "errors", legend)


def _rates(axes: Axes, samples: Sequence[Sample], version: str, colour: str) -> str:
    points, bands = [], []
    for at, counts in _windows(samples, version):
        low, high = wilson(counts)
        x = axes.x(at)
        bands.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{axes.y(low):.1f}" y2="{axes.y(high):.1f}" '
            f'stroke="{colour}" stroke-opacity=".35" stroke-width="4"/>'
        )
        points.append(f"{x:.1f},{axes.y(counts.errors / counts.total):.1f}")
    return "".join(bands) + f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(points)}"/>'


def _windows(samples: Sequence[Sample], version: str) -> list[tuple[float, Counts]]:
    windows: dict[int, Counts] = {}
    for sample in samples:
        counts = sample.arms.get(version)
        if counts is not None:
            slot = int(sample.at // WINDOW_SECONDS)
            windows[slot] = windows.get(slot, Counts()).plus(counts.ok, counts.errors)
    return [((slot + 0.5) * WINDOW_SECONDS, counts) for slot, counts in sorted(windows.items()) if counts.total]


def wilson(counts: Counts) -> tuple[float, float]:
    """Wilson's 95 % interval of an error rate (Wilson 1927)."""
    n, p = counts.total, counts.errors / counts.total
    centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _evidence(story: Story) -> str:
    """On a logarithmic axis: odds are products."""
    limit = max((sample.limit for sample in story.samples), default=100.0) or 100.0
    top = max([limit, *(sample.evidence for sample in story.samples)])
    axes = _axes(story, -1, math.log10(top) + 0.5)
    points = [(s.at, math.log10(max(s.evidence, 0.1))) for s in story.samples if s.limit]
    y = axes.y(math.log10(limit))
    line = _line((LEFT, y), (WIDTH - 10, y), LIMIT, dash="6 4")
    ticks = Ticks(tuple(range(-1, math.floor(axes.high) + 1)), lambda v: f"{10**v:.3g}:1")
    legend = [("evidence", CANARY), (f"limit {limit:.0f}:1", LIMIT)]
    return _picture(story, axes, [line, _dots(axes, points, CANARY)], ticks, "evidence", legend)


def _dots(axes: Axes, points: Sequence[tuple[float, float]], colour: str) -> str:
    return "".join(f'<circle cx="{axes.x(t):.1f}" cy="{axes.y(v):.1f}" r="2.5" fill="{colour}"/>' for t, v in points)


def _steps(axes: Axes, points: Sequence[tuple[float, float]], colour: str) -> str:
    path: list[str] = []
    for index, (at, value) in enumerate(points):
        if index:
            path.append(f"{axes.x(at):.1f},{axes.y(points[index - 1][1]):.1f}")
        path.append(f"{axes.x(at):.1f},{axes.y(value):.1f}")
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" points="{" ".join(path)}"/>'


def _picture(
    story: Story,
    axes: Axes,
    drawn: Sequence[str],
    ticks: Ticks,
    title: str,
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """Axes, the pushes as vertical lines, and what was drawn."""
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    for value in ticks.values:
        parts.append(_line((LEFT, axes.y(value)), (WIDTH - 10, axes.y(value)), GRID))
        parts.append(_text(LEFT / 2, axes.y(value) + 4, ticks.label(value)))
    for at, subject in story.marks:
        parts.append(_line((axes.x(at), TOP), (axes.x(at), HEIGHT - BOTTOM), "#718096", dash="2 3"))
        # A name that would leave the picture stands before its line.
        late = axes.x(at) > WIDTH * 0.8
        parts.append(_text(axes.x(at) + (-4 if late else 4), TOP - 4, subject[:34], MARK, "end" if late else "start"))
    parts += drawn
    span = axes.end - axes.start
    parts += [_text(axes.x(axes.start + span * i / 6), HEIGHT - 8, f"{span * i / 6:.0f} s") for i in range(6)]
    parts.append(_text(WIDTH - 2, HEIGHT - 8, f"{span:.0f} s", anchor="end"))
    parts += [_text(LEFT + 110 * i, 12, f"● {name}", colour, "start") for i, (name, colour) in enumerate(legend)]
    return "".join(parts) + "</svg>"


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, dash: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-dasharray="{dash or "none"}"/>'


def _text(x: float, y: float, words: str, colour: str = "#1a202c", anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="12" fill="{colour}">{html.escape(words)}</text>'
