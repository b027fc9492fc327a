"""The label sets of a selector: described when they are met first, and found by a number afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from analysis.errors import MeasurementError
from analysis.evidence.special import FloatArray
from analysis.series.clock import IntArray
from analysis.series.labels import bound_of, described, key_of
from analysis.series.packed import TIME_MS_MAX
from analysis.series.places import ArmOf, PlaceBook, Places
from analysis.series.raw import Labels, RawSeries

MAX_SERIES = 50_000
NO_BOUND = 0.0
NOBODY = -1


_KEY, _PLACE, _COUNTER, _TARGET, _FIRST = range(5)


@dataclass(frozen=True)
class Sources:
    """Facts about label sets, sorted by their number.

    Attributes:
        facts: (facts, label sets), one array since a run has many of these.
    """

    facts: IntArray

    @classmethod
    def none(cls) -> "Sources":
        """Return no sources."""
        return cls(np.zeros((5, 0), dtype=np.int64))

    def _fact(self, number: int) -> IntArray:
        found: IntArray = self.facts[number]
        return found

    @property
    def key(self) -> IntArray:
        """Number of each label set, without the bound of a bucket."""
        return self._fact(_KEY)

    @property
    def place(self) -> IntArray:
        """Where each was scraped."""
        return self._fact(_PLACE)

    @property
    def counter(self) -> IntArray:
        """Equal for those that differ only by who scraped them."""
        return self._fact(_COUNTER)

    @property
    def target(self) -> IntArray:
        """Who scraped each."""
        return self._fact(_TARGET)

    @property
    def first(self) -> IntArray:
        """Time of each one's first sample of all."""
        return self._fact(_FIRST)

    @cached_property
    def doubled(self) -> bool:
        """Whether some of them may be the same counter."""
        return np.unique(self.counter).size < self.counter.size

    @cached_property
    def one_a_place(self) -> bool:
        """Whether each is alone at its place."""
        return np.unique(self.place).size == self.place.size

    def taken(self, index: IntArray) -> "Sources":
        """Return some of them."""
        return Sources(self.facts[:, index])

    def plus(self, rows: list[tuple[int, int, int, int, int]]) -> "Sources":
        """Return these and some more, still sorted."""
        facts = np.concatenate([self.facts, np.asarray(rows, dtype=np.int64).T], axis=1)
        return Sources(np.ascontiguousarray(facts[:, np.argsort(facts[_KEY], kind="stable")]))

    def find(self, keys: IntArray) -> IntArray:
        """Return the index of each number, NOBODY where it is unknown."""
        if self.key.size == 0:
            return np.full(keys.size, NOBODY, dtype=np.int64)
        index = np.minimum(np.searchsorted(self.key, keys), self.key.size - 1)
        return np.where(self.key[index] == keys, index, NOBODY)


@dataclass(frozen=True)
class _Tokens:
    """Numbers of whole label sets by Python's hash, which is quick; it differs from process to process.

    Attributes:
        bound: NaN where the label `le` is no number.
    """

    token: IntArray
    key: IntArray
    bound: FloatArray

    @classmethod
    def none(cls) -> "_Tokens":
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))

    def find(self, tokens: IntArray) -> IntArray:
        if self.token.size == 0:
            return np.full(tokens.size, NOBODY, dtype=np.int64)
        index = np.minimum(np.searchsorted(self.token, tokens), self.token.size - 1)
        return np.where(self.token[index] == tokens, index, NOBODY)

    def plus(self, tokens: IntArray, named: tuple[IntArray, FloatArray]) -> "_Tokens":
        held = self if self.token.size < 2 * MAX_SERIES else _Tokens.none()
        token, first = np.unique(np.concatenate([held.token, tokens]), return_index=True)
        key, bound = np.concatenate([held.key, named[0]]), np.concatenate([held.bound, named[1]])
        return _Tokens(token, key[first], bound[first])


@dataclass(slots=True)
class Roster:
    """The label sets of one selector.

    Attributes:
        by_bound: whether label sets that differ only by the label `le` belong together.
        places: shared by the selectors of a metric.
        strangers: label sets without a usable bound that were met.
    """

    pod_label: str
    by_bound: bool
    places: Places
    sources: Sources = field(default_factory=Sources.none)
    strangers: int = 0
    _tokens: _Tokens = field(default_factory=_Tokens.none)

    def find(self, series: Sequence[RawSeries], side: str, arm_of: ArmOf) -> tuple[IntArray, FloatArray]:
        """Return the source of each series, NOBODY where it is of neither arm or of no use, and its bound.

        Raises:
            MeasurementError: there are more than a run may hold.
        """
        tokens = np.asarray([hash((side, one.labels)) for one in series], dtype=np.int64)
        place = self._tokens.find(tokens)
        new = np.flatnonzero(place == NOBODY)
        if new.size:
            self._tokens = self._tokens.plus(tokens[new], self._named([series[i].labels for i in new.tolist()], side))
            place = self._tokens.find(tokens)
        keys, bounds = self._tokens.key[place], self._tokens.bound[place]
        found = self.sources.find(keys)
        missing = np.flatnonzero((found == NOBODY) & ~np.isnan(bounds))
        if missing.size:
            self._describe(keys, [series[i].labels for i in missing.tolist()], missing, side, arm_of)
            found = self.sources.find(keys)
        return np.where(np.isnan(bounds), NOBODY, found), bounds

    def _named(self, labels: list[Labels], side: str) -> tuple[IntArray, FloatArray]:
        numbered = [key_of(one, side, by_bound=self.by_bound) for one in labels]
        bounds = [bound_of(text) if self.by_bound else NO_BOUND for _, text in numbered]
        self.strangers += bounds.count(None)
        keys = np.asarray([number for number, _ in numbered], dtype=np.uint64).astype(np.int64)
        return keys, np.asarray([np.nan if bound is None else bound for bound in bounds], dtype=np.float64)

    def _describe(self, keys: IntArray, labels: list[Labels], missing: IntArray, side: str, arm_of: ArmOf) -> None:
        new: dict[int, tuple[int, int, int, int, int]] = {}
        book = PlaceBook(self.places)
        for index, one in zip(missing.tolist(), labels, strict=True):
            number = int(keys[index])
            if number in new:
                continue
            facts = described(one, side, self.pod_label, by_bound=self.by_bound)
            arm = arm_of(facts.pod)
            if arm is not None:
                place = book.place(_signed(facts.place), arm, facts.pod)
                new[number] = (number, place, _signed(facts.counter), _signed(facts.target), TIME_MS_MAX)
        if len(new) + self.sources.key.size > MAX_SERIES:
            raise MeasurementError(
                f"the query gives more than {MAX_SERIES} series, more than a run may hold; select fewer"
            )
        book.close()
        if new:
            self.sources = self.sources.plus([*new.values()])


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
