"""Messages for HTTP clients: what the runtime says about options of the command line, as parameters of a request."""

from __future__ import annotations

from ..runtime.errors import reworded, without_segment_options

# (advice in a message of the runtime, what it says to a client instead), in this order
_ADVICE = (
    (r"--use-(sform|qform)\b", r"prefer=\1"),
    (r"--series\b", "series=NUMBER"),
    (r"--volume N\b", "volume=N"),
    (r"--fill-gaps\b", "fill_gaps=true"),
    (r"; bedside [a-z][^;]*", ""),  # what another command would show
)


def for_clients(message: str) -> str:
    """Returns a message in which no option or command of the command line is named.

    >>> for_clients("2 series are scans; choose one (--series); bedside inspect lists them")
    '2 series are scans; choose one (series=NUMBER)'
    >>> for_clients("repair the scan, or replace them (--replace-nan V)")
    'repair the scan'
    """
    return without_segment_options(reworded(message, _ADVICE))
