"""The OpenAPI description: sound by itself, complete, and true of what the service answers."""

import re

import jsonschema
import pytest
from bedside.service.openapi import description
from bedside.service.routes import ROOT, ROWS

from .running import API, scan_bytes

METHODS = {"get", "post", "delete"}


@pytest.fixture(scope="module")
def described():
    return description()


def operations(described):
    return [(path, method, each) for path, item in described["paths"].items() for method, each in item.items()]


def every(value, wanted):
    """Yields the values of a key, at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == wanted:
                yield each
            yield from every(each, wanted)
    elif isinstance(value, list):
        for each in value:
            yield from every(each, wanted)


def validator(described, name):
    return jsonschema.Draft202012Validator({**described, "$ref": f"#/components/schemas/{name}"})


def test_it_describes_every_row_and_no_more(described):
    rows = {(ROOT + row.path, row.method.lower()) for row in ROWS}
    assert {(path, method) for path, method, _ in operations(described)} == rows
    assert {method for _, method, _ in operations(described)} <= METHODS


def test_every_reference_leads_to_a_schema(described):
    found = set(every(described, "$ref"))
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def test_every_schema_is_one(described):
    schemas = [*described["components"]["schemas"].values(), *every(described["paths"], "schema")]
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_have_names_of_their_own_and_their_path_parameters(described):
    names = [each["operationId"] for _, _, each in operations(described)]
    assert len({*names}) == len(names)
    for path, _, each in operations(described):
        given = {one["name"] for one in each.get("parameters", ()) if one["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path))
        assert all(one["required"] for one in each.get("parameters", ()) if one["in"] == "path")
        assert all(answer["description"] for answer in each["responses"].values())


def test_what_the_service_answers_is_what_is_described(client, described):
    job = client.post_scan()
    client.finished(job.json())
    own = f"{API}jobs/{job.json()['id']}"
    for name, answer in (
        ("ServiceAnswer", client.get("api/v1")),
        ("JobAnswer", job),
        ("JobAnswer", client.get(own)),
        ("ResultAnswer", client.get(f"{own}/volumes")),
        ("ErrorAnswer", client.get(f"{API}jobs/0")),
        ("ErrorAnswer", client.post_scan(b"no scan" * 99)),
        ("ErrorAnswer", client.post_scan(scan_bytes(), bundle="other")),
    ):
        validator(described, name).validate(answer.json())
    with pytest.raises(jsonschema.ValidationError):
        validator(described, "JobAnswer").validate(client.get("api/v1").json())


def test_every_operation_can_be_refused_by_the_guard_and_by_a_fault(described):
    for _, _, each in operations(described):
        assert each["responses"].keys() >= {"401", "403", "421", "500", "503"}
        assert "Retry-After" in each["responses"]["503"]["headers"]


@pytest.mark.parametrize(("asked", "status"), [("bytes=0-9", 206), ("bytes=99999999-", 416), ("bytes=x", 400)])
def test_a_part_of_a_file_is_answered_as_described(client, described, asked, status):
    job = client.post_scan().json()
    client.finished(job)
    for name in ("labels", "scan"):
        answer = client.get(f"{API}jobs/{job['id']}/{name}", headers={"Range": asked})
        responses = described["paths"][f"{ROOT}/jobs/{{job}}/{name}"]["get"]["responses"]
        assert answer.status_code == status
        assert answer.headers["content-type"].partition(";")[0] in responses[str(status)]["content"]


def test_it_is_served(client, described):
    assert client.get(API + "openapi.json").json() == described
