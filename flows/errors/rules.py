"""The default rules, in the order in which they are tried.

First the messages of Sluice and dbt, then the error codes of services, then the messages of databases, last the broad
patterns. dbt passes on a database's message but not its SQLSTATE, so most errors have a rule for each. The rules for
Redshift, S3, EMR and Spark follow the cited pages; they are not tested against the real services.
"""

from __future__ import annotations

import re
from typing import Final

from flows.errors.classify import FailureClass, Rule, says
from flows.errors.redshift_rules import AFTER_CONNECTIONS, BEFORE_STATES, LAST

_SLUICE: Final = "Sluice's own message, docs/concepts/loads.md"
_DBT: Final = "https://docs.getdbt.com/reference/artifacts/run-results-json"
_DUCKDB: Final = "https://duckdb.org/docs/stable/dev/error_types"
_DUCKDB_LOCK: Final = "https://duckdb.org/docs/stable/connect/concurrency"
_POSTGRES: Final = "https://www.postgresql.org/docs/15/errcodes-appendix.html"
_LIBPQ: Final = "https://www.postgresql.org/docs/15/libpq-connect.html"
_REDSHIFT_1023: Final = (
    "https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html"
)
_REDSHIFT_CONFLICT: Final = "https://github.com/dbt-labs/dbt-adapters/pull/1873"
_REDSHIFT_OID: Final = "https://github.com/dbt-labs/dbt-adapters/issues/617"
_REDSHIFT_WLM: Final = "https://docs.aws.amazon.com/redshift/latest/dg/cm-c-wlm-query-monitoring-rules.html"
_REDSHIFT_COPY: Final = "https://docs.aws.amazon.com/redshift/latest/dg/t_Troubleshooting_load_errors.html"
_S3: Final = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
_AWS: Final = "https://docs.aws.amazon.com/general/latest/gr/api-retries.html"
_BOTOCORE: Final = "https://github.com/boto/botocore/blob/develop/botocore/exceptions.py"
_EMR: Final = "https://docs.aws.amazon.com/emr/latest/APIReference/API_ClusterStateChangeReason.html"
_FROM_EMR: Final = r"(EMR cluster|job ?flow|VALIDATION_ERROR|ValidationException)[\s\S]*?"
"""Words of EMR before a sentence that databases write as well."""
_EMR_SPOT: Final = "https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-instances-guidelines.html"
_EC2: Final = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"
_SPARK: Final = "https://spark.apache.org/docs/latest/sql-error-conditions.html"


def _state(name: str, failure_class: FailureClass, *sqlstates: str) -> Rule:
    """Recognise an error by SQLSTATE."""
    return Rule(name, failure_class, _POSTGRES, sqlstates=sqlstates)


def _code_rule(name: str, failure_class: FailureClass, source: str, *codes: str) -> Rule:
    """Recognise an error by the code of an API."""
    return Rule(name, failure_class, source, codes=codes)


_OWN: Final = (
    says("head_guard", FailureClass.SERIALIZATION, _SLUICE, r"sluice: another load of .+ committed first"),
    says("reject_limit", FailureClass.REJECT_LIMIT, _SLUICE, r"would reject \d+ of \d+ rows, max_rejects is"),
    says(
        "vanish_limit",
        FailureClass.REJECT_LIMIT,
        _SLUICE,
        r"are no longer yielded, max_vanish_percent is",
        r"yields no row; \d+ would be deleted",
    ),
    says("lost_log_row", FailureClass.SETTINGS, _SLUICE, r"dbt says that .+ was loaded .+ the load log holds no row"),
    says("tie_limit", FailureClass.REJECT_LIMIT, _SLUICE, r"on_tie is error"),
    says("type_change", FailureClass.TYPE_MISMATCH, _SLUICE, r"sluice\.\w+: .+ is .+ and the SELECT yields"),
    says("select_columns", FailureClass.MISSING_COLUMN, _SLUICE, r"which the SELECT does not yield"),
    says("mixed_files", FailureClass.TYPE_MISMATCH, _SLUICE, r"files of .+ have different columns"),
    says("cost_cap", FailureClass.REJECT_LIMIT, "docs/operations/emr.md", r"emr_usd_per_(run|month) = "),
    says("step_limit", FailureClass.TIMEOUT, "docs/operations/emr.md", r"longer than its limit of [\d.]+ minutes"),
    says("cluster_ended_by_hand", FailureClass.STOPPED, "docs/operations/emr.md", r"ended by a person or a program"),
    says("cluster_swept", FailureClass.CONNECTION, "docs/operations/emr.md", r"after the lease of its run had expired"),
    says("spark_refused", FailureClass.SETTINGS, "docs/operations/emr.md", r"It cannot run on Spark:"),
    says("sluice_settings", FailureClass.SETTINGS, _SLUICE, r"Compilation Error[\s\S]*sluice\.\w+:"),
)

