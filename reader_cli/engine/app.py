"""The engine's routes. A handler reads the request, makes one call and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from reader_cli.engine import answers, openapi, results, site, store, usage
from reader_cli.engine.changes import Changes
from reader_cli.engine.database import Database
from reader_cli.engine.encoding import encode, success
from reader_cli.engine.jobs import Jobs
from reader_cli.engine.refusals import Refused, invalid
from reader_cli.engine.requests import parse_body, parse_read, parse_window
from reader_cli.engine.scrapes import Scrapes
from reader_cli.engine.store import JobRow
from reader_cli.engine.stream import EventStream, job_events, workspace_events
from reader_cli.engine.usage import Account
from reader_cli.engine.webhooks.service import Webhooks
from reader_cli.models import IDEMPOTENCY_HEADER, ErrorCode, Mode, Pagination, Queue

BODY_BYTES = 16 << 20  # 1,000 URLs of the greatest length, and some air


@dataclass
class Services:
    """What the handlers call."""

    database: Database
    changes: Changes
    jobs: Jobs
    scrapes: Scrapes
    webhooks: Webhooks
    account: Account
    max_concurrency: int
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)


async def read(request: Request) -> Response:
    services, key = _services(request), request.headers.get(IDEMPOTENCY_HEADER)
    async with _earlier_answer(services, key) as earlier:
        if earlier:
            return _json(*earlier)
        wanted = parse_read(parse_body(await _body(request)))
        if wanted.mode is Mode.SCRAPE:
            return _json(200, await services.scrapes.scrape(wanted, key))
        if wanted.webhook:
            await services.webhooks.check_target(wanted.webhook.url)
        return _json(201, await services.jobs.submit(wanted, key))


async def get_job(request: Request) -> Response:
    skip, limit = parse_window(request.query_params)
    job = await _services(request).jobs.get(request.path_params["id"])
    pagination = _pagination(request, skip, limit, job.entries)
    body = _job_body(_services(request).database, job, skip, min(skip + limit, job.entries), pagination)
    return StreamingResponse(body, media_type="application/json")


async def cancel_job(request: Request) -> Response:
    job = await _services(request).jobs.cancel(request.path_params["id"])
    return _json(200, success({"id": job.id, "status": job.status}))


async def retry_job(request: Request) -> Response:
    job, retrying = await _services(request).jobs.retry(request.path_params["id"])
    return _json(200, success({"id": job.id, "status": job.status, "retrying": retrying}))


async def stream_job(request: Request) -> Response:
    services = _services(request)
    job = await services.jobs.get(request.path_params["id"])
    return EventStream(job_events(services.database, services.changes, job.id, _last_event(request)))


async def stream_workspace(request: Request) -> Response:
    services = _services(request)
    return EventStream(workspace_events(services.database, services.changes, _last_event(request)))


async def create_webhook(request: Request) -> Response:
    body = parse_body(await _body(request))
    return _json(201, success(await _services(request).webhooks.create(body)))


async def list_webhooks(request: Request) -> Response:
    skip, limit = parse_window(request.query_params)
    webhooks, total = await _services(request).webhooks.page(skip, limit)
    return _json(200, success(webhooks, pagination=_pagination(request, skip, limit, total)))


async def update_webhook(request: Request) -> Response:
    body = parse_body(await _body(request))
    return _json(200, success(await _services(request).webhooks.update(request.path_params["id"], body)))


async def delete_webhook(request: Request) -> Response:
    await _services(request).webhooks.delete(request.path_params["id"])
    return _json(200, success({"id": request.path_params["id"]}))


async def get_credits(request: Request) -> Response:
    return _json(200, success(await _services(request).database.read(_services(request).account.credits)))


async def get_history(request: Request) -> Response:
    skip, limit = parse_window(request.query_params)
    entries, total = await _services(request).database.read(usage.history, skip, limit)
    return _json(200, success(entries, pagination=_pagination(request, skip, limit, total)))


async def get_queue(request: Request) -> Response:
    services = _services(request)
    active, waiting = await services.database.read(store.count_active)
    return _json(200, success(Queue(activeJobs=active, waitingJobs=waiting, maxConcurrency=services.max_concurrency)))


async def get_openapi(request: Request) -> Response:
    return _json(200, openapi.DOCUMENT)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


class Gone(Exception):
    """A job was deleted while it was read: the answer is cut, and the next one is a 404."""


@asynccontextmanager
async def _earlier_answer(services: Services, key: str | None) -> AsyncIterator[tuple[int, bytes] | None]:
    """The answer that this idempotency key got before. Requests with one key go through here one after the other."""
    if not key:
        yield None
        return
    lock = services.locks.setdefault(key, asyncio.Lock())
    async with lock:
        yield await services.database.read(answers.find, key)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise invalid(("", f"the body is larger than {BODY_BYTES} bytes"))
    return bytes(body)


async def _job_body(
    database: Database, job: JobRow, skip: int, stop: int, pagination: Pagination
) -> AsyncIterator[bytes]:
    """The job's JSON, with its pages spliced in as they are stored, a slice at a time."""
    yield b'{"success":true,"data":' + encode(job.wire())[:-1] + b',"results":['
    start = skip
    while start < stop:
        pages = await database.read(results.entries, job.key, start, stop)
        if not pages:
            raise Gone(job.id)
        yield (b"," if start > skip else b"") + b",".join(pages)
        start += len(pages)
    yield b']},"pagination":' + encode(pagination) + b"}"


