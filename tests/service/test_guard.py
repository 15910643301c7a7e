"""Who is answered: Host header, other pages, token, and the headers of every answer."""

import pytest
from bedside.runtime import UsageError
from bedside.service.guard import host_name
from bedside.service.settings import Settings

from .running import API, BYTES, running, scan_bytes

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def guarded(toy_bundle):
    with running(toy_bundle, token=TOKEN, names=("scanner-7.hospital",)) as client:
        yield client


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8650", "localhost.evil.example", "", "127.0.0.1.evil.example"]
)
def test_another_host_is_refused_for_api_and_page(client, host):
    for path in ("api/v1", ""):
        assert client.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:99", "10.1.2.3:80"])
def test_names_of_this_machine_and_addresses_are_served(client, host):
    assert client.get("api/v1", headers={"Host": host}).status_code == 200


def test_a_name_that_was_given_is_served(guarded):
    headers = {"Host": "scanner-7.hospital", "Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("api/v1", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_of_other_pages_are_refused(client, headers):
    answer = client.post(API + "jobs", content=scan_bytes(), headers={**BYTES, **headers})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, 2)
    assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_is_served(client):
    origin = str(client.base_url).rstrip("/")
    assert client.get("api/v1", headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", f"Basic {TOKEN}", TOKEN, "Bearer ä"]
)
def test_without_the_token_nothing_is_told(guarded, given):
    headers = {} if given is None else {"Authorization": given.encode()}
    for method, path in (("GET", ""), ("POST", "/jobs"), ("GET", "/openapi.json"), ("GET", "/jobs/1/labels")):
        answer = guarded.request(method, f"api/v1{path}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_everything_is(guarded):
    assert guarded.get("api/v1", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_page_itself_needs_no_token_and_has_no_data(guarded):
    assert guarded.get("").status_code == 200


@pytest.mark.parametrize("path", ["", "api/v1", "api/v1/jobs/0", "nothing", "page/style.css"])
def test_every_answer_has_the_headers_that_protect(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control")]


def test_answers_of_the_api_are_not_stored(client):
    assert client.get("api/v1").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["page/../../settings.py", "page/%2e%2e/settings.py", "page//etc/passwd", "page/..%2fapp.py"]
)
def test_no_file_outside_the_page_is_served(client, path):
    assert client.get(path).status_code in (404, 421)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_another_address_than_the_loopback_demands_a_token(host):
    with pytest.raises(UsageError, match="token"):
        Settings(host=host)
    assert Settings(host=host, token=TOKEN).host == host


def test_a_short_token_is_refused():
    with pytest.raises(UsageError, match="16 ASCII characters"):
        Settings(token="short")


def test_a_name_is_read_from_any_host_header():
    assert [host_name(text) for text in ("A.b:1", "[::1]", "::1", "")] == ["a.b", "::1", "", ""]
