/** Help: the keys, the settings, and hints on the first visit. */

import { deleteJob } from "./actions.js";
import { byId, make, setText } from "./dom.js";
import { KEYS } from "./keys.js";
import { applyTheme, keep, settings } from "./settings.js";
import { phase, store } from "./state.js";
import { deletion } from "./words.js";

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (byId(id));
/** @param {string} id */
const dialog = (id) => /** @type {HTMLDialogElement} */ (byId(id));

function fillKeys() {
  const blocks = Object.entries(KEYS).map(([title, keys]) => {
    const rows = keys.map(({ shows, words }) => make("div", {}, make("dt", {}, make("kbd", {}, shows)), make("dd", {}, words)));
    return make("section", {}, make("h3", {}, title), make("dl", {}, ...rows));
  });
  const mouse = ["Left click adds, right or Alt click removes", "A click on a point, with its own sign, takes it back", "Wheel zooms, middle drag moves the picture", "Two fingers zoom and move"];
  blocks.push(make("section", {}, make("h3", {}, "Mouse and touch"), make("ul", {}, ...mouse.map((each) => make("li", {}, each)))));
  byId("help-keys").replaceChildren(...blocks);
}

/** @param {() => void} redraw */
export function startHelp(redraw) {
  fillKeys();
  byId("open-help").addEventListener("click", () => dialog("help").showModal());
  byId("open-settings").addEventListener("click", () => {
    const { server } = store.state;
    setText(byId("about"), server ? `covos ${server.version}` : "");
    dialog("settings").showModal();
  });
  for (const each of document.querySelectorAll("dialog")) {
    // A click beside the dialog closes it.
    each.addEventListener("click", (event) => event.target === each && each.close());
  }
  input("theme").value = settings.theme;
  input("tint").value = String(settings.tint);
  input("letters").checked = settings.letters;
  input("watch").checked = settings.watch;
  input("theme").addEventListener("change", () => {
    keep({ theme: input("theme").value });
    applyTheme();
    redraw();
  });
  input("tint").addEventListener("input", () => {
    keep({ tint: Number(input("tint").value) });
    redraw();
  });
  input("letters").addEventListener("change", () => keep({ letters: input("letters").checked }));
  input("watch").addEventListener("change", () => keep({ watch: input("watch").checked }));
  byId("hints-again").addEventListener("click", () => {
    keep({ hints: [] });
    dialog("settings").close();
    hints();
  });
  byId("delete-job").addEventListener("click", async () => {
    const { id, job } = store.state;
    if (!id || !job || !confirm(deletion(job))) return;
    dialog("settings").close();
    await deleteJob(id);
  });
  for (const name of ["hint-click", "hint-track"]) {
    byId(name).querySelector("button")?.addEventListener("click", () => seen(name));
  }
  store.watch((state, before) => {
    if (before.clicks.length < state.clicks.length) seen("hint-click");
    if (phase(state) === "tracking" && phase(before) === "ready") seen("hint-track");
    hints();
  });
}

/** @param {string} name */
function seen(name) {
  if (!settings.hints.includes(name)) keep({ hints: [...settings.hints, name] });
  hints();
}

/** One hint at a time, each at its place: click, then track. The start page is the first hint itself. */
function hints() {
  const state = store.state;
  const ready = phase(state) === "ready";
  const clicked = settings.hints.includes("hint-click");
  byId("hint-click").hidden = !ready || clicked || state.tool !== "point";
  byId("hint-track").hidden = !ready || !clicked || settings.hints.includes("hint-track") || !state.job?.undo;
}
