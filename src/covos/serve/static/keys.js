/** Keys: one table, which the help shows too. */

import * as actions from "./actions.js";
import { byId } from "./dom.js";
import { openExport } from "./export.js";
import { removeObject } from "./objects.js";
import { removeLast, toggleAbsent } from "./prompts.js";
import { keep, settings } from "./settings.js";
import { busy, hasFrames, lastFrame, store } from "./state.js";
import { doubtful } from "./timeline.js";
import { cancelStroke, clickCross, moveCross, setBrush, toggleCross } from "./tools.js";

/** @typedef {import("./types.js").View} View */
/** @typedef {{keys: string[], shows: string, words: string, does: (key: string) => void, start?: boolean}} Key
 *   `keys` as `pressed` writes them; `start`: works on the start page, too. */

const VIEWS = /** @type {View[]} */ (["overlay", "matte", "checker", "ground", "side"]);
const SPEEDS = [1, 2, 4];

/** @param {number} frame */
export function goto(frame) {
  page.player.pause();
  store.dispatch({ type: "goto", frame });
}

/** @param {number} by */
export function step(by) {
  goto(store.state.frame + by);
}

/**
 * Go to the next of some frames, around the end if need be.
 * @param {number[]} frames
 * @param {1 | -1} way
 */
export function jump(frames, way) {
  const { frame } = store.state;
  const sorted = [...frames].sort((a, b) => (a - b) * way);
  const next = sorted.find((each) => (each - frame) * way > 0) ?? sorted[0];
  if (next !== undefined) goto(next);
}

/** @param {"in" | "out"} which @param {number | null} frame */
export function mark(which, frame) {
  const marks = { ...store.state.marks, [which]: frame };
  if (marks.in !== null && marks.out !== null && marks.in > marks.out) marks[which === "in" ? "out" : "in"] = null;
  store.set({ marks });
}

/** @param {View} view */
export function setView(view) {
  store.set({ view });
  keep({ view });
}

export function speedUp() {
  const { speed } = store.state;
  page.player.setSpeed(SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length] ?? 1);
}

function forwards() {
  const { playing, speed } = store.state;
  page.player.setSpeed(!playing || speed < 0 ? 1 : Math.min(4, speed * 2));
  if (!store.state.playing) page.player.play();
}

function backwards() {
  page.player.setSpeed(-1);
  if (!store.state.playing) page.player.play();
}

function prompted() {
  return Object.values(store.state.timeline?.prompted ?? {}).flat();
}

function cycleView() {
  setView(VIEWS[(VIEWS.indexOf(store.state.view) + 1) % VIEWS.length]);
}

function escape() {
  if (cancelStroke()) return;
  if (busy(store.state) || store.state.late) actions.stop();
  else if (store.state.cross) store.set({ cross: null });
  else if (store.state.playing) page.player.pause();
}

/** @param {number} x @param {number} y @param {number} by */
function arrow(x, y, by) {
  if (store.state.cross) moveCross(x * (by > 1 ? 1 : 10), y * (by > 1 ? 1 : 10));
  else step((x || -y) * by);
}

/** What the keys work on; main.js fills it in. */
const page = {
  player: /** @type {import("./player.js").Player} */ (/** @type {unknown} */ (null)),
  viewer: /** @type {import("./viewer.js").Viewer} */ (/** @type {unknown} */ (null)),
};

