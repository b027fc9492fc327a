"""The root of the one tree of errors. `rollout.errors` grows the operator's branches on it."""


class CoalmineError(Exception):
    """Everything the product raises on purpose."""


class InvalidSpec(CoalmineError):
    """A manifest asks for something that cannot be done; a retry alone never helps.

    Args:
        field: path of the field as a user writes it, such as `spec.metrics[0].comparison.counts.events`.
        problem: what is wrong with it.
        remedy: what to write instead.
    """

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        self.field, self.problem, self.remedy = field, problem, remedy
        super().__init__(f"{field}: {problem}" + (f"; {remedy}" if remedy else ""))


class NotSupportedYet(InvalidSpec):
    """A field that is valid in the API and not built yet."""

    def __init__(self, field: str, remedy: str = "") -> None:
        super().__init__(field, "not supported yet", remedy)


class Transient(CoalmineError):
    """May go away by itself; try again later."""


class MeasurementError(Transient):
    """A metric provider did not give usable data."""
