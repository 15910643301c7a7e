"""The page when its connection to the service ends before the job does."""

from bedside.service.events import job_events

from .running import many_windows, process, running


def test_a_service_that_is_killed_is_said_plainly(browser, toy_bundle, tmp_path):
    (tmp_path / "ct.nii").write_bytes(many_windows())
    with process(toy_bundle, tmp_path) as (child, url):
        browser.open(url)
        browser.give([tmp_path / "ct.nii"])
        browser.wait(lambda: "%" in browser.text("bars"))
        child.kill()
        browser.wait(lambda: browser.text("message"))
    assert browser.text("message") == ("Not possible just now\nThe service cannot be reached; is it still running?")


def test_a_stream_that_ends_before_its_job_is_followed_again(browser, toy_bundle, scan, gate, monkeypatch):
    streams = []

    async def cut(*given):
        streams.append(given)
        async for event in job_events(*given):
            yield event
            if len(streams) < 3:
                return
            gate.set()

    monkeypatch.setattr("bedside.service.api.job_events", cut)
    with running(toy_bundle) as client:
        browser.open(str(client.base_url))
        browser.give([scan])
        browser.wait_for_status("Done")
    assert len(streams) >= 3
