from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.doctor import Check, run_checks
from reader_cli.env import Env
from reader_cli.errors import ExitCode
from reader_cli.output.data import write_object
from reader_cli.output.text import harmless
from reader_cli.session import open_env, open_session


def doctor(
    ctx: typer.Context, json: options.Json = False, api_url: options.ApiUrl = None, profile: options.Profile = None
) -> int:
    """Checks, in the order in which a command meets them: versions, PATH, history, configuration, engine, DNS, TCP,
    TLS, proxy, key and credits, streaming, clock. Exits 0 when all pass, else with the code of the first that fails."""
    env = open_env(ctx, json=json)
    failed = [check for check in _shown(env, api_url, profile, json) if check.ok is False]
    return failed[0].exit_code if failed else ExitCode.OK


def _shown(env: Env, api_url: str | None, profile: str | None, json: bool) -> list[Check]:
    checks = []
    with open_session(env, api_url, profile) as session:
        for check in run_checks(session):
            checks.append(check)
            if json:
                write_object(env, {"check": check.name, "ok": check.ok, "found": check.found, "remedy": check.remedy})
            else:
                env.stdout.write(_told(check).encode())
                env.stdout.flush()
    return checks


def _told(check: Check) -> str:
    mark = {True: "pass", False: "FAIL", None: "  - "}[check.ok]
    remedy = f"{'':20}{harmless(check.remedy)}\n" if check.remedy and check.ok is False else ""
    return f"{mark}  {check.name:<14}{harmless(check.found)}\n{remedy}"
