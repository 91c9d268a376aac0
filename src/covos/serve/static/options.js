/** The options of a download: which of them a format has, and what is chosen. The server says which it knows. */

import { Problem } from "./api.js";
import { byId, bytes, sentence, setText } from "./dom.js";
import { keep, settings } from "./settings.js";
import { marked, store } from "./state.js";
import { transfer } from "./upload.js";

/** @typedef {import("./types.js").Format} Format */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").Composition} Composition */
/** @typedef {import("./types.js").Asked} Asked */

/** A composition that asks for nothing. @type {Composition} */
const PLAIN = { background: null, background_start: 0, background_end: null, light_wrap: "0", shadow: false, alpha: "straight", each_object: false, keep_hdr: false, invert: false, constant_rate: null, sound: null };

const VALUES = {
  matte: { name: "Shades of grey", words: { 8: "8 bits: 256", 16: "16 bits: for grading" } },
  "matte-video": { name: "File", words: { h264: "H.264, small", prores: "ProRes, 10 bits: for grading", ffv1: "FFV1, 16 bits: nothing is lost" } },
  rgba: { name: "Files", words: { 8: "PNG, 8 bits", 16: "PNG, 16 bits: for grading", webp: "WebP, smaller, nothing is lost" } },
  cvat: { name: "CVAT's task", words: { video: "Of a video", images: "Of its pictures" } },
  sheet: { name: "Frames", words: {} },
  preview: { name: "File", words: { webp: "WebP, small", gif: "GIF, plays everywhere" } },
  blur: { name: "How far out of focus", words: { "2%": "A little", "5%": "Usual", "10%": "Far" } },
};

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (byId(id));
/** @param {string} id */
const select = (id) => /** @type {HTMLSelectElement} */ (byId(id));

/** The file that was sent to lie behind the subject of the job that is open: another job has none yet. */
const sent = { id: "", name: "" };
/** @type {AbortController | null} */
let sending = null;
/** What a value was last chosen for. */
let valueOf = "";

/** The background as the server takes it; null for white, and while nothing is chosen. */
function background() {
  switch (select("export-behind").value) {
    case "colour":
      return input("export-colour").value;
    case "blur":
      return "blur";
    case "file":
      return sent.id ? `upload:${sent.id}` : null;
    case "path":
      return input("export-path").value.trim() || null;
    default:
      return null;
  }
}

/** @returns {boolean} A file is to lie behind the subject: its field is shown. */
export const fileBehind = () => !(/** @type {HTMLElement} */ (document.querySelector("#export-choice [data-behind='file path']")).hidden);

/** What has to be chosen before a format can be made; empty if nothing has. @param {Format} format */
export function lacking(format) {
  if (!format.options.includes("background") || background() !== null) return "";
  return { file: sent.name ? "The file is on its way." : "Choose a file first.", path: "Write the path first." }[select("export-behind").value] ?? "";
}

/** Begin with what the page shows: the colour behind the subject. @param {State} state */
export function presetOptions(state) {
  if (state.view !== "ground" || !["white", "colour"].includes(select("export-behind").value)) return;
  select("export-behind").value = "colour";
  input("export-colour").value = settings.ground;
}

/** The value that is chosen of a format; null if it has none. @param {Format} format */
const chosenValue = (format) => (format.choices.length && valueOf === format.name ? select("export-value").value : null);

/** Tell if files are chosen that cannot hold HDR. @param {Format} format */
const isEightBits = (format) => chosenValue(format) === "webp";

/** How the chosen format is asked for. @param {Format} format @param {State} state @returns {Asked} */
export function wanted(format, state) {
  const part = input("export-marked").checked ? marked(state) : null;
  const isFile = ["file", "path"].includes(select("export-behind").value);
  const from = input("export-from").value.trim().replace(",", ".");
  const to = input("export-to").value.trim().replace(",", ".");
  // What is the subject's alone is not asked for where all else is kept.
  const inverted = format.options.includes("invert") && state.invert;
  /** @type {Composition} */
  const all = {
    background: background(),
    background_start: isFile && from ? from : 0,
    background_end: isFile && to ? to : null,
    light_wrap: Number(input("export-wrap").value) ? `${input("export-wrap").value}%` : "0",
    shadow: input("export-shadow").checked && !inverted,
    alpha: select("export-alpha").value,
    each_object: input("export-each").checked && !inverted,
    keep_hdr: input("export-hdr").checked && !isEightBits(format),
    invert: inverted,
    constant_rate: null, // the page leaves times and sound as they are; who asks by HTTP may have others
    sound: null,
  };
  const known = Object.entries(all).filter(([name, value]) => format.options.includes(name) && value !== PLAIN[/** @type {keyof Composition} */ (name)]);
  const times = format.video && part ? select("export-times").value : "zero";
  const value = chosenValue(format);
  return {
    range: part && { ...part, times },
    value: value === format.choices[0]?.value ? null : value,
    matte: format.soft && state.matte ? state.matte === "yes" : null,
    composition: Object.fromEntries(known),
  };
}

