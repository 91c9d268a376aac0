/** The state of the page: one reducer, one store. What the page does now is `phase`, written to main[data-state]. */

import { settings } from "./settings.js";

/** @typedef {import("./types.js").State} State */

/**
 * @typedef {"empty" | "refused" | "opening" | "uploading" | "probing" | "finding" | "queued" | "tracking" | "ready"
 *   | "clicking" | "failed" | "expired"} Phase
 */

/**
 * @typedef {{type: "start"} | {type: "open", id: string, memory: Partial<State>}
 *   | {type: "job", job: import("./types.js").Job} | {type: "set", changes: Partial<State>}
 *   | {type: "goto", frame: number, live?: boolean} | {type: "asked", click: import("./types.js").Click[]}
 *   | {type: "answered", click: import("./types.js").Click[], asked: number | null, object: number | null}} Action
 */

/** @type {State} */
export const FIRST = Object.freeze({
  id: null,
  job: null,
  jobs: [],
  server: null,
  upload: null,
  refusal: null,
  opening: "",
  expired: false,
  offline: false,
  progress: null,
  timeline: null,
  frame: 0,
  live: true,
  playing: false,
  speed: 1,
  sound: settings.sound,
  marks: { in: null, out: null },
  tool: "point",
  sign: 1,
  brush: settings.brush,
  object: null,
  view: /** @type {State["view"]} */ (settings.view),
  matte: /** @type {State["matte"]} */ (settings.matte),
  invert: false,
  bare: false,
  cross: null,
  asking: 0,
  late: false,
  clicks: [],
  told: null,
  exporting: null,
});

/** What of the state belongs to a job and begins anew with another. */
const OF_A_JOB = /** @type {const} */ (["job", "upload", "refusal", "opening", "expired", "progress", "timeline", "frame", "live",
  "playing", "speed", "marks", "object", "invert", "bare", "cross", "asking", "late", "clicks", "told", "exporting"]);

/** @param {State} state @returns {State} */
function cleared(state) {
  return { ...state, ...Object.fromEntries(OF_A_JOB.map((key) => [key, FIRST[key]])) };
}

/** @param {State} state @returns {number} Index of the last frame; 0 while it is not known. */
export function lastFrame(state) {
  return Math.max(0, (state.job?.info?.frame_count ?? 1) - 1);
}

/**
 * @param {State} state
 * @param {Action} action
 * @returns {State}
 */
export function reduce(state, action) {
  switch (action.type) {
    case "start":
      return { ...cleared(state), id: null };
    case "open":
      return { ...cleared(state), id: action.id, ...action.memory };
    case "job":
      return withJob(state, action.job);
    case "goto": {
      const frame = Math.min(Math.max(0, Math.round(action.frame)), lastFrame(state));
      return { ...state, frame, live: action.live ?? false };
    }
    case "asked": // who corrects a frame stays on it, whatever is found meanwhile
      return { ...state, asking: state.asking + 1, clicks: [...state.clicks, ...action.click], live: false };
    case "answered": {
      const { click, asked, object } = action;
      const clicks = state.clicks.filter((each) => !click.includes(each)); // the job has it now, or it was refused
      const chosen = state.object === asked ? (object ?? asked) : state.object; // another may have been chosen meanwhile
      return { ...state, asking: Math.max(0, state.asking - 1), late: false, clicks, object: chosen };
    }
    case "set":
      return { ...state, ...action.changes };
  }
}

/**
 * @param {State} state
 * @param {import("./types.js").Job} job
 * @returns {State}
 */
function withJob(state, job) {
  if (state.id !== job.id) return state;
  const known = job.objects.some((each) => each.id === state.object);
  const before = state.job?.objects.length ?? 0;
  // Null is "a new object" only where the person chose it among others.
  const object = known || (state.object === null && before > 0) ? state.object : (job.objects[0]?.id ?? null);
  const progress = state.progress?.stage === job.stage ? state.progress : null;
  return { ...state, job, object, progress };
}

/** @param {import("./types.js").Job} job @returns {boolean} A download is made, or waits for that. */
export function making(job) {
  return job.stage === "exporting" || Object.values(job.results).some((each) => each.state === "making");
}

/** @param {State} state @returns {Phase} */
export function phase(state) {
  if (state.upload) return "uploading";
  if (state.expired) return "expired";
  if (state.refusal) return "refused";
  if (!state.id) return state.opening ? "opening" : "empty";
  const job = state.job;
  if (!job) return "opening";
  if (job.state === "failed") return "failed";
  if (job.state === "queued" || (job.place !== null && !making(job))) return "queued";
  if (job.stage === "finding" || job.stage === "tracking") return job.stage;
  if (job.state === "running" && job.stage !== "exporting") return "probing";
  return state.asking > 0 ? "clicking" : "ready";
}

/**
 * Number of a frame in the whole video: the page, reports and the command line name frames by it.
 * @param {State} state
 * @param {number} frame Index in the job, from 0.
 * @returns {number}
 */
export function numberOf({ job }, frame) {
  const { start, every } = job?.info ?? { start: 0, every: 1 };
  return start + frame * every;
}

/**
 * Seconds at which a frame stands in the whole video.
 * @param {State} state
 * @param {number} frame
 * @returns {number}
 */
export function timeOf(state, frame) {
  const { timeline, job } = state;
  return timeline?.times[frame] ?? (job?.info ? numberOf(state, frame) / (job.info.frame_rate * job.info.every) : 0);
}

/**
 * The part between the marks, with frames as they are numbered in the whole video; null without marks.
 * @param {State} state
 * @returns {import("./types.js").Part | null}
 */
export function marked(state) {
  const { marks, job } = state;
  if (!job?.info || (marks.in === null && marks.out === null)) return null;
  const place = (/** @type {number} */ frame) => `f${numberOf(state, frame)}`;
  return { start: place(marks.in ?? 0), end: place((marks.out ?? lastFrame(state)) + 1) };
}

/** @param {State} state @returns {boolean} Frames can be shown. */
export function hasFrames(state) {
  return !!state.job?.info && !state.expired;
}

/** @param {State} state @returns {boolean} Masks are being made. */
export function busy(state) {
  return ["finding", "tracking", "queued", "probing"].includes(phase(state));
}

/** @type {Set<(state: State, before: State) => void>} */
const listeners = new Set();
let current = FIRST;

export const store = {
  get state() {
    return current;
  },
  /** @param {Action} action */
  dispatch(action) {
    const before = current;
    current = reduce(before, action);
    if (current !== before) for (const hear of listeners) hear(current, before);
  },
  /** @param {Partial<State>} changes */
  set(changes) {
    this.dispatch({ type: "set", changes });
  },
  /** @param {(state: State, before: State) => void} hear */
  watch(hear) {
    listeners.add(hear);
    hear(current, current);
  },
};
