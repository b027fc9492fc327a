"""How the false-rollback budget is shared: between metrics, within one between its parts, and with the combined one."""

from dataclasses import dataclass

from analysis.evidence.combined import COMBINED_WEIGHT, metric_shares
from analysis.evidence.metric_parts import metric_parts, prior
from analysis.rules import RunRules

COMBINED = "combined"


@dataclass(frozen=True)
class Share:
    """One row.

    Attributes:
        share: of the whole budget, 0 to 1; 0 in a dry run.
        parts: label and share of each part of a metric that has several.
    """

    metric: str
    share: float
    parts: tuple[tuple[str, float], ...] = ()
    dry_run: bool = False


def budget_shares(rules: RunRules) -> tuple[Share, ...]:
    """Return the share of every metric, as the template orders them; the combined one is the last."""
    acting = {rule.name: rule.budget_weight for rule in rules.rules if not rule.dry_run}
    shares = metric_shares(acting)
    rows = []
    for rule in rules.rules:
        share = shares.get(rule.name, 0.0)
        parts = metric_parts(rule, prior(rule))
        shown = tuple((part.part.label, share * part.share) for part in parts) if len(parts) > 1 else ()
        rows.append(Share(rule.name, share, shown, rule.dry_run))
    reserved = COMBINED_WEIGHT / (sum(acting.values()) + COMBINED_WEIGHT)
    return (*rows, Share(COMBINED, reserved))
