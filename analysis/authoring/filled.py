"""A template as a run would have it: references followed, arguments filled in, defaults applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.arguments import fill_metric, run_values
from analysis.background_spec import RolloutAnalysisBackground
from analysis.comparison_spec import ComparisonSettings
from analysis.rules import RunRules, comparison_rules
from analysis.run_spec import AnalysisRunSpec, Arms
from analysis.spec import Argument, Metric, TemplateRef
from analysis.template import FindTemplate, build_run


@dataclass(frozen=True)
class Filled:
    """Templates as one run has them.

    Attributes:
        run: what the Rollout controller would create.
        metrics: with all arguments filled in, comparisons and others.
        rules: of the comparisons.
    """

    run: AnalysisRunSpec
    metrics: tuple[Metric, ...]
    rules: RunRules

    def metric(self, name: str) -> Metric:
        """Return a metric by its name; raises StopIteration where there is none."""
        return next(metric for metric in self.metrics if metric.name == name)


def fill(
    refs: Sequence[TemplateRef],
    find: FindTemplate,
    args: Mapping[str, str],
    settings: ComparisonSettings | None = None,
    *,
    weight_increases: int = 1,
    arms: Arms | None = None,
) -> Filled:
    """Return templates as a run would have them; values of Secrets stay as they are written.

    Raises:
        InvalidSpec: a template or an argument is missing, or a filled-in value is none.
    """
    analysis = RolloutAnalysisBackground(templates=tuple(refs), comparison=settings)
    given = [Argument(name=name, value=value) for name, value in args.items()]
    run = build_run(analysis, find, args=given, arms=arms, weight_increases=weight_increases)
    values = run_values(run.args)
    metrics = tuple(fill_metric(metric, values, f'metric "{metric.name}"', secrets_stay=True) for metric in run.metrics)
    return Filled(run, metrics, comparison_rules(run, metrics))
