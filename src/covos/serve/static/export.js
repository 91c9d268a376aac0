/** The export panel: formats with estimated sizes, progress, cancel, download. */

import { change, fail, stop } from "./actions.js";
import { ask } from "./api.js";
import { byId, bytes, icon, make } from "./dom.js";
import { busy, making, store } from "./state.js";

/** @typedef {import("./types.js").Format} Format */
/** @typedef {import("./types.js").State} State */

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

/** @param {string} name */
function address(name) {
  return `/api/jobs/${store.state.id}/results/${name}`;
}

/** @param {Format} format @param {State} state */
function row(format, state) {
  const result = state.job?.results[format.name];
  const about = [format.container, format.alpha ? "with alpha" : "", result?.state === "ready" ? bytes(result.bytes) : format.bytes ? `about ${bytes(format.bytes)}` : ""];
  const title = make("span", { className: "title", id: `format-${format.name}` }, format.title, make("small", { className: "quiet" }, about.filter(Boolean).join(", ")));
  return make("li", { "data-format": format.name }, title, action(format, state));
}

/** @param {Format} format @param {State} state */
function action(format, state) {
  const result = state.job?.results[format.name];
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
    void change("POST", `results/${format.name}`, undefined, `${format.title} is made`);
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
  list.replaceChildren(...formats.map((each) => row(each, state)));
  if (at) /** @type {HTMLElement | null} */ (list.querySelector(`[data-format="${at}"] :is(a, button)`))?.focus();
}

export function startExport() {
  byId("open-export").addEventListener("click", openExport);
  store.watch((state, before) => {
    const { job, exporting } = state;
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
