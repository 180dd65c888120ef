r"""What secrets look like: shapes of issued keys, names of secrets, addresses that are secrets.

The shapes follow detect-secrets, a maintained rule set: a test compares them with its rules, so that an upgrade that
adds a shape fails there first (docs/decisions/0020). A pattern keeps its group `keep`; what else it matched is masked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_ISSUED: Final = (
    r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[0-9A-Z]{16}",  # AWS access keys
    r"gh[pousr]_\w{16,}|github_pat_\w{20,}",
    r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{16,}|GR1348941[\w-]{20,}",
    r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|xoxe\.[\w.-]{8,}",
    r"eyJ[\w=-]{8,}\.[\w=-]+(?:\.[\w.+/=-]*)?",  # JSON web tokens
    r"sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{16,}|whsec_\w{16,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-z]{32}|[0-9a-z]{32}-us\d{1,2}",
    r"npm_\w{20,}|pypi-[\w-]{20,}|rubygems_\w{20,}|dckr_pat_[\w-]{20,}|hf_[A-Za-z]{20,}",
    r"AIza[\w-]{30,}|ya29\.[\w-]{10,}|GOCSPX-[\w-]{10,}",
    r"dapi[0-9a-f]{16,}|do[op]_v1_\w{20,}|pn[ub]_\w{16,}|glsa_\w{20,}|glc_[\w+/=]{20,}",
    r"hv[sbr]\.[\w-]{16,}|sq0[a-z]{3}-[\w\\-]{20,}|shp(?:at|ca|pa|ss)_\w{20,}|NRAK-\w{16,}|lin_api_\w{16,}",
    r"atlasv1\.[\w-]{20,}|AGE-SECRET-KEY-1\w{20,}|AKC[a-zA-Z0-9]{20,}|[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27}",
    r"\d{8,10}:[\w-]{35}",  # Telegram
    r"(?:AC|SK)[0-9a-z]{32}(?![0-9a-z])",  # Twilio
)
"""Shapes that issuers give their keys, so that scanners find them."""

_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase|code)s?|pwd|(?<![a-z])pass|secrets?|token|credentials?|connection[_-]?string|auth[_-]?string"
    r"|(?<=_)auth|(?<![a-z])sas|(?<![a-z])cookie"
    r"|(?:access|secret|api|private|account|shared|signing|encryption|master|session|storage|integration|routing|service"
    r"|auth|ssh)[_ -]?(?:access[_ -]?)?key(?:[_ -]?(?:id|base64))?|(?<![a-z])key_id)"
    r"(?:[_-]?(?:value|string|plain|text|hash|\d+))?"
)
"""Words that name a secret; a prefix, as in `db_password`, does not matter."""

_QUOTED: Final = (
    r"(?:(?:[bEN]|U&)?(?:\\\"(?:[^\"\\]|\\(?!\")(?:[\s\S]|\Z))*(?:\\\"|\Z)|\"(?:[^\"\\]|\\(?:[\s\S]|\Z))*(?:\"|\Z)"
    r"|'(?:[^'\\]|\\(?:[\s\S]|\Z)|'')*(?:'|\Z)|`[^`]*(?:`|\Z)|\{[^{}\n]+\}|\$\$[\s\S]*?(?:\$\$|\Z)))"
)

NAME: Final = re.compile(rf"(?i){_NAMES}\Z")
"""A key, a setting or a variable that holds a secret."""

NAME_HINTS: Final = ("pass", "pwd", "secret", "token", "key", "auth", "credential", "string", "sas", "cookie")
"""Texts in lower case, one of which is part of every such name."""

SIGN: Final = re.compile(r"(?:=>|:=|==?|:(?!:)|%3[Dd])\s{0,8}")
"""Between the two sides of any assignment: `password =`, `"SecretAccessKey": `, `client_secret%3D`."""
VALUE: Final = re.compile(rf"{_QUOTED}|[^\s&;\"'<>\[\]{{}}][^\s&;\"<>]*")
"""The right side of an assignment."""
NUMBER: Final = re.compile(r"[\"']?\d{1,9}[\"']?(?![\w.-])")
"""A count or a size: not a secret after `tokens:`; a password may be a number."""
PASSWORD_NAME: Final = re.compile(r"(?i)(?:password|passwd|passcode|pwd)\Z")


@dataclass(frozen=True)
class Shape:
    """One kind of secret.

    Attributes:
        written: What it looks like, a regular expression. It is compiled at first use: all of them take as long as
            opening the control database.
        hints: Texts in lower case, one of which stands in every text that the pattern matches; most lines have none.
        is_sure: Whether neither prose nor SQL over business data looks like this.
        is_written: Whether a value of a row that looks like this is refused, SQL aside.
    """

    written: str
    hints: tuple[str, ...]
    is_sure: bool = False
    is_written: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled expression."""
        return re.compile(self.written)


