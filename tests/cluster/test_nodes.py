"""`tinct colorize --engine ray --address`: a cluster of two nodes that were started apart, and nodes that are killed whole."""

import sys
from pathlib import Path

import pytest

from clustering import assert_each_once, colorize, colorizing, entries, environment_number, files, gray_files, until
from ray_nodes import cluster, kill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.3 is an address of this machine on Linux"),
]

FILES = environment_number("TINCT_RAY_NODE_FILES", 300)


def made_by(out: Path, mode: int) -> int:
    """How many outputs have these permissions, by which the nodes differ."""
    whole = (path for path in out.rglob("*.jpg") if ".part" not in path.name)
    return sum(path.stat().st_mode & 0o777 == mode for path in whole)


def test_both_nodes_colour_and_one_of_them_is_killed(
    untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album, out = gray_files(tmp_path / "album", FILES), tmp_path / "out"
    common = (album, "--model", untrained, "--draws", 1)
    with cluster() as made:
        made.node()
        second = made.node(umask=0o077)
        by_ray = ("-o", out, "--engine", "ray", "--address", made.address)
        with colorizing(*common, *by_ray, env=made.token) as process:

            def both_did() -> bool:
                return min(made_by(out, 0o644), made_by(out, 0o600)) >= 10 or process.poll() is not None

            assert until(both_did, 600)
            by_second, before = made_by(out, 0o600), len(entries(out))
            kill(second)
            told, errors = process.communicate(timeout=1500)
    assert process.returncode == 0, errors
    assert by_second >= 10
    assert before < FILES
    assert told.strip().startswith(f"{FILES} coloured")
    assert not errors.strip()
    assert_each_once(out, FILES)
    plain = colorize(*common, "-o", tmp_path / "plain")
    assert plain.returncode == 0, plain.stderr
    assert files(out) == files(tmp_path / "plain")
    with capsys.disabled():
        print(f"\n{FILES} files, two nodes, one killed after {by_second} of its own: each output once")


def test_a_head_that_is_killed_is_told_and_the_plain_command_goes_on(untrained: str, tmp_path: Path) -> None:
    album, out = gray_files(tmp_path / "album", 100), tmp_path / "out"
    common = (album, "-o", out, "--model", untrained, "--draws", 1)
    with cluster() as made:
        head = made.node()
        by_ray = ("--engine", "ray", "--address", made.address)
        stranger = colorize(*common, *by_ray, env={"RAY_AUTH_MODE": "disabled"})
        assert stranger.returncode == 1
        assert "it wants a token. Set RAY_AUTH_MODE=token" in stranger.stderr
        assert not entries(out)
        with colorizing(*common, *by_ray, env=made.token) as process:
            assert until(lambda: len(entries(out)) > 10 or process.poll() is not None, 600)
            kill(head)
            _, errors = process.communicate(timeout=300)
    before = len(entries(out))
    assert 10 < before < 100
    assert process.returncode == 1
    assert f"its head at {made.address} is gone" in errors
    done = colorize(*common)
    assert done.returncode == 0, done.stderr
    assert f"{100 - before} coloured, {before} done before" in done.stdout
    assert_each_once(out, 100)