/** @type {Record<string, Key[]>} */
export const KEYS = {
  Time: [
    { keys: ["space", "k"], shows: "Space K", words: "Play, pause", does: () => page.player.toggle() },
    { keys: ["l"], shows: "L", words: "Play forwards; again: faster", does: forwards },
    { keys: ["j"], shows: "J", words: "Play backwards", does: backwards },
    { keys: ["arrowleft", ","], shows: "← ,", words: "One frame back", does: (key) => (key === "," ? step(-1) : arrow(-1, 0, 1)) },
    { keys: ["arrowright", "."], shows: "→ .", words: "One frame on", does: (key) => (key === "." ? step(1) : arrow(1, 0, 1)) },
    { keys: ["shift+arrowleft"], shows: "Shift ←", words: "Ten frames back", does: () => arrow(-1, 0, 10) },
    { keys: ["shift+arrowright"], shows: "Shift →", words: "Ten frames on", does: () => arrow(1, 0, 10) },
    { keys: ["home"], shows: "Home", words: "First frame", does: () => goto(0) },
    { keys: ["end"], shows: "End", words: "Last frame", does: () => goto(lastFrame(store.state)) },
    { keys: ["n"], shows: "N", words: "Next doubtful frame", does: () => jump(doubtful(store.state), 1) },
    { keys: ["shift+n"], shows: "Shift N", words: "Doubtful frame before", does: () => jump(doubtful(store.state), -1) },
    { keys: ["pagedown"], shows: "PgDn", words: "Next frame with a prompt", does: () => jump(prompted(), 1) },
    { keys: ["pageup"], shows: "PgUp", words: "Frame with a prompt before", does: () => jump(prompted(), -1) },
    { keys: ["i"], shows: "I", words: "Mark in", does: () => mark("in", store.state.frame) },
    { keys: ["o"], shows: "O", words: "Mark out", does: () => mark("out", store.state.frame) },
    { keys: ["alt+i"], shows: "Alt I", words: "Clear mark in", does: () => mark("in", null) },
    { keys: ["alt+o"], shows: "Alt O", words: "Clear mark out", does: () => mark("out", null) },
    { keys: ["m"], shows: "M", words: "Sound on, off", does: () => page.player.setSound(!store.state.sound) },
  ],
  Masks: [
    { keys: ["t"], shows: "T", words: "Track both ways", does: () => actions.track("both") },
    { keys: ["f"], shows: "F", words: "Track on", does: () => actions.track("forward") },
    { keys: ["b"], shows: "B", words: "Track back", does: () => actions.track("backward") },
    { keys: ["shift+t"], shows: "Shift T", words: "Track to the mark", does: actions.trackToMark },
    { keys: ["escape"], shows: "Esc", words: "Stop; drop a box or a stroke that is begun", does: escape },
    { keys: ["c"], shows: "C", words: "Confirm this frame, or take that back", does: () => actions.confirmFrame() },
    { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shows: "1 to 9", words: "Choose an object", does: (key) => chooseObject(Number(key)) },
    { keys: ["delete"], shows: "Delete", words: "Delete the chosen object", does: () => removeObject(store.state.object) },
    { keys: ["backspace"], shows: "Backspace", words: "Remove the last prompt of the object on this frame", does: removeLast },
    { keys: ["a"], shows: "A", words: "The object is not in this frame, or take that back", does: toggleAbsent },
    { keys: ["x"], shows: "X", words: "A click adds, removes", does: () => store.set({ sign: store.state.sign ? 0 : 1 }) },
    { keys: ["["], shows: "[", words: "Smaller brush", does: () => setBrush(store.state.brush / 1.25) },
    { keys: ["]"], shows: "]", words: "Larger brush", does: () => setBrush(store.state.brush * 1.25 + 0.5) },
    { keys: ["ctrl+z"], shows: "Ctrl Z", words: "Undo", does: () => void actions.undo() },
    { keys: ["ctrl+shift+z", "ctrl+y"], shows: "Ctrl Shift Z", words: "Redo", does: () => void actions.redo() },
  ],
  "Pointing by keys": [
    { keys: ["p"], shows: "P", words: "Crosshair on, off; the arrows then move it by 10, with Shift by 1", does: toggleCross },
    { keys: ["arrowup"], shows: "↑", words: "Crosshair up", does: () => arrow(0, -1, 1) },
    { keys: ["arrowdown"], shows: "↓", words: "Crosshair down", does: () => arrow(0, 1, 1) },
    { keys: ["shift+arrowup"], shows: "Shift ↑", words: "A little up", does: () => arrow(0, -1, 10) },
    { keys: ["shift+arrowdown"], shows: "Shift ↓", words: "A little down", does: () => arrow(0, 1, 10) },
    { keys: ["enter"], shows: "Enter", words: "Click at the crosshair; dab there with Brush and Eraser", does: () => clickCross(false) },
    { keys: ["alt+enter"], shows: "Alt Enter", words: "Click there with the other sign; Brush and Eraser change places", does: () => clickCross(true) },
  ],
  View: [
    { keys: ["v"], shows: "V", words: "Next view", does: cycleView },
    { keys: ["h"], shows: "H held", words: "Hide the mask", does: () => store.set({ bare: true }) },
    { keys: ["+", "="], shows: "+", words: "Zoom in", does: () => page.viewer.zoomBy(1.4) },
    { keys: ["-"], shows: "−", words: "Zoom out", does: () => page.viewer.zoomBy(1 / 1.4) },
    { keys: ["0"], shows: "0", words: "Fit", does: () => page.viewer.fit() },
    { keys: ["ctrl+e"], shows: "Ctrl E", words: "Export", does: () => void openExport() },
    { keys: ["?"], shows: "?", words: "These keys", start: true, does: () => /** @type {HTMLDialogElement} */ (byId("help")).showModal() },
  ],
};

