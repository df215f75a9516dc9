"""The API fuzzed from its own OpenAPI document: whatever it is sent, it answers as the document says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks

from serving import Served, serving

# Schemas can't say which bytes are a photograph, nor which options go together; and every field of a form is a text, so that
# 0 is a false and 7.0 a text.
EXCLUDED = [checks.positive_data_acceptance, checks.negative_data_rejection]


@pytest.fixture(scope="module")
def server(untrained: str) -> Iterator[Served]:
    limits = ["--max-seconds", "2", "--max-pictures", "2", "--max-megapixels", "1"]
    with serving("--model", untrained, *limits) as served:
        yield served


@pytest.fixture(scope="module")
def document(server: Served) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_answers_are_as_the_document_says(document: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 10
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # a path is any text: there is nothing to be wrong about

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered(case: schemathesis.Case) -> None:
            case.call_and_validate(excluded_checks=EXCLUDED)

        answered()