_DBT_RULES: Final = (
    says(
        "data_test",
        FailureClass.DATA_TEST,
        _DBT,
        r"Got \d+ results?, configured to (fail|warn) if",
        r"data test\(s\) failed",
    ),
    says("contract", FailureClass.CONTRACT, _DBT, r"This model has an enforced contract that failed"),
    says(
        "dbt_reference", FailureClass.SETTINGS, _DBT, r"depends on a (node|source|macro) named .+ which was not found"
    ),
    says("dbt_no_model", FailureClass.SETTINGS, _DBT, r"dbt did not run the model", r"dbt cannot read the project"),
    says(
        "dbt_profile",
        FailureClass.SETTINGS,
        _DBT,
        r"Env var required but not provided",
        r"Could not find profile named",
    ),
)

_AWS_RULES: Final = (
    _code_rule(
        "aws_throttling",
        FailureClass.THROTTLING,
        _AWS,
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "ProvisionedThroughputExceededException",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    ),
    _code_rule(
        "aws_capacity",
        FailureClass.CAPACITY,
        _EC2,
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "Unsupported",
        "MaxSpotInstanceCountExceeded",
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "ResourceCountExceeded",
        "LimitExceededException",
        "ServiceQuotaExceededException",
        "InsufficientFreeAddressesInSubnet",
        "SpotMaxPriceTooLow",
        "INSTANCE_FLEET_TIMEOUT",
    ),
    _code_rule(
        "aws_credentials",
        FailureClass.PERMISSION,
        _AWS,
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "InvalidClientTokenId",
        "ExpiredToken",
        "ExpiredTokenException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AuthFailure",
        "AllAccessDisabled",
    ),
    says("aws_no_credentials", FailureClass.PERMISSION, _AWS, r"Unable to locate credentials"),
    _code_rule("aws_missing", FailureClass.MISSING_OBJECT, _S3, "NoSuchKey", "NoSuchBucket", "404"),
    _code_rule(
        "aws_trouble",
        FailureClass.CONNECTION,
        _AWS,
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        *("500", "502", "503", "504"),
    ),
    says(
        "aws_unanswered",
        FailureClass.CONNECTION,
        _BOTOCORE,
        r"connection was closed before we received a valid response",
        r"(read|connect) timeout on endpoint URL",
        r"failed to connect to proxy URL",
        r"error occurred while reading from response stream",
    ),
    says(
        "emr_spot",
        FailureClass.SPOT_LOSS,
        _EMR_SPOT,
        r"spot (instance )?(interruption|request)",
        r"terminated by (the )?spot",
        r"spot instance(s)? (was|were) (reclaimed|terminated|interrupted)",
    ),
    says(
        "emr_capacity",
        FailureClass.CAPACITY,
        _EMR,
        r"instance type .+ (is )?not (currently )?available",
        r"insufficient (instance )?capacity",
        r"do not have sufficient .+ capacity",
        rf"{_FROM_EMR}v?CPU (capacity|limit|quota)",
        rf"{_FROM_EMR}(instance|spot|cluster|EC2|service|account) (count )?(limit|quota)s?\b",
        rf"{_FROM_EMR}exceed(s|ed|ing)? .{{0,80}}\b(limit|quota)",
        rf"{_FROM_EMR}(maximum number of|not enough free) .{{0,60}}(instance|cluster|address|step)",
    ),
    _code_rule(
        "emr_bootstrap", FailureClass.SETTINGS, _EMR, "BOOTSTRAP_FAILURE", "VALIDATION_ERROR", "ValidationException"
    ),
    _code_rule("emr_trouble", FailureClass.CONNECTION, _EMR, "INTERNAL_ERROR", "INSTANCE_FAILURE"),
    says(
        "redshift_copy",
        FailureClass.VALUE,
        _REDSHIFT_COPY,
        r"stl_load_errors",
        r"sys_load_error_detail",
    ),
)

