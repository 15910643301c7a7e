"""A peer that takes segmentations: each arrival becomes a file before it is acknowledged; it is killed by the trials.

Arguments: folder, port.
"""

import sys
import time
import uuid
from pathlib import Path

from pynetdicom import AE, evt

folder, port = Path(sys.argv[1]), int(sys.argv[2])


def take(event):
    name = folder / f"{event.request.AffectedSOPInstanceUID}_{uuid.uuid4().hex}"
    name.with_suffix(".part").write_bytes(event.encoded_dataset())
    name.with_suffix(".part").rename(f"{name}.dcm")
    return 0x0000


entity = AE(ae_title="PACS")
for kind in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"):
    entity.add_supported_context(kind)
entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
while True:
    time.sleep(60)
