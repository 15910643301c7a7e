"""The room that scans leave free on the disk."""

from types import SimpleNamespace

import pytest
from bedside.service.disk_room import FREE_BYTES, require_room
from bedside.service.refusal import RefusedError


@pytest.mark.parametrize("needed", [0, 1000])
def test_what_is_to_stay_free_is_not_given_away(tmp_path, monkeypatch, needed):
    free = SimpleNamespace(free=FREE_BYTES + needed)
    monkeypatch.setattr("bedside.service.disk_room.shutil.disk_usage", lambda folder: free)
    require_room(tmp_path, needed)
    free.free -= 1
    with pytest.raises(RefusedError, match="no room on the disk for this scan"):
        require_room(tmp_path, needed)