_SPARK_RULES: Final = (
    says(
        "spark_throttling",
        FailureClass.THROTTLING,
        _S3,
        r"Error Code: (SlowDown|RequestLimitExceeded|Throttling\w*)",
        r"S3, Status Code: 503",
    ),
    says(
        "spark_permission",
        FailureClass.PERMISSION,
        _S3,
        r"\bAccessDenied(Exception)?\b",
        r"\bAccess Denied\b",
        r"AccessControlException",
        r"Status Code: 40[13]\b",
        r"is not authorized to perform",
        r"Insufficient Lake Formation permission",
    ),
    says(
        "spark_missing_object",
        FailureClass.MISSING_OBJECT,
        _SPARK,
        r"TABLE_OR_VIEW_NOT_FOUND",
        r"\bPATH_NOT_FOUND",
        r"UNRESOLVED_ROUTINE",
    ),
    says("spark_missing_column", FailureClass.MISSING_COLUMN, _SPARK, r"UNRESOLVED_COLUMN"),
    says("spark_type", FailureClass.TYPE_MISMATCH, _SPARK, r"DATATYPE_MISMATCH"),
    says("spark_syntax", FailureClass.SYNTAX, _SPARK, r"PARSE_SYNTAX_ERROR"),
    says(
        "spark_value",
        FailureClass.VALUE,
        _SPARK,
        r"CAST_INVALID_INPUT",
        r"CAST_OVERFLOW",
        r"NUMERIC_VALUE_OUT_OF_RANGE",
        r"ARITHMETIC_OVERFLOW",
        r"DIVIDE_BY_ZERO",
    ),
    says(
        "spark_executor",
        FailureClass.CAPACITY,
        _SPARK,
        r"ExecutorLostFailure",
        r"Container killed by YARN for exceeding",
        r"java\.lang\.OutOfMemoryError",
    ),
)

_STATES: Final = (
    _state("sql_connection", FailureClass.CONNECTION, "08", "57P01", "57P02", "57P03", "57P05"),
    _state("sql_too_many", FailureClass.THROTTLING, "53300"),
    _state("sql_capacity", FailureClass.CAPACITY, "53", "58030"),
    _state("sql_serialization", FailureClass.SERIALIZATION, "40001", "40P01", "25P02"),
    _state("sql_lock", FailureClass.LOCK, "55P03", "55006"),
    _state("sql_timeout", FailureClass.TIMEOUT, "57014", "25P03", "57P04"),
    _state("sql_permission", FailureClass.PERMISSION, "42501", "28"),
    Rule(
        "sql_operator",
        FailureClass.TYPE_MISMATCH,
        _POSTGRES,
        pattern=re.compile("operator does not exist"),
        sqlstates=("42883",),
    ),
    _state("sql_missing_column", FailureClass.MISSING_COLUMN, "42703"),
    _state("sql_missing_object", FailureClass.MISSING_OBJECT, "42P01", "42883", "3F000", "3D000", "42704"),
    _state("sql_type", FailureClass.TYPE_MISMATCH, "42804", "42846", "42725", "42P18"),
    _state("sql_syntax", FailureClass.SYNTAX, "42"),
    _state("sql_value", FailureClass.VALUE, "22", "23"),
)

