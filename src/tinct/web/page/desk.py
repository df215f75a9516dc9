"""The page's side of the engine: a visitor's jobs, what they tell, and what goes wrong."""

from __future__ import annotations

import base64
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from tinct.config import from_dict
from tinct.errors import ConfigError, TinctError
from tinct.web import forms
from tinct.web.jobs import FINISHED, Job, Progress, Record
from tinct.web.problems import problem_of
from tinct.web.work import TASKS, Upload

if TYPE_CHECKING:
    from tinct.web.api import Api

_log = logging.getLogger("tinct.web")


class Desk:
    """Takes what visitors ask for to the engine. Each visitor, named by the session, has one job at a time."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.engine, self.models, self.folder = api.engine, api.models.result(), folder
        self._jobs: dict[str, Job] = {}

    def submit(
        self,
        session: str,
        task: str,
        values: Mapping[str, Any],
        files: Sequence[str | Path] = (),
        beside: Mapping[str, str] | None = None,
    ) -> Job:
        """A job that begins, of files and those that go with them, by name; one that the visitor has still running is cancelled.

        Errors as the API has them.
        """
        self.cancel(session)
        chosen = TASKS[task]
        options: Any = from_dict(chosen.options, {name: value for name, value in values.items() if value is not None})
        if options.model is not None:
            self.models.path(options.model)
        folder = self.engine.new_folder()
        try:
            uploads = [_copied(Path(file), folder / f"{number}.upload") for number, file in enumerate(files, start=1)]
            others = {name: _copied(Path(file), folder / f"{name}.upload") for name, file in (beside or {}).items()}
            work = chosen.prepare(options, uploads, others, self.engine.limits)
            job = self.engine.submit(task, work, folder)
        except BaseException:
            self.engine.discard(folder)
            raise
        self._jobs[session] = job
        return job

    def follow(self, job: Job) -> Iterator[Record]:
        """What the job tells until it ends; who no longer listens has cancelled it. Raises what it failed with."""
        try:
            yield from job.follow()
        finally:
            self.engine.cancel(job)
        if job.error:
            raise job.error

    def cancel(self, session: str) -> None:
        """Ends the visitor's job, if one runs."""
        job = self._jobs.pop(session, None)
        if job is not None and job.state not in FINISHED:
            self.engine.cancel(job)

    def leave(self, request: gr.Request) -> None:
        """The visitor has gone, or wants no more of the job."""
        self.cancel(session_of(request))

    def named(self, kind: str) -> list[str]:
        """The models that colour (`colours`) or make pictures (`generates`), the server's own first."""
        found = [told for told in self.models.described() if told.get(kind)]
        return [told["name"] for told in sorted(found, key=lambda told: not told["default"])]


def session_of(request: gr.Request) -> str:
    """What names a visitor."""
    assert request.session_hash
    return str(request.session_hash)


def _copied(source: Path, target: Path) -> Upload:
    try:
        shutil.copyfile(source, target)
    except OSError:
        raise ConfigError(f"{source.name[:80]}: is no longer kept here. Choose it again") from None
    return Upload(target, forms.plain_name(source.name))


def shown_progress(record: Record, words: str = "", *, small: bool = False) -> str:
    """How far a job is, and what it looks like now, in HTML."""
    if record.state == "queued":
        return _status("Waiting for the job before.", None)
    now = record.progress
    if now is None:
        return _status("Beginning.", None)
    part = f"Picture {now.item} of {now.items}, step" if now.items > 1 else "Step"
    picture = _picture(now, small) if now.preview else ""
    return _status(f"{words}{part} {now.step} of {now.steps}.", now.step / now.steps) + picture


def _status(text: str, share: float | None) -> str:
    value = "" if share is None else f' value="{share:.3f}"'
    bar = f'<progress aria-label="progress"{value}></progress>'
    return f'<div class="progress"><span role="status">{escape(text)}</span>{bar}</div>'


def _picture(now: Progress, small: bool) -> str:
    return f'<div class="progress">{image(now.preview or b"", f"preview at step {now.step}", small=small)}</div>'


def image(data: bytes, words: str, *, small: bool = False) -> str:
    """A small WebP in HTML."""
    kind = ' class="small"' if small else ""
    return f'<img{kind} alt="{escape(words)}" src="data:image/webp;base64,{base64.b64encode(data).decode()}">'


def shown_problem(error: Exception) -> str:
    """One clear message, in HTML; what is no fault of the visitor's is for the log."""
    if not isinstance(error, TinctError):
        _log.error("the page", exc_info=error)
    return f'<p class="problem" role="alert">{escape(str(problem_of(error).document["detail"]))}</p>'


def shown_result(job: Job, words: str) -> str:
    """Where the job's file is to be had, as it was written, and its notes, in HTML."""
    assert job.result is not None
    name = escape(job.result.name)
    notes = "".join(f'<p class="told">{escape(note)}</p>' for note in job.result.notes)
    size = f"{job.result.size / 1e6:.1f} MB" if job.result.size >= 1e5 else f"{job.result.size / 1e3:.0f} kB"
    return (
        f'<p role="status">{escape(words)}</p><p><a class="download" download="{name}" href="/api/v1/jobs/{job.id}/result">'
        f"Download {name} ({size})</a></p>{notes}"
    )
