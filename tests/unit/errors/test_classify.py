"""What an error is: recorded messages of services, real ones of DuckDB, rules of a team, hostile text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors.classify import ADVICE, UNKNOWN_TRIES, ErrorFacts, FailureClass, Rule, classify, read_facts
from flows.errors.rules import DEFAULT_RULES
from flows.errors.team_rules import load_rules
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project
from tests.support.redshift_messages import MESSAGES

C = FailureClass

# What Redshift, EMR, S3 and Spark write, as their pages and issue trackers show it: read, not provoked.
RECORDED = {
    "ERROR: 1023 DETAIL: Serializable isolation violation on table - 125, transactions": C.SERIALIZATION,
    "Database Error in model dwh__x (models/generated/p/dwh__x.sql)\n  1023": C.SERIALIZATION,
    "Database Error in model dwh__x (models/generated/p/dwh__x.sql)\n  1018": C.SERIALIZATION,
    "could not complete because of conflict with concurrent transaction": C.SERIALIZATION,
    "Database Error\n  could not open relation with OID 6134794": C.SERIALIZATION,
    "{'S': 'ERROR', 'C': '57014', 'M': \"Query (12) cancelled on user's request\"}": C.TIMEOUT,
    "{'S': 'ERROR', 'C': '42501', 'M': 'permission denied for schema dwh'}": C.PERMISSION,
    "('communication error', OSError(107, 'Transport endpoint is not connected'))": C.CONNECTION,
    "Load into table 'stage' failed.  Check 'stl_load_errors' system table for details.": C.VALUE,
    "Disk Full\n  DETAIL: error: Disk Full code: 1016": C.CAPACITY,
    'IO Error: Could not write file "/x/dev.duckdb.wal": File too large': C.CAPACITY,
    'IO Error: Could not write all bytes to file "/x/dev.duckdb": wanted=4096 wrote=100': C.CAPACITY,
    "[Errno 27] File too large: '/x/logs/dbt.log'": C.CAPACITY,
    "[Errno 122] Disk quota exceeded: '/x/logs/dbt.log'": C.CAPACITY,
    "(sqlite3.OperationalError) database or disk is full": C.CAPACITY,
    "An error occurred (SlowDown) when calling the GetObject operation: Please reduce your request rate.": C.THROTTLING,
    "An error occurred (ThrottlingException) when calling the DescribeCluster operation: Rate exceeded": C.THROTTLING,
    "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied": C.PERMISSION,
    "An error occurred (NoSuchKey) when calling the GetObject operation: not there": C.MISSING_OBJECT,
    "An error occurred (InternalError) when calling the GetObject operation (reached max retries: 4)": C.CONNECTION,
    'Read timeout on endpoint URL: "https://elasticmapreduce.eu-west-1.amazonaws.com/"': C.CONNECTION,
    "An error occurred (503) when calling the HeadObject operation: Service Unavailable": C.CONNECTION,
    "BOOTSTRAP_FAILURE: On the master instance, bootstrap action 1 returned a non-zero return code": C.SETTINGS,
    "INSTANCE_FLEET_TIMEOUT: could not provision in 60 minutes": C.CAPACITY,
    "An error occurred (ValidationException) when calling the RunJobFlow operation: The number of instances for job "
    "flow exceeds the EC2 quota of your account": C.CAPACITY,
    "An error occurred (VcpuLimitExceeded) when calling the RunJobFlow operation: too many": C.CAPACITY,
    "EMR cluster j-1 is TERMINATED_WITH_ERRORS: VALIDATION_ERROR: You have requested more vCPU capacity than your "
    "current vCPU limit of 32 allows": C.CAPACITY,
    "EMR cluster j-1 is TERMINATED_WITH_ERRORS: VALIDATION_ERROR: The instance limit of your account is reached": (
        C.CAPACITY
    ),
    "VALIDATION_ERROR: The subnet has not enough free IP addresses": C.CAPACITY,
    "VALIDATION_ERROR: The subnet configuration was invalid: subnet-1 has no route to S3": C.SETTINGS,
    "Py4JJavaError: An error occurred while calling o82.parquet.\n: java.nio.file.AccessDeniedException: s3://lake/x: "
    "getFileStatus: (Service: Amazon S3; Status Code: 403; Error Code: 403 Forbidden)": C.PERMISSION,
    "AmazonS3Exception: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)": C.PERMISSION,
    "S3Exception: (Service: S3, Status Code: 403, Request ID: 1)": C.PERMISSION,
    "AccessControlException: Permission denied: user=hadoop, access=WRITE": C.PERMISSION,
    "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: glue:GetTable": C.PERMISSION,
    "AmazonS3Exception: Please reduce your request rate. (Status Code: 503; Error Code: SlowDown)": C.THROTTLING,
    "EMR cluster j-1 was ended by a person or a program other than this run: USER_REQUEST: Terminated": C.STOPPED,
    "its step on j-1 ran longer than its limit of 30 minutes": C.TIMEOUT,
    "the cluster has cost $5.01: emr_usd_per_run = 5": C.REJECT_LIMIT,
    "Cluster terminated: spot instances were reclaimed": C.SPOT_LOSS,
    "[UNRESOLVED_COLUMN.WITH_SUGGESTION] `tailnun` cannot be resolved. SQLSTATE: 42703": C.MISSING_COLUMN,
    "[TABLE_OR_VIEW_NOT_FOUND] The table or view `lake`.`flightz` cannot be found. SQLSTATE: 42P01": C.MISSING_OBJECT,
    "ExecutorLostFailure (executor 3 exited caused by one of the running tasks)": C.CAPACITY,
    "HTTP Error: HTTP GET error on 'https://x/y.parquet' (HTTP 503)": C.THROTTLING,
    "Got 4 results, configured to fail if != 0": C.DATA_TEST,
    "Compilation Error in model x\n  This model has an enforced contract that failed.": C.CONTRACT,
    "Compilation Error in model x\n  sluice.scd2: dwh.x has no business_key. Set business_key": C.SETTINGS,
    "sluice: another load of dwh.x committed first (20261123T1-a); nothing was written, run it again": C.SERIALIZATION,
    "sluice.scd2: dwh.x would reject 9 of 10 rows, max_rejects is 1. Nothing was written.": C.REJECT_LIMIT,
    "sluice.scd1: 7 of 9 rows of dwh.x are no longer yielded, max_vanish_percent is 20.": C.REJECT_LIMIT,
    "lake.orders cannot be read: files of lake/orders have different columns: a.parquet has x int": C.TYPE_MISMATCH,
    "dbt says that dwh.x was loaded (4 inserted), and the load log holds no row of it: the rows are lost": C.SETTINGS,
    "the frobnicator is out of frob": C.UNKNOWN,
}


def _class_of(text: str) -> FailureClass:
    return classify(read_facts(text), DEFAULT_RULES).failure_class


@pytest.mark.parametrize("text", RECORDED)
def test_recorded_message_has_its_class(text: str) -> None:
    assert _class_of(text) is RECORDED[text]


DUCKDB = {
    "selec 1": C.SYNTAX,
    "select * from nope": C.MISSING_OBJECT,
    "select nope from t": C.MISSING_COLUMN,
    "select no_function(1)": C.MISSING_OBJECT,
    "select * from read_parquet('nope/*.parquet')": C.MISSING_OBJECT,
    "select cast('a' as integer)": C.VALUE,
    "select cast(300 as tinyint)": C.VALUE,
    "select date '2024-02-30'": C.VALUE,
    "select 9223372036854775807 + 1": C.VALUE,
    "insert into t values (1, null), (2, 'a')": C.VALUE,
    "insert into t values (1, 'a'), (1, 'b')": C.VALUE,
    "select sum(v) from t": C.TYPE_MISMATCH,
    "select k from t group by v": C.SYNTAX,
    "set memory_limit = '1MB'; select * from range(50000000) r(i) order by random()": C.CAPACITY,
    "set enable_external_access = false; select * from read_csv('/etc/passwd')": C.PERMISSION,
}


@pytest.mark.parametrize("statement", DUCKDB)
def test_real_duckdb_error_has_its_class(statement: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t (k integer primary key, v varchar not null)")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(statement).fetchall()
    assert _class_of(f"Runtime Error in model x (models/x.sql)\n  {caught.value}") is DUCKDB[statement]


def test_duckdb_conflict_and_lock_are_soft(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as first, first.cursor() as second:
        first.execute("create table t as select 1 as i")
        first.execute("begin")
        first.execute("update t set i = 2")
        second.execute("begin")
        with pytest.raises(duckdb.Error) as caught:
            second.execute("update t set i = 3")
        other = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(file)!r})"]
        refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert _class_of(str(caught.value)) is C.SERIALIZATION
    assert _class_of(refused.stderr) is C.LOCK


def test_every_class_has_advice_and_every_rule_a_name_and_a_source() -> None:
    assert set(ADVICE) == set(FailureClass)
    assert all((advice.wait_seconds > 0) == advice.is_soft for advice in ADVICE.values())
    names = [rule.name for rule in DEFAULT_RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    assert all(rule.source for rule in DEFAULT_RULES)
    assert {rule.failure_class for rule in DEFAULT_RULES} == set(FailureClass) - {C.UNKNOWN}


def test_unknown_error_turns_hard_after_some_tries() -> None:
    verdict = classify(ErrorFacts("the frobnicator is out of frob"), DEFAULT_RULES)
    assert [verdict.is_soft(attempts) for attempts in range(1, UNKNOWN_TRIES + 1)] == [True, True, False]


@given(text=st.text(max_size=300))
def test_any_text_has_a_class(text: str) -> None:
    assert _class_of(text) in FailureClass


@pytest.mark.parametrize("piece", ["column ", "x does not exist ", "(", "sluice.a: ", "could not write ", "\x00<b>"])
def test_huge_text_is_classified_in_no_time(piece: str) -> None:
    began = time.process_time()
    _class_of(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 2


def _project(tmp_path: Path, text: str | None) -> Project:
    project = Project(tmp_path)
    project.dbt_dir.mkdir()
    if text is not None:
        (project.dbt_dir / "error_rules.yml").write_text(text)
    return project


def test_rules_of_the_team_are_asked_first(tmp_path: Path) -> None:
    text = "rules:\n- {name: vpn, class: connection, source: our VPN, pattern: 'no function|frob'}\n"
    rules = load_rules(_project(tmp_path, text))
    assert classify(read_facts("out of FROB"), rules).rule == "vpn"
    assert len(rules) == len(DEFAULT_RULES) + 1


def test_project_without_rules_has_the_default_ones(tmp_path: Path) -> None:
    assert load_rules(_project(tmp_path, None)) == DEFAULT_RULES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [", "is not valid YAML"),
        ("rules: 1", "rules: Input should be"),
        ("rules:\n- {name: a, class: sof, source: b, pattern: c}", "rules.0.class: Input should be"),
        (
            "rules:\n- {name: a, class: lock, source: b, pattern: '('}",
            "rules.0.pattern: Input should be a valid",
        ),
        ("rules:\n- {name: a, class: lock, source: b}", "has no condition"),
        ("rules:\n- {name: value, class: lock, source: b, pattern: c}", "same name: value"),
        ("rules:\n- {name: a, class: lock, source: b, patern: c}", "rules.0.patern: Extra inputs"),
    ],
)
def test_broken_rules_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load_rules(_project(tmp_path, text))


def test_rule_needs_all_its_conditions() -> None:
    rule = Rule("r", C.LOCK, "s", pattern=re.compile("a"), sqlstates=("55",))
    assert rule.matches(ErrorFacts("a", sqlstate="55P03"))
    assert not rule.matches(ErrorFacts("a"))
    assert not rule.matches(ErrorFacts("b", sqlstate="55P03"))


def test_page_tells_every_class_and_its_example_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "failures.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (soft|hard)", page, re.MULTILINE))
    assert told == {kind.value: "soft" if advice.is_soft else "hard" for kind, advice in ADVICE.items()}
    example = page.split("```yaml\n")[1].split("```")[0]
    rules = load_rules(_project(tmp_path, example))
    assert classify(ErrorFacts(code="ServiceQuotaExceededException"), rules).rule == "quota_of_the_month"


def test_command_tells_class_and_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = _project(tmp_path, None)
    (project.dbt_dir / "dbt_project.yml").write_text("name: sluice\n")
    project.profiles_file.write_text("sluice: {}\n")
    monkeypatch.chdir(tmp_path)
    command = [str(Path(sys.executable).with_name("sluice")), "classify", "-", "--json"]
    said = subprocess.run(command, input="deadlock detected", capture_output=True, text=True, check=True)
    document = json.loads(said.stdout)
    assert (document["class"], document["is_soft"], document["rule"]) == ("serialization", True, "postgres_conflict")


def test_every_message_of_redshift_has_its_class_however_it_arrives() -> None:
    """As the driver prints it, as dbt passes it on, and as a field of the protocol's error."""
    messages = {text: expected for page in MESSAGES.values() for text, expected in page.items()}
    assert len(messages) >= 150
    wrong = {
        (form, found)
        for text, expected in messages.items()
        for form in (text, f"Database Error in model x (models/x.sql)\n  {text}", str({"C": "XX000", "M": text}))
        if (found := _class_of(form)) is not expected
    }
    assert wrong == set()
