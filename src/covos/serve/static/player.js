/**
 * Playing. Paused, the exact frame is shown. While playing, the proxy is (at the clip's speed, with sound), and the
 * mask of the very frame that the browser presents; without a proxy, frames one after another.
 */

import { store, lastFrame } from "./state.js";

const MIDDLE = 0.5;

export class Player {
  /** @param {(frame: number) => void} moved Called with the frame that is presented. */
  constructor(moved) {
    this.moved = moved;
    this.video = document.createElement("video");
    this.video.playsInline = true;
    this.video.preload = "metadata"; // all of it would hold a connection
    this.video.addEventListener("ended", () => this.pause());
    this.source = "";
    this.run = 0;
    /** @type {number | null} Frame of the video's picture at hand. */
    this.presented = null;
  }

  /** The proxy can be seen; HEVC and others load without an error and have no picture. */
  get seen() {
    return this.video.readyState >= 1 && this.video.videoWidth > 0;
  }

  /** @param {string} id @param {boolean} proxy */
  open(id, proxy) {
    const source = proxy ? `api/jobs/${id}/proxy` : "";
    if (source === this.source) return;
    this.source = source;
    this.presented = null;
    if (source) this.video.src = source;
    else this.video.removeAttribute("src");
    this.video.load();
  }

  /** A run is the latest, and its job is still open: another one begins at rest. @param {number} run */
  goesOn(run) {
    return run === this.run && store.state.playing;
  }

  /** Seconds of the proxy for each frame; it begins at 0. */
  times() {
    const { timeline, job } = store.state;
    const times = timeline?.times ?? [];
    if (times.length > lastFrame(store.state)) return times.map((each) => each - times[0]);
    const rate = job?.info?.frame_rate || 25;
    return Array.from({ length: lastFrame(store.state) + 1 }, (_, index) => index / rate);
  }

  play() {
    const { frame, speed, sound } = store.state;
    const run = ++this.run;
    const last = lastFrame(store.state);
    const begin = frame >= last && speed > 0 ? 0 : frame <= 0 && speed < 0 ? last : frame;
    const times = this.times();
    store.set({ playing: true, live: false });
    // Chromium plays no video backwards.
    if (this.source && this.seen && speed > 0) void this.playVideo(run, begin, times, speed, sound);
    else this.playFrames(run, begin, times, speed);
  }

  /**
   * @param {number} run
   * @param {number} begin
   * @param {number[]} times
   * @param {number} speed
   * @param {boolean} sound
   */
  async playVideo(run, begin, times, speed, sound) {
    const video = this.video;
    // Between two times: a seek to the border may show the frame before.
    video.currentTime = (times[begin] + (times[begin + 1] ?? times[begin] + 0.02)) * MIDDLE;
    video.playbackRate = speed;
    video.muted = !sound;
    const present = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ data) => {
      if (!this.goesOn(run)) return;
      this.presented = nearest(times, data.mediaTime);
      this.moved(this.presented);
      video.requestVideoFrameCallback(present);
    };
    video.requestVideoFrameCallback(present);
    try {
      await video.play();
    } catch {
      if (this.goesOn(run)) this.playFrames(run, begin, times, speed);
    }
  }

  /**
   * @param {number} run
   * @param {number} begin
   * @param {number[]} times
   * @param {number} speed
   */
  playFrames(run, begin, times, speed) {
    this.presented = null;
    const start = performance.now();
    let shown = -1;
    const step = () => {
      if (!this.goesOn(run)) return;
      const time = times[begin] + ((performance.now() - start) / 1000) * speed;
      const frame = before(times, time);
      if (frame !== shown) this.moved((shown = frame));
      if (speed > 0 ? frame >= times.length - 1 : time <= 0) this.pause();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    if (!store.state.playing) return;
    this.run++;
    this.video.pause();
    store.set({ playing: false });
  }

  toggle() {
    if (store.state.playing) this.pause();
    else this.play();
  }

  /** @param {number} speed */
  setSpeed(speed) {
    const { playing } = store.state;
    this.pause();
    store.set({ speed });
    if (playing) this.play();
  }

  /** @param {boolean} sound */
  setSound(sound) {
    this.video.muted = !sound;
    store.set({ sound });
  }
}

/** @param {number[]} times @param {number} time @returns {number} Index of the last that is not later. */
export function before(times, time) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** @param {number[]} times @param {number} time @returns {number} */
export function nearest(times, time) {
  const index = before(times, time);
  return index + 1 < times.length && times[index + 1] - time < time - times[index] ? index + 1 : index;
}
