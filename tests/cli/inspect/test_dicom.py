"""`bedside inspect` lists the series of a folder of DICOM files."""

from __future__ import annotations

import json

from bedside.cli.main import run as bedside

from ...dicom.written_series import SERIES_UID, write_series


def test_the_series_are_listed_with_what_is_wrong_with_them(tmp_path, capsys):
    def other(made, _):
        made.SeriesInstanceUID = "1.2.3.4.9"

    write_series(tmp_path / "ct")
    write_series(tmp_path / "gap", leave_out=[2], change=other)
    assert bedside(["inspect", str(tmp_path), "--json"]) == 0
    whole, gap = json.loads(capsys.readouterr().out)["series"]
    assert (whole["number"], whole["uid"], whole["modality"], whole["slices"]) == (1, SERIES_UID, "CT", 5)
    assert (whole["size"], whole["orientation"], whole["problem"]) == ([7, 6, 5], "LPS", "")
    assert gap["size"] is None
    assert "1 slice is missing" in gap["problem"]
    assert bedside(["inspect", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "7×6×5" in table
    assert "0.9×0.7×2.5" in table


def test_a_text_in_place_of_the_modality_is_not_shown(tmp_path, capsys):
    def named(made, _):
        made.Modality = "CANARY^DOE"

    write_series(tmp_path, change=named)
    for more in ([], ["--json"]):
        assert bedside(["inspect", str(tmp_path), *more]) == 0
        told = capsys.readouterr()
        assert "another modality" in told.out
        assert "CANARY" not in told.out + told.err


def test_trust_goes_with_a_bundle(tmp_path, capsys):
    write_series(tmp_path)
    assert bedside(["inspect", str(tmp_path), "--trust", str(tmp_path)]) == 2
    assert "--trust goes with a bundle" in capsys.readouterr().err
