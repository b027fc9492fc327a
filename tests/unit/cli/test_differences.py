"""What a sync would change, and a checkout as a tree of files."""

import os
from pathlib import Path
from typing import Any

import pytest

from rollout.api.application import ApplicationSource
from rollout.api.meta import NameRef
from rollout.cli.checkout import Checkout
from rollout.cli.differences import Difference, lines, summary
from rollout.cli.screen import Screen
from rollout.domain.sync.objects import ObjectId
from rollout.errors import RenderError
from rollout.render.render import render

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: b}\n"


def config(kind: str = "ConfigMap", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "conf", "namespace": "shop"}, "data": data}


def difference(live: dict[str, Any] | None, planned: dict[str, Any] | None) -> Difference:
    known = live or planned
    assert known is not None
    return Difference(ObjectId.of(known), live, planned)


def text(seen: Difference) -> str:
    return "\n".join(lines(seen, Screen()))


def test_a_changed_field_is_shown_with_both_values() -> None:
    seen = difference(config(a="b"), config(a="c"))
    assert seen.verb == "change"
    assert "change ConfigMap shop/conf" in text(seen)
    assert "-  a: b\n+  a: c" in text(seen)


def test_what_every_write_changes_is_no_difference() -> None:
    live = config(a="b")
    live["metadata"] = {**live["metadata"], "resourceVersion": "7", "managedFields": [{}], "uid": "u"}
    assert difference(live, config(a="b")).verb == ""


def test_new_and_removed_objects_are_told() -> None:
    seen = [difference(None, config(a="b")), difference(config(a="b"), None), difference(config(a="b"), config(a="b"))]
    assert [d.verb for d in seen] == ["create", "delete", ""]
    assert summary(seen) == "1 to create, 1 to delete"
    assert summary(seen[2:]) == "no difference"


def test_values_of_secrets_are_never_shown_but_that_they_differ_is() -> None:
    live = config("Secret", same="c2FtZQ==", other="b2xk", gone="Z29uZQ==")
    planned = config("Secret", same="c2FtZQ==", other="bmV3")
    live["metadata"] = {
        **live["metadata"], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "b2xk"},
    }  # fmt: skip
    shown = text(difference(live, planned))
    for value in ("c2FtZQ==", "b2xk", "bmV3", "Z29uZQ=="):
        assert value not in shown
    assert "*** (before)" in shown
    assert "*** (after)" in shown
    assert "gone:" in shown


def test_colours_are_for_terminals() -> None:
    seen = difference(config(a="b"), config(a="c"))
    assert "\x1b[32m+  a: c" in "\n".join(lines(seen, Screen(colours=True)))
    assert "\x1b" not in text(seen)


def test_a_checkout_renders_as_a_commit_does(tmp_path: Path) -> None:
    (tmp_path / "apps" / "web").mkdir(parents=True)
    (tmp_path / "apps" / "web" / "conf.yaml").write_text(CONFIG)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: x")
    source = ApplicationSource(repository_ref=NameRef(name="config"), path="apps/web")
    rendered = render(Checkout(tmp_path), "checkout", source, "shop")
    assert [str(o.id) for o in rendered.objects] == ["shop_conf__ConfigMap"]
    assert rendered.closure == frozenset({"apps/web/conf.yaml"})
    assert not any(entry.path.startswith(".git") for entry in Checkout(tmp_path).files(""))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd"])
def test_a_link_out_of_a_checkout_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "conf.yaml").symlink_to(target)
    source = ApplicationSource(repository_ref=NameRef(name="config"))
    with pytest.raises(RenderError, match="symbolic link out of the repository"):
        render(Checkout(tmp_path), "checkout", source, "shop")


def test_links_inside_a_checkout_are_followed_and_folders_behind_links_are_not_walked(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "conf.yaml").write_text(CONFIG)
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "conf.yaml").symlink_to("../base/conf.yaml")
    (tmp_path / "loop").symlink_to(".")
    source = ApplicationSource(repository_ref=NameRef(name="config"), path="apps")
    assert len(render(Checkout(tmp_path), "checkout", source, "shop").objects) == 1
    assert len(Checkout(tmp_path).files("")) == 3


def test_a_file_that_became_a_pipe_or_grew_is_told_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x" * 100)
    checkout = Checkout(tmp_path)
    entry = checkout.files("")[0]
    with pytest.raises(RenderError, match="more than 10 bytes"):
        checkout.read([entry], 10)
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(RenderError, match="cannot be read"):
        checkout.read([entry], 1000)
    os.mkfifo(tmp_path / "a.yaml")
    assert checkout.files("") == ()
    with pytest.raises(RenderError, match="no regular file"):
        checkout.read([entry], 1000)
