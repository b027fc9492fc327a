"""Plain YAML: what is read, and every hostile manifest that must be refused by name."""

import pytest

from rollout.errors import RenderError
from rollout.render.directory import render_directory
from rollout.render.limits import Limits
from tests.support.memory_tree import memory_tree

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def names(files: dict[str, str | bytes], **options: bool) -> list[str]:
    rendered = render_directory(memory_tree(files), "app", recurse=options.get("recurse", True))
    return [obj["metadata"]["name"] for obj, _ in rendered]


def test_files_are_read_in_order_with_many_documents_each() -> None:
    files = {"app/b.yaml": CM % "b", "app/a.yml": f"---\n{CM % 'a1'}---\n---\n{CM % 'a2'}", "app/c/d.json": "null"}
    assert names(files) == ["a1", "a2", "b"]


def test_folders_below_count_only_when_asked() -> None:
    files = {"app/a.yaml": CM % "a", "app/sub/b.yaml": CM % "b", "other/c.yaml": CM % "c", "app/README.md": "no"}
    assert names(files) == ["a", "b"]
    assert names(files, recurse=False) == ["a"]


def test_lists_are_flattened() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n"
    assert names({"app/a.yaml": text}) == ["x"]


def test_dates_stay_texts_as_in_json() -> None:
    tree = memory_tree({"app/a.yaml": CM % "x" + "data: {day: 2026-11-24}\n"})
    assert render_directory(tree, "app", recurse=True)[0][0]["data"] == {"day": "2026-11-24"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{{ not yaml", "not YAML"),
        ("\tkey: value", "not YAML"),
        (b"name: \xff\xfe", "not UTF-8 at byte 6"),
        (BOMB, "alias bomb"),
        ("a: &a\n  b: *a\n", "inside its own anchor"),
        ("a: *nobody\n", "has none|undefined"),
        ("[" * 5000, "nested deeper|not YAML"),
        ("just text", "not an object"),
        ("- a\n- b\n", "not an object"),
        ("apiVersion: v1\nmetadata: {name: x}\n", "no kind"),
        ("kind: ConfigMap\nmetadata: {name: x}\n", "no apiVersion"),
        ("apiVersion: v1\nkind: ConfigMap\n", "no metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 5}\n", "no metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: [1]\n", "no metadata.name"),
        (CM % "x" + "data: {a: b, a: c}\n", "written twice"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {a: 1}}\n", "labels that are not text"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("x" * (1024 * 1024 + 1), "the limit is 1048576"),
        ("? {a: b}\n: c\n", "not YAML"),
        (CM % "x" + "data: {1: a, '1': b}\n", "written twice"),
        (CM % "x" + "data: {<<: {a: b}, <<: {c: d}}\n", "written twice"),
        (CM % "x" + "data: {'<<': {a: b}}\n", "write it plain"),
        (CM % "x" + "data: {1.5: a}\n", "quote it"),
        (CM % "x" + "data: {a: !!binary aGk=}\n", "!!binary is no type of JSON"),
        (CM % "x" + "data: {a: !!timestamp 2026-11-24}\n", "!!timestamp is no type of JSON"),
        (CM % "x" + "data: !!set {a, b}\n", "!!set is no type of JSON"),
        (CM % "x" + "data: {a: .nan}\n", "not finite"),
        (CM % "x" + "a: &a [b]\n---\na: &a [*a]\n", "inside its own anchor"),
        ("apiVersion: v1/v1/v1\nkind: X\nmetadata: {name: x}\n", "apiVersion 'v1/v1/v1'"),
        ("apiVersion: v1\nkind: Config_Map\nmetadata: {name: x}\n", "kind 'Config_Map'"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../../secrets/x}\n", "metadata.name '../../secrets/x'"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ..}\n", "metadata.name '..'"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'x?dryRun=All'}\n", "metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: a_b}\n", "metadata.namespace 'a_b'"),
    ],
)
def test_a_hostile_manifest_is_refused_with_its_path(content: str | bytes, words: str) -> None:
    with pytest.raises(RenderError, match=words) as caught:
        names({"app/good.yaml": CM % "good", "app/bad.yaml": content})
    assert "app/bad.yaml" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_texts_keys_and_numbers_are_what_kubectl_makes_of_them() -> None:
    text = "data: {at: 12:30, op: =, 1: a, true: b, octal: 010, big: 1e3}\n"
    obj, _ = render_directory(memory_tree({"app/a.yaml": CM % "x" + text}), "app", recurse=True)[0]
    assert obj["data"] == {"at": "12:30", "op": "=", "1": "a", "true": "b", "octal": 8, "big": 1000.0}


def test_what_a_map_writes_itself_wins_over_what_it_merges() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {<<: *x, a: 3}\nz: {<<: *y, c: 4}\n"
    obj, _ = render_directory(memory_tree({"app/a.yaml": CM % "x" + text}), "app", recurse=True)[0]
    assert (obj["x"], obj["y"], obj["z"]) == ({"a": 1, "b": 2}, {"a": 3, "b": 2}, {"a": 3, "b": 2, "c": 4})


def test_names_of_cluster_roles_may_have_colons() -> None:
    text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:a_b'}\n"
    assert names({"app/a.yaml": text}) == ["system:a_b"]


def test_a_file_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(RenderError, match="not UTF-8; rename it"):
        names({"app/\udcff.yaml": CM % "x"})


def test_a_long_text_repeated_by_aliases_is_refused() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 1000)}]\n"
    with pytest.raises(RenderError, match="alias bomb"):
        names({"app/a.yaml": text})


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside.yaml", "../../../etc/shadow"])
def test_a_symbolic_link_out_of_the_repository_is_refused(target: str) -> None:
    tree = memory_tree({"app/a.yaml": CM % "a"}, {"app/link.yaml": target})
    with pytest.raises(RenderError, match=r"app/link\.yaml: is a symbolic link out of the repository"):
        render_directory(tree, "app", recurse=True)


def test_a_symbolic_link_inside_is_followed_and_its_target_is_in_the_closure() -> None:
    tree = memory_tree({"app/a.yaml": CM % "a", "shared/b.yaml": CM % "b"}, {"app/link.yaml": "../shared/b.yaml"})
    assert len(render_directory(tree, "app", recurse=True)) == 2
    assert tree.closure == {"app/a.yaml", "app/link.yaml", "shared/b.yaml"}


def test_a_loop_of_links_ends() -> None:
    tree = memory_tree({"app/a.yaml": CM % "a"}, {"app/x.yaml": "y.yaml", "app/y.yaml": "x.yaml"})
    with pytest.raises(RenderError, match="symbolic links away"):
        render_directory(tree, "app", recurse=True)


def test_a_missing_folder_names_the_field() -> None:
    with pytest.raises(RenderError, match=r"nope: is not a folder of this commit; check spec\.source\.path"):
        render_directory(memory_tree({"app/a.yaml": ""}), "nope", recurse=True)


def test_a_kustomization_in_a_plain_folder_is_not_guessed() -> None:
    with pytest.raises(RenderError, match="belongs to another renderer"):
        names({"app/kustomization.yaml": "resources: []"})


def test_the_number_of_files_and_their_total_are_bounded() -> None:
    files: dict[str, str | bytes] = {f"app/{n}.yaml": CM % f"x{n}" for n in range(4)}
    with pytest.raises(RenderError, match="4 files; the limit is 3"):
        render_directory(memory_tree(files, limits=Limits(files=3)), "app", recurse=True)
    with pytest.raises(RenderError, match="together"):
        render_directory(memory_tree(files, limits=Limits(total_bytes=60)), "app", recurse=True)
