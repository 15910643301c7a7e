"""What became of one set of a series' instances: the entry of the queue's journal."""

from __future__ import annotations

from enum import Enum

from ...runtime.checked_struct import CheckedStruct


class State(str, Enum):
    """How far the work on a set of instances is.

    It starts as STARTED, and ends as DONE or REFUSED; only the latter two are never taken up again.
    """

    STARTED = "started"
    DONE = "done"
    REFUSED = "refused"


class Delivery(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One result that a peer has not acknowledged yet.

    Attributes:
        peer: name of the peer.
        file: name of the file in the series' folder of results.
    """

    peer: str
    file: str


class Outcome(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the journal. Nothing in it is of the patient.

    Attributes:
        digest: hash of the set of instances.
        instances: how many there are.
        state: how far the work is.
        attempts: how often it was started, without those that ended because the node was stopped.
        rule: name of the rule that fitted; empty where none did.
        made_by: hash of that rule and its bundle, as they were.
        message: why the series was refused, or a person should look at the result.
        pending: results that are not acknowledged yet.
        seconds: when the entry was made, in seconds since 1970.
    """

    digest: str
    instances: int
    state: State
    attempts: int = 0
    rule: str = ""
    made_by: str = ""
    message: str = ""
    pending: tuple[Delivery, ...] = ()
    seconds: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether the set of instances needs no more work but its deliveries."""
        return self.state is not State.STARTED
