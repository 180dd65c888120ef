"""Rules for what Redshift, its drivers, Spectrum, workload management, COPY and S3 say, by the cited pages.

They are tried before the rules for SQLSTATEs, because Redshift reports most of them with XX000, and before the broad
patterns for other databases. Within a group, the first that matches counts. None was provoked on a real cluster.
"""

from __future__ import annotations

from typing import Final

from flows.errors.classify import FailureClass, says

_GUIDE: Final = "https://docs.aws.amazon.com/redshift/latest/dg/"
_MANAGEMENT: Final = "https://docs.aws.amazon.com/redshift/latest/mgmt/"
_LOAD_ERRORS: Final = _GUIDE + "r_Load_Error_Reference.html"
_COPY: Final = _GUIDE + "t_Troubleshooting_load_errors.html"
_COPY_S3: Final = _GUIDE + "s3serviceexception-error.html"
_SPECTRUM: Final = _GUIDE + "c-spectrum-troubleshooting.html"
_WLM: Final = _GUIDE + "cm-c-wlm-query-monitoring-rules.html"
_NUMERIC: Final = _GUIDE + "r_numeric_computations201.html"
_TYPES: Final = _GUIDE + "c_Supported_data_types.html"
_SUPER: Final = _GUIDE + "limitations-super.html"
_LEADER: Final = _GUIDE + "c_sql-functions-leader-node.html"
_MERGE: Final = _GUIDE + "r_MERGE.html"
_ALTER: Final = _GUIDE + "r_ALTER_TABLE.html"
_DROP: Final = _GUIDE + "r_DROP_TABLE.html"
_CONNECTING: Final = _MANAGEMENT + "troubleshooting-connections.html"
_LIMITS: Final = _MANAGEMENT + "amazon-redshift-limits.html"
_TLS: Final = _MANAGEMENT + "connecting-ssl-support.html"
_RESIZE: Final = _MANAGEMENT + "resizing-cluster.html"
_USAGE: Final = _MANAGEMENT + "serverless-billing.html"
_IAM: Final = _MANAGEMENT + "generating-iam-credentials-role-permissions.html"
_DRIVER: Final = "https://github.com/aws/amazon-redshift-python-driver/blob/master/redshift_connector/core.py"
_ADAPTER: Final = "https://docs.getdbt.com/docs/core/connect-data-platform/redshift-setup"

_C = FailureClass

_S3: Final = (
    says(
        "redshift_s3_throttled",
        _C.THROTTLING,
        _COPY_S3,
        r"Error SlowDown",
        r"reduce your request rate",
        r"Spectrum[^\n]*Access throttled",
        r"TooManyRequestsException|Rate exceeded",
    ),
    says(
        "redshift_s3_access",
        _C.PERMISSION,
        _COPY_S3,
        r"Error (AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|RequestTimeTooSkewed)",
        r"(S3ServiceException|Spectrum|S3 Query Exception|Forbidden)[\s\S]{0,300}(Access ?Denied|Status 403|code: 403)",
        r"not authorized to (assume|get credentials|perform)",
        r"role[^\n]{0,120} is not associated (to|with)",
        r"(access to|assume) role[^\n]{0,60}denied|role does not have (the )?permission",
        r"Unable to (load|find)[^\n]{0,20}credentials",
        r"does not have ASSUMEROLE permission",
        r"(security|provided|session|access|authentication)? ?token( included in the request)?"
        r" (has |is )?(already )?(expired|invalid)",
        r"(KMS|ciphertext)[\s\S]{0,120}(does not exist|denied|not allowed|disabled)",
        r"insufficient Lake Formation permission",
    ),
    says(
        "redshift_s3_missing",
        _C.MISSING_OBJECT,
        _COPY_S3,
        r"Error (NoSuchKey|NoSuchBucket|NoSuchUpload)",
        r"specified (S3 prefix|bucket|key)\b[\s\S]{0,200}does not exist",
        r"EntityNotFoundException",
        r"not found in external catalog",
    ),
    says(
        "redshift_s3_region",
        _C.SETTINGS,
        _COPY_S3,
        r"Error (PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)",
        r"must be addressed using the specified endpoint",
        r"different region from this cluster",
        r"the region '[^']*' is wrong",
        r"Invalid credentials\. Must be of the format",
        r"Manifest file is not in correct json format",
        r"Mandatory url is not present in manifest",
        r"Problem reading manifest file(?! *- *S3ServiceException)",
        r"is not a valid (ARN|IAM role)|Invalid (IAM role|role ARN)|role[^\n]{0,80} is (not valid|invalid)",
        r"unload destination on S3 is not empty",
        r"config profile [^\n]{1,80} could not be found",
    ),
    says(
        "redshift_s3_trouble",
        _C.CONNECTION,
        _COPY_S3,
        r"S3CurlException",
        r"Error (InternalError|ServiceUnavailable|RequestTimeout|OperationAborted)",
        r"S3ServiceException[\s\S]{0,200}Status 5\d\d",
        r"\bCurlError [1-9]",
    ),
)

