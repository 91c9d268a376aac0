"""Terms in their files: what an earlier version wrote is read, and written the same; other terms are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import source_info
from covos.core.errors import InputError, SourceError, UsageError
from covos.runs.folder import OutputFolder
from covos.runs.predict_terms import DatasetRecord, Made, PredictTerms
from covos.runs.schema import ModelRecord
from covos.runs.state import RunState
from covos.runs.terms import Inputs, RunTerms
from covos.runs.terms_in_words import Terms, settings_in_words
from covos.task import Find

INFO = source_info(height=96, width=128, frame_count=8, duration=0.32)

RUN = """{
  "schema": 1,
  "complete": true,
  "whole": false,
  "mendable": false,
  "redo": null,
  "written": [],
  "outputs": [],
  "made": {},
  "steps_down": [],
  "cuts": null,
  "inputs": {
    "path": "caf\\udce9.mp4",
    "files": 1,
    "size": 265790,
    "fingerprint": "64f664a8908f8f8c",
    "each": []
  },
  "model": "covos-lite",
  "weights_sha256": "4767a94259ce462f",
  "settings": {
    "references": 5,
    "fusion": null
  },
  "batch": 4,
  "formats": [
    "palette",
    "overlay"
  ],
  "shown": {},
  "covos": "0.1.0"
}
"""

PREDICT = """{
  "schema": 1,
  "tool": {
    "name": "covos",
    "version": "0.0.9"
  },
  "model": {
    "name": "covos-lite",
    "sha256": "4767a94259ce462f"
  },
  "settings": {
    "follower": {
      "name": "covos-follow",
      "sha256": "ab"
    }
  },
  "dataset": {
    "root": "/data",
    "layout": "davis",
    "subset": null
  },
  "videos": [
    {
      "name": "bear",
      "frames": 82,
      "seconds": 3.5
    }
  ],
  "failed": {
    "boat": {
      "what": "a",
      "why": "b",
      "fix": "c"
    }
  }
}
"""


@pytest.fixture
def run() -> RunTerms:
    return RunTerms(
        inputs=Inputs(path="caf\udce9.mp4", files=1, size=265790, fingerprint="64f664a8908f8f8c"),
        model="covos-lite",
        weights_sha256="4767a94259ce462f",
        settings={"references": 5, "fusion": None},
        batch=4,
        formats=("palette", "overlay"),
        covos="0.1.0",
    )


@pytest.fixture
def predict() -> PredictTerms:
    return PredictTerms(
        model=ModelRecord(name="covos-lite", sha256="4767a94259ce462f"),
        settings={"follower": {"name": "covos-follow", "sha256": "ab"}},
        dataset=DatasetRecord(root="/data", layout="davis", subset=None),
    )


def begun(path: Path) -> RunState:
    return RunState(OutputFolder(path, resumable=True))


def test_the_file_of_a_run_is_what_it_was(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    assert not begun(tmp_path).is_done(run, info=INFO)
    begun(tmp_path).finish(formats=run.formats)
    assert (tmp_path / "covos.json").read_text() == RUN
    assert begun(tmp_path).is_done(run, info=INFO)


def test_a_run_of_other_terms_names_each(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    other = run.model_copy(update={"batch": 8, "settings": {"references": 3}, "formats": ("palette",)})
    with pytest.raises(UsageError, match="an unfinished run of other settings") as caught:
        begun(tmp_path).is_done(other, info=INFO)
    said = "references: 5 before, 3 now; fusion: not given before, none now; frames computed together: 4 before, 8 now"
    assert caught.value.why == said


def test_prompts_differ_in_words(tmp_path: Path, run: RunTerms) -> None:
    click = {"frame": 0, "object": 1, "given_as": "points", "points": [[320.0, 200.0, 1]], "prompter": "grabcut"}
    mask = {"frame": 4, "object": 2, "given_as": "dog.png", "sha256": "ab" * 32}
    run = run.model_copy(update={"settings": {"prompts": [click, mask]}})
    begun(tmp_path).begin(run).journal.close()
    moved = {**click, "points": [[320.0, 200.0, 1], [5.0, 6.5, 0]]}
    with pytest.raises(UsageError) as caught:
        begun(tmp_path).is_done(run.model_copy(update={"settings": {"prompts": [moved, mask, mask]}}), info=INFO)
    assert caught.value.why == (
        "prompt 1: object 1 on frame 0 by points 320,200 prompter grabcut before, "
        "object 1 on frame 0 by points 320,200 and not 5,6.5 prompter grabcut now; "
        "prompt 3: none before, object 2 on frame 4 by dog.png with pixels abababababab now"
    )


def test_a_steered_subject_is_another(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    steered = {**run.settings, "steer": [{"frame": None, "within": [1, 2, 3, 4]}]}
    with pytest.raises(UsageError, match=r"steering 1: none before, on all frames within 1,2,3,4 now"):
        begun(tmp_path).is_done(run.model_copy(update={"settings": steered}), info=INFO)


def test_another_task_is_named_without_the_settings_of_each(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    click = {"frame": 0, "object": 1, "given_as": "points", "points": [[320.0, 200.0, 1]]}
    with pytest.raises(UsageError) as caught:
        begun(tmp_path).is_done(run.model_copy(update={"settings": {"prompts": [click], "memory": 5}}), info=INFO)
    assert caught.value.why == "the task: finding the subject before, following what is shown now"
    with pytest.raises(UsageError, match="the task: finding the subject before, finding several objects now"):
        begun(tmp_path).is_done(run.model_copy(update={"settings": {"objects": 4}}), info=INFO)


def test_a_term_of_old_is_named_as_it_was(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    other = {**run.settings, "runtime": "openvino", "range": "frames 3 to 5 of the source, times from zero"}
    with pytest.raises(UsageError) as caught:
        begun(tmp_path).is_done(run.model_copy(update={"settings": other}), info=INFO)
    assert caught.value.why == (
        "runtime: torch before, openvino now; "
        "range: all frames before, frames 3 to 5 of the source, times from zero now"
    )


def test_edges_and_labels_are_no_other_terms(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    begun(tmp_path).finish(formats=run.formats)
    other = run.model_copy(update={"settings": {**run.settings, "edges": {"grow": "2"}, "label": {"every": "car"}}})
    assert not begun(tmp_path).is_done(other, info=INFO), "the outputs are others"


def test_other_formats_are_no_other_terms(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    begun(tmp_path).finish(formats=run.formats)
    assert begun(tmp_path).is_done(run.model_copy(update={"formats": ("overlay",)}), info=INFO)
    assert not begun(tmp_path).is_done(run.model_copy(update={"formats": ("palette", "webm")}), info=INFO)


def test_a_run_of_an_earlier_version_has_its_formats(tmp_path: Path, run: RunTerms) -> None:
    begun(tmp_path).begin(run).journal.close()
    begun(tmp_path).finish(formats=run.formats)
    content = json.loads((tmp_path / "covos.json").read_text())
    content["settings"]["formats"] = content.pop("formats")
    (tmp_path / "covos.json").write_text(json.dumps(content))
    assert begun(tmp_path).is_done(run, info=INFO)


def test_the_manifest_of_an_earlier_version_goes_on(tmp_path: Path, predict: PredictTerms) -> None:
    (tmp_path / "predict.json").write_text(PREDICT)
    predict.begin(tmp_path)
    assert (tmp_path / "predict.json").read_text() == PREDICT
    made = [Made(name="bear", frames=82, seconds=3.5)]
    predict.save(tmp_path, made=made, failed={"boat": SourceError("a", why="b", fix="c")})
    written = json.loads((tmp_path / "predict.json").read_text())
    assert written.pop("tool")["version"] != "0.0.9"
    before = json.loads(PREDICT)
    del before["tool"]
    assert json.dumps(written) == json.dumps(before)


def test_a_data_set_of_other_terms_names_each(tmp_path: Path, predict: PredictTerms) -> None:
    predict.begin(tmp_path / "out")
    other = predict.model_copy(update={"dataset": DatasetRecord(root="/data", layout="davis", subset="val")})
    with pytest.raises(UsageError, match="made differently") as caught:
        other.begin(tmp_path / "out")
    assert caught.value.why == "the data set's subset: not given before, val now"


def test_a_manifest_that_cannot_be_read(tmp_path: Path, predict: PredictTerms) -> None:
    (tmp_path / "predict.json").write_text(PREDICT.replace('"schema": 1', '"schema": 7'))
    with pytest.raises(InputError, match="7 is that of a newer covos"):
        predict.begin(tmp_path)


def test_a_background_whose_file_has_another_content_is_refused(tmp_path: Path) -> None:
    def terms(content: str) -> RunTerms:
        return RunTerms(
            inputs=Inputs(path="clip.mp4", files=1, size=1, fingerprint="a"),
            model="covos-lite",
            weights_sha256="b",
            settings={},
            batch=4,
            formats=("background=beach.mp4",),
            shown={"background=beach.mp4": content},
        )

    state = begun(tmp_path / "out")
    state.begin(terms("one")).journal.close()
    state.finish(formats=("background=beach.mp4",))
    assert state.is_done(terms("one"), info=INFO)
    with pytest.raises(UsageError, match=r"of background=beach\.mp4"):
        state.is_done(terms("two"), info=INFO)


def test_formats_without_the_matte_of_a_run_keep_the_content_of_what_they_show(tmp_path: Path, run: RunTerms) -> None:
    matte = {"matte": {"name": "covos-matte", "sha256": "ab"}}
    with_matte = run.model_copy(update={"settings": {**run.settings, **matte}, "formats": ("palette",)})
    begun(tmp_path).begin(with_matte).journal.close()
    more = run.model_copy(update={"formats": ("palette", "background=a.png"), "shown": {"background=a.png": "64f6"}})
    assert begun(tmp_path).joined(more, plain=True) == more, "its masks are not all there"
    begun(tmp_path).finish(formats=with_matte.formats)
    plain = begun(tmp_path).joined(more, plain=True)
    assert plain.formats == ("palette", "background=a.png,plain")
    assert plain.shown == {"background=a.png,plain": "64f6"}
    assert plain.settings["matte"] == matte["matte"]
    assert begun(tmp_path).joined(more).formats == more.formats


def test_a_message_has_no_names_that_only_the_code_knows() -> None:
    """A user changes --quality; the distance of the frames that are looked at is a word of a file."""
    prompter = {"name": "covos-prompt", "sha256": "ab" * 32}
    words = settings_in_words({**Find(quality="draft").settings, "prompter": prompter})
    assert words["the network looks at"] == "every fourth frame"
    assert words["prompter"] == "name covos-prompt, weights abababababab"
    assert "apart" not in words


def test_a_quality_that_leaves_frames_out_is_told_in_words() -> None:
    before = Noted(settings={**Find(quality="balanced").settings, "views": "256x448, 320x576 in turn"})
    now = Noted(settings={**Find(quality="fast").settings, "views": "256x448"})
    assert before.differences(now) == [
        "quality: balanced before, fast now",
        "the network looks at: each frame before, every second frame now",
    ]


def test_frames_of_other_sizes_are_told_in_words_where_the_quality_is_the_same() -> None:
    before = Noted(settings={"views": "256x448"})
    now = Noted(settings={"views": "256x448, 320x576 in turn"})
    assert before.differences(now) == [
        "the network sees frames of: 256x448 before, 256x448, 320x576 in turn now",
    ]


class Noted(Terms):
    """Terms that are settings alone."""

    settings: dict[str, Any]

    def in_words(self) -> dict[str, str]:
        return settings_in_words(self.settings)
