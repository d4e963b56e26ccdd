"""The secret of this machine's own listener: made once, so that an app can be given it once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from reader_cli.errors import ConfigError
from reader_cli.models import WEBHOOK_SECRET


def generate_secret() -> str:
    return secrets.token_urlsafe(32)


def own_secret(folder: Path) -> str:
    """Out of the file `secret` in `folder`, mode 0600, made if it isn't there. Raises ConfigError for a broken one."""
    file = folder / "secret"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(generate_secret())
    except FileExistsError:
        pass
    secret = file.read_text(encoding="utf-8").strip()
    if not WEBHOOK_SECRET[0] <= len(secret) <= WEBHOOK_SECRET[1]:
        raise ConfigError(f"{file} holds no webhook secret", hint="Remove it; a new one is made then.")
    return secret