_CONCURRENCY: Final = (
    # dbt-redshift passes on only the message, which is the error number; the sentence is in the detail.
    says(
        "redshift_1023",
        FailureClass.SERIALIZATION,
        _REDSHIFT_1023,
        r"serializable isolation violation",
        r"(?m:(^\s*|'M': ['\"])(ERROR: *)?10(23|18)\b)",
    ),
    says("redshift_conflict", FailureClass.SERIALIZATION, _REDSHIFT_CONFLICT, r"conflict with concurrent transaction"),
    says("redshift_oid", FailureClass.SERIALIZATION, _REDSHIFT_OID, r"could not open relation with OID"),
    says("duckdb_lock", FailureClass.LOCK, _DUCKDB_LOCK, r"could not set lock on file", r"conflicting lock is held"),
    says(
        "duckdb_conflict",
        FailureClass.SERIALIZATION,
        _DUCKDB_LOCK,
        r"TransactionContext Error",
        r"Transaction conflict:",
    ),
    says(
        "warehouse_lock",
        FailureClass.LOCK,
        _SLUICE,
        r"holds the warehouse",
        r"is locked by another process",
        r"database is locked",
    ),
    says(
        "postgres_conflict",
        FailureClass.SERIALIZATION,
        _POSTGRES,
        r"deadlock detected",
        r"could not serialize access",
        r"tuple concurrently (updated|deleted)",
        r"current transaction is aborted",
    ),
    says(
        "postgres_catalog_race",
        FailureClass.SERIALIZATION,
        _POSTGRES,
        r"duplicate key value violates unique constraint \"pg_\w+_index\"",
    ),
    says(
        "made_meanwhile",  # another load created it; if not, the next attempt fails with the table's name
        FailureClass.SERIALIZATION,
        _POSTGRES,
        r"(?<!of )relation \"[^\"]*\" already exists",
        r"Table with name \S+ already exists",
    ),
    says(
        "postgres_lock",
        FailureClass.LOCK,
        _POSTGRES,
        r"canceling statement due to lock timeout",
        r"could not obtain lock on",
    ),
    says(
        "timeout",
        FailureClass.TIMEOUT,
        _POSTGRES,
        r"canceling statement due to statement timeout",
        r"idle-in-transaction timeout",
        r"statement timeout",
    ),
    says(
        "redshift_wlm",
        FailureClass.TIMEOUT,
        _REDSHIFT_WLM,
        r"aborted by query monitoring rule",
        r"Query \(\d+\) cancelled on user's request",
        r"Query cancelled by WLM abort action",
    ),
)

_CONNECTIONS: Final = (
    says(
        "too_many_connections",
        FailureClass.THROTTLING,
        _POSTGRES,
        r"too many clients already",
        r"remaining connection slots are reserved",
        r"connection limit .* exceeded",
        r"too many connections",
    ),
    says(
        "password",
        FailureClass.PERMISSION,
        _LIBPQ,
        r"password authentication failed",
        r"no pg_hba\.conf entry",
        r"role \"[^\"]*\" does not exist",
    ),
    says("missing_database", FailureClass.SETTINGS, _LIBPQ, r"database \"[^\"]*\" does not exist"),
    says(
        "connection",
        FailureClass.CONNECTION,
        _LIBPQ,
        r"connection (to server .+ )?(refused|failed|timed out|reset|was lost|already closed|not open)",
        r"server closed the connection",
        r"terminating connection due to",
        r"the database system is (starting up|shutting down|in recovery)",
        r"SSL (SYSCALL|connection) (error|has been closed)",
        r"could not (connect to server|translate host name|receive data from server)",
        r"broken pipe",
        r"BrokenPipe",
        r"connection reset by peer",
        r"communication error",
        r"EOF detected",
        r"name or service not known",
        r"temporary failure in name resolution",
        r"network is unreachable",
        r"EndpointConnectionError",
        r"Could not connect to the endpoint URL",
        r"ConnectTimeout",
        r"ReadTimeout",
        r"connection is closed",
    ),
)

_CAPACITY: Final = (
    says("duckdb_memory", FailureClass.CAPACITY, _DUCKDB, r"Out of Memory Error", r"could not allocate block"),
    says(
        "disk_full",
        FailureClass.CAPACITY,
        _POSTGRES,
        r"no space left on device",
        r"could not extend file",
        r"disk full",
        r"the disk is full",
        r"database or disk is full",
        r"disk quota exceeded",
        r"(could not write|Errno 27|IO Error).*file too large",
        r"could not write all bytes to file",
        r"temporary file size exceeds temp_file_limit",
        r"could not write .*: No space",
    ),
    says("memory", FailureClass.CAPACITY, _POSTGRES, r"out of (shared )?memory", r"insufficient memory"),
)

_PERMISSIONS: Final = (
    says(
        "permission",
        FailureClass.PERMISSION,
        _POSTGRES,
        r"permission denied",
        r"must be owner of",
        r"Permission Error",
        r"insufficient privilege",
    ),
)

