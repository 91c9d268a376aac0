/** The timeline: pictures of the clip, confidence, flags, marks, and a bar for each object. One slider for the keys. */

import { frameAt, picture } from "./api.js";
import { byId, clock, setText } from "./dom.js";
import { lastFrame, numberOf, phase, store, timeOf } from "./state.js";

/** @typedef {import("./types.js").State} State */

const FILM = 44;
const CONFIDENCE = 34;
const ROW = 7;
const ROWS = 6;

export class Timeline {
  /**
   * @param {(frame: number) => void} goto
   * @param {() => boolean} idle No frame is being fetched that somebody waits for.
   */
  constructor(goto, idle) {
    this.idle = idle;
    this.box = byId("timeline");
    this.film = /** @type {HTMLCanvasElement} */ (byId("film"));
    this.tracks = /** @type {HTMLCanvasElement} */ (byId("tracks"));
    this.head = byId("playhead");
    this.goto = goto;
    this.filmOf = "";
    /** @type {AbortController | null} */
    this.loading = null;
    /** @type {Map<number, ImageBitmap>} */
    this.thumbs = new Map();
    this.due = 0;
    this.box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.box.setPointerCapture(event.pointerId);
      this.point(event);
    });
    this.box.addEventListener("pointermove", (event) => this.box.hasPointerCapture(event.pointerId) && this.point(event));
    new ResizeObserver(() => this.resize()).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    store.watch((state, before) => this.update(state, before));
  }

  /** @param {PointerEvent} event */
  point(event) {
    const box = this.box.getBoundingClientRect();
    this.goto(((event.clientX - box.left) / box.width) * (lastFrame(store.state) + 1) - 0.5);
  }

  resize() {
    this.draw();
    clearTimeout(this.settled);
    this.settled = setTimeout(() => this.load(), 300);
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  settled = undefined;

  /** @param {State} state @param {State} before */
  update(state, before) {
    const last = lastFrame(state);
    this.head.style.left = `${((state.frame + 0.5) / (last + 1)) * 100}%`;
    this.box.setAttribute("aria-valuemin", String(numberOf(state, 0)));
    this.box.setAttribute("aria-valuemax", String(numberOf(state, last)));
    this.box.setAttribute("aria-valuenow", String(numberOf(state, state.frame)));
    this.box.setAttribute("aria-valuetext", words(state));
    const same = (/** @type {(keyof State)[]} */ keys) => keys.every((key) => state[key] === before[key]);
    if (!same(["timeline", "marks", "job", "object", "progress"]) || state === before) this.draw();
    if (state.id !== before.id) this.clear();
    if (state.job?.info && !["uploading", "probing", "queued"].includes(phase(state))) this.load();
  }

  clear() {
    this.loading?.abort();
    this.filmOf = "";
    for (const bitmap of this.thumbs.values()) bitmap.close();
    this.thumbs.clear();
    this.draw();
  }

  /** Fetch the pictures of the strip, one by one: they must not stand in the way of anything else. */
  async load() {
    const { id, job } = store.state;
    const width = this.box.clientWidth;
    if (!id || !job?.info || !width) return;
    const wide = (FILM * job.info.width) / job.info.height;
    const count = Math.max(1, Math.min(lastFrame(store.state) + 1, Math.ceil(width / wide), 40));
    const film = `${id} ${count}`;
    if (film === this.filmOf) return;
    this.clear();
    this.filmOf = film;
    const loading = (this.loading = new AbortController());
    for (let index = 0; index < count; index++) {
      const frame = Math.floor(((index + 0.5) / count) * (lastFrame(store.state) + 1));
      while (!this.idle()) await new Promise((done) => setTimeout(done, 100));
      if (loading.signal.aborted) return;
      try {
        this.thumbs.set(index, await picture(frameAt(id, frame, 160), loading.signal));
      } catch {
        if (loading.signal.aborted) return; // else a frame is broken: its place stays empty
      }
      this.draw();
    }
  }

  draw() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.paintFilm();
      this.paintTracks();
    });
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} height
   */
  prepare(canvas, height) {
    const ratio = devicePixelRatio || 1;
    const width = this.box.clientWidth;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    return { context, width };
  }

  paintFilm() {
    const { context, width } = this.prepare(this.film, FILM);
    const count = Number(this.filmOf.split(" ")[1] ?? 1);
    for (const [index, bitmap] of this.thumbs) {
      const wide = width / count;
      const scale = Math.max(wide / bitmap.width, FILM / bitmap.height);
      const [cut_w, cut_h] = [wide / scale, FILM / scale];
      context.drawImage(bitmap, (bitmap.width - cut_w) / 2, (bitmap.height - cut_h) / 2, cut_w, cut_h, index * wide, 0, wide + 0.5, FILM);
    }
  }

  paintTracks() {
    const state = store.state;
    const things = (state.job?.objects ?? []).slice(0, ROWS);
    const { context, width } = this.prepare(this.tracks, CONFIDENCE + Math.max(1, things.length) * ROW + 4);
    const style = getComputedStyle(this.box);
    const color = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    const frames = lastFrame(state) + 1;
    const wide = width / frames;
    const line = state.timeline;
    this.marks(context, state, width, color("accent"));
    if (line) {
      this.confidence(context, line, width, color);
      this.cuts(context, line.cuts, wide, color("quiet"));
      things.forEach((thing, row) => {
        const top = CONFIDENCE + 4 + row * ROW;
        for (const [from, to, what] of line.objects[thing.id] ?? []) {
          if (what === "absent") continue;
          context.fillStyle = thing.color;
          if (what === "present") context.fillRect(from * wide, top, Math.max(1, (to - from) * wide), ROW - 3);
          else for (let x = from * wide; x < to * wide; x += 6) context.fillRect(x, top, 3, ROW - 3);
        }
        for (const [from, to] of line.live) hatch(context, from * wide, top, (to - from) * wide, ROW - 3, color("ground"));
        context.fillStyle = color("ink");
        for (const frame of line.prompted[thing.id] ?? []) diamond(context, (frame + 0.5) * wide, top + (ROW - 3) / 2, 4);
      });
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {State} state
   * @param {number} width
   * @param {string} color
   */
  marks(context, state, width, color) {
    const { marks } = state;
    if (marks.in === null && marks.out === null) return;
    const wide = width / (lastFrame(state) + 1);
    const left = (marks.in ?? 0) * wide;
    const right = ((marks.out ?? lastFrame(state)) + 1) * wide;
    context.globalAlpha = 0.18;
    context.fillStyle = color;
    context.fillRect(left, 0, right - left, this.tracks.height);
    context.globalAlpha = 1;
    if (marks.in !== null) context.fillRect(left, 0, 2, this.tracks.height);
    if (marks.out !== null) context.fillRect(right - 2, 0, 2, this.tracks.height);
  }

  /**
   * A thin line where a shot begins, over all rows.
   * @param {CanvasRenderingContext2D} context
   * @param {number[]} cuts
   * @param {number} wide Width of a frame.
   * @param {string} color
   */
  cuts(context, cuts, wide, color) {
    context.fillStyle = color;
    for (const frame of cuts) for (let y = 12; y < this.tracks.height; y += 5) context.fillRect(Math.round(frame * wide), y, 1, 3);
  }

  /**
   * A column of the screen shows the lowest confidence of its frames.
   * @param {CanvasRenderingContext2D} context
   * @param {import("./types.js").Timeline} line
   * @param {number} width
   * @param {(name: string) => string} color
   */
  confidence(context, line, width, color) {
    const frames = line.confidence.length;
    const flagged = new Set(line.flags);
    const columns = Math.min(frames, Math.floor(width));
    const wide = width / columns;
    const top = 12;
    for (let column = 0; column < columns; column++) {
      let lowest = Infinity;
      let flag = false;
      const stop = Math.max(Math.floor(((column + 1) * frames) / columns), Math.floor((column * frames) / columns) + 1);
      for (let frame = Math.floor((column * frames) / columns); frame < stop; frame++) {
        lowest = Math.min(lowest, line.confidence[frame] ?? Infinity);
        flag ||= flagged.has(frame);
      }
      if (lowest === Infinity) continue;
      const height = Math.max(2, lowest * (CONFIDENCE - top));
      context.fillStyle = color(flag ? "warn" : "bars");
      context.fillRect(column * wide, CONFIDENCE - height, wide > 3 ? wide - 1 : wide, height);
    }
    context.textAlign = "center";
    context.font = "bold 11px system-ui, sans-serif";
    const mark = (/** @type {number[]} */ places, /** @type {string} */ sign, /** @type {string} */ name) => {
      context.fillStyle = color(name);
      let free = -Infinity;
      for (const frame of places) {
        const x = ((frame + 0.5) * width) / frames;
        if (x < free) continue; // signs never lie over each other
        context.fillText(sign, Math.min(Math.max(5, x), width - 5), 10);
        free = x + 9;
      }
    };
    const confirmed = new Set(line.confirmed);
    mark(line.flags.filter((each) => !confirmed.has(each)), "!", "warn");
    mark(line.confirmed, "✓", "good");
  }
}

/**
 * Slanting gaps: what lies below is not kept yet.
 * @param {CanvasRenderingContext2D} context
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @param {string} color
 */
function hatch(context, left, top, width, height, color) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = left - height; x < left + width; x += 4) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} size */
function diamond(context, x, y, size) {
  context.beginPath();
  context.moveTo(x, y - size);
  context.lineTo(x + size, y);
  context.lineTo(x, y + size);
  context.lineTo(x - size, y);
  context.fill();
}

