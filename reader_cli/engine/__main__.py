"""`python -m reader_cli.engine`: the engine's process, in the foreground or as the background engine."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import logging.handlers
import os
import sys
from datetime import timedelta
from pathlib import Path

from reader_cli.engine.home import Home, Occupied
from reader_cli.errors import ExitCode
from reader_cli.models import TIERS

logger = logging.getLogger("reader_cli.engine")

GIGABYTE = 10**9
FOREVER = 36_500  # days; dates that lie much further back cannot be told
LOG_BYTES = 1 << 20  # of the background engine's log, and as much again of the one before


def main() -> int:
    options = _arguments().parse_args()
    os.umask(0o077)
    key = os.environ.get("READER_API_KEY")
    if key == "":
        return _fail(ExitCode.AUTH, "READER_API_KEY is set but empty: unset it, and the engine makes a key of its own")
    try:
        home = Home(options.data_dir)
    except Occupied as occupied:
        return _fail(ExitCode.CONFLICT, str(occupied))
    except OSError as error:
        return _fail(ExitCode.USAGE, f"the data folder cannot be used: {error}")
    _start_logging(home.folder / "engine.log" if options.background else None)
    return _serve(home, options, key)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reader_cli.engine")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--host", type=_address, default="127.0.0.1", help="an IP address of this machine")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--allow-private", action="store_true", help="let URLs lead to private addresses on any --host")
    parser.add_argument("--background", action="store_true", help="log to engine.log in the data folder")
    parser.add_argument("--idle-timeout", type=float, metavar="SECONDS", help="stop after so long without work")
    parser.add_argument("--tier", choices=TIERS, help="the hosted service's limits of this tier")
    parser.add_argument("--rpm", type=int, metavar="N", help="requests a minute")
    parser.add_argument("--max-active-jobs", type=int, metavar="N", help="jobs that may be queued or processing")
    parser.add_argument("--credits", type=int, metavar="N", help="credits a month")
    parser.add_argument("--retention", type=float, metavar="DAYS", default=30, help="how long ended jobs are kept")
    parser.add_argument("--max-disk", type=float, metavar="GB", default=10, help="above it the oldest jobs go first")
    parser.add_argument("--cache-ttl", type=float, metavar="SECONDS", default=3600, help="how long a page is fresh")
    return parser


def _serve(home: Home, options: argparse.Namespace, key: str | None) -> int:
    from reader_cli.engine.database import Unusable
    from reader_cli.engine.limits import limits_of
    from reader_cli.engine.retention import Retention
    from reader_cli.engine.server import CannotListen, Settings, serve

    def ready(url: str) -> None:
        logger.info("listening on %s", url)
        if not options.background:
            print(f"reader engine: listening on {url}" + ("" if key else f", key {home.key()}"), file=sys.stderr)

    private = options.allow_private or ipaddress.ip_address(options.host).is_loopback
    limits = limits_of(options.tier, options.rpm, options.max_active_jobs, options.credits)
    age = timedelta(days=min(options.retention, FOREVER))
    kept = Retention(age, int(options.max_disk * GIGABYTE), options.cache_ttl)
    settings = Settings(options.host, options.port, key or home.key(), private, options.idle_timeout, limits, kept)
    try:
        asyncio.run(serve(home, settings, ready))
    except Unusable as error:
        return _fail(ExitCode.USAGE, f"{home.folder} cannot be used: {error}, or choose another --data-dir")
    except CannotListen as error:
        return _fail(ExitCode.BUG, str(error))
    except Exception:
        logger.exception("the engine broke")
        return ExitCode.BUG
    return ExitCode.OK


def _address(text: str) -> str:
    return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))


def _fail(code: ExitCode, message: str) -> int:
    print(f"reader engine: {message}", file=sys.stderr)
    return code


def _start_logging(file: Path | None) -> None:
    """Warnings to stderr; with a file, what happens as well, and in the file."""
    handler: logging.Handler = logging.StreamHandler()
    if file:
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        logger.setLevel(logging.INFO)
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s")


if __name__ == "__main__":
    sys.exit(main())
