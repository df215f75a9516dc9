"""The REST API: requests become jobs, and jobs become answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from tinct import __version__
from tinct.config import from_dict
from tinct.errors import TinctError
from tinct.web import metrics
from tinct.web.engine import Engine
from tinct.web.jobs import FINISHED, Job, Record
from tinct.web.problems import MEDIA_TYPE, Problem, Refused, plain_problem, problem_of
from tinct.web.schemas import Health, JobDocument, ModelDocument, ProblemDocument, job_document, progress_document

_HEARTBEAT = 15.0  # seconds without an event, after which a comment says that the connection lives
_FILES: dict[str, Any] = {"image/*": {}, "application/zip": {}}


class Api:
    """What the routes share: the engine, the models that may be asked for, and what is counted."""

    def __init__(self, engine: Engine, models: Future[Any]) -> None:
        self.engine, self.models = engine, models
        self.counted: metrics.Counted | None = None
        self.routes: list[Route | APIRoute] = []

    async def ready(self) -> None:
        """Waits until the model is loaded: until then nothing that needs torch is imported here."""
        await asyncio.shield(asyncio.wrap_future(self.engine.ready))

    async def submit(self, request: Request, task: str | None, *, previews: bool) -> Job:
        """The job that a request asks for; of the task that it names itself, where none is given."""
        self.engine.check_room()  # before the body is read
        await self.ready()
        from tinct.web import forms
        from tinct.web.work import TASKS

        form = await forms.read_form(request, self.engine.limits)
        folder = self.engine.new_folder()
        try:
            name = task or form.values.pop(forms.TASK, next(iter(TASKS)))
            chosen = TASKS[str(name)]
            options: Any = from_dict(chosen.options, form.values)
            uploads, beside = await form.save(folder)
            if options.model is not None:
                self.models.result().path(options.model)  # unknown ones are refused now
            work = await anyio.to_thread.run_sync(chosen.prepare, options, uploads, beside, self.engine.limits)
            return self.engine.submit(str(name), work, folder, previews=previews)
        except BaseException:
            self.engine.discard(folder)
            raise
        finally:
            await form.close()

    async def answered(self, request: Request, task: str) -> Response:
        """The result itself; a client that does not wait for it has its job cancelled."""
        job = await self.submit(request, task, previews=False)
        try:
            there = await _ended(job, request)
        except BaseException:
            self.engine.forget(job)
            raise
        if there and job.result:
            return _file(job, BackgroundTask(self.engine.forget, job))
        self.engine.forget(job)
        if job.error and there:
            raise job.error
        return Response(status_code=400)  # nobody reads it

    async def of_http(self, request: Request, error: Exception) -> Response:
        """A plain problem; for a method that is not allowed, with those of every route of that path, not of the first alone."""
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            here = (route for route in self.routes if route.path_regex.match(request.url.path))
            headers["allow"] = ", ".join(sorted({method for route in here for method in route.methods or ()}))
        return _answer(plain_problem(error.status_code, error.detail, headers))


def build(engine: Engine, models: Future[Any]) -> FastAPI:
    """The application. `models` is there when the engine is ready."""
    app = FastAPI(title="tinct", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    api = Api(engine, models)
    app.state.api = api
    for router in (_work(api), _jobs(api), _about(api, app)):
        api.routes += [route for route in router.routes if isinstance(route, Route | APIRoute)]
        app.include_router(router)
    app.add_exception_handler(TinctError, lambda _, error: _answer(problem_of(error)))
    app.add_exception_handler(HTTPException, api.of_http)
    app.add_exception_handler(ClientDisconnect, lambda _, error: Response(status_code=400))
    app.add_exception_handler(Exception, lambda _, error: _answer(problem_of(error)))
    return app


_PROBLEMS: dict[int | str, dict[str, Any]] = {"default": {"model": ProblemDocument, "description": "a problem"}}


def _work(api: Api) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["work"], responses=_PROBLEMS)

    @router.post("/colorize", response_class=Response, responses={200: {"content": _FILES}})
    async def colorize(request: Request) -> Response:
        """Colour photographs and wait for it: one picture in its own format, or a ZIP of several and of candidates."""
        return await api.answered(request, "colorize")

    @router.post("/generate", response_class=Response, responses={200: {"content": _FILES}})
    async def generate(request: Request) -> Response:
        """Make pictures from noise and wait for it: a PNG, or a ZIP of several."""
        return await api.answered(request, "generate")

    @router.get("/models", response_model=list[ModelDocument])
    async def models() -> Any:
        """The models that may be asked for."""
        await api.ready()
        return await anyio.to_thread.run_sync(api.models.result().described)

    return router


def _jobs(api: Api) -> APIRouter:
    router, engine = APIRouter(prefix="/api/v1", tags=["jobs"], responses=_PROBLEMS), api.engine

    @router.post("/jobs", status_code=202, response_model=JobDocument)
    async def submit(request: Request, response: Response) -> Any:
        """Begin long work, and be told at once where to ask for it. Its form is that of the task."""
        job = await api.submit(request, None, previews=True)
        response.headers["location"] = f"/api/v1/jobs/{job.id}"
        return job_document(job)

    @router.get("/jobs/{id}", response_model=JobDocument)
    async def status(id: str) -> Any:
        """How far a job is."""
        return job_document(engine.job(id))

    @router.delete("/jobs/{id}", response_model=JobDocument)
    async def cancel(id: str) -> Any:
        """Cancel a job; of one that is done, remove the result."""
        job = engine.job(id)
        if job.state in FINISHED:
            engine.forget(job)
        else:
            engine.cancel(job)
        return job_document(job)

    @router.get(
        "/jobs/{id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events(id: str, request: Request) -> StreamingResponse:
        """Server-sent events: `progress` with a preview at every step, and at last `done`, `failed` or `cancelled`."""
        told = request.headers.get("last-event-id", "")
        after = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0
        return StreamingResponse(_events(engine.job(id), after), media_type="text/event-stream")

    @router.get("/jobs/{id}/result", response_class=Response, responses={200: {"content": _FILES}})
    async def result(id: str) -> Response:
        """What a job made."""
        job = engine.job(id)
        if job.error:
            raise job.error
        if job.result is None:
            raise Refused("not-finished", f"the job is {job.state}: wait for it at its events", retry_after="1")
        return _file(job)

    return router


def _about(api: Api, app: FastAPI) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", response_model=Health, tags=["server"])
    async def health() -> Any:
        """That the server is there, and whether its model is."""
        return Health(status="ok", version=__version__, ready=api.engine.ready.done())

    @router.get("/metrics", response_class=PlainTextResponse, tags=["server"])
    async def numbers() -> PlainTextResponse:
        """What is counted, as Prometheus reads it."""
        assert api.counted is not None
        return PlainTextResponse(metrics.text(api.counted, api.engine), media_type=metrics.MEDIA_TYPE)

    @router.get("/api/v1/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        await api.ready()
        from tinct.web.reference import described

        return JSONResponse(described(app))

    @router.get("/api/v1/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        await api.ready()
        from tinct.web.reference import described, reference

        return HTMLResponse(reference(described(app)))

    return router


def _answer(problem: Problem) -> Response:
    return Response(problem.body, problem.status, problem.headers, media_type=MEDIA_TYPE)


def _file(job: Job, background: BackgroundTask | None = None) -> FileResponse:
    """The job's result; notes for the user in a header, as JSON."""
    assert job.result is not None
    made = job.result
    headers = {"cache-control": "no-store"} | ({"tinct-notes": json.dumps(made.notes)} if made.notes else {})
    return FileResponse(
        made.path, headers=headers, media_type=made.media_type, filename=made.name, background=background
    )


