/**
 * The cut-out of the frame at rest, as downloads will have it: its true colours, its soft edge, its matte. The server makes
 * it with what writes downloads; until it is there, the viewer shows a quick one of the mask alone.
 */

import { Problem, picture } from "./api.js";
import { busy } from "./state.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {"quick" | "coming" | "true" | "failed"} Cut What is shown: the quick one, or the true one; or why there is none. */

const REST = 200;
const KEPT = 6;

export class Cutouts {
  /** @param {() => void} changed Called when one has come, or could not be made. */
  constructor(changed) {
    this.changed = changed;
    /** @type {Map<string, ImageBitmap | string>} Words where it could not be made. */
    this.kept = new Map();
    this.of = "";
    this.due = "";
    this.timer = 0;
    /** @type {AbortController | null} */
    this.flight = null;
  }

  /** Forget all where masks, objects or edges have changed. @param {State} state */
  renew({ id, job }) {
    // A download may have found mattes, which count here, too.
    const made = Object.entries(job?.results ?? {}).filter(([, each]) => each.state === "ready").map(([name]) => name);
    const of = [id, job?.revision, job?.objects.map((each) => Number(each.hidden)), made].join(" ");
    if (of === this.of) return;
    this.of = of;
    this.stop();
    for (const each of this.kept.values()) if (typeof each !== "string") each.close();
    this.kept.clear();
  }

  stop() {
    clearTimeout(this.timer);
    this.flight?.abort();
    this.flight = null;
    this.due = "";
  }

  /** @param {State} state @param {number} width */
  name(state, width) {
    const matte = { yes: "&matte=true", no: "&matte=false", "": "" }[state.matte];
    return `jobs/${state.id}/frames/${state.frame}/cutout?w=${width}${matte}${state.invert ? "&invert=true" : ""}`;
  }

  /**
   * Fetch the one of this frame, once the hand rests.
   * @param {State} state
   * @param {number} width
   * @param {boolean} masked The frame has masks.
   */
  want(state, width, masked) {
    this.renew(state);
    const rests = !state.playing && !busy(state) && !state.asking && !state.offline;
    const name = this.name(state, width);
    if (state.view === "overlay" || !rests || !masked || this.kept.has(name)) return name === this.due ? undefined : this.stop();
    if (name === this.due) return;
    this.stop();
    this.due = name;
    this.timer = setTimeout(() => void this.fetch(name), REST);
  }

  /** @param {string} name */
  async fetch(name) {
    const flight = (this.flight = new AbortController());
    /** @type {ImageBitmap | string} */
    let found;
    try {
      found = await picture(name, flight.signal);
    } catch (error) {
      if (flight.signal.aborted) return;
      found = error instanceof Problem ? error.fault.what : "it did not come";
    }
    if (this.flight !== flight) return typeof found === "string" ? undefined : found.close();
    this.stop();
    this.kept.set(name, found);
    for (const [each, old] of this.kept) {
      if (this.kept.size <= KEPT) break;
      if (typeof old !== "string") old.close();
      this.kept.delete(each);
    }
    this.changed();
  }

  /** @param {State} state @param {number} width @returns {ImageBitmap | null} */
  at(state, width) {
    const found = this.kept.get(this.name(state, width));
    return found === undefined || typeof found === "string" ? null : found;
  }

  /** @param {State} state @param {number} width @returns {{cut: Cut, why: string}} */
  tell(state, width) {
    const name = this.name(state, width);
    const found = this.kept.get(name);
    if (typeof found === "string") return { cut: "failed", why: found };
    return { cut: found ? "true" : name === this.due ? "coming" : "quick", why: "" };
  }
}
