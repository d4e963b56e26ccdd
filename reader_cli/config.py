"""Which server, and with which key: flag > environment > profile > the official CLI's file > the local engine.

One frozen `Settings` comes out; no command asks where it came from (cli: which server).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reader_cli.env import Env
from reader_cli.errors import ConfigError, UsageError
from reader_cli.models import DEFAULT_BASE_URL
from reader_cli.profiles import config_file, read_config, read_profile
from reader_cli.urls import split_url

LOCAL = "local"
ENVIRONMENT = "the environment"
OFFICIAL_FILE = Path(".reader") / "config.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """`server` names the server in the history: its base URL, or `local`. `source` says where the choice was made."""

    base_url: str
    key: str
    server: str
    source: str

    def __repr__(self) -> str:
        return f"Settings({self.base_url!r}, key=…, source={self.source!r})"  # a key never reaches a traceback

    @property
    def local(self) -> bool:
        return self.server == LOCAL


class Source(NamedTuple):
    """One place that may name a server, a key, or both."""

    name: str
    url: str | None
    key: str | None


class Choice(NamedTuple):
    """A server as it is configured: where its URL comes from, and its key, if there is one that may be sent to it."""

    base_url: str
    named_by: str
    keyed: Source | None


def find_server(env: Env, api_url: str | None = None, profile: str | None = None) -> Settings | None:
    """The configured server, or None when nothing is configured and the local engine is to be used.

    Raises ConfigError for an empty variable, a missing key or an unknown profile, UsageError for a bad URL.
    """
    choice = choose_server(env, api_url, profile)
    if choice is None:
        return None
    if choice.keyed is None or choice.keyed.key is None:
        raise ConfigError(
            f"there is no API key for {choice.base_url} (from {choice.named_by})",
            hint="Set READER_API_KEY to its key; without that URL the local engine is used.",
        )
    return Settings(choice.base_url, choice.keyed.key, choice.base_url, choice.keyed.name)


def choose_server(env: Env, api_url: str | None = None, profile: str | None = None) -> Choice | None:
    """`find_server`, with or without a key."""
    sources = _sources(env, api_url, profile)
    named = next((source for source in sources if source.url is not None), None)  # an empty --api-url is no URL
    keyed = next((source for source in sources if source.key), None)
    if named is None and keyed is None:
        return None
    base_url = checked_url(DEFAULT_BASE_URL if named is None or named.url is None else named.url)
    return Choice(base_url, named.name if named else ENVIRONMENT, _key_for(base_url, sources, explicit=named))


def _sources(env: Env, api_url: str | None, profile: str | None) -> list[Source]:
    asked = _variable(env, "READER_PROFILE") if profile is None else profile
    stored = _profile(read_config().get("profile") if asked is None else asked)
    url, key = _variable(env, "READER_API_URL"), _variable(env, "READER_API_KEY")
    # A key alone is the hosted service's, never one for the server of a profile that nobody asked for.
    environment = Source(ENVIRONMENT, url or (DEFAULT_BASE_URL if key and not asked else None), key)
    # A profile that was asked for on the command line beats the environment.
    middle = [stored, environment] if profile is not None else [environment, stored]
    return [Source("--api-url", api_url, None), *middle, _official(env)]


def _key_for(base_url: str, sources: list[Source], explicit: Source | None) -> Source | None:
    """The first key that may be sent to `base_url`: given in the environment, or stored for the same origin."""
    for source in sources:
        belongs = source.name == ENVIRONMENT or source is explicit or same_origin(source.url, base_url)
        if source.key and belongs:
            return source
    return None


def _variable(env: Env, name: str) -> str | None:
    value = env.environ.get(name)
    if value is None:
        return None
    if not value.strip():  # the missing secret of a CI job: never a silent fall-back to another server
        raise ConfigError(f"{name} is set but empty", hint=f"Set {name} to a value, or unset it.")
    return value.strip()


def _profile(name: str | None) -> Source:
    if name is None:
        return Source(str(config_file()), None, None)
    return _source(f"profile {name}", read_profile(name), url="api_url", key="api_key")


def _official(env: Env) -> Source:
    """The Node CLI's file: `{"apiKey", "apiUrl"?}`. Read, never written."""
    path = Path(env.environ.get("HOME") or Path.home()) / OFFICIAL_FILE
    try:
        stored = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Source(str(path), None, None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint=f"Mend {path} or move it away.") from None
    return _source(str(path), stored if isinstance(stored, dict) else {}, url="apiUrl", key="apiKey")


def _source(name: str, stored: Mapping[str, Any], url: str, key: str) -> Source:
    """A stored key without a URL belongs to the hosted service."""
    stored_key = stored.get(key) or None
    stored_url = stored.get(url) or (DEFAULT_BASE_URL if stored_key else None)
    return Source(name, str(stored_url) if stored_url else None, str(stored_key) if stored_key else None)


def checked_url(url: str) -> str:
    parts = split_url(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise UsageError(f"{url!r} is not a server's URL", hint=f"Use one like {DEFAULT_BASE_URL}")
    return url.rstrip("/").removesuffix("/v1")


def same_origin(one: str | None, other: str) -> bool:
    return one is not None and _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = split_url(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
