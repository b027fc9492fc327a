"""Applications on the command line: words, waits, releases."""

from typing import Any

import msgspec
import pytest

from rollout.api.application import Application
from rollout.api.gitrepository import GitRepository
from rollout.cli.app_get import describe
from rollout.cli.app_release import NotQuarantined, annotation, chosen
from rollout.cli.app_sync import Ended, applied, fetched
from rollout.cli.claims import Claim, claimant
from rollout.cli.screen import Screen
from rollout.domain.sync.application import RELEASE
from rollout.kube.inventory import OWNER
from tests.unit.cli.objects import CREATED, application, live_rollout

A, B = "sha256:" + "a1" * 32, "sha256:" + "b2" * 32


def entry(digest: str, **more: Any) -> dict[str, Any]:
    return {"templateDigest": digest, "reason": "failed at 25 %", "since": CREATED, "revision": "c" * 40, **more}


def quarantined(*entries: dict[str, Any], **spec: Any) -> Application:
    return application(spec=spec, rollouts=[{"namespace": "shop", "name": "web", "quarantine": list(entries)}])


def repository(**status: Any) -> GitRepository:
    spec = {"url": "https://git.example.com/config.git", "ref": {"branch": "main"}}
    return msgspec.convert({"metadata": {"name": "config"}, "spec": spec, "status": status}, GitRepository)


def ready(status: str, reason: str = "Fetched", message: str = "") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": status, "reason": reason, "message": message}]


def synced(status: str, reason: str, message: str = "words") -> list[dict[str, str]]:
    return [{"type": "Synced", "status": status, "reason": reason, "message": message}]


def test_an_application_is_told_with_its_source_conditions_quarantine_and_revert() -> None:
    revert = {
        "id": "0123456789abcdef", "phase": "Pushed", "good": "1" * 40, "bad": "2" * 40, "commit": "3" * 40,
        "plannedAt": CREATED, "cause": "errors doubled",
    }  # fmt: skip
    record = {
        "namespace": "shop",
        "name": "web",
        "current": {"revision": "2" * 40, "templateDigest": B, "images": [{"name": "web", "reference": "demo:2"}]},
        "quarantine": [entry(A, analysisRun="web-new-2", references=["demo:2"])],
        "revert": revert,
    }
    told = "\n".join(
        describe(
            application(rollouts=[record], conditions=synced("False", "RevisionQuarantined"), desiredRevision="main@x"),
            repository(),
            Screen(),
        )
    )
    for words in (
        "apps/web of https://git.example.com/config.git at main (GitRepository config)",
        "Desired:         main@x",
        "Synced     False   RevisionQuarantined  words",
        "Rollout shop/web",
        f"{'2' * 12}  {B[:19]}  demo:2",
        f"{A[:19]}  failed at 25 %, since {CREATED}, declared by {'c' * 12}, AnalysisRun web-new-2, images demo:2",
        f"Pushed: {'3' * 12} takes {'2' * 12} back to {'1' * 12} (id 0123456789abcdef",
        "because errors doubled",
    ):
        assert words in told, told


def test_a_status_about_an_older_spec_is_marked() -> None:
    assert any("older spec" in line for line in describe(application(observedGeneration=0), None, Screen()))
    assert not any("older spec" in line for line in describe(application(), None, Screen()))


@pytest.mark.parametrize("token", ["", "another"])
def test_a_look_at_the_host_from_before_is_no_answer(token: str) -> None:
    assert fetched(repository(lastHandledRefresh=token, conditions=ready("True")), "mine") == ""


def test_the_answer_of_the_host_ends_the_wait() -> None:
    seen = repository(lastHandledRefresh="mine", revision="main@sha1:a", conditions=ready("True"))
    assert fetched(seen, "mine") == Ended(synced=True, words="main@sha1:a")
    failed = fetched(repository(lastHandledRefresh="mine", conditions=ready("False", "Unauthorized", "no")), "mine")
    assert failed == Ended(synced=False, words="GitRepository config: Unauthorized: no")


def test_a_sync_ends_with_the_pass_that_was_asked_for_and_tells_its_progress_before() -> None:
    assert applied(application(conditions=synced("True", "Applied")), "mine") == "Applied: words"
    ended = applied(application(conditions=synced("True", "Applied"), lastHandledRefresh="mine"), "mine")
    assert ended == Ended(synced=True, words="Applied: words")
    held = applied(application(conditions=synced("False", "RevisionQuarantined"), lastHandledRefresh="mine"), "mine")
    assert held == Ended(synced=False, words="RevisionQuarantined: words")


def test_the_only_entry_is_meant_where_none_is_named() -> None:
    assert chosen(quarantined(entry(A)), "", everything=False) == (A,)
    assert chosen(quarantined(entry(A), entry(B, releasedAt=CREATED)), "", everything=False) == (A,)
    assert chosen(quarantined(), "", everything=False) == ()


def test_of_several_entries_one_is_named_by_its_beginning_or_all_are_meant() -> None:
    both = quarantined(entry(A), entry(B))
    with pytest.raises(NotQuarantined, match="say --all"):
        chosen(both, "", everything=False)
    assert chosen(both, "b2b2b2b2", everything=False) == (B,)
    assert chosen(both, B, everything=False) == (B,)
    assert chosen(both, "", everything=True) == (A, B)


@pytest.mark.parametrize("digest", ["cccccccc", "a1", "sha256:", "sha512:a1a1a1a1"])
def test_a_digest_that_is_not_there_or_too_short_is_refused_with_those_that_are(digest: str) -> None:
    with pytest.raises(NotQuarantined, match=A[:19]):
        chosen(quarantined(entry(A)), digest, everything=False)


def test_a_release_keeps_what_somebody_else_asked_for() -> None:
    app = quarantined(entry(A))
    asked = msgspec.structs.replace(app.metadata, annotations={RELEASE: f"{B}, "})
    patch = annotation(msgspec.structs.replace(app, metadata=asked), (A,))
    assert patch == {"metadata": {"annotations": {RELEASE: f"{A},{B}"}}}


def test_an_application_applies_what_carries_its_mark_or_is_in_its_inventory() -> None:
    marked = live_rollout()
    marked["metadata"] = {**marked["metadata"], "annotations": {OWNER: "shop/web"}}
    assert claimant(marked, [application()]) is not None
    listed = application(inventory={"count": 1, "entries": [{"id": "shop_web_coalmine.dev_Rollout", "v": "v1alpha1"}]})
    assert claimant(live_rollout(), [listed]) is not None
    assert claimant(live_rollout(), [application()]) is None


def test_an_application_that_is_gone_claims_nothing() -> None:
    marked = live_rollout()
    marked["metadata"] = {**marked["metadata"], "annotations": {OWNER: "shop/gone"}}
    assert claimant(marked, [application()]) is None


@pytest.mark.parametrize(("mode", "claimed"), [("Observe", True), ("Apply", False)])
def test_an_application_that_only_watches_stands_for_whoever_applies(mode: str, claimed: bool) -> None:
    watching = application(spec={"sync": {"mode": mode}}, rollouts=[{"namespace": "shop", "name": "web"}])
    assert (claimant(live_rollout(), [watching]) is not None) is claimed


def test_a_claim_names_file_repository_and_branch() -> None:
    claim = Claim("shop/web", "apps/web/rollout.yaml", "https://git.example.com/config.git", "main")
    assert claim.place == "apps/web/rollout.yaml of https://git.example.com/config.git (branch main)"
    assert Claim("shop/web", "").place == "its path"
