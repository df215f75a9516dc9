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
    with serving("--model", untrained, *limits) as server:
        told = fuzzed(server.url, tmp_path, "--phases", "coverage", "--mode", "all")
        fuzzed(server.url, tmp_path, "--phases", "fuzzing,stateful", "--mode", "positive")
        # Against the document only where nothing takes files: their bytes the fuzzer can't mutate, and breaks off.
        fuzzed(
            server.url,
            tmp_path,
            "--phases",
            "fuzzing",
            "--mode",
            "negative",
            "--exclude-path-regex",
            "(colorize|jobs)$",
        )
        assert server.client.health()["ready"]
    assert "Tested: 10" in told


def fuzzed(url: str, folder: Path, *how: str) -> str:
    """What the fuzzer says, that has found nothing."""
    fuzz = "from schemathesis.cli import schemathesis; schemathesis()"
    result = subprocess.run(
        [sys.executable, "-c", fuzz, "run", f"{url}/api/v1/openapi.json", *how,
         "--max-examples", "40", "--exclude-checks", EXCLUDED, "--suppress-health-check", "all", "--no-color"],
        cwd=folder, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    return result.stdout
