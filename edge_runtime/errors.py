"""What a user can be told in one line, each with its documented exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_USAGE, EXIT_PORT, EXIT_RECORD, EXIT_BUNDLE = 2, 3, 4, 5


class LeadwireError(Exception):
    """An error whose message says what is wrong and what to do next; the CLI prints it as one line."""

    exit_code = EXIT_USAGE


class UsageError(LeadwireError):
    exit_code = EXIT_USAGE


class RecordError(LeadwireError):
    exit_code = EXIT_RECORD


class BundleError(LeadwireError):
    exit_code = EXIT_BUNDLE


def exit_with(name: str, main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command of the checkout (`python -m NAME`) and leave with its exit code, an error of ours as one line."""
    try:
        raise SystemExit(main(sys.argv[1:]))
    except LeadwireError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
