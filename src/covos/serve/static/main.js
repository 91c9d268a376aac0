/** The page: brings the parts together. */

import * as actions from "./actions.js";
import { Cutouts } from "./cutouts.js";
import { byId, calm, setIcon, setText } from "./dom.js";
import { startEdges } from "./edges.js";
import { startExport } from "./export.js";
import { Frames } from "./frames.js";
import { startGround, tellCut } from "./ground.js";
import { startHelp } from "./help.js";
import { goto, jump, mark, setView, speedUp, startKeys, step } from "./keys.js";
import { startObjects } from "./objects.js";
import { Player } from "./player.js";
import { absentControl, startPrompts } from "./prompts.js";
import { startRegions } from "./regions.js";
import { applyTheme, keep, remember, settings } from "./settings.js";
import { startStart } from "./start.js";
import { busy, hasFrames, lastFrame, making, marked, phase, store } from "./state.js";
import { startStatus } from "./status.js";
import { Timeline, countDoubtful, doubtful } from "./timeline.js";
import { Tools, choose } from "./tools.js";
import { Viewer } from "./viewer.js";
import { spoken } from "./words.js";

applyTheme();

const { masks } = actions;
const frames = new Frames((frame) => frame === store.state.frame && viewer.draw());
const cutouts = new Cutouts(() => fetch());
const player = new Player((frame) => store.dispatch({ type: "goto", frame }));
/** @type {{bitmap: ImageBitmap, frame: number} | null} Last exact frame on the screen: shown until the next is decoded. */
let held = null;

/** The picture for the viewer and the frame that it really is: masks go with what is seen. */
function shown() {
  const { frame, playing } = store.state;
  const bitmap = playing ? undefined : frames.at(frame);
  // Paused, the proxy's picture stays until the exact one is decoded.
  if (!bitmap && player.seen && player.presented !== null && (playing || player.presented === frame)) {
    return { picture: player.video, frame: player.presented, masks: masks.at(player.presented), size: masks.size, cutout: null };
  }
  if (bitmap) held = { bitmap, frame };
  const old = held && held.bitmap.width > 0 ? held : null; // a closed bitmap has no width
  const at = old?.frame ?? frame;
  const cutout = at === frame && !playing ? cutouts.at(store.state, frames.width) : null;
  return { picture: old?.bitmap ?? null, frame: at, masks: masks.at(at), size: masks.size, cutout };
}

const viewer = new Viewer(() => ({ state: store.state, shown: shown() }), tellSeen);
const timeline = new Timeline(goto, () => frames.idle);
new Tools(viewer, player);

/** Say of the cut-out what is true of the picture on the canvas, which may still be that of another frame. */
function tellSeen() {
  const { state } = store;
  const { frame, view, cutout } = viewer.seen;
  const told = cutouts.tell(state, frames.width);
  const there = cutout && frame === state.frame && view === state.view;
  tellCut(state, told.cut === "true" && !there ? { cut: "coming", why: "" } : told);
}

/** Fetch what the playhead needs. */
function fetch() {
  const state = store.state;
  if (!hasFrames(state) || !state.job?.info) return;
  const way = state.speed < 0 && state.playing ? -1 : 1;
  frames.fit(viewer.wide, state.job.info);
  const running = busy(state);
  // While masks are made, the machine has other work than frames that nobody looks at.
  if (!(state.playing && player.presented !== null)) frames.want(state.frame, lastFrame(state), { way, neighbours: !running });
  void masks.want(state.frame, lastFrame(state), way);
  cutouts.want(state, frames.width, !!masks.at(state.frame)?.objects.length && !masks.misses(state.frame));
  tellSeen();
  viewer.draw();
}

actions.onMasks(() => {
  controls(store.state); // a frame can be confirmed once its mask is there
  fetch();
});
startStart();
startStatus();
startObjects();
startPrompts();
startRegions();
startEdges();
startGround(fetch);
startExport();
startKeys({ player, viewer });
startHelp(() => {
  viewer.draw();
  timeline.draw();
});

/** @param {string} id @param {() => void} does */
const on = (id, does) => byId(id).addEventListener("click", does);
on("undo", actions.undo);
on("told-undo", actions.undo);
on("redo", actions.redo);
on("play", () => player.toggle());
on("to-start", () => goto(0));
on("to-end", () => goto(lastFrame(store.state)));
on("step-back", () => step(-1));
on("step-on", () => step(1));
on("speed", speedUp);
on("sound", () => player.setSound(!store.state.sound));
on("mark-in", () => mark("in", store.state.frame));
on("mark-out", () => mark("out", store.state.frame));
on("part", () => {
  const range = marked(store.state);
  if (range) void actions.takePart({ ...range, every: store.state.job?.info?.every ?? 1 });
});
on("marks-clear", () => store.set({ marks: { in: null, out: null } }));
on("track", () => actions.track("both"));
on("track-back", () => actions.track("backward"));
on("track-on", () => actions.track("forward"));
on("track-mark", actions.trackToMark);
on("stop", actions.stop);
on("search-on", actions.searchOn);
on("broken-retry", actions.searchOn);
byId("confirm").addEventListener("click", (event) => actions.confirmFrame(event.detail > 1));
on("doubtful-on", () => jump(doubtful(store.state), 1));
on("doubtful-back", () => jump(doubtful(store.state), -1));
on("zoom-in", () => viewer.zoomBy(1.4));
on("zoom-out", () => viewer.zoomBy(1 / 1.4));
on("zoom-fit", () => viewer.fit());
for (const input of document.querySelectorAll("input[name=view]")) {
  input.addEventListener("change", () => setView(/** @type {import("./types.js").View} */ (/** @type {HTMLInputElement} */ (input).value)));
}

