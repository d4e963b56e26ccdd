"""Which server a command talks to, and that a key goes nowhere else (cli: which server)."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from reader_cli.config import Settings, find_server
from reader_cli.env import Env
from reader_cli.errors import ConfigError, UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def find(home: Path, api_url: str | None = None, profile: str | None = None, **variables: str) -> Settings | None:
    environ = {"HOME": str(home), **variables}
    env = Env(io.BytesIO(), io.BytesIO(), io.StringIO(), environ)
    return find_server(env, api_url, profile)


def write_config(home: Path, text: str) -> None:
    (home / "config" / "reader").mkdir(parents=True)
    (home / "config" / "reader" / "config.toml").write_text(text)


def test_nothing_configured_means_the_local_engine(home: Path) -> None:
    assert find(home) is None


def test_a_key_alone_means_the_hosted_service(home: Path) -> None:
    settings = find(home, READER_API_KEY="rdr_a")
    assert settings and (settings.base_url, settings.key) == ("https://api.reader.dev", "rdr_a")


@pytest.mark.parametrize("name", ["READER_API_KEY", "READER_API_URL", "READER_PROFILE"])
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_is_an_error_and_no_fall_back(home: Path, name: str, empty: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is set but empty") as error:
        find(home, **{name: empty})
    assert error.value.exit_code == 6


def test_flag_beats_environment_beats_profile_beats_official_file(home: Path) -> None:
    write_config(home, 'profile = "a"\n[profiles.a]\napi_url = "https://a.example"\napi_key = "rdr_a"\n')
    (home / ".reader").mkdir()
    (home / ".reader" / "config.json").write_text(json.dumps({"apiKey": "rdr_official"}))
    environment = {"READER_API_URL": "https://e.example", "READER_API_KEY": "rdr_e"}
    flag = find(home, api_url="https://f.example/", **environment)
    assert flag and (flag.base_url, flag.key) == ("https://f.example", "rdr_e")
    variable = find(home, **environment)
    assert variable and variable.base_url == "https://e.example"
    profile = find(home)
    assert profile and (profile.base_url, profile.key) == ("https://a.example", "rdr_a")
    (home / "config" / "reader" / "config.toml").unlink()
    official = find(home)
    assert official and (official.base_url, official.key) == ("https://api.reader.dev", "rdr_official")


def test_a_stored_key_is_never_sent_to_another_origin(home: Path) -> None:
    write_config(home, 'profile = "a"\n[profiles.a]\napi_url = "https://a.example"\napi_key = "rdr_a"\n')
    for url in ("https://b.example", "http://a.example", "https://a.example:8443"):
        with pytest.raises(ConfigError, match="no API key"):
            find(home, api_url=url)
    same = find(home, api_url="https://a.example:443/v1")
    assert same and same.key == "rdr_a"


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "https://user:pw@x", "http://"])
def test_a_bad_url_is_a_usage_error(home: Path, url: str) -> None:
    with pytest.raises(UsageError):
        find(home, api_url=url, READER_API_KEY="rdr_a")


def test_an_unknown_profile_and_a_broken_file_say_where(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml"):
        find(home, profile="nope")
    write_config(home, "profile = [")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        find(home)


def test_a_key_is_not_in_what_a_traceback_would_show(home: Path) -> None:
    assert "rdr_a" not in repr(find(home, READER_API_KEY="rdr_a"))


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example", "a.example", "http://[", "http://a.example:99999", "http://a:b"]
)
def test_what_is_no_servers_url_is_refused(home: Path, url: str) -> None:
    with pytest.raises(UsageError, match="is not a server's URL"):
        find(home, api_url=url, READER_API_KEY="rdr_a")


def test_an_empty_profile_is_none_that_exists(home: Path) -> None:
    with pytest.raises(ConfigError, match="there is no profile ''"):
        find(home, profile="", READER_API_KEY="rdr_a")
