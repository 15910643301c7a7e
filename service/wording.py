"""Messages for HTTP clients: what the runtime says about options of the command line, as parameters of a request."""

from __future__ import annotations

import re

_PARAMETERS = {
    "--use-sform": "prefer=sform",
    "--use-qform": "prefer=qform",
    "--series": "series=NUMBER",
    "--volume N": "volume=N",
    "--fill-gaps": "fill_gaps=true",
}
_PARAMETER = re.compile(rf"({'|'.join(_PARAMETERS)})(?![\w-])")
_ASIDE = re.compile(r" \([^()]*--[a-z][^()]*\)")  # an option that no request has, with what it does
_COMMAND = re.compile(r"; bedside [a-z][^;]*")  # what another command would show


def for_clients(message: str) -> str:
    """Returns a message in which no option or command of the command line is named.

    >>> for_clients("2 series are scans; choose one (--series); bedside inspect lists them")
    '2 series are scans; choose one (series=NUMBER)'
    >>> for_clients("no window was run (--no-locator runs them)")
    'no window was run'
    """
    message = _PARAMETER.sub(lambda found: _PARAMETERS[found[0]], message)
    return _COMMAND.sub("", _ASIDE.sub("", message))
