"""The picture of a Rollout."""

from typing import Any

import pytest

from analysis.durations import parse_time
from rollout.cli.get import rollout_table
from rollout.cli.screen import Screen, age, harmless, table, visible
from rollout.cli.standing import standing
from rollout.cli.tree import Family, draw
from tests.unit.cli.objects import (
    CREATED,
    analysis_run,
    healthy,
    live_rollout,
    pod,
    replica_set,
    rollout,
    template,
    updating,
)

NOW = parse_time(CREATED) + 65
FAMILY = Family(
    updating(),
    (replica_set("old", 1, template("demo:1"), replicas=3), replica_set("new", 2, template("demo:2"), replicas=1)),
    (pod("web-old-1", "old"), pod("web-new-1", "new", containerStatuses=[{"ready": False, "restartCount": 2}])),
    (analysis_run(2, phase="Running", comparison={"evidence": "3.1", "evidenceLimit": "100"}),),
)
PICTURE = """\
Name:            web
Namespace:       shop
Status:          Paused
Message:         CanaryPauseStep
Strategy:        Canary
  Step:          1/4
  SetWeight:     25
  ActualWeight:  25
Images:          demo:1 (stable)
                 demo:2 (canary)
Replicas:
  Desired:       4
  Current:       4
  Updated:       1
  Ready:         4
  Available:     4

NAME                KIND         STATUS   AGE  INFO
web                 Rollout      Paused   65s
├──revision:2
│  ├──web-new       ReplicaSet   Healthy  65s  canary
│  │  └──web-new-1  Pod          Running  65s  ready:0/1,restarts:2
│  └──web-new-2     AnalysisRun  Running  65s  evidence:3.1/100
└──revision:1
   └──web-old       ReplicaSet   Healthy  65s  stable
      └──web-old-1  Pod          Running  65s  ready:1/1"""


def test_the_tree_shows_head_revisions_replica_sets_pods_and_runs() -> None:
    assert "\n".join(draw(FAMILY, Screen(), NOW)) == PICTURE


def test_without_a_terminal_there_are_neither_icons_nor_colours() -> None:
    shown = "\n".join(draw(FAMILY, Screen(), NOW))
    assert "\x1b" not in shown
    assert "✔" not in shown
    assert "⧉" not in shown


def test_a_terminal_gets_icons_and_colours_and_the_columns_stay_straight() -> None:
    lines = draw(FAMILY, Screen(icons=True, colours=True), NOW)
    assert any("\x1b[33m॥ Paused\x1b[0m" in line for line in lines)
    head = next(line for line in lines if line.startswith("NAME"))
    row = next(line for line in lines if "Rollout" in line)
    assert visible(row[: row.index("Rollout")]) == head.index("KIND")


def test_two_pictures_without_ages_are_equal_however_much_time_passed() -> None:
    assert draw(FAMILY, Screen(), None) == draw(FAMILY, Screen(), None)
    assert "65s" not in "\n".join(draw(FAMILY, Screen(), None))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, "ErrImagePull"),
        ({"containerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]}, "Error"),
        ({"phase": "Pending", "containerStatuses": []}, "Pending"),
    ],
)
def test_a_pod_says_what_keeps_it_from_running(status: dict[str, Any], state: str) -> None:
    sets = (replica_set("old", 1, template("demo:1"), replicas=1),)
    family = Family(healthy(stableRS="old", currentPodHash="old"), sets, (pod("web-1", "old", **status),))
    assert any("Pod" in line and state in line for line in draw(family, Screen(), NOW))


def test_a_replica_set_without_pods_is_scaled_down_and_its_image_is_not_shown() -> None:
    sets = (replica_set("new", 2, template("demo:2"), replicas=4), replica_set("old", 1, template("demo:1")))
    shown = "\n".join(draw(Family(healthy(), sets), Screen(), NOW))
    assert "ScaledDown" in shown
    assert "demo:1" not in shown


@pytest.mark.parametrize(
    ("live", "step", "wanted", "actual"),
    [
        (updating(), "1/4", "25", "25"),
        (updating(currentStepIndex=2, canary={}), "2/4", "50", "0"),
        (updating(abort=True, currentStepIndex=0, canary={}), "0/4", "0", "0"),
        (updating(promoteFull=True), "1/4", "100", "25"),
        (healthy(), "4/4", "100", "100"),
        (live_rollout(currentPodHash="new"), "0/4", "", ""),
        (updating(currentStepIndex=99), "4/4", "100", "25"),
    ],
)
def test_step_and_weights_are_told_for_every_stand(live: dict[str, Any], step: str, wanted: str, actual: str) -> None:
    seen = standing(rollout(live))
    assert (seen.step, seen.set_weight, seen.actual_weight) == (step, wanted, actual)


def test_the_table_lists_rollouts_by_name_with_the_namespace_where_all_are_asked_for() -> None:
    other = live_rollout()
    other["metadata"] = {**other["metadata"], "name": "api"}
    assert [line.split() for line in rollout_table([updating(), other], Screen(), namespaces=True)] == [
        [
            "NAMESPACE",
            "NAME",
            "STRATEGY",
            "STATUS",
            "STEP",
            "SET-WEIGHT",
            "READY",
            "DESIRED",
            "UP-TO-DATE",
            "AVAILABLE",
        ],
        ["shop", "api", "Canary", "Progressing", "0/4", "-", "0/0", "4", "0", "0"],
        ["shop", "web", "Canary", "Paused", "1/4", "25", "4/4", "4", "1", "4"],
    ]
    assert rollout_table([other], Screen(), namespaces=False)[0].startswith("NAME ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (119.9, "119s"), (120, "2m"), (301, "5m1s"), (3600, "60m"), (10800, "3h"), (172800, "2d")],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_columns_are_as_wide_as_what_is_seen() -> None:
    assert table(("A", "B"), [("\x1b[31mxx\x1b[0m", "y"), ("zzz", "")]) == ["A    B", "\x1b[31mxx\x1b[0m   y", "zzz"]


def test_our_own_colours_and_a_cleared_screen_come_through() -> None:
    answer = "\x1b[H\x1b[2J" + Screen(colours=True).status("Healthy") + "\n\tnext"
    assert harmless(answer) == answer
    assert harmless(f"later {answer}") == "later \ufffd[H\ufffd[2J" + answer.removeprefix("\x1b[H\x1b[2J")
