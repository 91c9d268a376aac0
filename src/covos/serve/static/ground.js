/** The cut views: what lies behind the subject on this page, how closely edges are looked at, and what is shown. */

import { byId, setText } from "./dom.js";
import { keep, settings } from "./settings.js";
import { phase, store } from "./state.js";
import { toldNow } from "./status.js";

/** @typedef {import("./types.js").State} State */

/** A picture of the person's own; it stays in this browser. @type {{bitmap: ImageBitmap | null, name: string}} */
const own = { bitmap: null, name: "" };

const WORDS = { quick: "Quick look", coming: "Quick look; the true edge is on its way", true: "As it will be exported", failed: "Quick look" };
const CLOSELY = "Quick look; hair and fur are looked for";

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (byId(id));

/**
 * Paint what lies behind the subject; a picture fills its place, as it does in downloads.
 * @param {CanvasRenderingContext2D} context
 * @param {{left: number, top: number, width: number, height: number}} place
 */
export function paintGround(context, { left, top, width, height }) {
  context.fillStyle = settings.ground;
  context.fillRect(left, top, width, height);
  const { bitmap } = own;
  if (!bitmap) return;
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [width / scale, height / scale];
  context.drawImage(bitmap, (bitmap.width - wide) / 2, (bitmap.height - high) / 2, wide, high, left, top, width, height);
}

/** @param {File} file @param {() => void} changed */
async function take(file, changed) {
  try {
    const bitmap = await createImageBitmap(file);
    own.bitmap?.close();
    Object.assign(own, { bitmap, name: file.name });
  } catch {
    own.bitmap?.close();
    Object.assign(own, { bitmap: null, name: `${file.name} is no picture that this browser shows` });
  }
  words();
  changed();
}

function words() {
  setText(byId("ground-name"), own.name);
  byId("ground-clear").hidden = !own.bitmap;
}

/**
 * Say what is shown.
 * @param {State} state
 * @param {{cut: import("./cutouts.js").Cut, why: string}} told
 */
export function tellCut(state, { cut, why }) {
  const { view, playing } = state;
  const rests = view !== "overlay" && phase(state) === "ready" && !toldNow(state);
  byId("cut-words").hidden = !rests;
  byId("status").hidden = rests;
  byId("cut").hidden = view === "overlay";
  byId("ground").hidden = view !== "ground";
  byId("main").dataset.cut = view === "overlay" ? "" : cut;
  const text = playing ? "Quick look while it plays" : cut === "coming" && state.matte === "yes" ? CLOSELY : WORDS[cut];
  setText(byId("cut-words"), why ? `${text}: ${why}` : text);
}

/** @param {() => void} changed Called when something else is to be drawn. */
export function startGround(changed) {
  input("ground-colour").value = settings.ground;
  input("ground-colour").addEventListener("input", () => {
    keep({ ground: input("ground-colour").value });
    changed();
  });
  byId("ground-pick").addEventListener("click", () => byId("ground-file").click());
  byId("ground-file").addEventListener("change", () => {
    const file = input("ground-file").files?.[0];
    if (file) void take(file, changed);
    input("ground-file").value = "";
  });
  byId("ground-clear").addEventListener("click", () => {
    own.bitmap?.close();
    Object.assign(own, { bitmap: null, name: "" });
    words();
    changed();
    byId("ground-pick").focus();
  });
  store.watch((state, before) => {
    if (state.id !== before.id && own.name && !own.bitmap) Object.assign(own, { name: "" }); // what was said of another clip
    words();
  });
}
