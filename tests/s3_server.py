"""A server that speaks S3, in this process; the tests that need it are skipped, in words, where it is not installed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

MISSING = "an S3 server and s3fs are not installed: pip install --group s3, in an environment of its own"


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Serve an empty bucket ``bucket`` for the time of the block, and give its file system.

    This process and those that it starts reach it by the variables that everybody uses with S3.
    """
    s3fs = pytest.importorskip("s3fs", reason=MISSING)
    server_type = pytest.importorskip("moto.server", reason=MISSING).ThreadedMotoServer
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_type(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        system = s3fs.S3FileSystem()
        system.mkdir("bucket")
        yield system
        system.rm("bucket", recursive=True)  # the next server of this process would have it, too
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
