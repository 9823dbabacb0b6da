from pathlib import Path

import pytest

from shelfwire.settings import Settings, SettingsError, default_data, load


def test_without_anything_given_the_contracts_defaults_hold() -> None:
    settings = load({}, {})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8787, 4)
    assert (settings.flush_interval, settings.lease) == (0.05, 1.5)
    assert (settings.token_ttl, settings.job_ttl) == (None, 86400)
    assert settings.data == default_data()


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    config = tmp_path / "shelfwire.toml"
    config.write_text('port = 1\nworkers = 1\nflush-interval = 0.5\ndata = "~/books"\n')
    environ = {"SHELFWIRE_PORT": "2", "SHELFWIRE_WORKERS": "2", "SHELFWIRE_CONFIG": str(config)}
    settings = load({"port": 3, "workers": None}, environ)
    assert (settings.port, settings.workers, settings.flush_interval) == (3, 2, 0.5)
    assert settings.data == Path.home() / "books"


def test_a_file_named_by_flag_goes_before_one_named_by_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("port = 5")
    assert load({"config": config}, {"SHELFWIRE_CONFIG": "/nowhere"}).port == 5


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"port": 70000}, {}, "--port: Expected `int` <= 65535"),
        ({}, {"SHELFWIRE_PORT": "many"}, "SHELFWIRE_PORT: Expected `int`"),
        ({"flush_interval": -1.0}, {}, "--flush-interval: "),
        ({"workers": 0}, {}, "--workers: Expected `int` >= 1"),
        ({"host": "0.0.0.0"}, {}, "not a loopback address"),  # noqa: S104 - that it is refused is the point
        ({"host": "example.org"}, {}, "not a loopback address"),
        ({}, {"SHELFWIRE_DATABASE": "postgresql://u:secret@h/d"}, "postgresql://… is not supported yet"),
        ({"config": "/nowhere.toml"}, {}, "/nowhere.toml cannot be read: No such file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_source(
    flags: dict[str, object], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words.replace("?", ".")) as refused:
        load(flags, environ)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "prot is not a setting"),
        ("port = ", "is not TOML"),
        ('port = "x"', "port: Expected `int`"),
        ("\ud800", "is not TOML"),
    ],
)
def test_a_settings_file_with_a_mistake_is_named_with_it(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "shelfwire.toml"
    config.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError, match=words) as refused:
        load({"config": config}, {})
    assert str(config) in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_every_loopback_address_may_be_listened_on(host: str) -> None:
    assert load({"host": host}, {}).host == host


def test_settings_cannot_be_changed_once_they_are_made() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
