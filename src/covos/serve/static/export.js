/** The export panel: formats with estimated sizes, the options of the chosen one, progress, cancel, download. */

import { change, fail, stop, track, wordsOf } from "./actions.js";
import { Problem, ask } from "./api.js";
import { byId, bytes, icon, make, sentence, setText } from "./dom.js";
import { fileBehind, isSame, lacking, presetOptions, showOptions, startOptions, wanted } from "./options.js";
import { keep, settings } from "./settings.js";
import { busy, lastFrame, making, marked, numberOf, store } from "./state.js";
import { tell } from "./status.js";
import { untracked } from "./words.js";

/** @typedef {import("./types.js").Format} Format */
/** @typedef {import("./types.js").State} State */

/** What people ask for, the most wanted first; what is not named here comes after it, under its own title. */
const GROUPS = {
  "Video with alpha": { webm: "WebM, for the web and OBS", prores: "ProRes 4444, for editing programs", qtrle: "QuickTime Animation, for older programs", ffv1: "FFV1, for keeping: nothing is lost", "cutout-gif": "GIF, small, with hard edges" },
  "Video without alpha": { background: "Another background", blur: "Background out of focus", green: "Green screen", "matte-video": "Matte, white on black", overlay: "Tinted overlay, for looking at", preview: "Small preview" },
  Pictures: { rgba: "PNG or WebP with alpha, one a frame", cutout: "PNG with alpha, cropped to the subject", matte: "Matte, one a frame", exr: "OpenEXR in linear light, one a frame", tiff: "TIFF of 16 bits, one a frame", binary: "Masks in black and white, one an object", palette: "Masks in colours, one a frame (DAVIS)", sheet: "Contact sheet" },
  Annotations: { coco: "COCO", ytvis: "YouTube-VIS", yolo: "YOLO", cvat: "CVAT", labelstudio: "Label Studio", npz: "NumPy arrays" },
};

/** @type {Format[]} */
let formats = [];
let chosen = settings.format;

export async function openExport() {
  const { id } = store.state;
  const dialog = /** @type {HTMLDialogElement} */ (byId("export"));
  if (!id || dialog.open) return;
  presetOptions(store.state);
  refuse("");
  dialog.showModal();
  await load();
}

/** Ask for the formats of the clip; where they do not come, the panel says why. */
async function load() {
  const { id } = store.state;
  try {
    const found = await /** @type {Promise<{formats: Format[]}>} */ (ask("GET", `jobs/${id}/formats`));
    if (store.state.id !== id) return;
    formats = found.formats;
    missing("");
    list();
    show(store.state);
    /** @type {HTMLElement | null} */ (byId("formats").querySelector(":checked"))?.focus();
  } catch (error) {
    if (store.state.id !== id || !(error instanceof Problem)) return fail(error);
    missing(wordsOf(error));
    if (error.status === 0) fail(error); // the page tries again by itself
  }
}

/** Show why there are no formats in place of them; they stand there without a reason. @param {string} why */
function missing(why) {
  byId("export-missing").hidden = !why;
  byId("export-body").hidden = !!why;
  setText(byId("export-missing-words"), why);
  if (why) byId("export-again").focus();
}

/** @param {string} name */
function address(name) {
  return `api/jobs/${store.state.id}/results/${name}`;
}

/** Bytes of a format with the options that are chosen, about. @param {Format} format @param {State} state */
function estimate(format, state) {
  const asked = wanted(format, state);
  const one = format.choices.find((each) => each.value === asked.value)?.bytes ?? format.bytes;
  const objects = asked.composition.each_object ? Math.max(1, state.job?.objects.length ?? 1) : 1;
  const { marks } = state;
  const share = asked.range ? ((marks.out ?? lastFrame(state)) - (marks.in ?? 0) + 1) / (lastFrame(state) + 1) : 1;
  return one * objects * share;
}

/** Write the list of formats, in groups. */
function list() {
  if (!formats.some((each) => each.name === chosen)) chosen = "webm";
  const left = new Map(formats.map((each) => [each.name, each]));
  const rows = [];
  for (const [group, titles] of [...Object.entries(GROUPS), /** @type {[string, Record<string, string>]} */ (["Further", {}])]) {
    const known = Object.entries(titles).flatMap(([name, title]) => {
      const format = left.get(name);
      left.delete(name);
      if (format) format.title = title;
      return format ? [format] : [];
    });
    const here = group === "Further" ? [...left.values()] : known;
    if (here.length) rows.push(make("li", { className: "group-title" }, make("h3", {}, group)), ...here.map(row));
  }
  byId("formats").replaceChildren(...rows);
}

/** @param {Format} format */
function row(format) {
  const radio = make("input", { type: "radio", name: "format", value: format.name, checked: format.name === chosen });
  radio.addEventListener("change", () => {
    chosen = format.name;
    keep({ format: chosen });
    refuse("");
    show(store.state);
  });
  const size = format.bytes ? `about ${bytes(format.bytes)}` : "";
  return make("li", { "data-format": format.name }, make("label", {}, radio, make("span", { className: "title" }, format.title), make("small", { className: "quiet" }, size)));
}

/** Show the chosen format, its options, and what there is of it. @param {State} state */
function show(state) {
  const format = formats.find((each) => each.name === chosen);
  byId("export-choice").hidden = !format;
  if (!format) return;
  setText(byId("export-name"), format.title);
  const size = estimate(format, state);
  const kind = format.container.split(".").at(-1) ?? "";
  const about = [format.container.includes(".") ? `${kind.toUpperCase()} file` : "A folder, as one ZIP", format.alpha ? "with alpha" : "", size ? `about ${bytes(size)}` : "small"];
  setText(byId("export-about"), about.filter(Boolean).join(", "));
  partWords(state);
  const waits = untracked(state);
  byId("export-untracked").hidden = !waits;
  setText(byId("export-untracked-words"), waits);
  showOptions(format, state);
  action(format, state);
}

