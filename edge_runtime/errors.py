"""What a user can be told in one line, each with its documented exit code."""

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
