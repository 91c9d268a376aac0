/** Masks around the frame that is shown: fetched in pages, thrown away where the server has new ones. */

import { ask } from "./api.js";
import { isEmpty } from "./rle.js";

/** @typedef {import("./types.js").FrameMasks} FrameMasks */

const PAGES = /** @type {const} */ ([1, 48]); // frames of a request, at least and at most
const [FAST, SLOW] = [200, 600]; // milliseconds
const KEPT = 1500;
const AHEAD = 24;
const REACH = 2; // frames on each side that tell which holes of a frame are filled

export class Masks {
  /** @param {() => void} changed Called when masks came in. */
  constructor(changed) {
    this.changed = changed;
    /** @type {Map<number, FrameMasks | null>} Null: asked for, and there is none. */
    this.frames = new Map();
    /** @type {Set<number>} Frames with newer masks on the server; the old ones show until those are here. */
    this.stale = new Set();
    /** @type {[number, number]} Rows and columns of the masks. */
    this.size = [0, 0];
    /** @type {[number, number]} Frames of the request under way. */
    this.span = [0, 0];
    /** @type {Set<number>} Those of them that changed since it was sent. */
    this.late = new Set();
    /** @type {Set<number>} Frames whose mask came with the answer to a click since it was sent: it is newer. */
    this.answered = new Set();
    this.page = 16;
    /** @type {AbortController | null} */
    this.flight = null;
    this.job = "";
  }

  /** @param {string} job */
  open(job) {
    this.job = job;
    this.frames.clear();
    this.stale.clear();
    this.stop();
  }

  /** Say that the server has new masks for frames [from, to). */
  renew(from = 0, to = Infinity) {
    if (to - from > this.page) [this.page] = PAGES; // the frame that is looked at comes first
    [from, to] = [from - REACH, to + REACH];
    for (const index of this.frames.keys()) if (index >= from && index < to) this.stale.add(index);
    for (let index = Math.max(from, this.span[0]); index < Math.min(to, this.span[1]); index++) this.late.add(index);
  }

  stop() {
    this.flight?.abort();
    this.flight = null;
    this.span = [0, 0];
    this.late.clear();
    this.answered.clear();
  }

  /** @param {number} frame */
  misses(frame) {
    return !this.frames.has(frame) || this.stale.has(frame);
  }

  /** @param {number} frame @returns {FrameMasks | null | undefined} Undefined: not fetched yet. */
  at(frame) {
    return this.frames.get(frame);
  }

  /**
   * Put in the mask that came with an answer, so that it shows at once.
   * @param {number} frame
   * @param {number} object
   * @param {{size: [number, number], counts: string}} mask
   */
  put(frame, object, mask) {
    const there = this.frames.get(frame);
    const others = there ? there.objects.filter((each) => each.id !== object) : [];
    const old = there?.objects.find((each) => each.id === object);
    this.size = mask.size;
    this.answered.add(frame);
    this.stale.add(frame); // the other objects of the frame may have lost pixels to it
    const base = there ?? { index: frame, time: 0, confidence: null, status: "ok", objects: [] };
    const now = isEmpty(mask.counts) ? [] : [{ ...old, id: object, counts: mask.counts }];
    this.frames.set(frame, { ...base, objects: [...others, ...now].sort((a, b) => a.id - b.id) });
    this.changed();
  }

  /**
   * Fetch what is missing around a frame. One request at a time.
   * @param {number} frame
   * @param {number} last
   * @param {number} way 1 forwards, -1 backwards.
   */
  async want(frame, last, way = 1) {
    if (this.flight || !this.job) return;
    let near = frame;
    while (!this.misses(near)) near += way;
    if (near < 0 || near > last || Math.abs(near - frame) > AHEAD) return;
    const start = way > 0 ? near : Math.max(0, near - this.page + 1);
    const stop = Math.min(last + 1, start + this.page);
    this.stop();
    const flight = new AbortController();
    this.flight = flight;
    this.span = [start, stop];
    const begin = performance.now();
    try {
      /** @type {import("./types.js").MaskPage} */
      const page = await ask("GET", `jobs/${this.job}/masks?start=${start}&stop=${stop}`, undefined, flight.signal);
      if (this.flight !== flight) return;
      const time = performance.now() - begin;
      if (time > SLOW) this.page = Math.max(PAGES[0], this.page >> 1); // edges are costly on a large clip
      else if (time < FAST) this.page = Math.min(PAGES[1], this.page * 2);
      this.take(page, start, stop);
      this.stop();
      this.changed();
    } catch {
      if (this.flight === flight) setTimeout(() => this.flight === flight && this.stop(), 1000);
    }
  }

  /**
   * @param {import("./types.js").MaskPage} page
   * @param {number} start
   * @param {number} stop
   */
  take(page, start, stop) {
    const found = new Map(page.frames.map((each) => [each.index, each]));
    for (let index = start; index < stop; index++) {
      if (this.answered.has(index)) continue; // it stays stale, and is asked for again
      const late = this.late.has(index);
      this.frames.set(index, found.get(index) ?? null);
      if (late) this.stale.add(index);
      else this.stale.delete(index);
    }
    if (page.frames.length) this.size = page.size;
    for (const index of this.frames.keys()) {
      if (this.frames.size <= KEPT) break;
      if (index < start || index >= stop) this.frames.delete(index);
    }
  }
}