/** Say which frames are written. @param {State} state */
function partWords(state) {
  const { marks } = state;
  byId("export-part").hidden = !marked(state);
  const [first, last] = [marks.in ?? 0, marks.out ?? lastFrame(state)].map((each) => numberOf(state, each));
  setText(byId("export-marked-words"), `Only from mark to mark: frames ${first} to ${last}`);
}

/** @param {Format} format @param {State} state */
function action(format, state) {
  const box = byId("export-action");
  const at = box.contains(document.activeElement) ? document.activeElement?.id : "";
  box.replaceChildren(...buttons(format, state));
  if (at) (document.getElementById(at) ?? /** @type {HTMLElement | null} */ (box.querySelector("a, button:not(:disabled)")))?.focus();
}

/** @param {Format} format @param {State} state */
function buttons(format, state) {
  const result = state.job?.results[format.name];
  if (result?.state === "making") {
    const bar = make("progress", { max: 1, "aria-label": `Progress of ${format.title}` });
    progress(bar, state);
    const cancel = make("button", { type: "button", id: "export-cancel" }, "Cancel");
    cancel.addEventListener("click", () => {
      store.set({ exporting: null });
      stop();
    });
    return [bar, cancel, make("span", { id: "export-words", className: "quiet small" })];
  }
  const ready = result?.state === "ready";
  const same = ready && isSame(result, wanted(format, state));
  const parts = [];
  if (!same) {
    const button = make("button", { type: "button", id: "export-make", className: "main" }, "Make and download");
    const atWork = !state.job || busy(state) || making(state.job);
    const missing = lacking(format);
    button.disabled = atWork || !!missing;
    button.addEventListener("click", () => begin(format));
    parts.push(button);
    if (button.disabled) parts.push(make("span", { className: "quiet small" }, missing || "The server is at work on this clip. Wait, or stop it."));
  }
  if (ready) parts.push(make("a", { className: same ? "button main" : "button", id: "export-download", href: address(format.name), download: "" }, icon("download"), same ? `Download, ${bytes(result.bytes)}` : "Download the one made before"));
  if (ready) parts.push(...result.notes.map((each) => make("p", { className: "small note" }, sentence(each))));
  if (result?.state === "failed" && result.error) parts.push(make("p", { className: "small bad" }, `${result.error.what}: ${result.error.why}. ${result.error.fix}`));
  return parts;
}

/** Track what is not tracked yet, from where it was corrected: what was confirmed in between bars the way from elsewhere. */
function trackFirst() {
  const [frame] = store.state.timeline?.corrected ?? [];
  /** @type {HTMLDialogElement} */ (byId("export")).close();
  if (frame === undefined) return;
  store.dispatch({ type: "goto", frame });
  track("both");
}

/** @param {Format} format */
async function begin(format) {
  const asked = wanted(format, store.state);
  const { range, value, matte, composition } = asked;
  const exporting = { format: format.name, asked, begun: false };
  store.set({ exporting });
  const body = { ...(range && { range }), ...(value !== null && { value }), ...(matte !== null && { matte }), composition };
  refuse("");
  const taken = await change("POST", `results/${format.name}`, body, `${format.title} is being made.`, (error) => refuse(wordsOf(error)));
  if (!taken && store.state.exporting === exporting) store.set({ exporting: null });
}

/** Show why a download was refused, below the field of the file behind the subject if one is chosen. @param {string} why */
function refuse(why) {
  const words = byId("export-refused");
  words.hidden = !why;
  setText(words, why);
  const field = byId("export-path").closest("p");
  if (fileBehind()) field?.after(words);
  else byId("export-action").before(words);
  if (why) words.scrollIntoView({ block: "nearest" });
}

/** Fetch what was asked for once it is ready. @param {import("./types.js").Exporting} exporting @param {State} state */
function fetchReady(exporting, state) {
  const { format, asked, begun } = exporting;
  const made = state.job?.results[format];
  if (made?.state === "making") {
    if (!begun) store.set({ exporting: { ...exporting, begun: true } });
  } else if (made?.state === "ready" && isSame(made, asked)) {
    store.set({ exporting: null });
    tell(`${formats.find((each) => each.name === format)?.title ?? format} is ready, and is downloaded.`);
    make("a", { href: address(format), download: "" }).click();
  } else if (begun) store.set({ exporting: null }); // it failed, and the panel says why; or it was stopped
}

/** @param {HTMLProgressElement} bar @param {State} state */
function progress(bar, state) {
  const { progress } = state;
  if (progress?.stage === "exporting" && progress.total) bar.value = progress.done / progress.total;
  const words = document.getElementById("export-words");
  if (words) setText(words, byId("status").textContent ?? "");
}

export function startExport() {
  byId("open-export").addEventListener("click", openExport);
  byId("export-track").addEventListener("click", trackFirst);
  byId("export-again").addEventListener("click", load);
  startOptions(() => {
    refuse("");
    show(store.state);
  });
  store.watch((state, before) => {
    const { job, exporting } = state;
    if (state.id !== before.id) formats = [];
    if (exporting) fetchReady(exporting, state);
    const dialog = /** @type {HTMLDialogElement} */ (byId("export"));
    const misses = dialog.open && !byId("export-missing").hidden; // else the user is at work in it
    if (misses && before.offline && !state.offline) void load();
    if (!dialog.open || !formats.length) return;
    if (job !== before.job || state.timeline !== before.timeline) show(state);
    const bar = /** @type {HTMLProgressElement | null} */ (dialog.querySelector("progress"));
    if (bar && state.progress !== before.progress) progress(bar, state);
  });
}
