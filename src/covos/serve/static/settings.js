/** Settings and marks that this browser remembers. */

const KEY = "covos";

const DEFAULTS = {
  theme: "auto",
  tint: 45,
  letters: true,
  watch: true,
  sound: true,
  view: "overlay",
  brush: 24,
  matte: "",
  format: "webm",
  ground: "#00b140",
  hints: /** @type {string[]} */ ([]),
};

/** @typedef {typeof DEFAULTS} Settings */

/** @param {string} key @returns {any} */
export function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null; // storage may be switched off; then nothing is remembered
  }
}

/** @param {string} key @param {unknown} value */
export function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // As above, or it is full.
  }
}

/** @type {Settings} */
export const settings = { ...DEFAULTS, ...read(KEY) };
if (settings.view === "green") settings.view = "ground"; // as it was called before it had other colours

/** @param {Partial<Settings>} changes */
export function keep(changes) {
  Object.assign(settings, changes);
  write(KEY, settings);
}

export function applyTheme() {
  document.documentElement.dataset.theme = settings.theme;
}

/**
 * Where the person was in a job: frame, marks, object.
 * @param {string} id
 * @returns {Partial<Pick<import("./types.js").State, "frame" | "marks" | "object">>}
 */
export function recall(id) {
  return read(`${KEY}.${id}`) ?? {};
}

/** @param {import("./types.js").State} state */
export function remember(state) {
  if (!state.id || !state.job) return;
  const { frame, marks, object } = state;
  write(`${KEY}.${state.id}`, { frame, marks, object });
}

/** @param {string} id */
export function forget(id) {
  try {
    localStorage.removeItem(`${KEY}.${id}`);
  } catch {
    // As above.
  }
}
