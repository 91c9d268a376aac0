/** What goes on, in words: the status line, the banner, and what a screen reader says. */

import { byId, clock, counted, sentence, setText } from "./dom.js";
import { lastFrame, numberOf, phase, store, timeOf } from "./state.js";
import { doubtful, words } from "./timeline.js";

/** @typedef {import("./types.js").State} State */

const PAUSE = 2000;
const touched = matchMedia("(pointer: coarse)"); // there are no keys
let spoken = 0;
let later = 0;

/** @param {string} text Said by a screen reader, at most every two seconds. */
export function say(text) {
  clearTimeout(later);
  later = setTimeout(() => {
    spoken = Date.now();
    setText(byId("live"), text);
  }, Math.max(0, spoken + PAUSE - Date.now()));
}

const SHOWN = 10000;
let fading = 0;

/**
 * Say what was done, and show it below the picture for a while.
 * @param {string} text
 * @param {boolean} [undoes] It was an edit: Undo, beside it, takes it back.
 */
export function tell(text, undoes = false) {
  clearTimeout(fading);
  store.set({ told: { text, undoes, revision: store.state.job?.revision ?? 0 } });
  fading = setTimeout(() => store.set({ told: null }), SHOWN);
}

/** What was done last, if nothing has happened since. @param {State} state */
export function toldNow({ told, job }) {
  return told && job && told.revision === job.revision && (!job.stage || job.stage === "exporting") ? told : null;
}

let hiding = 0;

/** @param {string} text An error: shown and said at once, before a dialog that is open, not behind it. */
export function warn(text) {
  const box = byId("alert");
  const place = document.querySelector("dialog[open]") ?? document.body;
  if (box.parentElement !== place) place.append(box);
  setText(box, text);
  clearTimeout(hiding);
  hiding = setTimeout(() => setText(byId("alert"), ""), 9000);
}

/** Take an error away: what was done since went well. */
export function hush() {
  setText(byId("alert"), "");
}

const DOING = { uploading: "Uploading", probing: "Reading the clip", finding: "Finding what moves", tracking: "Tracking", exporting: "Exporting" };

/** What comes before the masks, or before the file. @type {Record<string, string>} */
const STEPS = { loading: "Loading the networks", "looking for cuts": "First a look for cuts", discovering: "First a look for what moves", finding: "First a look for the surest frames", "following backward": "Following backwards", "looking at edges": "Looking at hair and fur" };

/** @param {State} state @returns {string} */
function line(state) {
  const now = phase(state);
  const { job, progress } = state;
  if (!job) return now === "opening" ? "Opening" : "";
  if (now === "queued") return job.place ? `Waiting: number ${job.place} in line` : "Waiting";
  if (now === "clicking") return "Making the mask";
  const told = toldNow(state);
  if (told) return told.text;
  if (job.stage) {
    const done = progress?.done ?? job.done;
    const total = progress?.total ?? job.total;
    const step = progress?.step ?? job.step;
    const parts = [STEPS[step] ?? DOING[job.stage]];
    if (!done && (step === "loading" || job.stage !== "exporting")) return step ? parts[0] : `${parts[0]}: computing the first frames`;
    if (total) parts.push(`frame ${done} of ${total}`);
    if (progress?.rate) parts.push(`${progress.rate < 10 ? progress.rate.toFixed(1) : Math.round(progress.rate)} a second`);
    if (progress?.rate && total - done > progress.rate * 5) parts.push(`${clock((total - done) / progress.rate).split(".")[0]} to go`);
    return parts.join(", ");
  }
  const flags = doubtful(state).length;
  const begin = job.state === "cancelled" ? "The search was stopped; what is done is kept. " : "";
  if (!job.objects.length) return `${begin}${job.revision ? "No object is left. Click on what you want, or undo." : "Click on what you want."}`;
  if (!job.revision && isNowhere(state)) return `${begin}Nothing was found that moves apart from the camera. Click on what you want.`;
  return begin + (flags ? `${counted(flags, "frame is", "frames are")} doubtful. ${flags === 1 ? "Go to it" : "Step through them"} below${touched.matches ? "" : ", or with N"}.` : "Ready. Click on what is wrong.");
}

