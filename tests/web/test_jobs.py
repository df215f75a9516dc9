"""The engine with work of its own making, names, and servers that do not start or are stopped."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from serving import until
from tinct.cli.main import main
from tinct.errors import ConfigError, UnknownName
from tinct.web.client import Client, ServerError
from tinct.web.engine import Engine
from tinct.web.jobs import Cancelled, Job, NoSuchJob, Progress, QueueFull, Result, Stopping
from tinct.web.limits import Limits
from tinct.web.server import Server, Serving


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(lambda device: device, Limits(max_waiting=2, keep_minutes=0.01, keep_results=2), ("one",))
    made.start()
    yield made
    made.close()


def hello(tools: str, job: Job) -> Result:
    """Writes the name of the worker's device."""
    path = job.folder / "hello.txt"
    path.write_text(tools)
    job.tell(Progress(1, 1, 1, 1, 1))
    return Result(path, path.name, "text/plain", path.stat().st_size)


class Walk:
    """Work of ten steps, each of which waits until it is let go."""

    def __init__(self) -> None:
        self.steps = 0
        self.go = threading.Semaphore(0)

    def __call__(self, tools: str, job: Job) -> Result:
        for step in range(1, 11):
            self.go.acquire()
            self.steps = step
            job.tell(Progress(1, 1, 1, step, 10))
        return hello(tools, job)


def submitted(engine: Engine, work: object = hello) -> Job:
    return engine.submit("test", work, engine.new_folder())  # type: ignore[arg-type]


def test_a_job_is_done_and_tells_every_state(engine: Engine) -> None:
    job = submitted(engine)
    assert [(record.number, record.state) for record in job.follow()] == [
        (1, "queued"), (2, "running"), (3, "running"), (4, "done"),
    ]  # fmt: skip
    assert job.result is not None
    assert job.result.path.read_text() == "one"
    assert job.progress == Progress(1, 1, 1, 1, 1)
    assert [record.number for record in job.follow(after=3)] == [4]
    job.settle()
    assert list(job.follow())[-1].state == "done"


def test_a_running_job_ends_within_one_step_of_its_cancelling(engine: Engine) -> None:
    walk = Walk()
    job = submitted(engine, walk)
    walk.go.release(3)
    until(lambda: walk.steps == 3 and job.progress and job.progress.step == 3)
    engine.cancel(job)
    assert (job.state, job.cancelling) == ("running", True)
    walk.go.release(10)
    *_, last = job.follow()
    assert (last.state, walk.steps) == ("cancelled", 4)
    assert isinstance(job.error, Cancelled)
    assert not job.folder.exists()


def test_a_waiting_job_is_cancelled_at_once_and_leaves_its_place(engine: Engine) -> None:
    walk = Walk()
    first = submitted(engine, walk)
    until(lambda: first.state == "running")
    second, third = submitted(engine), submitted(engine)
    folder = engine.new_folder()
    with pytest.raises(QueueFull):
        engine.submit("test", hello, folder)
    assert folder.exists()
    engine.cancel(second)
    assert second.state == "cancelled"
    fourth = submitted(engine)
    walk.go.release(10)
    assert [list(job.follow())[-1].state for job in (first, third, fourth)] == ["done"] * 3


def test_results_are_removed_after_their_time_with_their_files(engine: Engine) -> None:
    job = submitted(engine)
    list(job.follow())
    assert engine.job(job.id) is job
    until(lambda: engine.kept == 0, seconds=10)
    assert not job.folder.exists()
    with pytest.raises(NoSuchJob, match=r"0\.01 minutes"):
        engine.job(job.id)


def test_an_error_of_the_server_is_kept_from_its_clients(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def broken(tools: str, job: Job) -> Result:
        raise OSError("/secret/path is gone")

    job = submitted(engine, broken)
    *_, last = job.follow()
    assert last.state == "failed"
    from tinct.web.problems import problem_of

    assert job.error is not None
    assert "secret" not in str(problem_of(job.error).document)
    assert "secret" in caplog.text


def test_closing_tells_every_job() -> None:
    engine = Engine(lambda device: device, Limits())
    engine.start()
    walk = Walk()
    running, waiting = submitted(engine, walk), submitted(engine)
    until(lambda: running.state == "running")
    folder = running.folder
    closing = threading.Thread(target=engine.close)
    closing.start()
    assert list(waiting.follow())[-1].state == "cancelled"
    walk.go.release(10)
    assert list(running.follow())[-1].state == "cancelled"
    closing.join()
    assert isinstance(running.error, Stopping)
    assert not folder.parent.exists()
    with pytest.raises(Stopping):
        submitted(engine)


def test_who_waits_is_answered_when_the_server_stops(untrained: str, tmp_path: Path) -> None:
    Image.fromarray(data.camera()[::8, ::8]).save(tmp_path / "old.png")
    server = Server(Serving(port=0, model=untrained))
    thread = threading.Thread(target=server.run)
    thread.start()
    client, problems = Client(server.address), list[ServerError]()

    def ask() -> None:
        with pytest.raises(ServerError) as refused:
            client.colorize(tmp_path / "old.png", steps=1000, draws=64)
        problems.append(refused.value)

    job = client.submit([tmp_path / "old.png"], steps=1000, draws=64)
    asking = threading.Thread(target=ask)
    asking.start()
    events = []
    for event in job:
        if not events:
            until(lambda: server.engine.waiting == 1)
            server.stop()
        events.append(event)
    asking.join()
    thread.join()
    assert (events[-1]["event"], events[-1]["problem"]["detail"]) == ("cancelled", "the server stops")
    assert (problems[0].status, problems[0].kind) == (503, "stopping")


def test_an_unknown_model_ends_the_start() -> None:
    server = Server(Serving(port=0, model="foto"))
    with pytest.raises(UnknownName, match="Did you mean 'photo'"):
        server.run()


def test_a_busy_port_is_one_clear_error(untrained: str, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(Serving(port=0, model=untrained))
    port = server.address.rpartition(":")[2]
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--port", port])
    assert ended.value.code == 1
    assert f"port {port}: another program serves there. Choose another --port" in capsys.readouterr().err
    server.engine.close()
    server.close()


@pytest.mark.parametrize(
    ("host", "says"), [("no.such.invalid", "no address"), ("192.0.2.1", "can't serve there"), ("x" * 99, "no address")]
)
def test_a_host_that_is_not_here_is_said(host: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Server(Serving(host, 0))


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="fewer than 8"):
        Server(Serving(port=0, token="secret"))


def test_without_its_packages_serving_says_how_to_get_them() -> None:
    script = "import sys\nsys.modules['uvicorn'] = None\nfrom tinct.cli.main import main\nmain(['serve'])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip() == (
        "tinct: error: serving takes packages that are not installed (uvicorn): pip install 'tinct[app]'"
    )
