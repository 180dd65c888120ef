"""profiles.yml is read as dbt reads it, and must fit the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flows.warehouse.profile import Profile, _render_jinja, _renderer, dbt_environment, load_profile
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from metadata_sync.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[3]
PROFILES = """
sluice:
  target: "{{ env_var('SLUICE_ENVIRONMENT', 'dev') }}"
  outputs:
    dev: {type: duckdb, path: "{{ env_var('SLUICE_DUCKDB_PATH', '.sluice/dev.duckdb') }}", settings: {TimeZone: UTC}}
    stage:
      type: postgres
      host: "{{ env_var('SLUICE_HOST') }}"
      port: "{{ env_var('SLUICE_PORT', '5432') | as_number }}"
      password: "{{ env_var('SLUICE_PASSWORD', '') }}"
      dbname: sluice
    elsewhere: {type: duckdb, path: /var/lib/other.duckdb}
    snow: {type: snowflake}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path.resolve())
    project.dbt_dir.mkdir()
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\nprofile: sluice\n")
    project.profiles_file.write_text(PROFILES)
    return project


def test_embedded_warehouse_is_the_file_of_the_environment(project: Project) -> None:
    profile = load_profile(project, Settings())

    assert (profile.target, profile.type, profile.dialect, profile.is_embedded) == ("dev", "duckdb", "duckdb", True)
    assert profile.database_file == project.root / ".sluice" / "dev.duckdb"
    assert dbt_environment(project, Settings())["SLUICE_DUCKDB_PATH"] == str(profile.database_file)


def test_another_file_may_be_chosen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DUCKDB_PATH", "big/warehouse.duckdb")

    assert load_profile(project, load_settings(project)).database_file == project.root / "big" / "warehouse.duckdb"


def test_target_may_have_another_name_than_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOST", "db.example.org")

    profile = load_profile(project, Settings(environment="qa", dbt_target="stage"))

    assert (profile.target, profile.environment) == ("stage", "qa")
    assert (profile.values["host"], profile.values["port"]) == ("db.example.org", 5432)


def test_entries_of_the_env_file_reach_profile_and_dbt(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / ".env").write_text("SLUICE_ENVIRONMENT=stage\nSLUICE_HOST=from-file\nSLUICE_PASSWORD=from-file\n")
    monkeypatch.setenv("SLUICE_PASSWORD", "from-process")

    settings = load_settings(project)

    assert load_profile(project, settings).values["host"] == "from-file"
    assert dbt_environment(project, settings)["SLUICE_PASSWORD"] == "from-process"


@pytest.mark.parametrize(
    ("environment", "type_", "schema"),
    [
        ("dev", "duckdb", "dwh"),
        ("prod", "redshift", "dwh"),
        ("stage", "redshift", "stage_dwh"),
        ("dev", "postgres", "dev_dwh"),
    ],
)
def test_environments_that_share_a_warehouse_share_no_schema(environment: str, type_: str, schema: str) -> None:
    assert Profile("sluice", environment, type_, environment, {}).physical_schema("dwh") == schema


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("nowhere", r"has no target 'nowhere' in .*profiles\.yml .*has: dev, elsewhere, snow, stage"),
        ("stage", "uses SLUICE_HOST, which is not set"),
        ("elsewhere", r"writes /var/lib/other\.duckdb, but the embedded warehouse of environment 'elsewhere' is"),
        ("snow", "has type 'snowflake'"),
    ],
)
def test_what_does_not_fit_is_refused(project: Project, environment: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_profile(project, Settings(environment=environment))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sluice: [", "is not YAML"),
        ("other: {outputs: {dev: {type: duckdb}}}", "has no profile 'sluice'"),
        ("sluice: {outputs: {dev: {type: duckdb, path: '{{ 1 +'}}}", "cannot be rendered"),
        ("sluice: {outputs: {dev: {type: duckdb, path: '{{ 1 / 0 }}'}}}", "cannot be rendered: division by zero"),
        ("sluice: {outputs: {dev: {type: duckdb, threads: '{{ \"{\" | as_number }}'}}}", "cannot be rendered"),
        ("sluice: {outputs: {dev: {type: duckdb}}}", "has no path: dbt would load into memory"),
        ("sluice: {outputs: {dev: {type: duckdb, path: '{{ env_var.__globals__ }}'}}}", "cannot be rendered"),
    ],
)
def test_broken_file_is_explained(project: Project, text: str, words: str) -> None:
    project.profiles_file.write_text(text)

    with pytest.raises(ConfigurationError, match=words):
        load_profile(project, Settings())