def _pagination(request: Request, skip: int, limit: int, total: int) -> Pagination:
    """`total` counts what exists now; `next` is there when there is more."""
    pagination: Pagination = {"total": total, "skip": skip, "limit": limit, "hasMore": skip + limit < total}
    if pagination["hasMore"]:
        pagination["next"] = str(request.url.replace_query_params(skip=skip + limit, limit=limit))
    return pagination


def _last_event(request: Request) -> int | None:
    """An id that is not ours is no id."""
    given = request.headers.get("last-event-id", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


async def _refuse(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return refused.response()


async def _refuse_route(request: Request, refused: Exception) -> Response:
    """Starlette's own 404 and 405 in the contract's envelope, which has no code of its own for the latter."""
    assert isinstance(refused, HTTPException)
    if refused.status_code == 405:
        told = f"{request.url.path} does not answer to {request.method}"
        allowed = {"allow": ", ".join(_methods(request.url.path))}
        return Refused(ErrorCode.INVALID_REQUEST, told, status=405, headers=allowed).response()
    return Refused(ErrorCode.NOT_FOUND, f"there is nothing at {request.url.path}").response()


def _methods(path: str) -> list[str]:
    """Starlette tells only those of the first route that fits."""
    fitting = (route for route in ROUTES if isinstance(route, Route) and route.path_regex.match(path))
    return sorted(method for route in fitting for method in route.methods or ())


async def _refuse_broken(request: Request, error: Exception) -> Response:
    return Refused(ErrorCode.INTERNAL_ERROR, "the engine failed at this; its log says why").response()


HANDLERS: dict[Any, Any] = {Refused: _refuse, HTTPException: _refuse_route, Exception: _refuse_broken}

ROUTES: list[BaseRoute] = [
    Route("/v1/read", read, methods=["POST"]),
    Route("/v1/jobs/{id}", get_job, methods=["GET"]),
    Route("/v1/jobs/{id}", cancel_job, methods=["DELETE"]),
    Route("/v1/jobs/{id}/retry", retry_job, methods=["POST"]),
    Route("/v1/jobs/{id}/stream", stream_job, methods=["GET"]),
    Route("/v1/events", stream_workspace, methods=["GET"]),
    Route("/v1/webhooks", create_webhook, methods=["POST"]),
    Route("/v1/webhooks", list_webhooks, methods=["GET"]),
    Route("/v1/webhooks/{id}", update_webhook, methods=["PATCH"]),
    Route("/v1/webhooks/{id}", delete_webhook, methods=["DELETE"]),
    Route("/v1/usage/credits", get_credits, methods=["GET"]),
    Route("/v1/usage/history", get_history, methods=["GET"]),
    Route("/v1/queue/status", get_queue, methods=["GET"]),
    Route(openapi.PATH, get_openapi, methods=["GET"]),
    Mount(site.MOUNT, routes=site.routes),
]


def build_app(services: Services) -> Starlette:
    app = Starlette(routes=ROUTES, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    app.state.services = services
    return app
