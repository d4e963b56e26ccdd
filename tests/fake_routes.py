"""What the fake server answers when nothing goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fake_jobs import FakeJob, make_page

if TYPE_CHECKING:
    from fake_server import FakeServer, Request


def _ok(data: Any, status: int = 200, **more: Any) -> tuple[int, Any]:
    return status, {"success": True, "data": data, **more}


def error(http_status: int, code: str, /, **details: Any) -> tuple[int, Any]:
    error = {"code": code, "message": f"refused: {code}", "details": details, "docsUrl": f"https://docs.test/{code}"}
    return http_status, {"success": False, "error": error}


def _read(server: FakeServer, request: Request) -> tuple[int, Any]:
    body = json.loads(request.body)
    if "urls" not in body and "maxDepth" not in body and "maxPages" not in body:
        return _ok({**make_page(0), "url": body["url"]})
    key = request.headers.get("x-idempotency-key", "")
    if key not in server.by_key:
        urls = body.get("urls") or [body["url"]]
        job = server.add(FakeJob(len(urls), counts_failed=server.counts_failed))
        server.by_key[key] = job.wire()
        server.process(job, urls)
    return _ok(server.by_key[key], 201)


def _get_job(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return error(404, "not_found")
    skip, limit = request.number("skip", 0), request.number("limit", 20)
    with job.changed:
        entries = job.entries[skip : skip + min(limit, next(server.cap) if server.cap else limit)]
        more = server.always_more or skip + len(entries) < len(job.entries)
        total = len(job.entries) if server.claimed_entries is None else server.claimed_entries
        page = {"total": total, "skip": skip, "limit": limit, "hasMore": more}
        job.asked.set()
        return _ok({**job.wire(), "results": entries}, pagination=page)


def _cancel(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return error(404, "not_found")
    if job.terminal:
        return error(409, "conflict", status=job.status)
    job.end("cancelled")
    return _ok({"id": job.id, "status": "cancelled"})


def _retry(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return error(404, "not_found")
    if not job.terminal or not job.failed:
        return error(400, "invalid_request")
    return _ok({"id": job.id, "status": "queued", "retrying": job.retry()})


def _usage(server: FakeServer, request: Request) -> tuple[int, Any]:
    skip, limit = request.number("skip", 0), request.number("limit", 20)
    entries = server.usage[skip : skip + limit]
    more = skip + len(entries) < len(server.usage)
    return _ok(entries, pagination={"total": len(server.usage), "skip": skip, "limit": limit, "hasMore": more})


def _webhook(server: FakeServer, request: Request, webhook_id: str) -> tuple[int, Any]:
    if webhook_id not in server.webhooks:
        return error(404, "not_found")
    if request.method == "DELETE":
        del server.webhooks[webhook_id]
        return _ok({"id": webhook_id})
    return _ok(server.webhooks[webhook_id] | json.loads(request.body))


def _webhooks(server: FakeServer, request: Request) -> tuple[int, Any]:
    if request.method == "POST":
        made = {"id": f"wh_{len(server.webhooks) + 1}", "active": True, **json.loads(request.body)}
        server.webhooks[made["id"]] = made
        return _ok(made, 201)
    known = list(server.webhooks.values())
    return _ok(known, pagination={"total": len(known), "skip": 0, "limit": 20, "hasMore": False})


def _fixed(data: Any) -> Callable[..., tuple[int, Any]]:
    return lambda server, request: _ok(data)


ROUTES: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
    ("POST", "/v1/read", _read),
    ("GET", "/v1/jobs/([^/]+)", _get_job),
    ("DELETE", "/v1/jobs/([^/]+)", _cancel),
    ("POST", "/v1/jobs/([^/]+)/retry", _retry),
    ("POST", "/v1/webhooks", _webhooks),
    ("GET", "/v1/webhooks", _webhooks),
    ("PATCH", "/v1/webhooks/([^/]+)", _webhook),
    ("DELETE", "/v1/webhooks/([^/]+)", _webhook),
    ("GET", "/v1/usage/history", _usage),
    ("GET", "/v1/usage/credits", _fixed({"balance": 90, "limit": 100, "used": 10, "tier": "free", "resetAt": None})),
    ("GET", "/v1/queue/status", _fixed({"activeJobs": 1, "waitingJobs": 0, "maxConcurrency": 2})),
]