def test_file_that_is_not_text_is_explained(project: Project) -> None:
    project.profiles_file.write_bytes(b"sluice: \xff\xfe")

    with pytest.raises(ConfigurationError, match=r"profiles\.yml is not UTF-8 \(byte 8\)"):
        load_profile(project, Settings())


def test_env_file_that_is_not_text_is_explained(project: Project) -> None:
    (project.root / ".env").write_bytes(b"NAME=\xff\n")

    with pytest.raises(ConfigurationError, match=r"\.env is not UTF-8 \(byte 5\)"):
        load_settings(project)


def test_profile_of_redshift_leaves_retries_to_the_flow_and_transactions_to_dbt() -> None:
    """Other values could log a watermark without its rows: docs/operations/redshift.md."""
    values = yaml.safe_load((REPOSITORY / "profiles.yml").read_text())["sluice"]["outputs"]["redshift"]
    flags = yaml.safe_load((REPOSITORY / "dbt_project" / "dbt_project.yml").read_text())["flags"]

    assert (values["retries"], values["retry_all"], values["autocommit"]) == (0, False, True)
    assert flags["redshift_skip_autocommit_transaction_statements"] is False


ENTRIES = (
    "{{ env_var('SLUICE_HOST') }}",
    '{{env_var("SLUICE_HOST")}}:{{ env_var( "SLUICE_NONE" , "5432" ) }}/x',
    "{{ env_var('SLUICE_NONE', 'it is {{ plain') }}",
    "{{ env_var('SLUICE_NONE', '') }}",
    "{{- env_var('SLUICE_HOST') -}} x",
    "{{ env_var('SLUICE_HOST') | upper }}",
    "{{ env_var('SLUICE_HOST') ~ '!' }}",
    "{{ env_var('SLUICE_NONE', 'a\\'b') }}",
    "{# none #}{{ env_var('SLUICE_HOST') }}",
    "{% if true %}{{ env_var('SLUICE_HOST') }}{% endif %}",
    "{{ env_var('SLUICE_HOST') }}\n",
    "{{ env_var('SLUICE_HOST') }",
)


@pytest.mark.parametrize("entry", ENTRIES)
def test_variables_are_replaced_as_jinja_replaces_them(entry: str) -> None:
    environ = {"SLUICE_HOST": "db"}

    def by_jinja() -> object:
        return _render_jinja(entry, lambda name, default=None: environ.get(name, default), Path("profiles.yml"))

    def by_sluice() -> object:
        return _renderer(environ, Path("profiles.yml"))(entry)

    assert _outcome(by_sluice) == _outcome(by_jinja)


def _outcome(render: Callable[[], object]) -> object:
    try:
        return render()
    except ConfigurationError as error:
        return error.message


def test_settings_come_from_the_environment_then_from_the_env_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / ".env").write_text("SLUICE_TRIES=7\nsluice_alert_channel=ops\nSLUICE_PREFECT_PORT=\nOTHER=1\n")
    monkeypatch.setenv("SLUICE_RETRY_MINUTES", "3.5")
    monkeypatch.setenv("SLUICE_ALERT_CHANNEL", "")
    monkeypatch.setenv("SLUICE_JOB_GROUP_CHANNELS", '{"ops": "data"}')

    settings = load_settings(project)

    assert (settings.tries, settings.retry_minutes, settings.prefect_port) == (7, 3.5, Settings().prefect_port)
    assert (settings.alert_channel, settings.job_group_channels) == ("ops", {"ops": "data"})
    monkeypatch.setenv("SLUICE_TRIES", "2")
    assert load_settings(project).tries == 2


def test_channels_that_are_not_json_are_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_JOB_GROUP_CHANNELS", "ops=data")

    with pytest.raises(ConfigurationError, match=r"SLUICE_JOB_GROUP_CHANNELS = 'ops=data': .*must be JSON"):
        load_settings(project)
