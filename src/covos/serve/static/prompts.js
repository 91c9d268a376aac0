/** The prompts of the chosen object on the frame that is shown: a list, from which each can be removed, and their markers. */

import { click, masks, prompt, takeBack, whenDone } from "./actions.js";
import { byId, icon, make, sentence, setText } from "./dom.js";
import { compress } from "./rle.js";
import { hasFrames, numberOf, store } from "./state.js";

/** @typedef {import("./types.js").Given} Given */
/** @typedef {import("./types.js").State} State */

const REACH = 9; // pixels of the window around a marker
const TWICE = 500; // milliseconds: the second press of a double click says nothing new

const NAMES = { point: "point", box: "box", mask: "painted mask", absent: "word that it is not in this frame" };

/** @param {number} frame @param {number | null} object @returns {Given[]} */
const on = (frame, object) => (store.state.job?.prompts ?? []).filter((each) => each.frame === frame && each.object === object);

/** @param {State} state @returns {Given[]} Those of the chosen object on the frame that is shown. */
const here = ({ frame, object }) => on(frame, object);

/** @param {Given} given @returns {string} */
function described({ kind, x, y, label, box }) {
  if (kind === "point") return `Point ${label ? "on it" : "beside it"} at ${Math.floor(x ?? 0)}, ${Math.floor(y ?? 0)}`;
  if (kind === "mask") return "Painted mask";
  const [left, top, right, bottom] = (box ?? []).map(Math.round);
  return `Box ${right - left} × ${bottom - top} at ${left}, ${top}`;
}

/**
 * Take one prompt back: the mask is made of the others. It is chosen when the edits before it are done: of two quick
 * presses, the second knows what the first has left.
 * @param {() => Given | undefined} choose
 */
function remove(choose) {
  void takeBack(() => {
    const given = choose();
    if (!given) return undefined;
    const { frame, object, kind, x, y } = given;
    const { job } = store.state;
    const name = job?.objects.find((each) => each.id === object)?.name ?? `object ${object}`;
    const others = on(frame, object).length > 1;
    const what = kind === "absent" ? `${name} may be in frame ${numberOf(store.state, frame)} again` : `the ${NAMES[kind]} is removed`;
    const rest = others ? `the mask of ${name} is made of what else you have shown` : `the mask of ${name} here is as it was before`;
    const place = kind === "point" ? `&x=${x}&y=${y}` : "";
    return { path: `prompts?frame=${frame}&object=${object}&kind=${kind}${place}`, words: `${sentence(what)} ${sentence(rest)}` };
  });
}

/** Remove a prompt that is shown, if it is still there when its turn comes. @param {Given} given */
function removeThis({ frame, object, kind, x, y }) {
  remove(() => on(frame, object).find((each) => each.kind === kind && each.x === x && each.y === y));
}

/** Take the prompt back that was given last on this frame. */
export function removeLast() {
  const { frame, object } = store.state;
  remove(() => on(frame, object).at(-1));
}

/** Say that the chosen object is not in this frame; take that back if it is said, also by a press that still waits. */
export function toggleAbsent() {
  const { id, job, frame, object } = store.state;
  if (!job?.info || object === null || /** @type {HTMLButtonElement} */ (byId("absent")).disabled) return;
  const key = `${id}/${frame}/${object}`;
  const said = saying.get(key)?.said ?? here(store.state).some((each) => each.kind === "absent");
  const mine = { said: !said };
  saying.set(key, mine);
  const { width, height } = job.info;
  if (said) remove(() => on(frame, object).find((each) => each.kind === "absent"));
  else prompt({ mask: { size: [height, width], counts: compress([width * height]) } });
  void whenDone(() => saying.get(key) === mine && saying.delete(key));
}

/** What the presses of the button that are not answered yet have said, by job, frame and object. @type {Map<string, {said: boolean}>} */
const saying = new Map();

/**
 * The point of the chosen object whose marker is at a place.
 * @param {number} x
 * @param {number} y
 * @param {number} scale Pixels of the window for one of the clip.
 */
export function markerAt(x, y, scale) {
  const far = (/** @type {Given} */ each) => Math.hypot((each.x ?? 0) + 0.5 - x, (each.y ?? 0) + 0.5 - y) * scale;
  return here(store.state).filter((each) => each.kind === "point" && far(each) < REACH).sort((a, b) => far(a) - far(b))[0];
}

let latest = { x: 0, y: 0, time: -TWICE, key: "" };

/**
 * A click: on a marker it takes that point back, elsewhere it gives one.
 * @param {number} x
 * @param {number} y
 * @param {0 | 1} label
 * @param {number} scale See `markerAt`.
 */
export function point(x, y, label, scale) {
  const { id, frame, object } = store.state;
  const time = performance.now(), key = `${id}/${frame}/${object}/${label}`;
  const twice = key === latest.key && time - latest.time < TWICE && Math.hypot(x - latest.x, y - latest.y) * scale < REACH;
  latest = { x, y, time, key };
  if (twice) return;
  const there = markerAt(x, y, scale);
  if (there?.label === label) removeThis(there);
  else click(Math.floor(x), Math.floor(y), label);
}

/** @param {Given} given */
function row(given) {
  const words = described(given);
  const button = make("button", { type: "button", className: "icon", "aria-label": `Remove: ${words}`, title: "Remove (Backspace: the last)" }, icon("close"));
  button.addEventListener("click", () => removeThis(given));
  return make("li", {}, make("span", {}, words), button);
}

export function startPrompts() {
  const list = byId("prompts");
  byId("absent").addEventListener("click", toggleAbsent);
  store.watch((state) => {
    const thing = state.job?.objects.find((each) => each.id === state.object);
    byId("prompts-box").hidden = !thing;
    setText(byId("prompts-title"), thing ? `On this frame: ${thing.name}` : "");
    const prompts = here(state);
    byId("absent").setAttribute("aria-pressed", String(prompts.some((each) => each.kind === "absent")));
    const listed = prompts.filter((each) => each.kind !== "absent"); // the button says that
    const shown = JSON.stringify(listed);
    if (shown === list.dataset.shown) return;
    list.dataset.shown = shown;
    const place = [...list.querySelectorAll("button")].indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    list.replaceChildren(...listed.map(row));
    const buttons = list.querySelectorAll("button");
    if (place >= 0) (buttons[Math.min(place, buttons.length - 1)] ?? byId("picture")).focus(); // the focus outlives its button
  });
}

/** Whether an object can be said to be absent goes by the masks, which come by themselves. @param {State} state */
export function absentControl(state) {
  const button = /** @type {HTMLButtonElement} */ (byId("absent"));
  const off = !hasFrames(state) || state.object === null || !masks.at(state.frame);
  if (button.disabled !== off) button.disabled = off;
}
