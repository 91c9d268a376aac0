"""What no client of the server sends, and a stranger may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def client(started: tuple[str, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=started[0], timeout=120) as client:
        yield client


def test_methods_that_nobody_knows_do_not_stay_in_memory(client: httpx.Client) -> None:
    before = of_other_methods(client)
    assert {client.request(f"X{number}", "/api/jobs").status_code for number in range(9)} == {405}
    assert 'method="X' not in client.get("/metrics").text
    assert of_other_methods(client) - before == 9


def of_other_methods(client: httpx.Client) -> float:
    counts = re.findall(r'_seconds_count\{method="other".*\} (\S+)', client.get("/metrics").text)
    return sum(map(float, counts))


def test_a_token_of_half_a_character_is_none(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/token", content=b'{"token": "\\ud800"}', headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (400, "this is not the token")
