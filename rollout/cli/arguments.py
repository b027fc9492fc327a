"""How verbs are declared: exit code 3 for wrong usage, the same flags before and after the verb, an example each."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from analysis.durations import parse_duration
from rollout.errors import CoalmineError

FAILED, TIMED_OUT, USAGE = 1, 2, 3

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction["Parser"]  # noqa: SLF001  argparse has no public name for it.
else:
    Verbs = Any
Handler = Callable[[argparse.Namespace], int]


class UsageError(CoalmineError):
    """The words do not go together, which only their verb can tell."""


class Parser(argparse.ArgumentParser):
    """Wrong usage exits with 3, so that CI tells it from a failed rollout."""

    def __init__(self, **options: Any) -> None:
        """Make a parser that takes no abbreviations: a script must not change its meaning with a new flag."""
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self._intermixing = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Let flags stand before, between and after the words, also where the last word may be missing."""
        optional = any(action.nargs == argparse.OPTIONAL and not action.option_strings for action in self._actions)
        if not optional or self._intermixing:
            return super().parse_known_args(args, namespace)
        self._intermixing = True  # The method below comes back here, twice.
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def add_target_flags(parser: argparse.ArgumentParser, *, default: Any = None) -> None:
    """The flags that say which cluster and namespace.

    Args:
        parser: of the whole command, or of a verb.
        default: SUPPRESS for a verb, so that it does not undo what was said before it.
    """
    where = parser.add_argument_group("cluster")
    where.add_argument("--kubeconfig", default=default, help="default: $KUBECONFIG, then ~/.kube/config")
    where.add_argument("--context", default=default, help="context of the kubeconfig")
    where.add_argument(
        "-n", "--namespace", type=namespace_name, default=default, help="default: the context's namespace"
    )


def add_group(verbs: Verbs, name: str, words: str, example: str) -> Verbs:
    """A word that is followed by verbs of its own, such as `app`."""
    parser = verbs.add_parser(name, help=words, description=_sentence(words), epilog=_examples(example))
    add_target_flags(parser, default=argparse.SUPPRESS)
    inner: Verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    return inner


def add_verb(
    verbs: Verbs, name: str, handler: Handler, *, words: str, example: str, more: str = "", failed: int = FAILED
) -> Parser:
    """A verb that works on a cluster.

    Args:
        verbs: where it belongs.
        name: the verb.
        handler: what it does; returns the exit code.
        words: one line for the list of verbs.
        example: for its help; may have several lines.
        more: what the help says beside the one line.
        failed: exit code of an error.
    """
    description = _sentence(words) + (f"\n\n{more}" if more else "")
    parser = verbs.add_parser(name, help=words, description=description, epilog=_examples(example))
    add_target_flags(parser, default=argparse.SUPPRESS)
    parser.set_defaults(handler=handler, failed=failed)
    return parser


def add_file_verb(verbs: Verbs, name: str, handler: Handler, *, words: str, example: str, more: str = "") -> Parser:
    """A verb that works on files and needs no cluster; the arguments are those of `add_verb`."""
    description = _sentence(words) + (f"\n\n{more}" if more else "")
    parser = verbs.add_parser(name, help=words, description=description, epilog=_examples(example))
    parser.set_defaults(handler=handler, failed=FAILED)
    return parser


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _examples(text: str) -> str:
    head, *rest = text.splitlines()
    return "\n".join([f"example: {head}", *(f"         {line}" for line in rest)])


def add_timeout(parser: argparse.ArgumentParser, default: str) -> None:
    """How long the verb waits."""
    parser.add_argument(
        "--timeout", type=seconds, default=seconds(default), metavar="DURATION",
        help=f"how long to wait, such as 90s or 10m; 0 waits for ever; default: {default}",
    )  # fmt: skip


def seconds(text: str) -> float:
    """A duration of the command line; raises ArgumentTypeError."""
    try:
        value = parse_duration(int(text) if text.isdigit() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; write how long, such as 5m")
    return value


def namespace_name(text: str) -> str:
    """A name of a namespace; raises ArgumentTypeError."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a namespace: small letters, digits and `-`")
    return text


def object_name(text: str) -> str:
    """A name of a Kubernetes object, with or without its kind before a slash; raises ArgumentTypeError."""
    matched = re.fullmatch(r"(?:[a-z][a-z0-9.]*/)?([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)", text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of an object: small letters, digits, `-` and `.`")
    return matched[1]
