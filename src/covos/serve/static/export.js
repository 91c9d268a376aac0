/** The export panel: formats with estimated sizes, progress, cancel, download. */

import { change, fail, stop } from "./actions.js";
import { ask } from "./api.js";
import { byId, bytes, icon, make, setText } from "./dom.js";
import { busy, lastFrame, making, marked, store } from "./state.js";

/** @typedef {import("./types.js").Format} Format */
/** @typedef {import("./types.js").State} State */

/** What people ask for, the most wanted first; what is not named here comes after it, under its own title. */
const GROUPS = {
  "Video with alpha": { webm: "WebM, for the web and OBS", prores: "ProRes 4444, for editing programs", qtrle: "QuickTime Animation, for older programs", ffv1: "FFV1, for keeping: nothing is lost" },
  "Video without alpha": { green: "Green screen", background: "White background", blur: "Background out of focus", "matte-video": "Matte, white on black", overlay: "Tinted overlay, for looking at", preview: "Small preview" },
  Pictures: { rgba: "PNG with alpha, one a frame", cutout: "PNG with alpha, cropped to the subject", matte: "Matte, one a frame", palette: "Masks as palette PNG (DAVIS)", binary: "Masks in black and white, one an object", sheet: "Contact sheet" },
  Annotations: { coco: "COCO", ytvis: "YouTube-VIS", yolo: "YOLO", cvat: "CVAT", labelstudio: "Label Studio", npz: "NumPy arrays" },
};

/** @type {Format[]} */
let formats = [];

export async function openExport() {
  const { id } = store.state;
  const dialog = /** @type {HTMLDialogElement} */ (byId("export"));
  if (!id || dialog.open) return;
  dialog.showModal();
  try {
    formats = (await /** @type {Promise<{formats: Format[]}>} */ (ask("GET", `jobs/${id}/formats`))).formats;
    list(store.state);
  } catch (error) {
    fail(error);
  }
}

/** The part that is wanted; null is the whole clip. @param {State} state */
function wanted(state) {
  return /** @type {HTMLInputElement} */ (byId("export-marked")).checked ? marked(state) : null;
}

/** What there is of a format, if it is of the part that is wanted. @param {string} name @param {State} state */
function resultOf(name, state) {
  const result = state.job?.results[name];
  const part = wanted(state);
  const same = result && result.range.start === (part?.start ?? null) && result.range.end === (part?.end ?? null);
  return same || result?.state === "making" ? result : undefined;
}

/** Say which frames are written. @param {State} state */
function partWords(state) {
  const { marks } = state;
  const [from, to] = [marks.in ?? 0, marks.out ?? lastFrame(state)];
  byId("export-part").hidden = !marked(state);
  setText(byId("export-marked-words"), `Only from mark to mark: frames ${from} to ${to}`);
  return wanted(state) ? (to - from + 1) / (lastFrame(state) + 1) : 1;
}

/** @param {string} name */
function address(name) {
  return `/api/jobs/${store.state.id}/results/${name}`;
}

/** @param {Format} format @param {State} state @param {number} share Of the clip that is written. */
function row(format, state, share) {
  const result = resultOf(format.name, state);
  const about = [format.container.replace(format.name, "").replace(/^\W+/, ""), format.alpha ? "with alpha" : "", result?.state === "ready" ? bytes(result.bytes) : format.bytes ? `about ${bytes(format.bytes * share)}` : ""];
  const title = make("span", { className: "title" }, format.title, make("small", { className: "quiet" }, about.filter(Boolean).join(", ")));
  return make("li", { "data-format": format.name }, title, action(format, state));
}

/** @param {Format} format @param {State} state */
function action(format, state) {
  const result = resultOf(format.name, state);
  const label = (/** @type {string} */ words) => `${words} ${format.title}`;
  if (result?.state === "ready") {
    return make("a", { className: "button main", href: address(format.name), download: "", "aria-label": label("Download") }, icon("download"), "Download");
  }
  if (result?.state === "making") {
    const bar = make("progress", { max: 1, "aria-label": label("Progress of") });
    progress(bar, state);
    const cancel = make("button", { type: "button", "aria-label": label("Cancel") }, "Cancel");
    cancel.addEventListener("click", () => {
      store.set({ exporting: null });
      stop();
    });
    return make("span", { className: "making" }, bar, cancel);
  }
  const button = make("button", { type: "button", "aria-label": label("Make") }, "Make");
  button.disabled = !state.job || busy(state) || making(state.job);
  button.addEventListener("click", () => {
    store.set({ exporting: format.name });
    const range = wanted(store.state);
    void change("POST", `results/${format.name}`, range ? { range } : undefined, `${format.title} is made`);
  });
  return button;
}

/** @param {HTMLProgressElement} bar @param {State} state */
function progress(bar, state) {
  const { progress } = state;
  if (progress?.stage === "exporting" && progress.total) bar.value = progress.done / progress.total;
}

/** @param {State} state */
function list(state) {
  const list = byId("formats");
  const at = document.activeElement?.closest("li")?.getAttribute("data-format");
  const share = partWords(state);
  const left = new Map(formats.map((each) => [each.name, each]));
  const parts = [...Object.entries(GROUPS), /** @type {[string, Record<string, string>]} */ (["Further", {}])].flatMap(([group, titles]) => {
    const known = Object.entries(titles).flatMap(([name, title]) => {
      const format = left.get(name);
      left.delete(name);
      return format ? [{ ...format, title }] : [];
    });
    const here = group === "Further" ? [...left.values()] : known;
    return here.length ? [make("li", { className: "group-title" }, make("h3", {}, group)), ...here.map((each) => row(each, state, share))] : [];
  });
  list.replaceChildren(...parts);
  if (at) /** @type {HTMLElement | null} */ (list.querySelector(`[data-format="${at}"] :is(a, button)`))?.focus();
}

export function startExport() {
  byId("open-export").addEventListener("click", openExport);
  byId("export-marked").addEventListener("change", () => list(store.state));
  store.watch((state, before) => {
    const { job, exporting } = state;
    if (exporting && job?.results[exporting]?.state === "failed") store.set({ exporting: null }); // the notes say why
    if (state.id !== before.id) formats = [];
    if (exporting && job?.results[exporting]?.state === "ready") {
      store.set({ exporting: null });
      make("a", { href: address(exporting), download: "" }).click();
    }
    const dialog = /** @type {HTMLDialogElement} */ (byId("export"));
    if (!dialog.open || !formats.length) return;
    if (job !== before.job) list(state);
    const bar = /** @type {HTMLProgressElement | null} */ (dialog.querySelector("progress"));
    if (bar && state.progress !== before.progress) progress(bar, state);
  });
}