_SPECTRUM_RULES: Final = (
    says("redshift_spectrum_retries", _C.TIMEOUT, _SPECTRUM, r"(Spectrum|S3 ?Query Exception)[^\n]*retries exceeded"),
    says("redshift_spectrum_resources", _C.CAPACITY, _SPECTRUM, r"Spectrum[^\n]*resource limit exceeded"),
    says(
        "redshift_spectrum_changed",
        _C.SERIALIZATION,
        _SPECTRUM,
        r"InvalidRange",
        r"requested range is not satisfiable",
        r"file [^\n]*(was|has been) (modified|changed) (during|while)",
    ),
    says(
        "redshift_spectrum_types",
        _C.TYPE_MISMATCH,
        _SPECTRUM,
        r"incompatible (Parquet|ORC|Avro|data) (schema|format|type)",
        r"Unmatched number of columns between table and file",
        r"declared column type .{0,80} (is )?incompatible",
    ),
    says(
        "redshift_spectrum_files",
        _C.VALUE,
        _SPECTRUM,
        r"invalid (Parquet )?(version number|footer|magic)",
        r"Not a valid (Parquet|ORC|Avro) file|is not (a|an) valid (Parquet|ORC|Avro) file",
        r"Parsed manifest is not a valid JSON|Failed to (parse|incorporate|read) (the )?(Avro|ORC|Parquet|JSON|Delta)",
        r"Delta Lake[^\n]*manifest",
        r"length of the data column [^\n]* is longer than the length defined",
    ),
    says(
        "redshift_spectrum",
        _C.CONNECTION,
        _SPECTRUM,
        r"Spectrum (Scan|Worker|nested query) Error",
        r"S3 ?Query Exception",
        r"\bcode: *1500[0-9]\b",
    ),
)

_WLM_RULES: Final = (
    says(
        "redshift_usage_limit",
        _C.CAPACITY,
        _USAGE,
        r"(query|queries) reache[sd] (the )?(max(imum)? )?usage limits?",
        r"usage limit (has been |is )?(reached|exceeded|breached)",
        r"RPU[- ]hours? limit",
    ),
    says(
        "redshift_abort",
        _C.TIMEOUT,
        _WLM,
        r"System requested abort",
        r"Query[^\n]{0,40}(cancell?ed|aborted) (by|on|due to)",
        r"(cancell?ed|aborted) by (WLM|query monitoring|an administrator|the system)",
        r"(query|statement) (execution )?(time ?out|timed out)",
        r"cancell?ing (query|statement) due to (?!lock)",
        r"exceeded (the )?(WLM|query_execution_time|query_queue_time|max_execution_time)",
        r"Long-running query",
        r"query (was|has been) (aborted|terminated|stopped)",
    ),
    says(
        "redshift_session_ended",
        _C.CONNECTION,
        _CONNECTING,
        r"session[^\n]{0,30}(time ?out|timed out|terminated|has been closed|expired)",
        r"idle[- ]session",
        r"(connection|session) (was |has been )?terminated (by|due to)",
    ),
)

