"""The command line itself: flags, exit codes of wrong usage, help."""

import argparse
from collections.abc import Iterator

import pytest

from rollout.cli.arguments import USAGE, Parser, object_name, seconds
from rollout.cli.main import main, parser


def leaves(root: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every verb that does something, and every word before it."""
    inner = [action for action in root._actions if isinstance(action, argparse._SubParsersAction)]
    for action in inner:
        for child in action.choices.values():
            yield child
            yield from leaves(child)


VERBS = [verb for verb in leaves(parser()) if verb.get_default("handler")]
NEEDS_A_CLUSTER = [v for v in VERBS if "--kubeconfig" in v._option_string_actions and v.prog != "coalmine run"]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.prog)
def test_the_help_of_every_verb_has_an_example_that_parses(verb: Parser) -> None:
    text = verb.format_help()
    assert f"example: {verb.prog}" in text
    assert verb.epilog is not None
    for line in verb.epilog.removeprefix("example:").splitlines():
        words = line.partition(" > ")[0].split()
        assert words[0] == "coalmine"
        assert parser().parse_args(words[1:] if "--path" not in words else words[1:4]).handler


@pytest.mark.parametrize("verb", NEEDS_A_CLUSTER, ids=lambda verb: verb.prog)
def test_the_target_is_named_before_or_after_the_verb(verb: Parser) -> None:
    flags = ["--kubeconfig", "k", "--context", "c", "-n", "shop"]
    words = [*verb.prog.split()[1:], *(["web"] if "rollouts" not in verb.prog else [])]
    for arguments in ([*flags, *words], [*words, *flags], [*words[:1], *flags, *words[1:]]):
        seen = parser().parse_args(arguments)
        assert (seen.kubeconfig, seen.context, seen.namespace) == ("k", "c", "shop"), arguments


def test_what_is_said_after_the_verb_counts_more() -> None:
    assert parser().parse_args(["-n", "a", "status", "web", "-n", "b"]).namespace == "b"
    assert parser().parse_args(["--namespace", "a", "status", "web"]).namespace == "a"


def test_an_optional_word_may_stand_behind_a_flag() -> None:
    seen = parser().parse_args(["app", "release", "web", "-n", "shop", "sha256:1234567"])
    assert (seen.name, seen.digest, seen.namespace) == ("web", "sha256:1234567", "shop")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["get"],
        ["get", "pods"],
        ["get", "rollout"],
        ["get", "rollout", "web", "-A"],
        ["status"],
        ["status", "web", "--timeout", "soon"],
        ["status", "web", "--timeout", "-5s"],
        ["status", "Web_1"],
        ["status", "web", "-n", "../kube-system"],
        ["-n", "Shop", "status", "web"],
        ["promote", "web", "--ful"],
        ["undo", "web", "--to-revision", "0"],
        ["undo", "web", "--to-revision", "x"],
        ["app"],
        ["app", "diff", "web", "--path", "/does/not/exist"],
        ["app", "release", "web", "a", "b"],
        ["sandbox", "nonsense"],
    ],
)
def test_wrong_usage_exits_with_3(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == USAGE
    assert "usage: coalmine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["analysis", "explain"], "name an AnalysisRun or a --file"),
        (["analysis", "explain", "run", "--file", "x"], "not both"),
        (["app", "release", "web", "sha256:1234567", "--all"], "not both"),
    ],
)
def test_words_that_do_not_go_together_are_wrong_usage_too(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == USAGE
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("0", 0), ("15", 15)])
def test_durations_are_gos_or_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "name"), [("web", "web"), ("rollout/web", "web"), ("rollouts.coalmine.dev/a.b", "a.b")]
)
def test_a_name_may_come_with_its_kind_as_kubectl_prints_it(text: str, name: str) -> None:
    assert object_name(text) == name


@pytest.mark.parametrize("text", ["", "web/", "../x", "a?b", "-n", "x" * 254])
def test_a_text_that_cannot_be_a_name_never_becomes_part_of_a_url(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        object_name(text)