/** No frame has an object, as far as is known. @param {State} state */
function isNowhere({ timeline }) {
  return !!timeline && !Object.values(timeline.objects).flat().some(([, , what]) => what === "present");
}

/** Why a frame is doubtful, with objects by their names; its confidence is said already. @param {State} state */
function reasons({ timeline, frame, job }) {
  const name = (/** @type {string} */ id) => job?.objects.find((each) => String(each.id) === id)?.name ?? `object ${id}`;
  const found = (timeline?.reasons[frame] ?? []).filter((each) => !each.startsWith("confidence"));
  return found.map((each) => each.replace(/^object (\d+)/, (_, id) => name(id)));
}

/** @param {State} state */
function frameWords(state) {
  const { timeline, frame } = state;
  const sure = timeline?.confidence[frame];
  const parts = [];
  if (sure !== null && sure !== undefined) parts.push(`Confidence ${sure.toFixed(2)}`);
  if (timeline?.confirmed.includes(frame)) parts.push("confirmed");
  else if (timeline?.corrected.includes(frame)) parts.push("corrected, not tracked yet");
  if (timeline?.flags.includes(frame)) parts.push(["doubtful", reasons(state).join("; ")].filter(Boolean).join(": "));
  const damage = timeline?.status[frame];
  if (damage && damage !== "ok" && damage !== "unknown") parts.push(damage);
  if (timeline?.cuts.includes(frame) && parts.length) parts.push("a shot begins here");
  const text = parts.join(", ");
  return text ? text[0].toUpperCase() + text.slice(1) : timeline?.status[frame] === "ok" ? "No confidence is known" : "No mask yet";
}

/** Keep the words of the page in step with the state. */
export function startStatus() {
  let before = "";
  store.watch((state) => {
    const now = phase(state);
    const text = line(state);
    setText(byId("status"), text);
    byId("status").title = text; // a long one is cut off
    byId("told-undo").hidden = !toldNow(state)?.undoes || !state.job?.undo;
    if (text !== before && state.job) say(text);
    before = text;
    const bar = /** @type {HTMLProgressElement} */ (byId("bar"));
    const running = state.job?.state === "running" || !!state.job?.stage;
    bar.hidden = !running && now !== "clicking";
    const total = state.progress?.total ?? state.job?.total ?? 0;
    const done = state.progress?.done ?? state.job?.done ?? 0;
    if (running && total && done) bar.value = Math.min(1, done / total); // before the first frame it moves by itself
    else bar.removeAttribute("value");
    setText(byId("frame-title"), `Frame ${numberOf(state, state.frame)}`);
    setText(byId("frame-words"), frameWords(state));
    setText(byId("clip-name"), state.job?.name ?? "");
    byId("clip-name").title = state.job?.name ?? ""; // a long one is cut off
    const place = `${numberOf(state, state.frame)}/${numberOf(state, lastFrame(state))}`;
    setText(byId("clip-where"), state.job?.info ? `${place}  ${clock(timeOf(state, state.frame))}` : "");
    setText(byId("place"), state.job?.name ?? "Start");
    document.title = state.job ? `${state.job.name} · covos` : "covos";
    byId("picture").setAttribute("aria-label", pictureWords(state));
    const all = (state.job?.notes ?? []).map(sentence).join(" ");
    byId("notes-box").hidden = !all;
    setText(byId("notes"), all);
    const banner = byId("offline");
    banner.hidden = !state.offline;
    setText(banner, state.offline ? "The server does not answer; this page tries again. Your work is kept, new edits are not taken." : "");
  });
}

/** @param {State} state */
function pictureWords(state) {
  if (!state.job?.info) return "No frame yet";
  const names = state.job.objects.filter((each) => !each.hidden).map((each) => each.name);
  const cross = state.cross ? `. Crosshair at ${state.cross.map(Math.round).join(", ")}` : "";
  return [words(state), ...names].join(", ") + cross;
}