_CONCURRENCY: Final = (
    says(
        "redshift_concurrent_change",
        _C.SERIALIZATION,
        _GUIDE + "c_serial_isolation.html",
        r"dropped by concurrent transaction",
        r"(modified|updated|deleted|altered) by (a |another )?concurrent",
        r"relation with OID \d+ does not exist",
        r"cache lookup failed for",
        r"conflict with concurrent",
        r"\bcode: *10(18|23)\b",
        r"could not serialize",
        r"(table|relation) [^\n]{0,80}(being|is) (altered|locked|vacuumed)",
    ),
)

_CONNECTIONS: Final = (
    says(
        "redshift_tls",
        _C.SETTINGS,
        _TLS,
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        r"root certificate file [^\n]* does not exist",
        r"certificate (for|is valid for) [^\n]* (does not match|not)",
        r"Hostname mismatch|doesn't match (either of )?'",
        r"Server refuses SSL|server does not support SSL",
        r"unsupported protocol|WRONG_VERSION_NUMBER|no protocols available",
        r"weak sslmode|Authentication must use an SSL connection|SSL must be enabled",
        r"SSL required but",
    ),
    says(
        "redshift_login",
        _C.PERMISSION,
        _CONNECTING,
        r"no password was (provided|supplied)",
        r"password (has )?expired|password is (incorrect|invalid)",
        r"(user|role) \"[^\"]*\" (does not exist|is not permitted to log in)",
        r"IAM (authentication|user|role)[^\n]{0,60}(failed|denied|not authorized)",
        r"(GetClusterCredentials|GetCredentials)[^\n]*not authorized",
        r"pg_hba",
    ),
    says(
        "redshift_profile",
        _C.SETTINGS,
        _ADAPTER,
        r"must be specified when using IAM",
        r"Invalid connection property setting",
        r"Invalid value passed to credentials_provider|No value for credentials_provider",
        r"Serverless workgroup is not set|Custom cluster names are not supported",
        r"'?(host|user|password|database|dbname|db_user|cluster_id)'? (field|must be|is) (a )?(required|provided)",
        r"Failed to use (IAM|database|default|identity) (authentication|credentials)",
        r"The 'user' connection parameter cannot be None",
        r"cross-db references not (allowed|supported)",
        r"Invalid 'method' in profile",
        r"(Cluster|Workgroup|Endpoint)NotFound|cluster [^\n]{1,80} not found",
        r"ResourceNotFoundException",
        r"unrecognized configuration parameter",
    ),
    says(
        "redshift_crowded",
        _C.THROTTLING,
        _LIMITS,
        r"too many (connections|sessions|open cursors|concurrent)",
        r"(connection|session|concurrency|cursor)s? limit",
        r"exceeded[^\n]{0,40}(number|limit) of [^\n]{0,30}(connections|sessions|transactions|queries|cursors)",
        r"maximum (number of )?(concurrent )?(connections|sessions|cursors)",
        r"(result set|cursor)[^\n]{0,40} size exceeded|maximum size for a single cursor",
    ),
    says(
        "redshift_unreachable",
        _C.CONNECTION,
        _DRIVER,
        r"server socket closed",
        r"communication (error|link failure)",
        r"connection (time[d]? ?out|aborted|is closed|has been closed|attempt failed|reset)",
        r"unpack_from requires a buffer",
        r"unable to determine ip for host",
        r"(read|handshake|connect)\w* operation timed out|\bOperation timed out",
        r"EOF occurred in violation of protocol|unexpected EOF|SSLEOFError",
        r"No route to host|Host is unreachable|Transport endpoint is not connected",
        r"nodename nor servname provided|getaddrinfo failed",
        r"establish a connection|could not connect",
        r"InvalidCluster(State|Snapshot)|cluster[^\n]{0,40} (is|in) [^\n]{0,30}"
        r"(restarting|rebooting|resizing|resized|paused|unavailable|read-only|maintenance|not available)",
        r"crash of another server process",
        r"(workgroup|namespace|endpoint) [^\n]{0,60}(is not available|unavailable)",
        r"Serverless[^\n]{0,40}unavailable|cluster restart|SSL error: decryption failed",
        r"(leader|compute) node[^\n]{0,60}(restart|unavailable|lost|failed|down)",
        r"Connection to [^\n]* (lost|failed)",
    ),
)