SHAPES: Final = (
    Shape(  # private keys, whole
        (
            r"(?P<keep>)(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?"
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
            r"|PuTTY-User-Key-File-\d[\s\S]*|BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY[\s\S]*)"
        ),
        ("private key", "putty-user-key"),
        is_sure=True,
    ),
    Shape(  # user:password@host of a database: the password with any signs, slashes included
        (
            r"(?P<keep>(?i:postgres|redshift|mysql|mariadb|redis|mongodb|amqp|snowflake|mssql|oracle|jdbc|ldap|ftp|smtp|imap)"
            r"[\w+:]{0,40}://[^\s:/@\"'<>]{0,200}:)[^\s\"'<>]{1,500}(?=@)"
        ),
        ("://",),
        is_sure=True,
    ),
    Shape(  # of any other URL: a port and its path are no password
        r"(?P<keep>://[^\s:/@\"'<>]{0,200}:(?!\d{1,5}(?:/|$)))[^\s\"'<>]{1,500}(?=@)",
        ("://",),
        is_sure=True,
    ),
    Shape(r"(?P<keep>://)[\w.~+%-]{16,500}(?=@)", ("://",), is_sure=True),  # token@host
    Shape(  # addresses that whoever knows them may post to
        (
            r"(?i)(?P<keep>https?://(?:hooks\.slack\.com/(?:services|workflows|triggers)|[a-z0-9.-]*webhook\.office\.com"
            r"|outlook\.office(?:365)?\.com/webhook|discord(?:app)?\.com/api/webhooks|hooks\.zapier\.com/hooks"
            r"|api\.telegram\.org/bot|events\.(?:eu\.)?pagerduty\.com/(?:integration|generic|x-ere)"
            r"|chat\.googleapis\.com/v1/spaces|maker\.ifttt\.com|[a-z0-9.-]+\.logic\.azure\.com(?::\d+)?(?=/)"
            r"|[a-z0-9.:-]{1,200}/(?:hooks|webhooks?))/?)[^\s\"'<>]{8,}"
        ),
        ("http",),
        is_sure=True,
    ),
    Shape(  # what signs a URL or logs in by it
        (
            r"(?i)(?P<keep>(?:[?&;]|\bSharedAccessSignature )(?:x-amz-(?:signature|credential|security-token)"
            r"|x-goog-(?:signature|credential)|signature|sig|key|apikey|auth|code|pass)=)[^&\s\"'<>]+"
        ),
        ("=",),
        is_written=True,
    ),
    Shape(  # HTTP headers
        (
            r"(?i)(?P<keep>\b(?:proxy-)?authorization(?:\\?[\"'])?\s{0,8}[:=]\s{0,8}(?:\\?[\"'])?"
            r"(?:(?:bearer|basic|token|digest|apikey|aws4-hmac-sha256)\s{1,8})?)[^\s\"'\\][^\r\n\"'\\]*"
        ),
        ("authorization",),
        is_sure=True,
    ),
    Shape(r"(?i)(?P<keep>\b(?:bearer|basic)\s{1,8})[\w.~+/=-]{8,}", ("bearer", "basic")),
    Shape(r"(?i)(?P<keep>\b(?:set-)?cookie(?:[\"'])?\s{0,8}:\s{0,8})[^\r\n]+", ("cookie",)),
    Shape(r"(?i)(?P<keep>\b(?:signature|credential)=)[\w/+=%-]{8,}", ("signature=", "credential=")),
    Shape(  # <password>…</password>
        rf"(?i)(?P<keep><[\w:.-]{{0,60}}{_NAMES}[\w.-]{{0,60}}(?:\s[^<>]{{0,200}})?>\s{{0,8}})[^<]+(?=</)",
        ("</",),
        is_written=True,
    ),
    Shape(  # CREATE USER … PASSWORD '…', COPY … CREDENTIALS '…', CREATE SECRET (… SECRET '…')
        (
            r"(?i)(?P<keep>\b(?:(?:encrypted\s+)?password(?:\s+for\s+\S{1,200}\s{0,8}=)?|identified\s+by|secret|secret_access_key|access_key_id"
            rf"|session_token|key_id|token|credentials|master_symmetric_key)\s{{1,8}}){_QUOTED}"
        ),
        ("password", "identified", "secret", "key_id", "token", "credentials", "symmetric_key"),
        is_written=True,
    ),
    Shape(  # --password hunter2, --api-key=…
        rf"(?i)(?P<keep>(?<![\w-])--?[\w-]{{0,60}}?{_NAMES}(?:\s{{1,8}}|=))(?!-)(?:{_QUOTED}|[^\s\"']+)",
        ("--", " -", "\n-"),
        is_written=True,
    ),
    Shape(r"(?P<keep>(?<!\w)(?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"']{1,200}:)[^\s\"']+", ("-u", "-user")),
    Shape(r"(?P<keep>\bmysql\w{0,20}\b[^\n|;]{0,500}?\s-p)[^\s-]\S*", ("mysql",)),
    Shape(  # .netrc
        r"(?i)(?P<keep>\blogin\s{1,8}\S{1,200}\s{1,8}password\s{1,8})\S+", ("login",), is_written=True
    ),
    Shape(  # .pgpass
        (r"(?P<keep>(?<![\w/.:-])(?:[\w.-]{1,200}|\*):(?:\d{2,5}|\*):(?:[\w-]{1,63}|\*):[\w-]{1,63}:)(?!//)[^\s:]\S*"),
        (":",),
    ),
    Shape(
        rf"(?P<keep>(?<![A-Za-z0-9]))(?:{'|'.join(_ISSUED)})",
        ("",),
        is_sure=True,
    ),
    Shape(r"(?P<keep>)(?<![\w+/])[A-Za-z0-9+/]{86}==", ("==",), is_sure=True),  # Azure storage keys
)
"""Every shape, in the order in which it is looked for."""
