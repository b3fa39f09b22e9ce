"""The API by its own description: whatever is sent, ELIAS answers, and never with a fault of its own."""

import re

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..conftest import House

EXAMPLES = 12  # of each operation
# Streams that end with a job or never; what a stand-in for the processes cannot answer; and what changes who asks.
LEFT_OUT = re.compile(r"/logs$|^/v1/stream$|^/v1/apps$|^/v1/bundle|^/readyz$|/test$|^/v1/logout$")


@pytest.fixture
def schema(house: House, client: httpx.Client) -> "schemathesis.BaseSchema":
    return schemathesis.openapi.from_dict(client.get("/v1/openapi.json").json())


def test_nothing_that_the_description_allows_or_forbids_is_a_fault(
    house: House, client: httpx.Client, schema: "schemathesis.BaseSchema"
) -> None:
    faults = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if LEFT_OUT.search(operation.path):
            continue
        cases = st.one_of(
            operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
        )

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def ask(case: schemathesis.Case) -> None:
            sent = case.as_transport_kwargs(base_url=house.url)
            sent.pop("cookies", None)
            if isinstance(sent.get("data"), bytes | str):
                sent["content"] = sent.pop("data")
            headers = dict(sent.pop("headers", {}) or {}) | {"authorization": f"Bearer {house.token}"}
            answer = client.request(**sent, headers=headers)
            if answer.status_code >= 500:
                faults.append((case.operation.label, answer.status_code, answer.text[:200]))

        ask()
    assert faults == []
