"""A record as one HTML page with SVG drawings: no script, nothing loaded, readable anywhere. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from analysis.authoring.tracks import Point, Track, Tracks
from analysis.percent import format_decimal
from analysis.phrases import odds

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 240, 64, 16, 14, 30
_RATIO_MAX = 20.0
_TICKS = (0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0, 10.0, 20.0)
_MINUTE_TICKS = 8
_STYLE = """\
body{font:15px/1.45 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}
pre{background:#f5f6f8;padding:1em;overflow:auto;font-size:13px}h2{font-size:17px;margin:1.6em 0 .2em}
svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#57606a}.axis{stroke:#d0d7de}
.line{fill:none;stroke:#0969da;stroke-width:2}.band{fill:#0969da;opacity:.15}.limit{stroke:#cf222e;stroke-dasharray:5 4}
.one{stroke:#57606a}.harm{stroke:#cf222e;stroke-dasharray:2 3}.tolerance{stroke:#9a6700;stroke-dasharray:6 3}
.weight{stroke:#8250df;opacity:.5}.block{stroke:#1b1f24;opacity:.45}.dot{fill:#1b1f24;opacity:.6}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}
text{fill:#9198a1}.axis{stroke:#30363d}.one,.block{stroke:#9198a1}.dot{fill:#e6edf3}}"""


@dataclass(frozen=True)
class _Scale:
    """From minutes and a logarithm to the drawing's points."""

    minutes: float
    low: float
    high: float

    def x(self, minutes: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * minutes / max(self.minutes, 1e-9), 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share, 1)


def page(title: str, words: str, tracks: Tracks) -> str:
    """The page of a record.

    Args:
        title: what was judged.
        words: the judgement as text.
        tracks: of the record.
    """
    parts = "\n".join(line for track in tracks.parts if track.known for line in _part(track, tracks))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1><pre>{escape(words)}</pre>",
            "<h2>Evidence of all metrics together</h2>",
            *_evidence(tracks.minutes, tracks.log_odds, tracks),
            f"<p>Dashed: the limit, {odds(tracks.log_limit)}:1. Upright lines: changes of the canary's weight.</p>",
            parts,
            "</body></html>\n",
        ]
    )


def _part(track: Track, tracks: Tracks) -> Iterator[str]:
    last = track.known[-1]
    kind = "factor an hour" if track.family == "Growth" else "canary/stable"
    yield f"<h2>{escape(track.name)}</h2>"
    ends = f"{format_decimal(last.lower)} to {format_decimal(last.upper)}"
    tolerated = "; dashed: what is tolerated" if track.tolerance is not None else ""
    yield f"<p>{kind} {format_decimal(last.ratio)} (95% interval {ends}).</p>"
    yield f"<p>Band: what all data so far say; dots: each block alone; dotted: what is called harm{tolerated}.</p>"
    yield from _ratios(track, tracks)
    yield "<p>Evidence, in its share of the budget:</p>"
    yield from _evidence(track.minutes, track.log_odds, tracks)


def _evidence(minutes: Sequence[float], log_odds: Sequence[float], tracks: Tracks) -> Iterator[str]:
    low = math.log(1e-2)
    scale = _Scale(tracks.minutes[-1], low, max(tracks.log_limit * 1.2, *log_odds))
    ticks = [(10.0**power, math.log(10) * power) for power in range(-2, 13) if math.log(10) * power <= scale.high]
    yield from _frame(scale, [(f"{format_decimal(value)}:1", place) for value, place in ticks], tracks)
    yield _level(scale, tracks.log_limit, "limit")
    yield _polyline(scale, list(zip(minutes, log_odds, strict=True)))
    yield "</svg>"


def _ratios(track: Track, tracks: Tracks) -> Iterator[str]:
    drawn = [*track.known, *track.blocks]
    ends = [
        *(p.lower for p in track.known),
        *(p.upper for p in track.known),
        *(p.ratio for p in drawn),
        track.harm,
        1.0,
    ]
    ends += [track.tolerance] if track.tolerance is not None else []
    low, high = max(min(ends), 1 / _RATIO_MAX), min(max(ends), _RATIO_MAX)
    scale = _Scale(tracks.minutes[-1], math.log(low) - 0.02, math.log(high) + 0.02)
    ticks = [(f"{value:g}x", math.log(value)) for value in _TICKS if low <= value <= high]
    yield from _frame(scale, ticks, tracks)
    yield _level(scale, 0.0, "one")
    yield _level(scale, math.log(track.harm), "harm")
    if track.tolerance is not None:
        yield _level(scale, math.log(track.tolerance), "tolerance")
    yield _band(scale, track.known)
    yield from (_block(scale, point) for point in track.blocks)
    yield _polyline(scale, [(point.minutes, math.log(point.ratio)) for point in track.known])
    yield "</svg>"


def _frame(scale: _Scale, ticks: Sequence[tuple[str, float]], tracks: Tracks) -> Iterator[str]:
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
    for name, value in ticks:
        yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{scale.y(value)}" y2="{scale.y(value)}"/>'
        yield f'<text x="{_LEFT - 6}" y="{scale.y(value) + 4}" text-anchor="end">{name}</text>'
    step = max(math.ceil(scale.minutes / _MINUTE_TICKS), 1)
    for minute in range(0, int(scale.minutes) + 1, step):
        yield f'<text x="{scale.x(minute)}" y="{_HEIGHT - 8}" text-anchor="middle">{minute} min</text>'
    for minutes, percent in tracks.weights:
        x = scale.x(max(minutes, 0.0))
        yield f'<line class="weight" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield f'<text x="{x + 3}" y="{_TOP + 8}">{percent}%</text>'


def _level(scale: _Scale, value: float, kind: str) -> str:
    y = scale.y(value)
    return f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'


def _polyline(scale: _Scale, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="line" points="{" ".join(f"{scale.x(x)},{scale.y(y)}" for x, y in points)}"/>'


def _band(scale: _Scale, points: Sequence[Point]) -> str:
    upper = [(point.minutes, math.log(point.upper)) for point in points]
    lower = [(point.minutes, math.log(point.lower)) for point in reversed(points)]
    return f'<polygon class="band" points="{" ".join(f"{scale.x(x)},{scale.y(y)}" for x, y in [*upper, *lower])}"/>'


def _block(scale: _Scale, point: Point) -> str:
    x = scale.x(point.minutes)
    ends = scale.y(math.log(point.lower)), scale.y(math.log(point.upper))
    return (
        f'<line class="block" x1="{x}" x2="{x}" y1="{ends[0]}" y2="{ends[1]}"/>'
        f'<circle class="dot" cx="{x}" cy="{scale.y(math.log(point.ratio))}" r="3"/>'
    )
