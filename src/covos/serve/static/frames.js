/** Exact frames by their index: a few decoded pictures around the playhead, never the whole clip. */

import { frameAt, picture } from "./api.js";

const KEPT = 24;
const ROOM = 256 << 20; // bytes of all decoded pictures: one of 4K has 33 MB
const AHEAD = 12;
const BEHIND = 4;
const AT_ONCE = 2; // of the six connections that a browser opens; events, the proxy and a click need theirs
const WIDTHS = [640, 960, 1280, 1920, 2560, 3840];

export class Frames {
  /** @param {(frame: number) => void} arrived */
  constructor(arrived) {
    this.arrived = arrived;
    /** @type {Map<number, ImageBitmap>} Oldest use first. */
    this.kept = new Map();
    /** @type {Map<number, AbortController>} */
    this.flights = new Map();
    /** @type {number[]} */
    this.wanted = [];
    /** @type {Set<number>} Frames that the server cannot show: not asked for again. */
    this.broken = new Set();
    this.job = "";
    this.width = 0;
    this.most = KEPT;
  }

  /** Nothing is being fetched. */
  get idle() {
    return this.flights.size === 0;
  }

  /** @param {string} job */
  open(job) {
    this.clear();
    this.broken.clear();
    this.job = job;
  }

  clear() {
    for (const flight of this.flights.values()) flight.abort();
    for (const bitmap of this.kept.values()) bitmap.close();
    this.flights.clear();
    this.kept.clear();
    this.wanted = [];
  }

  /**
   * Say how wide the picture stands on the screen; frames are fetched at the next step above.
   * @param {number} pixels
   * @param {{width: number, height: number}} clip More cannot be had.
   */
  fit(pixels, clip) {
    const width = Math.min(clip.width, WIDTHS.find((each) => each >= pixels) ?? clip.width);
    if (width > this.width || width < this.width / 2) {
      this.clear();
      this.width = width;
      this.most = Math.min(KEPT, Math.max(3, Math.floor(ROOM / ((4 * width * width * clip.height) / clip.width))));
    }
  }

  /** @param {number} frame @returns {ImageBitmap | undefined} */
  at(frame) {
    const bitmap = this.kept.get(frame);
    if (bitmap) {
      this.kept.delete(frame);
      this.kept.set(frame, bitmap);
    }
    return bitmap;
  }

  /**
   * Fetch a frame and its neighbours; what is under way for another place is stopped.
   * @param {number} frame
   * @param {number} last
   * @param {{way?: number, neighbours?: boolean}} [options]
   */
  want(frame, last, { way = 1, neighbours = true } = {}) {
    this.wanted = [frame];
    for (let step = 1; neighbours && step <= AHEAD; step++) {
      this.wanted.push(frame + way * step);
      if (step <= BEHIND) this.wanted.push(frame - way * step);
    }
    this.wanted = this.wanted.filter((each) => each >= 0 && each <= last && !this.broken.has(each)).slice(0, this.most);
    const rank = (/** @type {number} */ each) => this.wanted.indexOf(each);
    for (const [each, flight] of this.flights) {
      if (rank(each) < 0) {
        flight.abort();
        this.flights.delete(each);
      }
    }
    this.fill();
  }

  fill() {
    for (const frame of this.wanted) {
      if (this.flights.size >= AT_ONCE) return;
      if (!this.kept.has(frame) && !this.flights.has(frame)) void this.fetch(frame);
    }
  }

  /** @param {number} frame */
  async fetch(frame) {
    const flight = new AbortController();
    this.flights.set(frame, flight);
    try {
      const bitmap = await picture(frameAt(this.job, frame, this.width), flight.signal);
      if (this.flights.get(frame) !== flight) return bitmap.close();
      this.flights.delete(frame);
      this.kept.set(frame, bitmap);
      for (const [each, old] of this.kept) {
        if (this.kept.size <= this.most) break;
        if (this.wanted.includes(each)) continue; // it would be fetched again at once
        old.close();
        this.kept.delete(each);
      }
      this.arrived(frame);
    } catch (error) {
      if (this.flights.get(frame) !== flight) return;
      this.flights.delete(frame);
      if (error instanceof DOMException && error.name === "AbortError") return;
      this.broken.add(frame);
      setTimeout(() => this.broken.delete(frame), 3000);
      setTimeout(() => this.wanted[0] === frame && this.want(frame, Math.max(...this.wanted)), 3100);
    }
    this.fill();
  }
}
