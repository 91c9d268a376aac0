/** The start page: drop a clip, take the example, go on with earlier work; and what is shown before there are frames. */

import { deleteJob, showStart } from "./actions.js";
import { frameAt } from "./api.js";
import { byId, bytes, clock, icon, make, sentence, setText } from "./dom.js";
import { pauseSending, sendFile, stopSending, takeExample } from "./sending.js";
import { phase, store } from "./state.js";
import { drop, unfinished } from "./upload.js";
import { deletion, leaving, partWords, workName } from "./words.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Job} Job */

const WORDS = { queued: "waiting", running: "running", done: "ready", failed: "failed", cancelled: "stopped" };

/** @param {Job} job */
function entry(job) {
  const picture = make("img", { alt: "", loading: "lazy", width: 96, height: 54 });
  if (job.info) picture.src = `api/${frameAt(job.id, job.info.frame_count >> 1, 160)}`; // clips often begin before their subject comes
  const about = [WORDS[job.state], partWords(job), job.info ? clock(job.info.duration).split(".")[0] : "", new Date(job.created).toLocaleString()];
  const link = make("a", { href: `#job=${job.id}` }, picture, make("span", {}, make("strong", {}, job.name), make("small", { className: "quiet" }, about.filter(Boolean).join(", "))));
  const words = `Delete ${workName(job)}`;
  const remove = make("button", { type: "button", className: "icon", "aria-label": words, title: words }, icon("close"));
  remove.addEventListener("click", () => {
    if (confirm(deletion(job))) void deleteJob(job.id);
  });
  return make("li", {}, link, remove);
}

/** An upload that was cut off; the browser cannot read the file again by itself. @param {import("./upload.js").Started} started */
function rest({ name, size, at }) {
  const words = make("span", {}, make("strong", {}, name), make("small", { className: "quiet" }, `${bytes(size)}, not all of it came. Choose it again, and it goes on where it was.`));
  const remove = make("button", { type: "button", className: "icon", "aria-label": `Forget ${name}`, title: `Forget ${name}` }, icon("close"));
  remove.addEventListener("click", () => void drop(at).then(listRests));
  return make("li", {}, words, remove);
}

function listRests() {
  const rests = unfinished();
  byId("rests").replaceChildren(...rests.map(rest));
  byId("rests-box").hidden = !rests.length;
}

/** @param {State} state */
function limitWords(state) {
  const most = state.server?.limits.upload;
  return most ? `Videos of any kind, up to ${bytes(most)}.` : "";
}

function dropping() {
  let depth = 0;
  const veil = byId("veil");
  const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const show = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => files(event) && show(1));
  addEventListener("dragleave", (event) => files(event) && show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    const file = event.dataTransfer?.files[0];
    if (file) begin(file);
  });
}

/** The work that was open when a file was given: if that is refused, a link leads back. @type {Job | null} */
let left = null;

/** @param {File} file */
function begin(file) {
  const { job, upload, expired } = store.state;
  if (upload) return;
  const open = expired ? null : job;
  if (open && !confirm(leaving(open, file.name))) return;
  left = open;
  if (location.hash) history.pushState(null, "", location.pathname); // the way back leads to the work
  void sendFile(file);
}

export function startStart() {
  dropping();
  const file = /** @type {HTMLInputElement} */ (byId("file"));
  file.addEventListener("change", () => {
    if (file.files?.[0]) begin(file.files[0]);
    file.value = "";
  });
  byId("example").addEventListener("click", () => {
    left = null;
    void takeExample();
  });
  byId("sending-stop").addEventListener("click", stopSending);
  byId("sending-pause").addEventListener("click", pauseSending);
  byId("broken-start").addEventListener("click", () => {
    history.replaceState(null, "", location.pathname);
    void showStart();
  });
  byId("home").addEventListener("click", (event) => {
    event.preventDefault();
    if (location.hash) location.hash = "";
    else void showStart();
  });
  store.watch((state, before) => {
    if (state.jobs !== before.jobs || state === before) {
      const list = byId("jobs");
      const had = list.contains(document.activeElement);
      list.replaceChildren(...state.jobs.map(entry));
      if (had) (list.querySelector("button") ?? byId("example")).focus();
      byId("earlier").hidden = !state.jobs.length;
    }
    if (!state.upload && (state === before || state.jobs !== before.jobs || before.upload)) listRests();
    setText(byId("limits"), limitWords(state));
    byId("example").hidden = state.server?.example === false;
    const refusal = byId("refusal");
    refusal.hidden = !state.refusal;
    if (state.refusal !== before.refusal) {
      const { what = "", why = "", fix = "" } = state.refusal ?? {};
      const back = left ? [make("p", {}, make("a", { href: `#job=${left.id}` }, `Back to ${left.name}`))] : [];
      refusal.replaceChildren(make("strong", {}, sentence(what)), ...[why, fix].filter(Boolean).map((each) => make("p", {}, sentence(each))), ...back);
    }
    sendingWords(state);
    brokenWords(state);
  });
}

/** @param {State} state */
function sendingWords(state) {
  const { upload } = state;
  if (!upload) return;
  setText(byId("sending-name"), upload.name);
  /** @type {HTMLProgressElement} */ (byId("sending-bar")).value = upload.total ? upload.sent / upload.total : 0;
  const left = upload.rate ? (upload.total - upload.sent) / upload.rate : 0;
  const all = upload.sent >= upload.total;
  const much = `${bytes(upload.sent)} of ${bytes(upload.total)}`;
  const goes = upload.paused ? ", paused" : upload.waiting ? ". The connection is lost; it goes on by itself" : left > 2 ? `, ${Math.ceil(left)} s to go` : "";
  setText(byId("sending-rate"), all ? (upload.waiting ? "All is sent; the server is busy, and takes it later." : "All is sent; the server looks at it.") : much + goes);
  setText(byId("sending-pause"), upload.paused ? "Go on" : "Pause");
  byId("sending-pause").hidden = all;
}

/** @param {State} state */
function brokenWords(state) {
  const now = phase(state);
  if (now === "expired") {
    setText(byId("broken-title"), "This work is no longer here");
    setText(byId("broken-why"), "It was deleted, or it was kept for its time and expired.");
    setText(byId("broken-fix"), "Give the video again to start anew.");
  } else if (now === "failed") {
    const { error } = state.job ?? {};
    setText(byId("broken-title"), sentence(error?.what ?? "This clip failed"));
    setText(byId("broken-why"), sentence(error?.why ?? ""));
    setText(byId("broken-fix"), sentence(error?.fix ?? ""));
  }
}