_WORDS: Final = (
    says(
        "missing_column",
        FailureClass.MISSING_COLUMN,
        _POSTGRES,
        r"column \S+ does not exist",
        r"column \S+ of relation \S+ does not exist",
    ),
    says(
        "duckdb_missing_column",
        FailureClass.MISSING_COLUMN,
        _DUCKDB,
        r"Binder Error: Referenced column",
        r"does not have a column named",
        r"Binder Error: Values list .* does not have",
    ),
    says(
        "missing_object",
        FailureClass.MISSING_OBJECT,
        _POSTGRES,
        r"(relation|schema|function|type|operator|view|materialized view|cursor|extension) \S.* does not exist",
    ),
    says(
        "duckdb_missing_object",
        FailureClass.MISSING_OBJECT,
        _DUCKDB,
        r"Catalog Error: .* does not exist",
        r"No files found that match the pattern",
        r"Cannot open file .*No such file",
    ),
    says(
        "duckdb_unreadable_file",
        FailureClass.UNREADABLE_FILE,
        _DUCKDB,
        r"No magic bytes found",
        r"too small to be a Parquet file",
        r"not a Parquet file",
        r"(?:Invalid|corrupt)\S* .{0,40}\bParquet\b",
        r"TProtocolException",
        r"Footer length error in file",
        r"unexpected end of file|truncated (?:gzip|zstd|file)",
        r"ZSTD Decompression failure|Snappy decompression failure",
    ),
    says(
        "value",
        FailureClass.VALUE,
        _POSTGRES,
        r"invalid input syntax for",
        r"value too long for type",
        r"(numeric field overflow|out of range)",
        r"division by zero",
        r"violates (not-null|unique|check|foreign key|exclusion) constraint",
        r"more than one row returned by a subquery",
        r"invalid byte sequence",
        r"date/time field value out of range",
        r"Cannot insert a NULL value into column",
        r"Invalid digit",
        r"Invalid (timestamp|date|numeric|operation: Numeric)",
    ),
    says(
        "duckdb_value",
        FailureClass.VALUE,
        _DUCKDB,
        r"Conversion Error",
        r"Constraint Error",
        r"Out of Range Error",
        r"Invalid Input Error",
    ),
    says(
        "type",
        FailureClass.TYPE_MISMATCH,
        _POSTGRES,
        r"is of type .+ but expression is of type",
        r"cannot (be )?cast",
        r"cannot be matched",
        r"operator does not exist",
        r"No function matches the given name and argument types",
        r"Could not choose a best candidate function",
        r"Cannot (compare|mix) values of type",
        r"could not (identify an equality operator|determine which collation)",
    ),
    says(
        "syntax",
        FailureClass.SYNTAX,
        _POSTGRES,
        r"syntax error",
        r"Parser Error",
        r"must appear in the GROUP BY clause",
        r"missing FROM-clause entry",
        r"is ambiguous",
        r"Binder Error",
        r"subquery in FROM must have an alias",
    ),
    says("already_there", FailureClass.SETTINGS, _POSTGRES, r"already exists"),
)

_HTTP: Final = (
    Rule("http_throttling", FailureClass.THROTTLING, "RFC 6585, section 4", http_statuses=(429, 503)),
    Rule("http_permission", FailureClass.PERMISSION, "RFC 9110, section 15.5", http_statuses=(401, 403)),
    Rule("http_missing", FailureClass.MISSING_OBJECT, "RFC 9110, section 15.5", http_statuses=(404, 410)),
    Rule("http_timeout", FailureClass.TIMEOUT, "RFC 9110, section 15", http_statuses=(408, 504)),
    Rule("http_trouble", FailureClass.CONNECTION, "RFC 9110, section 15.6", http_statuses=(500, 502)),
)

DEFAULT_RULES: Final[tuple[Rule, ...]] = (
    *_OWN,
    *_DBT_RULES,
    *_AWS_RULES,
    *_SPARK_RULES,
    *BEFORE_STATES,
    *_STATES,
    *_CONCURRENCY,
    *_CONNECTIONS,
    *AFTER_CONNECTIONS,
    *_CAPACITY,
    *_HTTP,
    *_PERMISSIONS,
    *_WORDS,
    *LAST,
    says("compilation", FailureClass.SETTINGS, _DBT, r"Compilation Error", r"Parsing Error"),
)
"""Tried in this order, after a team's own rules."""