/** Tell if what is there was made as it is wanted now. @param {import("./types.js").ResultState} made @param {Asked} asked */
export function isSame(made, asked) {
  const words = (/** @type {Asked} */ { range, value, matte, composition }) => {
    const all = { ...PLAIN, ...composition };
    return JSON.stringify([range?.start ?? null, range?.end ?? null, range?.times ?? "zero", value, matte, ...Object.keys(PLAIN).map((name) => String(all[/** @type {keyof Composition} */ (name)] ?? PLAIN[/** @type {keyof Composition} */ (name)]))]);
  };
  return words(made) === words(asked);
}

/** Show the options of a format, and hide the others. @param {Format} format @param {State} state */
export function showOptions(format, state) {
  const part = !!(input("export-marked").checked && marked(state));
  const has = new Set([...format.options, ...(format.soft ? ["matte"] : []), ...(format.choices.length ? ["value"] : []), ...(format.video && part ? ["times"] : [])]);
  for (const row of document.querySelectorAll("#export-choice [data-option]")) {
    /** @type {HTMLElement} */ (row).hidden = !has.has(/** @type {HTMLElement} */ (row).dataset.option ?? "");
  }
  const behind = select("export-behind");
  const path = behind.querySelector("[value=path]");
  if (!state.server?.media) path?.remove();
  else if (!path) behind.append(new Option("A file of the server", "path"));
  for (const row of document.querySelectorAll("#export-choice [data-behind]")) {
    const { behind: of = "" } = /** @type {HTMLElement} */ (row).dataset;
    /** @type {HTMLElement} */ (row).hidden = !has.has("background") || !of.split(" ").includes(behind.value);
  }
  if (behind.value === "blur") for (const row of document.querySelectorAll("#export-choice [data-option=shadow]")) /** @type {HTMLElement} */ (row).hidden = true;
  if (has.has("invert") && state.invert) for (const row of document.querySelectorAll("#export-choice [data-option=shadow], #export-choice [data-option=each_object]")) /** @type {HTMLElement} */ (row).hidden = true;
  if (isEightBits(format)) for (const row of document.querySelectorAll("#export-choice [data-option=keep_hdr]")) /** @type {HTMLElement} */ (row).hidden = true;
  const wrap = Number(input("export-wrap").value);
  setText(byId("export-wrap-out"), wrap ? `${wrap}% of the height` : "off");
  if (valueOf !== format.name) choices(format);
}

/** Fill the list of a format's values. @param {Format} format */
function choices(format) {
  valueOf = format.name;
  const { name = "Kind", words = {} } = VALUES[/** @type {keyof typeof VALUES} */ (format.name)] ?? {};
  setText(byId("export-value-name"), name);
  select("export-value").replaceChildren(...format.choices.map(({ value }) => new Option(/** @type {Record<string, string>} */ (words)[value] ?? value, value)));
}

/** Send a file that is to lie behind the subject. @param {File} file @param {() => void} changed */
async function send(file, changed) {
  sending?.abort();
  const { signal } = (sending = new AbortController());
  Object.assign(sent, { id: "", name: file.name });
  changed();
  try {
    const id = await transfer(file, (now) => setText(byId("export-picked"), `${file.name}: ${bytes(now.sent)} of ${bytes(file.size)} sent`), { signal, paused: async () => undefined });
    if (signal.aborted) return;
    Object.assign(sent, { id });
    setText(byId("export-picked"), file.name);
  } catch (error) {
    if (signal.aborted) return;
    Object.assign(sent, { name: "" });
    setText(byId("export-picked"), error instanceof Problem ? [error.fault.what, error.fault.why, error.fault.fix].map(sentence).join(" ") : `${file.name} could not be sent.`);
  }
  changed();
}

/** @param {() => void} changed Called when something else is chosen. */
export function startOptions(changed) {
  // One choice, at two places: what the page shows as it will be exported is so.
  for (const id of ["matte", "export-matte"]) {
    select(id).addEventListener("change", () => {
      const matte = /** @type {State["matte"]} */ (select(id).value);
      keep({ matte });
      store.set({ matte });
      changed();
    });
    store.watch(({ matte }) => {
      select(id).value = matte;
    });
  }
  for (const id of ["invert", "export-invert"]) {
    input(id).addEventListener("change", () => {
      store.set({ invert: input(id).checked });
      changed();
    });
    store.watch(({ invert }) => {
      input(id).checked = invert;
    });
  }
  byId("export-choice").addEventListener("input", changed);
  byId("export-pick").addEventListener("click", () => byId("export-file").click());
  byId("export-file").addEventListener("change", () => {
    const file = input("export-file").files?.[0];
    if (file) void send(file, changed);
    input("export-file").value = ""; // the same file can be chosen again
  });
  store.watch((state, before) => {
    if (state.id === before.id) return;
    sending?.abort();
    Object.assign(sent, { id: "", name: "" });
    setText(byId("export-picked"), "");
  });
}
