"""Ports of a sandbox: each call gives another one, and none that somebody has."""

import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.errors import CoalmineError
from rollout.sandbox import parts
from rollout.sandbox.box import Plan
from rollout.sandbox.parts import PORTS, free_port, is_free


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        yield listening


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def next_is(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(parts, "_asked", itertools.count(PORTS.index(port)))


def test_each_call_gives_another_port() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == 100
    assert set(ports) <= set(PORTS)


def test_a_port_that_somebody_has_is_passed_over(taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    next_is(monkeypatch, port_of(taken))
    assert not is_free(port_of(taken))
    assert free_port() != port_of(taken)


def test_after_the_last_port_comes_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "is_free", lambda _: True)
    next_is(monkeypatch, PORTS[-1])
    assert [free_port(), free_port()] == [PORTS[-1], PORTS[0]]


def test_where_all_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "is_free", lambda _: False)
    with pytest.raises(CoalmineError, match="end what listens there"):
        free_port()


def test_a_sandbox_that_comes_back_gives_no_port_twice(
    taken: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.of(tmp_path)
    told = json.loads((tmp_path / "plan.json").read_text())
    told["ports"]["apiserver"] = port_of(taken)
    (tmp_path / "plan.json").write_text(json.dumps(told))
    next_is(monkeypatch, plan.ports["gateway"])
    ports = Plan.of(tmp_path).ports
    assert len(set(ports.values())) == len(ports)
    assert ports["apiserver"] != port_of(taken)
    assert {name: port for name, port in ports.items() if name != "apiserver"} == {
        name: port for name, port in plan.ports.items() if name != "apiserver"
    }
