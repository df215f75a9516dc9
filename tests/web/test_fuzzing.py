"""The API fuzzed from its own OpenAPI document: whatever it is sent, it answers as the document says."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving import serving

# Schemas can't say which bytes are a photograph, nor which options go together; and every field of a form is a text, so that
# 0 is a false and 7.0 no whole number.
EXCLUDED = "positive_data_acceptance,negative_data_rejection"


@pytest.mark.slow
def test_answers_are_as_the_document_says(untrained: str, tmp_path: Path) -> None:
    limits = ["--max-seconds", "2", "--max-pictures", "2", "--max-megapixels", "1"]
    fuzz = "from schemathesis.cli import schemathesis; schemathesis()"
    with serving("--model", untrained, *limits) as server:
        result = subprocess.run(
            [sys.executable, "-c", fuzz, "run", f"{server.url}/api/v1/openapi.json", "--phases", "coverage,fuzzing,stateful",
             "--max-examples", "40", "--exclude-checks", EXCLUDED, "--suppress-health-check", "all", "--no-color"],
            cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False,
        )  # fmt: skip
        assert server.client.health()["ready"]
    assert result.returncode == 0, result.stdout
    assert "Tested: 10" in result.stdout
