"""``covos serve`` before anything listens."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import covos
from covos.cli import main
from covos.cli.serve import EXAMPLES
from covos.core.files import LOCK, exclusive
from covos.serve.address import Address
from covos.serve.rules import Rules

ROOT = Path(__file__).parents[2]


def test_the_example_goes_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    placed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    package = Path(covos.__file__).parent
    inside = {package.parent / target: ROOT / source for source, target in placed.items()}
    assert inside[EXAMPLES[0]] == EXAMPLES[1] == ROOT / "examples" / "car.mp4"
    assert all(source.is_file() for source in inside.values())


def test_label_studio_needs_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    assert main(["serve", "--label-studio"]) == 2
    assert "--media-root" in capsys.readouterr().err
    assert main(["serve", "--label-studio", "--media-root", str(tmp_path / "none")]) == 2


def test_a_second_server_on_the_same_clips_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    with exclusive(tmp_path / LOCK):
        assert main(["serve", "--root", str(tmp_path), "--port", "0"]) == 5
    assert f"the clips in {tmp_path} are open in another covos" in capsys.readouterr().err


def test_a_second_open_works_beside_the_first(
    clip: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = pytest.importorskip("covos.serve.running", reason="the extra serve is not installed")
    roots = list[Path]()
    monkeypatch.setattr(running, "run_server", lambda rules, **_: roots.append(rules.root))
    monkeypatch.chdir(tmp_path)
    usual = tmp_path / "covos-clips"
    usual.mkdir()
    with exclusive(usual / LOCK):
        assert main(["open", str(clip), "--no-browser"]) == 0
    assert "this work is kept in covos-clips-2: another covos has, or had, covos-clips" in capsys.readouterr().err
    assert main(["open", str(clip), "--no-browser"]) == 0
    assert "kept in" not in capsys.readouterr().err
    assert [root.name for root in roots] == ["covos-clips-2", "covos-clips"]


@pytest.mark.parametrize("verb", ["serve", "open"])
def test_the_line_with_the_address_says_where_the_clips_are_kept(
    verb: str, clip: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = pytest.importorskip("covos.serve.running", reason="the extra serve is not installed")
    monkeypatch.setattr(running, "run_server", lambda _rules, *, ready, **_: ready("http://127.0.0.1:1/"))
    monkeypatch.chdir(tmp_path)
    assert main(["serve"] if verb == "serve" else ["open", str(clip), "--no-browser"]) == 0
    told = f"covos is at http://127.0.0.1:1/  (the clips are kept in {tmp_path / 'covos-clips'}; Ctrl-C ends it)\n"
    assert capsys.readouterr().out == told
    assert main(["serve", "--root", "mine", "--quiet"]) == 0
    assert not capsys.readouterr().out


def test_the_bounds_of_a_server_are_those_of_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = pytest.importorskip("covos.serve.running", reason="the extra serve is not installed")
    found: list[tuple[Rules, Address]] = []
    monkeypatch.setattr(running, "run_server", lambda rules, *, address, **_: found.append((rules, address)))
    monkeypatch.chdir(tmp_path)
    asked = ["--max-upload", "0.5", "--quota", "2", "--waiting", "3", "--expire", "1", "--port", "7", "--name", "here"]
    assert main(["serve", "--root", "mine", *asked]) == 0
    assert main(["serve"]) == 0
    rules = Rules(root=tmp_path / "mine", upload=1 << 29, quota=2 << 30, waiting=3, expiry=3600.0)
    assert found == [(rules, Address(port=7, names=("here",))), (Rules(root=tmp_path / "covos-clips"), Address())]
