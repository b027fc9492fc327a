"""Evidence and ratios over time, drawn with the characters of a terminal. Pure."""

import math
from collections.abc import Iterator, Sequence

from analysis.authoring.timeline import spread
from analysis.authoring.tracks import Point, Track, Tracks
from analysis.percent import format_decimal
from analysis.phrases import odds

COLUMNS = 60
ROWS = 10
_BLOCKS, _PLAIN = "▁▂▃▄▅▆▇█", "_.-=+*%#"
_FACTOR_MAX = 20.0


def draw(tracks: Tracks, *, fine: bool) -> Iterator[str]:
    """The run's evidence, then every part that is known: its evidence, and its ratio with the interval at some moments.

    Args:
        tracks: of a record.
        fine: whether the terminal shows block characters.
    """
    yield f"evidence over {tracks.minutes[-1]:.3g} minutes, from 1:1 to the limit of {odds(tracks.log_limit)}:1"
    yield f"  {_line(tracks.log_odds, tracks.log_limit, fine=fine)} {odds(tracks.log_odds[-1])}:1"
    if changes := _changes(tracks):
        yield f"  {changes}"
    for track in tracks.parts:
        if track.known:
            yield from ("", f"{track.name}: evidence in its share of the budget, and canary/stable with its interval")
            yield f"  {_line(track.log_odds, tracks.log_limit, fine=fine)} {odds(track.log_odds[-1])}:1"
            yield from (f"  {line}" for line in _intervals(track))


def _line(log_odds: Sequence[float], log_limit: float, *, fine: bool) -> str:
    """A character a moment; the lowest is 1:1 and less, the highest the limit and more."""
    signs = _BLOCKS if fine else _PLAIN
    chosen = spread(log_odds, COLUMNS)
    levels = [min(max(value / log_limit, 0.0), 1.0) for value in chosen]
    return "".join(signs[round(level * (len(signs) - 1))] for level in levels)


def _changes(tracks: Tracks) -> str:
    told = [f"{percent}% from {minutes:.3g} min" for minutes, percent in tracks.weights]
    return f"weight: {', '.join(told)}" if told else ""


def _intervals(track: Track) -> Iterator[str]:
    """A row a moment: `o` is the estimate, `-` the interval, `|` no difference, `!` harm, `T` what is tolerated."""
    shown = spread(track.known, ROWS)
    ends = [min(point.lower for point in shown), max(point.upper for point in shown), track.harm, 1.0]
    ends += [track.tolerance] if track.tolerance is not None else []
    low = max(min(ends), 1 / _FACTOR_MAX)
    high = min(max(ends), _FACTOR_MAX)

    def column(ratio: float) -> int:
        share = (math.log(min(max(ratio, low), high)) - math.log(low)) / (math.log(high) - math.log(low))
        return round(share * (COLUMNS - 1))

    yield f"{'':>8} {format_decimal(low)}x{format_decimal(high):>{COLUMNS - len(format_decimal(low)) - 2}}x"
    marks = {column(1.0): "|", column(track.harm): "!"}
    if track.tolerance is not None:
        marks[column(track.tolerance)] = "T"
    for point in shown:
        lower, upper, ratio = (column(one) for one in (point.lower, point.upper, point.ratio))
        yield f"{point.minutes:5.3g} min{_row(point, lower, upper, ratio, marks)}"


def _row(point: Point, lower: int, upper: int, ratio: int, marks: dict[int, str]) -> str:
    cells = [marks.get(place, "-" if lower <= place <= upper else " ") for place in range(COLUMNS)]
    cells[ratio] = "o"
    ends = f"{format_decimal(point.lower)}-{format_decimal(point.upper)}"
    return f" {''.join(cells)} {format_decimal(point.ratio)}x ({ends})"
