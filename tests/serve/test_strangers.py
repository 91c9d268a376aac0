"""What no client of the server sends, and a stranger may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=120) as client:
        yield client


def test_methods_that_nobody_knows_do_not_stay_in_memory(client: httpx.Client) -> None:
    assert {client.request(f"X{number}", "/api/jobs").status_code for number in range(9)} == {405}
    text = client.get("/metrics").text
    assert 'method="X' not in text
    assert 'covos_http_request_duration_seconds_count{method="other",route="/api/jobs",status="405"} 9.0' in text


def test_a_token_of_half_a_character_is_none(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/token", content=b'{"token": "\\ud800"}', headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (400, "this is not the token")
