"""What no client of the server sends, and a stranger may."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from covos.serve.guard import Guard, Message, Receive, Send


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


def test_a_name_of_the_server_has_no_large_letters_and_a_port_belongs_to_its_pages() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    guard = Guard(app, hosts=("Masks.Example.org",), largest_upload=0)

    async def ask(host: str, origin: str) -> int:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.post("/api/jobs", headers={"host": host, "origin": origin})).status_code

    asked = {
        ("masks.example.org", "https://masks.example.org"): 204,
        ("MASKS.example.org:8443", "https://masks.example.org:8443"): 204,
        ("masks.example.org", "https://masks.example.org:8443"): 403,  # another server of this machine
        ("masks.example.com", "https://masks.example.com"): 400,
    }
    assert {each: asyncio.run(ask(*each)) for each in asked} == asked