/** @param {string} id @param {boolean} off */
function disable(id, off) {
  const button = /** @type {HTMLButtonElement} */ (byId(id));
  if (button.disabled !== off) button.disabled = off;
}

/** @param {import("./types.js").State} state */
function controls(state) {
  const now = phase(state);
  const working = busy(state);
  const main = byId("main");
  main.dataset.state = now;
  main.dataset.frame = String(state.frame);
  main.dataset.revision = String(state.job?.revision ?? "");
  main.toggleAttribute("data-exporting", !!state.job && making(state.job));
  document.body.classList.toggle("at-work", hasFrames(state) && now !== "failed" && now !== "uploading");
  byId("start").hidden = !["empty", "refused"].includes(now);
  byId("sending").hidden = now !== "uploading";
  byId("broken").hidden = now !== "failed" && now !== "expired";
  byId("work").hidden = !["opening", "queued", "probing", "finding", "ready", "clicking", "tracking"].includes(now);
  byId("clip").hidden = !state.job;
  for (const each of document.querySelectorAll(".job-only")) /** @type {HTMLElement} */ (each).hidden = !state.job || now === "expired";
  const waiting = byId("waiting");
  waiting.hidden = hasFrames(state);
  setText(waiting, now === "queued" ? "Waiting for its turn" : now === "opening" ? openingWords(state) : "Reading the clip");
  disable("undo", working || !state.job?.undo);
  disable("redo", working || !state.job?.redo);
  byId("undo").title = state.job?.undo ? `Undo ${spoken(state.job.undo)} (Ctrl+Z)` : "Nothing to undo";
  byId("redo").title = state.job?.redo ? `Do ${spoken(state.job.redo)} again (Ctrl+Shift+Z)` : "Nothing to do again";
  disable("open-export", working || !state.job?.objects.length);
  const said = state.job?.prompts.some((each) => each.frame === state.frame && each.kind === "absent");
  disable("confirm", !(masks.at(state.frame)?.objects.length || (said && masks.at(state.frame))));
  absentControl(state);
  const right = !!state.timeline?.confirmed.includes(state.frame);
  setText(byId("confirm-words"), right ? "Confirmed" : "Confirm");
  byId("confirm").setAttribute("aria-pressed", String(right));
  byId("confirm").title = right ? "Take the confirmation back (C)" : "Confirm (C)";
  const count = state.timeline?.confirmed.length ?? 0;
  setText(byId("confirmed"), count ? `${count} of ${lastFrame(state) + 1} confirmed` : "");
  const followed = !!state.job?.prompts.some((each) => each.kind !== "absent") || !!state.timeline?.confirmed.length;
  const idle = !working && !(state.job && making(state.job)) && hasFrames(state);
  for (const id of ["track", "track-back", "track-on"]) disable(id, !idle || !followed);
  byId("track").title = followed ? "Track both ways (T)" : "Correct or confirm a frame first, then track";
  disable("track-mark", !idle || !followed || (state.marks.in === null && state.marks.out === null));
  disable("new-object", !hasFrames(state));
  byId("search-on").hidden = state.job?.state !== "cancelled" || working;
  byId("broken-retry").hidden = now !== "failed";
  byId("stop").hidden = (!working || now === "probing") && !state.late;
  byId("track").hidden = !byId("stop").hidden;
  for (const id of ["marks-clear", "part"]) disable(id, !marked(state));
  setIcon(byId("play"), state.playing ? "pause" : "play");
  byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  setText(byId("speed"), `${state.speed}x`);
  byId("speed").setAttribute("aria-label", `Speed ${state.speed}x`);
  setIcon(byId("sound"), state.sound ? "sound" : "mute");
  byId("sound").setAttribute("aria-pressed", String(state.sound));
  byId("sound").hidden = state.job?.info?.sound === false;
  choose("view", state.view);
  countDoubtful(state);
}

/** @param {import("./types.js").State} state */
function openingWords({ opening, offline }) {
  if (!opening) return "Opening";
  return offline ? `${opening} could not be opened. The terminal says why.` : `Opening ${opening}. This takes some seconds.`;
}

let saving = 0;

store.watch((state, before) => {
  controls(state);
  if (state.id !== before.id) {
    held = null;
    for (const dialog of document.querySelectorAll("dialog")) dialog.close(); // what it shows is of the job before
    frames.open(state.id ?? "");
    viewer.fit();
  }
  if (state.job && state.id) player.open(state.id, state.job.proxy);
  if (state.sound !== before.sound) keep({ sound: state.sound });
  if (state.live && (calm.matches || !settings.watch) && busy(state)) store.set({ live: false });
  if (state.live && busy(before) && phase(state) === "ready") store.dispatch({ type: "goto", frame: actions.origin() });
  fetch();
  if (state.frame !== before.frame || state.marks !== before.marks || state.object !== before.object) {
    clearTimeout(saving);
    saving = setTimeout(() => remember(store.state), 300);
  }
});
addEventListener("pagehide", () => remember(store.state));

/** The address says which job is open: a reload, a bookmark and the back button work. */
async function route() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = hash.get("token");
  if (token) {
    hash.delete("token"); // it is not to stay in the history
    history.replaceState(null, "", `#${hash}`);
    await actions.logIn(token);
  }
  const id = hash.get("job");
  if (id) actions.openJob(id);
  else if (hash.has("opening")) void actions.awaitOpening();
  else void actions.showStart();
}
addEventListener("hashchange", route);
void route();
