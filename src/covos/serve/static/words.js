/** Sentences that several parts of the page say: what was done, what would go. */

import { sentence } from "./dom.js";
import { isEmpty } from "./rle.js";
import { lastFrame, numberOf } from "./state.js";

/** @typedef {import("./types.js").State} State */

/** Words of the server about a part of a video, with the one number of a frame that the page shows. @param {string} words */
export function byNumber(words) {
  return words.replace(/\bframe \d+ \(f(\d+) of the video\)/g, "frame $1");
}

/** @param {import("./types.js").Job} job @returns {string} The frames that were taken, of a part. */
export function partWords({ info, range }) {
  if (!info || (range.start === null && range.end === null && info.every === 1)) return "";
  return `frames ${info.start} to ${info.start + (info.frame_count - 1) * info.every}`;
}

/** The name of a work: that of its clip, and the part of it. @param {import("./types.js").Job} job */
export const workName = (job) => [job.name, partWords(job)].filter(Boolean).join(", ");

/** The question before a work is deleted: what goes. @param {import("./types.js").Job} job */
export function deletion(job) {
  const edits = job.revision ? ", your corrections" : "";
  return `Delete the work on ${workName(job)} from the server? Its masks${edits} and its downloads go. This cannot be undone.`;
}

/** The question before another file takes the place of an open work. @param {import("./types.js").Job} job @param {string} file */
export function leaving({ name }, file) {
  return `Leave ${name}, and open ${file}? The work on ${name} is kept: you find it under Earlier work.`;
}

/**
 * What a prompt has done, in words.
 * @param {number} frame
 * @param {import("./types.js").Prompted} answer
 * @param {State} was The state before.
 * @param {string | undefined} before The object's mask on the frame, before.
 */
export function answered(frame, { object, mask, job }, was, before) {
  const name = job.objects.find((each) => each.id === object)?.name ?? `object ${object}`;
  const place = `frame ${numberOf(was, frame)}`;
  const parts = [];
  if (!was.job?.objects.some((each) => each.id === object)) parts.push(`${name} is new, on ${place} alone. Track follows it.`);
  else if (isEmpty(mask.counts)) parts.push(`${name} is not in ${place}. Track goes by that.`);
  else if (before === mask.counts) parts.push(`The mask of ${name} stays as it was: it agrees with you.`);
  else parts.push(`${name} is corrected on ${place}.`);
  if (was.timeline?.confirmed.includes(frame)) parts.push("Confirm this frame again when it is right.");
  return sentence(parts.join(" "));
}

const NAMED = 3; // frames that are named one by one

/** The frames whose corrections were not tracked, in words; empty if there are none, or nowhere to track to. @param {State} state */
export function untracked(state) {
  const frames = (state.timeline?.corrected ?? []).map((each) => numberOf(state, each));
  if (!frames.length || !lastFrame(state)) return "";
  if (frames.length === 1) return `Frame ${frames[0]} is corrected, not tracked yet.`;
  const named = frames.slice(0, NAMED);
  const rest = frames.length - named.length;
  const last = rest ? `${rest} more` : named.pop();
  return `Frames ${named.join(", ")} and ${last} are corrected, not tracked yet.`;
}

/**
 * The frames that a track one way leaves out, in words: those between a correction and here. Empty if there are none.
 * @param {State} state
 * @param {import("./types.js").Direction} direction
 */
export function leftOut(state, direction) {
  const { frame, timeline } = state;
  const way = { forward: 1, backward: -1, both: 0 }[direction];
  const far = (timeline?.corrected ?? []).map((each) => (frame - each) * way).filter((each) => each > 1);
  if (!far.length) return "";
  const ends = [frame - (Math.min(...far) - 1) * way, frame - way].map((each) => numberOf(state, each)).sort((a, b) => a - b);
  const [which, stay] = ends[0] === ends[1] ? [`Frame ${ends[0]}`, "stays as it was"] : [`Frames ${ends[0]} to ${ends[1]}`, "stay as they were"];
  return `${which} ${stay}. Track both ways (T) changes all frames.`;
}

/** The kinds of edits, as they are spoken of. @type {Record<string, string>} */
const EDITS = {
  prompt: "the correction",
  removal: "the removal of a prompt",
  track: "the track",
  confirm: "the change of a confirmation",
  object: "the change of an object",
  region: "the change of a region",
  edges: "the change of the edges",
};

/** An edit, as it is spoken of. @param {string | null | undefined} kind */
export const spoken = (kind) => EDITS[kind ?? ""] ?? "the last edit";

/** @param {string} word @param {string | null | undefined} kind */
export const again = (word, kind) => `${word}: ${spoken(kind)}.`;
