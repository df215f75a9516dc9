"""What a release says of itself: versions, requirements, citation, notices, and the files that go with the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import requirements
from packaging.requirements import Requirement

import tinct
from tinct import recipes, zoo

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# The keys of the citation file format 1.2.0 that a file like this one may have, and those that it must have.
MUST = {"cff-version", "message", "title", "authors"}
MAY = {"type", "abstract", "version", "license", "keywords", "date-released", "doi", "identifiers", "contact"}


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml"])
def test_the_requirements_are_what_the_script_makes(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == requirements.files()[name], "run `make requirements`"


def test_requirements_pin_every_dependency_and_name_no_host() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {Requirement(line).name: Requirement(line) for line in lines if "==" in line}
    asked = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    assert list(pinned) == [one.name for one in asked]
    for one in asked:
        (pin,) = pinned[one.name].specifier
        assert one.specifier.contains(pin.version)
    for name in ("requirements.txt", "environment.yml"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_the_conda_environment_is_one_that_conda_reads() -> None:
    found = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert found["name"] == "tinct"
    *conda, by_pip = found["dependencies"]
    assert conda == ["python=3.12", "pip"]
    assert by_pip["pip"][0] == "-c constraints.txt"
    assert by_pip["pip"][-1] == "."
    assert by_pip["pip"][1:-1] == requirements.pins()


def test_a_dependency_without_a_version_or_with_one_too_old_is_an_error() -> None:
    for versions in ({}, {"click": "7.0"}):
        with pytest.raises(ValueError, match=r"click>=8\.1: constraints\.txt has"):
            requirements._pin(Requirement("click>=8.1"), versions)


def test_every_package_that_development_asks_for_has_a_version() -> None:
    versions = requirements._versions((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    extras = PROJECT["project"]["optional-dependencies"]
    asked = {Requirement(text) for name in ("app", "onnx", "ray", "track", "dev") for text in extras[name]}
    for one in asked - {Requirement(f"tinct[{name}]") for name in extras}:
        assert one.specifier.contains(versions[one.name.lower()]), one


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert MUST <= found.keys() <= MUST | MAY
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "software"
    assert found["version"] == tinct.__version__
    assert found["license"] == PROJECT["project"]["license"]
    assert [author["name"] for author in found["authors"]] == [one["name"] for one in PROJECT["project"]["authors"]]
    assert all(isinstance(word, str) for word in found["keywords"])


def test_the_changelog_begins_with_this_version() -> None:
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == tinct.__version__


def test_metadata_has_no_addresses_and_the_pythons_that_it_asks_for() -> None:
    project = PROJECT["project"]
    assert "urls" not in project
    pythons = [one.rpartition(" ")[2] for one in project["classifiers"] if one.startswith("Programming Language")]
    assert pythons == ["3.11", "3.12", "3.13"]
    assert all(Requirement(f"python{project['requires-python']}").specifier.contains(one) for one in pythons)


def test_the_package_s_files_are_declared() -> None:
    """Whether they are in the wheel is for tests/test_wheel.py."""
    package = Path(tinct.__file__).parent
    declared = {
        path for pattern in PROJECT["tool"]["setuptools"]["package-data"]["tinct"] for path in package.glob(pattern)
    }
    other = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert other == declared
    assert package / "py.typed" in declared
    assert {path.stem for path in declared if path.suffix == ".toml"} == set(recipes.names())


def test_the_notice_names_every_bundled_model_and_what_it_was_trained_on() -> None:
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    assert "NOTICE" in PROJECT["project"]["license-files"]
    for path in sorted(zoo.BUNDLED.glob("*.safetensors")):
        assert path.name in notice
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        trained = re.search(r"^\| training data \| (.+) \|$", card, re.MULTILINE)
        assert trained is not None
        sets = [name for name in SETS if name in trained[1]]
        assert sets
        assert all(name in notice for name in sets)
        terms = re.findall(r"CC BY 4\.0|CC BY|research", trained[1])
        assert all(term in notice for term in terms)
        assert not re.search(r"[Dd]ataset|corpus", trained[1])  # a set that SETS does not know


SETS = ("Tiny ImageNet", "Intel scene set", "Caltech-101", "TensorFlow flowers", "MNIST")
