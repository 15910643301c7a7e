"""A series becomes a result, waits, or is refused with a reason; one that grew is segmented once more."""

from __future__ import annotations

import re
import time

import msgspec
import pydicom
import pytest
from bedside.dicom.node.outcome import State
from bedside.dicom.node.series_folder import SeriesFolder
from bedside.dicom.node.worker import Worker
from bedside.runtime.errors import InputError
from bedside.runtime.segmenter import Segmenter

from . import parties
from .queued import outcome, put, result, work_again


def test_a_whole_series_has_a_result_to_deliver(work, tmp_path):
    worker, queue = work()
    assert not worker.work()
    put(queue, parties.series(tmp_path / "ct", 3))
    assert worker.work()
    assert outcome(queue).state is State.DONE
    assert outcome(queue).rule == "all"
    assert [each.peer for each in outcome(queue).pending] == ["pacs"]
    assert not worker.work()


@pytest.mark.parametrize(
    ("rule", "words"),
    [('modality = "MR"', r"no rule fits \(CT, axial, slices 2.5 mm apart"), ("slice_distance_mm = [5, 9]", "no rule")],
)
def test_a_series_that_no_rule_fits_is_refused(work, tmp_path, rule, words):
    worker, queue = work(rule)
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert outcome(queue).state is State.REFUSED
    assert re.search(words, outcome(queue).message)
    assert outcome(queue).pending == ()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_localiser_with_another_body_part_does_not_choose_the_rule(work, tmp_path, monkeypatch, is_first):
    worker, queue = work('body_parts = ["ABDOMEN"]')
    files = parties.series(tmp_path / "ct", 3)
    for file in files:
        made = pydicom.dcmread(file)
        made.BodyPartExamined = "ABDOMEN"
        made.save_as(file)
    made.BodyPartExamined, made.ImageType = "CHEST", ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "1.2.3.99"
    made.save_as(tmp_path / "localiser.dcm")
    put(queue, [*files, tmp_path / "localiser.dcm"])
    (series,) = queue
    by_place = sorted(series.files(), key=lambda file: (b"LOCALIZER" in file.read_bytes()) != is_first)
    monkeypatch.setattr(SeriesFolder, "files", lambda _: by_place)
    worker.work()
    assert (outcome(queue).state, outcome(queue).rule) == (State.DONE, "all")


def test_a_header_that_holds_a_name_for_a_modality_is_not_repeated(work, tmp_path, caplog):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3, modality="DOE JANE"))
    worker.work()
    assert "no rule fits (another modality, axial" in outcome(queue).message
    assert "JANE" not in outcome(queue).message + caplog.text


def test_a_series_with_a_gap_is_refused_and_taken_up_when_the_rest_comes(work, tmp_path):
    worker, queue = work()
    files = parties.series(tmp_path / "ct", 3, slices=6)
    put(queue, [*files[:2], *files[3:]])
    worker.work()
    assert "1 slice is missing" in outcome(queue).message
    assert "--" not in outcome(queue).message  # the node has none of segment's options
    put(queue, files)
    assert worker.work()
    assert outcome(queue).state is State.DONE


def test_a_series_that_grew_has_a_second_result_that_supersedes_the_first(work, tmp_path):
    worker, queue = work()
    files = parties.series(tmp_path / "ct", 3)
    put(queue, files[:3])
    worker.work()
    first = result(queue)
    put(queue, files)
    assert worker.work()
    assert not worker.work()
    second = result(queue)
    assert (first.InstanceNumber, second.InstanceNumber) == (3, 4)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert len(second.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 4
    assert len(queue.pending()) == 1


def test_a_series_that_was_removed_and_comes_again_in_parts_has_no_two_results_of_one_number(work, tmp_path):
    worker, queue = work()
    files, made = parties.series(tmp_path / "ct", 3), []
    put(queue, files)
    worker.work()
    made.append(result(queue))
    for series, delivery in queue.pending():
        queue.delivered(series, delivery)
    assert queue.remove_finished(0) == 1
    for part in (files[:3], files):
        put(queue, part)
        worker.work()
        made.append(result(queue))
    assert [each.InstanceNumber for each in made] == [4, 3, 4]
    assert made[2].SOPInstanceUID == made[0].SOPInstanceUID


def test_an_undelivered_result_is_made_again_by_the_rule_as_it_is_now_and_a_delivered_one_is_not(work, tmp_path):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    first, (rule,) = result(queue), worker._config.rules

    def works_after_a_start(**changes):
        config = msgspec.structs.replace(worker._config, rules=(msgspec.structs.replace(rule, **changes),))
        started = Worker(config, queue, worker._segmenters, worker._caller)
        started.discard_outdated()
        return started.work()

    assert not works_after_a_start()
    assert works_after_a_start(binary=True)
    assert (first.SegmentationType, result(queue).SegmentationType) == ("LABELMAP", "BINARY")
    assert result(queue).SeriesInstanceUID == first.SeriesInstanceUID
    assert result(queue).SOPInstanceUID != first.SOPInstanceUID
    for series, delivery in queue.pending():
        queue.delivered(series, delivery)
    assert not works_after_a_start()


def test_a_result_that_is_made_again_has_the_same_uids(work, tmp_path):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    first, (series,) = result(queue), queue
    series.outcomes.clear()  # as if the node had been killed before its note
    assert worker.work()
    assert result(queue).SOPInstanceUID == first.SOPInstanceUID
    assert result(queue).SeriesInstanceUID == first.SeriesInstanceUID
    assert result(queue).InstanceNumber == first.InstanceNumber


def test_a_series_waits_until_the_counts_agree(work, tmp_path, peer):
    worker, queue = work(count_from="pacs", quiet_seconds=1.0)
    files = parties.series(tmp_path / "ct", 3)
    peer.counts = {"1.2.3.77.3": len(files)}
    put(queue, files[:3])
    worker.work()
    assert outcome(queue) is None
    assert queue.due(time.monotonic()) == []
    put(queue, files)
    work_again(worker, queue)
    assert outcome(queue).state is State.DONE


def test_a_series_that_stays_short_is_refused(work, tmp_path, peer):
    worker, queue = work(count_from="pacs", longest_wait_seconds=0.0)
    peer.counts = {"1.2.3.77.3": 100}
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert '4 instances arrived, "pacs" counts 100' in outcome(queue).message


@pytest.mark.parametrize("answer", ["knows no such series", "is away"])
def test_without_a_count_the_quiet_time_decides(work, tmp_path, peer, answer):
    worker, queue = work(count_from="pacs")
    if answer == "is away":
        peer.close()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert outcome(queue).state is State.DONE


def test_a_bundle_of_another_modality_refuses_by_its_own_checks(work, tmp_path, monkeypatch):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))

    def refuses(*_, **__):
        raise InputError("the intensities are no CT")

    monkeypatch.setattr(Segmenter, "reserve", refuses)
    worker.work()
    assert outcome(queue).message == "the intensities are no CT"