/** @param {State} state @returns {string} The frame in words, for a screen reader. */
export function words(state) {
  const { frame, timeline } = state;
  const parts = [`Frame ${numberOf(state, frame)} of ${numberOf(state, lastFrame(state))}`]; // the first of a video is 0
  parts.push(clock(timeOf(state, frame)));
  const sure = timeline?.confidence[frame];
  if (sure !== null && sure !== undefined) parts.push(`${sure.toFixed(2)}${timeline?.flags.includes(frame) ? " doubtful" : ""}`);
  if (timeline?.confirmed.includes(frame)) parts.push("confirmed");
  if (timeline?.cuts.includes(frame)) parts.push("a shot begins");
  return parts.join(", ");
}

/** Frames to look at: doubtful and not confirmed. @param {State} state @returns {number[]} */
export function doubtful(state) {
  const confirmed = new Set(state.timeline?.confirmed);
  return (state.timeline?.flags ?? []).filter((each) => !confirmed.has(each));
}

/** Write the number of doubtful frames, and where among them the playhead is. @param {State} state */
export function countDoubtful(state) {
  const flags = doubtful(state);
  const place = flags.indexOf(state.frame);
  setText(byId("doubtful-count"), place < 0 ? `${flags.length} doubtful` : `${place + 1}/${flags.length} doubtful`);
  for (const id of ["doubtful-back", "doubtful-on"]) /** @type {HTMLButtonElement} */ (byId(id)).disabled = !flags.length;
}
