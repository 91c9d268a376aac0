/** Masks around the frame that is shown: fetched in pages, thrown away where the server has new ones. */

import { ask } from "./api.js";

/** @typedef {import("./types.js").FrameMasks} FrameMasks */

const PAGE = 48;
const KEPT = 1500;

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
    /** @type {[number, number] | null} Frames of the request under way. */
    this.span = null;
    /** @type {AbortController | null} */
    this.flight = null;
    this.job = "";
  }

  /** @param {string} job */
  open(job) {
    this.job = job;
    this.frames.clear();
    this.renew();
  }

  /** Say that the server has new masks for frames [from, to). */
  renew(from = 0, to = Infinity) {
    for (const index of this.frames.keys()) if (index >= from && index < to) this.stale.add(index);
    if (!this.span || (from < this.span[1] && to > this.span[0])) this.stop();
  }

  /** Stop the request under way: its answer may be from before a change. */
  stop() {
    this.flight?.abort();
    this.flight = null;
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
    this.stop();
    this.stale.delete(frame);
    const base = there ?? { index: frame, time: 0, confidence: null, status: "ok", objects: [] };
    this.frames.set(frame, { ...base, objects: [...others, { ...old, id: object, counts: mask.counts }].sort((a, b) => a.id - b.id) });
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
    // A frame that misses comes first, with those that play after it; else the page is filled before it runs out.
    const near = [frame, frame + way * 16].find((each) => each >= 0 && each <= last && this.misses(each));
    if (near === undefined) return;
    const start = Math.max(0, way > 0 ? near - (near === frame ? 4 : 0) : near - PAGE + 4);
    const stop = Math.min(last + 1, start + PAGE);
    const flight = new AbortController();
    this.flight = flight;
    this.span = [start, stop];
    try {
      /** @type {import("./types.js").MaskPage} */
      const page = await ask("GET", `jobs/${this.job}/masks?start=${start}&stop=${stop}`, undefined, flight.signal);
      if (this.flight !== flight) return;
      for (let index = start; index < stop; index++) {
        this.frames.set(index, null);
        this.stale.delete(index);
      }
      for (const each of page.frames) this.frames.set(each.index, each);
      if (page.frames.length) this.size = page.size;
      for (const index of this.frames.keys()) {
        if (this.frames.size <= KEPT) break;
        if (index < start || index >= stop) this.frames.delete(index);
      }
      this.flight = null;
      this.changed();
    } catch {
      if (this.flight === flight) setTimeout(() => this.flight === flight && (this.flight = null), 1000);
    }
  }
}
