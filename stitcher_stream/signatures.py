"""Tell whether a context was signed by somebody who has a key. Pure.

A signed context is sent as an envelope, a JSON object with two members:

    {"_signed": "{\\"user_id\\": 7}", "_signature": "hex of HMAC-SHA256"}

`_signed` is the context's JSON text as a string, and the signature is over the UTF-8 of that
string. So nothing has to be put into a canonical form: whoever passes the envelope on may
format it as they like.

A signature alone says that a holder of the key once wrote this context. It may be sent again in
another transaction, unless the signed text itself names the transaction: with a member `_xid`
(what `pg_current_xact_id()` gives) it counts in that transaction only.

HMAC: RFC 2104.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIGNED = "_signed"
SIGNATURE = "_signature"
XID = "_xid"
VERIFIED = "_verified"
"""The member that tells the verdict. True only where a signature was found to be right."""

MIN_KEY_BYTES = 16
_XID_MASK = 0xFFFFFFFF
"""pg_current_xact_id() counts on past 32 bits, the transaction id in the log does not."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A context's text as it was signed, and the signature that came with it."""

    signed: bytes
    signature: bytes


def envelope_in(message: Mapping[str, Any]) -> Envelope | None:
    """Return the envelope that the message's object is, None where it is a plain context."""
    signed, signature = message.get(SIGNED), message.get(SIGNATURE)
    if len(message) != 2 or not isinstance(signed, str) or not isinstance(signature, str):
        return None
    try:
        return Envelope(signed.encode(), signature.encode())
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 that could have been signed.
        return None


def is_verified(
    envelope: Envelope,
    context: Mapping[str, Any],
    keys: tuple[bytes, ...],
    transaction_id: object,
) -> bool:
    """Tell whether one of the keys made the signature, for this transaction if it names one."""
    given = envelope.signature.lower()
    matches = [hmac.compare_digest(_sign(key, envelope.signed), given) for key in keys]
    return any(matches) and _is_of(transaction_id, context)


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys that stand on the lines of a text, the blanks around them left out.

    Raises ValueError for one that could be guessed.
    """
    keys = tuple(line.strip().encode() for line in text.splitlines() if line.strip())
    if any(len(key) < MIN_KEY_BYTES for key in keys):
        raise ValueError(
            f"a key has fewer than {MIN_KEY_BYTES} characters; `openssl rand -hex 32` makes one"
        )
    return keys


def _sign(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).hexdigest().encode()


def _is_of(transaction_id: object, context: Mapping[str, Any]) -> bool:
    if XID not in context:
        return True
    named = context[XID]
    # A JSON text may carry the 64 bits as a string, as languages without such integers do.
    if isinstance(named, str) and named.isascii() and named.isdigit() and len(named) <= 20:
        named = int(named)
    return (
        named.__class__ is int
        and transaction_id.__class__ is int
        and named & _XID_MASK == transaction_id
    )
