"""What an attacker can write: any header, any claims, any bytes, signed with keys of their own or with none."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cameo.crypto.keys import Keys

Json = Mapping[str, Any] | bytes


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def raw_json(value: Json) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64url(token.split(".")[0]))
    return found


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64url(token.split(".")[1]))
    return found


def sign_raw(header: Json, claims: Json, keys: Keys) -> str:
    """Sign whatever is given, without any check."""
    signing_input = f"{b64url(raw_json(header))}.{b64url(raw_json(claims))}"
    return f"{signing_input}.{b64url(keys.sign(signing_input.encode()))}"


def resigned(token: str, keys: Keys, header: Json | None = None, **changes: Any) -> str:
    """Write a token anew with other claims, by `keys`; the header names `keys` unless another one is given."""
    head = {**header_of(token), "kid": keys.public.fingerprint} if header is None else header
    return sign_raw(head, {**claims_of(token), **changes}, keys)


def with_payload(token: str, payload: bytes) -> str:
    """Put another payload under the old signature."""
    first, _, last = token.split(".")
    return f"{first}.{b64url(payload)}.{last}"


def rezip(blob: bytes, *more: tuple[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """Write a bundle anew with an ordinary ZIP library, and add entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as source, zipfile.ZipFile(out, "w", method) as target:
        for info in source.infolist():
            target.writestr(zipfile.ZipInfo(info.filename), source.read(info), method)
        for name, data in more:
            target.writestr(zipfile.ZipInfo(name), data, method)
        target.comment = comment
    return out.getvalue()


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}
