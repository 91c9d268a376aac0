"""Waits of the tests of the page have an end, whatever the page does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from serve.browser import conftest
from serve.browser.conftest import ended_after, until


def test_a_script_that_never_answers_ends_with_the_browser(chromium: Any, capfd: pytest.CaptureFixture[str]) -> None:
    page = chromium.new_page()
    begun = time.monotonic()
    with pytest.raises(Exception, match="closed"), ended_after(1.0, chromium):
        page.evaluate("new Promise(() => {})")
    assert time.monotonic() - begun < conftest.LIMIT
    assert "took longer than 1 s" in capfd.readouterr().err
    assert not chromium.is_connected(), "the next test gets another one"


def test_a_wait_says_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Page:
        @staticmethod
        def wait_for_timeout(_: float) -> None:
            time.sleep(0.001)

    monkeypatch.setattr(conftest, "PATIENCE", 20)
    with pytest.raises(AssertionError, match="the sun rises"):
        until(Page(), lambda: False, what="the sun rises")