/** @param {number} place */
function chooseObject(place) {
  const thing = store.state.job?.objects[place - 1];
  if (thing) store.set({ object: thing.id });
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const letter = event.altKey && /^Key[A-Z]$/.test(event.code) ? event.code.slice(3) : event.key; // Alt makes ˆ of I on a Mac
  const key = letter === " " ? "space" : letter.toLowerCase();
  const sign = key.length === 1 && key.toUpperCase() === key.toLowerCase(); // Shift makes ? + and the like
  if (event.getModifierState("AltGraph")) return key; // it makes [ and ] on many keyboards; Windows tells it as Ctrl and Alt
  return [event.ctrlKey || event.metaKey ? "ctrl+" : "", event.altKey ? "alt+" : "", event.shiftKey && !sign ? "shift+" : "", key].join("");
}

/** The key belongs to what has the focus. @param {EventTarget | null} target @param {string} key */
function taken(target, key) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("dialog[open]")) return true; // in one that has closed, the focus stays until the next frame
  if (target.matches("input[type=text], select, textarea")) return true;
  if (target.matches("input") && /arrow|home|end|page|space/.test(key)) return true;
  return target.matches("button, a, summary, label") && /^(space|enter)$/.test(key);
}

/** @param {typeof page} given */
export function startKeys(given) {
  Object.assign(page, given);
  const table = new Map(Object.values(KEYS).flat().flatMap((each) => each.keys.map((key) => [key, each])));
  addEventListener("keydown", (event) => {
    const key = pressed(event);
    const entry = table.get(key);
    if (!entry || taken(event.target, key)) return;
    if (key.length === 1 && !settings.letters) return;
    if (!entry.start && !hasFrames(store.state)) return;
    if (/^(enter|alt\+enter|arrowup|arrowdown)$/.test(key) && !store.state.cross && event.target !== byId("timeline")) return;
    if ((key === "[" || key === "]") && !["brush", "eraser"].includes(store.state.tool)) return;
    event.preventDefault();
    if (event.repeat && !/arrow|[,.[\]+-]/.test(key)) return;
    entry.does(key);
  });
  // Who has clicked goes on with the keys of the clip: Space plays, and the arrows step, instead of choosing another tool.
  for (const each of document.querySelectorAll(".tools, .under, .transport")) {
    each.addEventListener("click", (event) => {
      const chosen = /** @type {MouseEvent} */ (event).detail > 0 && event.target instanceof Element && event.target.closest("button, label, input[type=radio]");
      if (chosen && !chosen.matches("label:has([type=range])")) setTimeout(() => byId("picture").focus({ preventScroll: true }));
    });
  }
  addEventListener("keyup", (event) => event.key.toLowerCase() === "h" && store.set({ bare: false }));
  addEventListener("blur", () => store.state.bare && store.set({ bare: false }));
}