_CAPACITY: Final = (
    says(
        "redshift_resources",
        _C.CAPACITY,
        _GUIDE + "query-performance-improvement-opportunities.html",
        r"Disk Full",
        r"\bcode: *1016\b",
        r"(out of|insufficient|not enough|cannot allocate|ran out of) (shared |available )?memory",
        r"memory (limit|quota)[^\n]{0,30}exceeded|exceeded[^\n]{0,30}memory",
        r"(disk|storage) (space|quota|capacity)[^\n]{0,60}(exceeded|exhausted|full|insufficient)",
        r"schema quota|quota (of|for) schema|exceeds? (the )?(schema |disk |storage )?quota",
        r"(number of|maximum) (permanent )?tables[^\n]{0,40}(exceed|limit|reached)",
    ),
)

_NAMES: Final = (
    says(
        "redshift_missing",
        _C.MISSING_OBJECT,
        _GUIDE + "r_names.html",
        r"Cannot COPY into nonexistent table",
        r"(schema|table|database|view|function|procedure|datashare|model) [^\n]{1,120} not found",
        r"could not find (relation|table|function|procedure|parent table|schema)",
        r"no such (table|schema|database)",
    ),
    says(
        "redshift_missing_column",
        _C.MISSING_COLUMN,
        _GUIDE + "r_names.html",
        r"column(s)? \"?[^\n\"]{1,130}\"? (does|do) not exist",
        r"column [^\n]{1,130} (of|in) (relation|table) [^\n]{1,130} (does not exist|not found|cannot be found)",
        r"unknown column|column not found",
    ),
    says(
        "redshift_rights",
        _C.PERMISSION,
        _GUIDE + "r_GRANT.html",
        r"permission denied",
        r"must be (the )?(owner|superuser|a member)",
        r"not (the )?owner of",
        r"in a read-only transaction|transaction is read-only",
        r"RLS polic|row-level security",
    ),
)

_VALUES: Final = (
    says(
        "redshift_value",
        _C.VALUE,
        _LOAD_ERRORS,
        r"value too long for (character )?type",
        r"(numeric|integer|bigint|decimal|float\d?)[^\n]{0,30} overflow",
        r"overflow[^\n]{0,20}(for|,|in) ?(numeric|value|decimal|integer|bigint)",
        r"(out of|exceeds the) range|value out of range",
        r"Invalid (digit|exponent|timestamp|date|time|boolean|null byte|quote|character|hex|JSON|JSONPath)",
        r"Invalid (interval|value|input|UTF|encoding|byte|geometry|SUPER|multibyte)",
        r"Missing (data for not-null|newline)",
        r"(Delimiter|delimited value)[^\n]{0,20}(not found|missing)",
        r"Extra column\(s\) found",
        r"(string|char(acter)?|length|column)[^\n]{0,40} exceeds (DDL|the (max|DDL|length|capacity))",
        r"(UTF-?8|multibyte|codepoint)[^\n]{0,60}(not supported|invalid|unsupported|bad)",
        r"(invalid|unsupported) UTF-?8",
        r"Unknown boolean format",
        r"Divide by zero|division by zero",
        r"cannot insert a null value|null value in column",
        r"multiple matches to update",
        r"Overflow \(|exceeds maximum|larger than \d+ bytes|out of bounds",
        r"NULL value not allowed",
        r"more than one row (returned|by)|returns? more than one row",
        r"Result size exceeds LISTAGG",
        r"JSON pars(ing|e) error|(parsing|deseriali[sz]ing) (of )?JSON|not (a )?valid JSON",
        r"SUPER[^\n]{0,60}(exceed|too (large|long))|exceeds[^\n]{0,40}SUPER",
        r"(row|record|field|tuple)[^\n]{0,30}(too (long|large|wide)|exceeds)",
        r"Load into table '[^']*' failed",
        r"stl_load_errors|sys_load_error_detail",
        r"Error converting text to|can'?t (parse|convert) |could not convert value",
        r"date/time field|invalid (input )?syntax for",
    ),
)

