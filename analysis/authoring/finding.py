"""What lint says: a place, what is wrong there, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from analysis.errors import InvalidSpec, NotSupportedYet


class Severity(StrEnum):
    """How bad it is; only errors let lint fail."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing to know about a template.

    Attributes:
        field: path as a user writes it, or a metric's name.
    """

    severity: Severity
    field: str
    problem: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.severity}: {self.field}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")


def error_of(problem: InvalidSpec) -> Finding:
    """Return a refusal as a finding."""
    if isinstance(problem, NotSupportedYet):
        return Finding(Severity.ERROR, problem.field, "is not supported yet and would be refused", problem.remedy)
    return Finding(Severity.ERROR, problem.field, problem.problem, problem.remedy)


def warning(field: str, problem: str, remedy: str = "") -> Finding:
    """Return a finding that lets lint succeed."""
    return Finding(Severity.WARNING, field, problem, remedy)
