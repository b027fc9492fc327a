"""What goes wrong at which request and at which line of a watch: a pure function of a seed.

Each seed has a weather of its own: some kinds of faults, how often, and outages that last. All of it ends after a
number of requests, so that the right end can be reached by whoever goes on trying.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

RATES = (0.02, 0.05, 0.1, 0.2)
DELAY_SECONDS = (0.05, 1.5)
OUTAGE_SECONDS_MAX = 8.0


class Fault(StrEnum):
    """What a proxy can do to a request, to a line of a watch, or to both."""

    CUT = "cut"
    """The connection ends before the real part is asked; at a line: before it."""
    CUT_AFTER = "cut after"
    """The real part has answered, and nobody hears it."""
    HALF = "half"
    """Half of an answer or of a line, then the connection ends."""
    DELAY = "delay"
    FORBIDDEN = "403"
    GONE = "410"
    BUSY = "429"
    BROKEN = "500"
    HALF_AND_END = "half and end"
    """Half of a line, and then a stream that ends as if it were whole."""
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    """A line comes after the next one."""
    EXPIRED = "410 in the stream"
    """A watch whose first and only line says that it begins too far in the past."""


STATUS = {Fault.FORBIDDEN: 403, Fault.GONE: 410, Fault.BUSY: 429, Fault.BROKEN: 500}
OF_REQUESTS = (Fault.CUT, Fault.CUT_AFTER, Fault.HALF, Fault.DELAY, *STATUS)
OF_LINES = (
    Fault.CUT, Fault.HALF, Fault.HALF_AND_END, Fault.DELAY, Fault.GONE, Fault.BUSY, Fault.BROKEN, Fault.DUPLICATE,
    Fault.REORDER,
)  # fmt: skip
OUTAGES = (Fault.CUT, *STATUS)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault.

    Attributes:
        fault: the kind.
        seconds: how long a delay takes, or for how long an outage answers everything so; 0: this request only.
    """

    fault: Fault
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Weather:
    """What a seed does at one place.

    Attributes:
        rate: share of requests, or of lines, that something happens to.
        kinds: what may happen.
        last: number of the first request, or line, that is left alone for ever.
        outages: number of the request that begins one, and what it is.
    """

    rate: float
    kinds: tuple[Fault, ...]
    last: int
    outages: tuple[tuple[int, Trouble], ...] = ()


CALM = Weather(0.0, (), 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where faults happen.

    Attributes:
        name: part of what the dice are seeded with.
        last: number of the first request, or line, that is left alone for ever.
        kinds: faults that can happen here.
        outages_max: how often everything may fail for a while.
    """

    name: str
    last: int
    kinds: tuple[Fault, ...]
    outages_max: int = 0


KUBERNETES = Place("kubernetes", 300, OF_REQUESTS, 2)
WATCHES = Place("watches", 400, OF_LINES)
GIT = Place("git", 40, OF_REQUESTS, 1)
PROMETHEUS = Place("prometheus", 40, OF_REQUESTS, 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one seed; None: nothing ever goes wrong."""

    seed: int | None = None

    def weather(self, place: Place) -> Weather:
        """What this seed does at a place."""
        if self.seed is None:
            return CALM
        dice = random.Random(f"{self.seed}/{place.name}/weather")
        kinds = tuple(sorted(dice.sample(place.kinds, dice.randint(1, len(place.kinds)))))
        outages = [
            (dice.randrange(place.last), Trouble(dice.choice(OUTAGES), dice.uniform(0.5, OUTAGE_SECONDS_MAX)))
            for _ in range(dice.randint(0, place.outages_max))
        ]
        return Weather(dice.choice(RATES), kinds, place.last, tuple(outages))

    def trouble(self, place: Place, number: int) -> Trouble | None:
        """What happens to the request, or the line, of a number, counted from 0."""
        weather = self.weather(place)
        if number >= weather.last:
            return None
        for first, outage in weather.outages:
            if first == number:
                return outage
        dice = random.Random(f"{self.seed}/{place.name}/{number}")
        if dice.random() >= weather.rate:
            return None
        fault = dice.choice(weather.kinds)
        return Trouble(fault, dice.uniform(*DELAY_SECONDS) if fault is Fault.DELAY else 0.0)
