"""What schemathesis does not know by itself."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def send_part(_: object, value: object) -> bytes:
    """Bytes are sent as they are."""
    return value if isinstance(value, bytes) else bytes(str(value), "utf-8")
