"""The page's source: its types, its style, and what it may not hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
STATIC = Path(str(files("covos.serve") / "static"))


def run(tool: str, *arguments: str) -> None:
    program = HERE / "node_modules" / ".bin" / tool
    if not program.exists() or shutil.which("node") is None:
        pytest.skip(f"{tool} is not installed: npm install in tests/serve/browser")
    result = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_types_are_right() -> None:
    run("tsc", "-p", str(HERE / "tsconfig.json"))


def test_the_style_is_kept() -> None:
    run("eslint", "--max-warnings", "0", "--config", str(HERE / "eslint.config.js"), str(STATIC))


def test_every_file_that_is_named_is_there_and_none_is_from_elsewhere() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    for name in re.findall(r'(?:src|href)="static/([^"]+)"', html):
        assert (STATIC / name).is_file(), name
    scripts = {path.name: path.read_text("utf-8") for path in STATIC.glob("*.js")}
    for text in scripts.values():
        for name in re.findall(r'from "\./([^"]+)"', text):
            assert name in scripts, name
    for text in (html, (STATIC / "app.css").read_text("utf-8"), *scripts.values()):
        assert not re.findall(r"https?://(?!www\.w3\.org/)", text)
    # The security policy of the server forbids these.
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", html)


def test_all_addresses_hold_behind_a_proxy_that_adds_a_path() -> None:
    for path in (*STATIC.glob("*.js"), STATIC / "index.html", STATIC / "app.css"):
        assert not re.findall(r"""(?<!split\()["'`(]/(?:api|static|#|["'`])""", path.read_text("utf-8")), path.name


def test_every_id_that_scripts_ask_for_is_on_the_page() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    there = re.findall(r'id="([^"]+)"', html)
    assert len(there) == len(set(there))
    for path in STATIC.glob("*.js"):
        for name in re.findall(r'\b(?:byId|input|dialog|on|disable)\("([\w-]+)"', path.read_text("utf-8")):
            assert name in there, (path.name, name)


def test_every_control_of_the_clip_has_a_tooltip_or_a_label_of_its_own() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    work = html[html.index('<header class="bar">') : html.index('<div class="drop-veil"')]
    hints = re.sub(
        r'<div class="hint".*?</div>|<section id="(?:start|sending|broken)".*?</section>', "", work, flags=re.S
    )
    assert [each for each in re.findall(r"<button[^>]*>", hints) if " title=" not in each and "-stop" not in each] == []
    for label in re.findall(r'<label[^>]*><input type="radio"', work):
        assert "title=" in label, label
