"""Receiving Reader's webhooks in Python: `verify` says whether a delivery is genuine.

    from reader_cli.webhooks import DELIVERY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, verify

    @app.post("/hooks/reader")
    def receive():
        body = request.get_data()  # the raw bytes: parsed and written again they would be others
        headers = request.headers
        if not verify(body, headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER), secret=SECRET):
            return "", 401
        if not seen_before(headers[DELIVERY_HEADER]):  # a delivery keeps its id when it is repeated
            queue_up(json.loads(body))
        return "", 204  # within 10 seconds, or it comes again

Importing this loads nothing but the standard library.
"""

from reader_cli.webhooks.signing import (
    DELIVERY_HEADER,
    EVENT_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_SECONDS,
    Verdict,
    sign,
    verify,
)

__all__ = [
    "DELIVERY_HEADER",
    "EVENT_HEADER",
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "TOLERANCE_SECONDS",
    "Verdict",
    "sign",
    "verify",
]
