"""A rule's results are written with UIDs that follow from what they are made of."""

from __future__ import annotations

import msgspec
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.outcome import Outcome, State
from bedside.dicom.node.results import Identities
from bedside.dicom.node.rules import Rule

from . import parties


def test_uids_differ_by_kind_and_instances_and_not_by_the_time(tmp_path):
    rule = Rule(name="r", bundle="b.bedside", send_to=("pacs",))
    outcome = Outcome(digest="d", instances=3, state=State.STARTED)

    def identities(**changes):
        fields = {"series": "s", "rule": rule, "bundle_sha256": "b", "outcome": outcome, **changes}
        return Identities(uid=lambda *words: " ".join(words), **fields)

    seg, report = identities().of("seg"), identities().of("sr")
    assert seg == identities().of("seg")
    assert seg.instance_number == 3
    assert len({seg.series_uid, report.series_uid, seg.instance_uid, report.instance_uid}) == 4
    grown = identities(outcome=Outcome(digest="e", instances=4, state=State.STARTED)).of("seg")
    assert grown.series_uid == seg.series_uid
    assert grown.instance_number > seg.instance_number
    assert grown.instance_uid != seg.instance_uid
    assert identities(bundle_sha256="c").of("seg").instance_uid != seg.instance_uid
    binary = identities(rule=msgspec.structs.replace(rule, binary=True)).of("seg")
    assert (binary.series_uid == seg.series_uid, binary.instance_uid == seg.instance_uid) == (True, False)


def test_report_and_contours_are_sent_with_the_segmentation(bundle, tmp_path, peer):
    port = parties.free_port()
    rule = "report = true\ncontours = true"
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port, rule=rule))
    with parties.node_here(config):
        parties.send(port, parties.series(tmp_path / "ct", 3))
        made = peer.wait_for(3)
    assert sorted(each.Modality for each in made) == ["RTSTRUCT", "SEG", "SR"]
    assert {each.PatientID for each in made} == {"ID3"}
    assert len({each.SeriesInstanceUID for each in made}) == 3