_TYPE_RULES: Final = (
    says(
        "redshift_types",
        _C.TYPE_MISMATCH,
        _TYPES,
        r"cannot (be )?(cast|coerce)|could not convert type",
        r"Coercing from",
        r"(operator|function)[^\n]{0,160} (does not exist|is not unique)",
        r"is of type[\s\S]{0,200}but expression is of type",
        r"cannot be matched",
        r"(types?|data types?)[^\n]{0,60}(mismatch|incompatible|do not match|are different|not compatible)",
        r"incompatible (data )?types?",
        r"unsupported (data )?type|(data ?)?type \"?\w+\"? (is )?not supported",
        r"length for type [^\n]{1,40} (cannot exceed|must be)",
        r"(NUMERIC|DECIMAL)[^\n]{0,40} (precision|scale) [^\n]{0,60}must be",
        r"could not (choose a best candidate|identify an (equality|ordering) operator)",
        r"argument of [^\n]{1,60} must be",
        r"type \"?[\w\[\] ]+\"? does not exist",
        r"different collations",
    ),
)

_FEATURES: Final = (
    says(
        "redshift_dependents",
        _C.SETTINGS,
        _DROP,
        r"(cannot|can't) (drop|be dropped|alter type)",
        r"(other objects?|view) [^\n]{0,60}depends? on",
        r"materialized view[^\n]{0,120}(invalid state|recreate|(could not|cannot) be refreshed|schema change)",
        r"cannot (alter|change|reduce|modify)[^\n]{0,80}(column|distkey|sortkey|encoding|size)",
        r"target column size should be different",
        r"already (exists|contains)",
        r"one (identity|distkey|sortkey|primary key)",
        r"must use CASCADE|(can't|cannot) be a (sort|distribution) key|for (distribution|sort) key",
    ),
    says(
        "redshift_unsupported",
        _C.SYNTAX,
        _LEADER,
        r"Specified types or functions",
        r"correlated subquery",
        r"(is |are |was )?not (yet )?(supported|allowed|implemented)",
        r"unsupported (feature|operation|function|query|command|join|statement)",
        r"cannot (run|be (executed|invoked|issued|used)|execute)[^\n]{0,80}"
        r"(transaction block|multiple commands|procedure|function|from a)",
        r"may not be (used|outer joined|renamed)|may be outer joined",
        r"must be part of an equijoin",
        r"require[s]? a frame clause",
        r"must appear in the GROUP BY|aggregates? not allowed|nested aggregate",
        r"syntax error|unterminated|zero-length delimited identifier|query was empty",
        r"Statement is too large|stack depth limit|at most \d+ (entries|columns)|too complex",
        r"(maximum (number of )?|too many |more than \d+ )columns|duplicate column",
        r"does not support",
        r"same number of (columns|expressions)|more (expressions|target columns) than",
        r"is ambiguous|specified more than once|missing FROM-clause|must have an alias|should have the same",
        r"identifier[^\n]{0,60}(too long|exceeds)|name[^\n]{0,40} too long",
        r"can't use|cannot use|only %s and %% are supported|must be the same",
        r"FULL JOIN is only supported|failed to find (conversion|function)",
        r"multiple (assignments|statements|commands)|cannot insert multiple commands",
    ),
    says(
        "redshift_internal",
        _C.INTERNAL,
        _GUIDE + "r_STL_ERROR.html",
        r"\bAssert\b",
        r"(internal|system) error(?! *in )",
        r"\bcode: *(1000|9\d\d\d)\b",
        r"Portal(Suspended)? state|Invalid protocol sequence",
        r"could not devise a query plan|failed to make a valid plan|compil\w+ (timed out|failed)",
        r"missing chunk number|could not (read|write|extend) (block|relation)",
    ),
)

BEFORE_STATES: Final = (
    *_S3,
    *_SPECTRUM_RULES,
    *_WLM_RULES,
    *_CONCURRENCY,
)
"""What no SQLSTATE tells apart."""

AFTER_CONNECTIONS: Final = (*_CONNECTIONS, *_CAPACITY)
"""Between the general rules for connections and those for words."""

LAST: Final = (*_NAMES, *_VALUES, *_TYPE_RULES, *_FEATURES)
"""The words of refusals, after the general ones."""
