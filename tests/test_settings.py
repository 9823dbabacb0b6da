from pathlib import Path

import msgspec
import pytest

from shelfwire.settings import Secret, Settings, SettingsError, default_data, load

EVERYWHERE = "0.0.0.0"  # noqa: S104 - that it is refused is the point
KEY, OTHER_KEY = "a-key-of-the-web-app", "another-one-of-the-phone-app"


def test_without_anything_given_the_contracts_defaults_hold() -> None:
    settings = load({}, {})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8787, 6)
    assert (settings.flush_interval, settings.lease) == (0.05, 1.5)
    assert (settings.token_ttl, settings.job_ttl) == (None, 86400)
    assert (settings.api_keys, settings.allow_keyless, settings.create_limit) == ((), False, 10)
    assert (settings.origins, settings.stall_after) == ((), 60)
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
        ({"pipeline_slots": "csv_import"}, {}, "--pipeline-slots: 'csv_import' is no pipeline with a number of slots"),
        ({}, {"SHELFWIRE_PIPELINE_SLOTS": "a=0"}, "SHELFWIRE_PIPELINE_SLOTS: 'a=0' is no pipeline with a number"),
        ({"pipeline_slots": "a=1 a=2"}, {}, "--pipeline-slots: the pipeline a has two numbers"),
        ({"host": EVERYWHERE}, {}, "Set api_keys"),
        ({"host": ""}, {}, "not a loopback address"),
        ({}, {"SHELFWIRE_DATA": " "}, "SHELFWIRE_DATA: ' ' is no name of a file or folder"),
        ({"data": "a\0b"}, {}, "is no name of a file or folder"),
        ({"host": EVERYWHERE}, {"SHELFWIRE_API_KEYS": " , "}, "Set api_keys"),
        ({"create_limit": -1}, {}, "--create-limit: "),
        ({"allow_keyless": "perhaps"}, {}, "--allow-keyless: Expected `bool`"),
        ({}, {"SHELFWIRE_API_KEYS": "long-enough-to-be-one,secret"}, "SHELFWIRE_API_KEYS: API key 2 has 6 characters"),
        ({}, {"SHELFWIRE_API_KEYS": "secret-with-an-ü-in-it"}, "SHELFWIRE_API_KEYS: API key 1 has a space or a letter"),
        ({"host": "example.org"}, {}, "not a loopback address"),
        ({}, {"SHELFWIRE_DATABASE": "mysql://u:secret@h/d"}, "database is not the URL of a PostgreSQL database"),
        (
            {"database_listen": "secret"},
            {"SHELFWIRE_DATABASE": "postgresql://h/d"},
            "database_listen is not the URL of a PostgreSQL database",
        ),
        ({"lease": "0.2"}, {"SHELFWIRE_DATABASE": "postgresql://h/d"}, "with a database it must be 0.5 at least"),
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
    "origin",
    [
        "app.example.com",
        "https://app.example.com/",
        "https://a.example/x",
        "https://a.example?x",
        "https://*.example.com",
        "https://u@a.example",
        "https://a.example:0",
        "https://a.example:port",
        "https://[::1",
        "https://",
        "null",
    ],
)
def test_an_origin_no_browser_would_send_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"--origins: .* is not an origin\. One looks like https://app.example.com"):
        load({"origins": origin}, {})


def test_origins_are_taken_as_browsers_send_them() -> None:
    given = (
        "HTTPS://App.Example.com:443 http://localhost:3000,capacitor://localhost * http://[::1]:80 http://a.example:443"
    )
    assert load({"origins": given}, {}).origins == (
        "https://app.example.com",
        "http://localhost:3000",
        "capacitor://localhost",
        "*",
        "http://[::1]",
        "http://a.example:443",
    )


def test_several_values_come_with_commas_or_spaces_and_as_a_list_in_a_file(tmp_path: Path) -> None:
    config = tmp_path / "shelfwire.toml"
    config.write_text(f'api-keys = ["{KEY}", "{OTHER_KEY}"]\nallow-keyless = true\norigins = []\n')
    keys = (Secret(KEY), Secret(OTHER_KEY))
    settings = load({"config": config}, {})
    assert (settings.api_keys, settings.allow_keyless) == (keys, True)
    assert load({}, {"SHELFWIRE_API_KEYS": f"{KEY}, {OTHER_KEY}\n"}).api_keys == keys
    assert load({"api_keys": f"{KEY} {OTHER_KEY}"}, {"SHELFWIRE_API_KEYS": "k" * 16}).api_keys == keys


def test_beyond_loopback_it_takes_a_key_or_the_operators_word() -> None:
    assert load({"host": EVERYWHERE, "api_keys": KEY}, {}).host == EVERYWHERE
    assert load({"host": EVERYWHERE}, {"SHELFWIRE_ALLOW_KEYLESS": "true"}).host == EVERYWHERE


def test_an_api_key_is_shown_by_no_way_of_printing_settings() -> None:
    settings = load({"api_keys": KEY}, {})
    (key,) = settings.api_keys
    assert (
        KEY
        not in f"{settings} {settings!r} {settings.api_keys} {key} {key!r} {vars} {msgspec.structs.asdict(settings)}"
    )
    assert key.reveal() == KEY
    assert len({key, Secret(KEY), Secret(OTHER_KEY)}) == 2


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


def test_remote_pipelines_are_named_or_all() -> None:
    assert load({}, {}).remote_names == frozenset()
    assert load({"remote_pipelines": "pdf_report, video_cut"}, {}).remote_names == frozenset(
        {"pdf_report", "video_cut"}
    )
    assert load({"remote_pipelines": "*"}, {}).remote_names is None


def test_a_file_with_keys_is_enough_to_listen_everywhere(tmp_path: Path) -> None:
    flags = {"data": str(tmp_path), "host": EVERYWHERE}
    with pytest.raises(SettingsError, match="no API key"):
        load(flags, {})
    (tmp_path / "keys.toml").touch()
    assert load(flags, {}).has_keys


@pytest.mark.parametrize("name", ["Report", "1st", "a-b", "x" * 65])
def test_a_name_that_no_pipeline_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"--remote-pipelines: .* no name of a pipeline"):
        load({"remote_pipelines": name}, {})


def test_hosts_to_call_are_read_in_one_form_and_need_a_secret_to_sign_with() -> None:
    secret = "whsec_" + "c2hlbGZ3aXJl" * 4
    given = {"SHELFWIRE_CALLBACK_HOSTS": "Hooks.Example.com, hooks.internal:8080", "SHELFWIRE_CALLBACK_SECRETS": secret}
    loaded = load({}, given)
    assert loaded.callback_hosts == ("hooks.example.com", "hooks.internal:8080")
    assert secret not in repr(loaded)
    with pytest.raises(SettingsError, match="callback_secrets is not"):
        load({"callback_hosts": ["hooks.example.com"]}, {})


@pytest.mark.parametrize(
    "host", ["*", "https://hooks.example.com", "a b", "hooks.example.com:0", "user@hooks.example.com"]
)
def test_what_is_no_host_to_call_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="not a host"):
        load({"callback_hosts": [host]}, {})


@pytest.mark.parametrize(
    "secret", ["c2hlbGZ3aXJl" * 4, "whsec_", "whsec_c2hvcnQ=", "whsec_?", "whsec_" + "c2hlbGZ3aXJl" * 40]
)
def test_a_secret_that_signs_badly_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SettingsError, match="whsec_ and base64") as refused:
        load({"callback_secrets": [secret]}, {})
    assert secret == "whsec_" or secret not in str(refused.value)
