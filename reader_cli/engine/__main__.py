"""`python -m reader_cli.engine`: the engine's process, in the foreground or as the background engine."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from reader_cli.engine.home import Home, Occupied
from reader_cli.errors import ExitCode

LOG_BYTES = 1 << 20  # of the background engine's log, and as much again of the one before


def main() -> int:
    options = _arguments().parse_args()
    os.umask(0o077)
    try:
        home = Home(options.data_dir)
    except Occupied as occupied:
        print(f"reader engine: {occupied}", file=sys.stderr)
        return ExitCode.CONFLICT
    _start_logging(home.folder / "engine.log" if options.background else None)
    return _serve(home, options)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reader_cli.engine")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--allow-private", action="store_true", help="let URLs lead to private addresses on any --host")
    parser.add_argument("--background", action="store_true", help="log to engine.log in the data folder")
    parser.add_argument("--idle-timeout", type=float, metavar="SECONDS", help="stop after so long without work")
    return parser


def _serve(home: Home, options: argparse.Namespace) -> int:
    from reader_cli.engine.server import Settings, serve

    key = os.environ.get("READER_API_KEY") or home.key()
    private = options.allow_private or _loopback(options.host)
    settings = Settings(options.host, options.port, key, private, options.idle_timeout)
    generated = key if "READER_API_KEY" not in os.environ else None

    def ready(url: str) -> None:
        if not options.background:
            print(f"reader engine: listening on {url}" + (f", key {generated}" if generated else ""), file=sys.stderr)

    try:
        asyncio.run(serve(home, settings, ready))
    except OSError as error:
        print(f"reader engine: cannot listen on {options.host} port {options.port}: {error}", file=sys.stderr)
        return ExitCode.BUG
    return ExitCode.OK


def _loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _start_logging(file: Path | None) -> None:
    handler: logging.Handler = logging.StreamHandler()
    if file:
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main())
