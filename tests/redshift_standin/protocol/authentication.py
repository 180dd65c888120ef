"""Log in: the client shows its password to the stand-in, the stand-in shows it to PostgreSQL by SCRAM.

The exchange cannot be passed through: redshift_connector stumbles over the way PostgreSQL ends its list of mechanisms.
"""

from __future__ import annotations

from scramp import ScramClient

from tests.redshift_standin.protocol import wire
from tests.redshift_standin.protocol.wire import Stream, message

CLEARTEXT, SASL, SASL_CONTINUE, SASL_FINAL = 3, 10, 11, 12
MECHANISM = "SCRAM-SHA-256"


def ask_password(client: Stream) -> str:
    """Ask the client for its password."""
    client.write(message(b"R", wire.INT.pack(CLEARTEXT)))
    _, body = client.read()
    return body.rstrip(b"\0").decode()


def log_in(server: Stream, user: str, password: str) -> bytes | None:
    """Log in to PostgreSQL; returns its refusal, if any, as a message for the client."""
    scram = ScramClient([MECHANISM], user, password)
    while True:
        kind, body = server.read()
        if kind == b"E":
            return message(kind, body)
        code = wire.INT.unpack_from(body)[0]
        if code == 0:
            return None
        if code == SASL:
            first = scram.get_client_first().encode()
            server.write(message(b"p", MECHANISM.encode() + b"\0" + wire.INT.pack(len(first)) + first))
        elif code == SASL_CONTINUE:
            scram.set_server_first(body[4:].decode())
            server.write(message(b"p", scram.get_client_final().encode()))
        elif code == SASL_FINAL:
            scram.set_server_final(body[4:].decode())
        else:
            raise RuntimeError(f"PostgreSQL asks for authentication {code}, which the stand-in does not speak")