@contextlib.contextmanager
def _bell(job: Job) -> Iterator[asyncio.Event]:
    """An event of this loop that is set when the job, in its own thread, has a record more."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(event.set)

    with job.ringing(ring):
        yield event


async def _ended(job: Job, request: Request) -> bool:
    """Waits for the job to end: True; or for the client to go: False."""
    gone = asyncio.create_task(_gone(request))
    try:
        with _bell(job) as event:
            while job.state not in FINISHED and not gone.done():
                rung = asyncio.create_task(event.wait())
                await asyncio.wait({rung, gone}, return_when=asyncio.FIRST_COMPLETED)
                rung.cancel()
                event.clear()
        return not gone.done()
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(job: Job, after: int) -> AsyncIterator[str]:
    with _bell(job) as event:
        while True:
            event.clear()
            for record in job.since(after):
                yield _event(job, record)
                after = record.number
                if record.state in FINISHED:
                    return
            try:
                await asyncio.wait_for(event.wait(), _HEARTBEAT)
            except TimeoutError:
                yield ": still here\n\n"


def _event(job: Job, record: Record) -> str:
    progress = record.progress if record.state == "running" else None
    told: Any = progress_document(progress) if progress else job_document(job)
    name = "progress" if progress else record.state
    return f"id: {record.number}\nevent: {name}\ndata: {told.model_dump_json()}\n\n"
