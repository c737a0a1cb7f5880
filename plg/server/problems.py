"""Errors of the service as RFC 9457 has them: ``application/problem+json``, with every fault of a document in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from plg.diagnostics import Diagnostic, Span
from plg.redaction import hide_known

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is an error. ``code`` is for programs, ``detail`` a sentence, ``faults`` those of a document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.faults, self.headers = list(faults), dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": hide_known(self.detail),
            "code": self.code,
            "faults": self.faults,
        }

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.document(), self.status, self.headers, media_type=MEDIA_TYPE)


def fault_of(fault: Mapping[str, Any], path: Sequence[str | int] | None = None) -> dict[str, Any]:
    """One entry of ``faults``, from a diagnostic as `plg.runs.order.faults_to` writes it."""
    span = fault.get("span") or {}
    return {
        "code": fault["code"],
        "message": hide_known(str(fault["message"])),
        "help": hide_known(str(fault.get("help", ""))),
        "path": list(fault.get("path", ()) if path is None else path),
        "line": span.get("line"),
        "column": span.get("column"),
    }


def plain_fault(code: str, message: str, path: Sequence[str | int] = (), help: str = "") -> dict[str, Any]:
    """One entry of ``faults`` that no document was read for."""
    return {"code": code, "message": message, "help": help, "path": list(path), "line": None, "column": None}


def diagnostic_fault(found: Diagnostic) -> dict[str, Any]:
    """The same from a diagnostic itself."""
    span: Span | None = found.span
    return {
        **plain_fault(found.code, hide_known(found.message), found.path, hide_known(found.help)),
        "line": span.line if span else None,
        "column": span.column if span else None,
    }
