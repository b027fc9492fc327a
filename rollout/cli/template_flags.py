"""Flags that the verbs about templates share. It imports nothing heavy: every command line is built with it."""

import argparse
import math


def add_template_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that fill a template in."""
    parser.add_argument(
        "--arg", action="append", default=[], type=pair, metavar="NAME=VALUE", help="value of an argument; repeatable"
    )


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE of the command line; raises ArgumentTypeError."""
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def positive(text: str) -> float:
    """A number above 0; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def positive_int(text: str) -> int:
    """A whole number from 1 to 10000; raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 10000")
    return int(text)


def integers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between; raises ArgumentTypeError."""
    return tuple(positive_int(part.strip()) for part in text.split(","))
