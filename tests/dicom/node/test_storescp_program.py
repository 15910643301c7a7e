"""Whether an association was released is read from storescp's log; the profile names what is accepted."""

from bedside.dicom.node.storescp_program import was_released, write_profile


def test_a_release_is_the_last_line_of_the_log(tmp_path):
    assert not was_released(tmp_path)
    (tmp_path / "storescp.log").write_text("Association Received\nAssociation Release\n")
    assert was_released(tmp_path)
    (tmp_path / "storescp.log").write_text("Association Received\nAssociation Aborted\n")
    assert not was_released(tmp_path)


def test_the_profile_names_ct_and_echo_and_no_deflated_syntax(tmp_path):
    write_profile(tmp_path / "profile.cfg")
    text = (tmp_path / "profile.cfg").read_text()
    assert "= 1.2.840.10008.1.1\\All" in text
    assert "= 1.2.840.10008.5.1.4.1.1.2\\All" in text
    assert "1.2.840.10008.1.2.1.99" not in text
