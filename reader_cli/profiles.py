"""`config.toml`: profiles, each a server and its key (cli: which server; law 6).

    profile = "work"                  # the one that is used when nothing else says which

    [profiles.work]
    api_url = "https://reader.example.com"
    api_key = "rdr_…"                 # or: keyring = true

The file is 0600 and is replaced as a whole. Comments in it survive.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reader_cli.env import config_dir
from reader_cli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

DEFAULT_PROFILE = "default"
KEYRING_SERVICE = "reader-cli"


def config_file() -> Path:
    return config_dir() / "config.toml"


def read_config() -> dict[str, Any]:
    """The whole file, `{}` without one. Raises ConfigError."""
    path = config_file()
    try:
        if not path.exists():  # then its parser need not be imported
            return {}
        import tomllib

        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint=f"Mend {path} or move it away.") from None


def read_profile(name: str) -> dict[str, Any]:
    """One profile, its key read from the keyring where it says so. Raises ConfigError when there is no such profile."""
    profiles = read_config().get("profiles", {})
    profile = profiles.get(name) if isinstance(profiles, dict) else None
    if not isinstance(profile, dict):
        raise ConfigError(f"there is no profile {name!r} in {config_file()}", hint=f"reader login --profile {name}")
    return profile | {"api_key": read_keyring(name)} if profile.get("keyring") else profile


@contextmanager
def edit_config() -> Iterator[TOMLDocument]:
    """The file to be changed in place; written when the block ends well, as a whole or not at all."""
    import tomlkit

    read_config()  # says what is wrong with a broken file
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    yield document
    _replace(path, tomlkit.dumps(document))


def profile_table(document: TOMLDocument, name: str) -> Any:
    """The table of a profile, made where it is missing."""
    import tomlkit

    profiles = document.setdefault("profiles", tomlkit.table(is_super_table=True))
    return profiles.setdefault(name, tomlkit.table())


def store_key(name: str, key: str, *, api_url: str | None, keyring: bool) -> None:
    """Keeps `key` for profile `name`, which becomes the default one if there is none."""
    with edit_config() as document:
        profile = profile_table(document, name)
        if api_url:
            profile["api_url"] = api_url
        profile.pop("api_key", None)
        profile.pop("keyring", None)
        if keyring:
            write_keyring(name, key)
            profile["keyring"] = True
        else:
            profile["api_key"] = key
        document.setdefault("profile", name)


def forget_key(name: str) -> bool:
    """Whether there was a key to take away."""
    with edit_config() as document:
        profile = profile_table(document, name)
        stored = profile.pop("api_key", None) is not None
        if profile.pop("keyring", None):
            stored = delete_keyring(name) or stored
    return stored


def read_keyring(name: str) -> str:
    key = _keyring().get_password(KEYRING_SERVICE, name)
    if not key:
        raise ConfigError(f"the keyring has no key for profile {name!r}", hint=f"reader login --profile {name}")
    return str(key)


def write_keyring(name: str, key: str) -> None:
    try:
        _keyring().set_password(KEYRING_SERVICE, name, key)
    except _keyring().errors.KeyringError as error:
        raise UsageError(
            f"the keyring does not take the key: {error}", hint="Leave --keyring out: a 0600 file."
        ) from None


def delete_keyring(name: str) -> bool:
    with suppress(_keyring().errors.KeyringError):
        _keyring().delete_password(KEYRING_SERVICE, name)
        return True
    return False


def redact(key: str) -> str:
    """`rdr_…a1b2`; nothing of a short key."""
    return f"{key[:4]}…{key[-4:]}" if len(key) >= 16 else "…"


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise ConfigError("there is no keyring support", hint="pip install 'reader-cli[keyring]'") from None
    return keyring


def _replace(path: Path, text: str) -> None:
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
