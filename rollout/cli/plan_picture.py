"""A plan as a picture: how the evidence of each harm grows at each step. matplotlib is in the extra `notebooks`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.authoring.plan import Curve, Planner
from analysis.authoring.service import PlannedStep
from rollout.errors import CoalmineError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INCHES_WIDE, _INCHES_A_STEP = 10.0, 2.6
_SALT = "coalmine"


def draw(planner: Planner, steps: "Sequence[PlannedStep]", path: Path) -> None:
    """Write the picture, one panel a step; raises CoalmineError without matplotlib, or where it cannot be written."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CoalmineError("--output needs matplotlib: pip install 'coalmine[notebooks]'") from error
    with mpl.rc_context({"svg.hashsalt": _SALT}):
        figure = Figure(figsize=(_INCHES_WIDE, _INCHES_A_STEP * len(steps)), layout="constrained")
        for index, step in enumerate(steps):
            axes = figure.add_subplot(len(steps), 1, index + 1)
            _panel(axes, step, planner.curves(tuple(steps), index), planner.rules.budget)
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise CoalmineError(f"{path} cannot be written: {error.strerror}") from error


def _panel(axes: Any, step: PlannedStep, curves: "Sequence[Curve]", budget: float) -> None:
    for curve in curves:
        odds = [math.exp(min(value, 50.0)) for value in curve.log_odds]
        axes.plot(curve.minutes, odds, label=f"{curve.metric} {curve.harm.label}")
    axes.axhline(1 / budget, color="black", linewidth=0.8, linestyle="--")
    axes.axvline(step.seconds / 60, color="grey", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylim(0.01, 100 / budget)
    axes.set_title(f"{step.weight_percent}%, {step.canary_pods} canary pods", loc="left", fontsize="medium")
    axes.set_xlabel("minutes since the step began")
    axes.set_ylabel("odds against no harm")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
