"""What the gateway understood of the HTTPRoutes: plain values between the reader of routes and Envoy's renderer."""

from dataclasses import dataclass
from typing import Any, Literal

from rollout.kube.cache import Key

Json = dict[str, Any]
PathKind = Literal["Exact", "PathPrefix"]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """A port of a Service; Envoy knows it as a cluster."""

    namespace: str
    service: str
    port: int

    @property
    def name(self) -> str:
        """The cluster's name; also safe as a part of a file name."""
        return f"{self.namespace}.{self.service}.{self.port}"


@dataclass(frozen=True, slots=True)
class Share:
    """A weighted backend of a rule; `backend` is None where the reference leads nowhere, which answers 500."""

    backend: Backend | None
    weight: int


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions on a request; all have to hold. Headers and query parameters are exact."""

    path_kind: PathKind = "PathPrefix"
    path: str = "/"
    method: str = ""
    headers: Pairs = ()
    queries: Pairs = ()

    @property
    def precedence(self) -> tuple[bool, int, bool, int, int]:
        """Smaller goes first: exact path, longest path, method, most headers, most query parameters."""
        return (
            self.path_kind != "Exact",
            -len(self.path),
            not self.method,
            -len(self.headers),
            -len(self.queries),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One match of one rule, and where its requests go."""

    match: Match
    shares: tuple[Share, ...]
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTPRoute as understood.

    Attributes:
        key, generation, created: whose, which spec, and since when (RFC 3339, for precedence).
        parents: the parentRefs that name a Gateway.
        hostnames: `*` where the route names none.
        entries: empty where the route was refused.
        refusal: why nothing of the route is served; empty where it is.
        unresolved: reason and message of the first backendRef that leads nowhere.
    """

    key: Key
    generation: int
    created: str
    parents: tuple[Json, ...]
    hostnames: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    refusal: str = ""
    unresolved: tuple[str, str] | None = None

    @property
    def backends(self) -> set[Backend]:
        """All backends that exist."""
        return {share.backend for entry in self.entries for share in entry.shares if share.backend is not None}
