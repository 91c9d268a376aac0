/** The pointer on the picture: points, boxes, brush and eraser, zoom and pan; and pointing by keys. */

import { masks, prompt } from "./actions.js";
import { ask } from "./api.js";
import { byId } from "./dom.js";
import { markerAt, point } from "./prompts.js";
import { addRegion, isRegion } from "./regions.js";
import { encode, raster } from "./rle.js";
import { keep } from "./settings.js";
import { hasFrames, numberOf, store } from "./state.js";
import { warn } from "./status.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {[number, number]} Place Column and row in pixels of the clip. */

const SMALL = 5; // pixels of the window that a hand shakes

export class Tools {
  /** @param {Viewer} viewer @param {import("./player.js").Player} player */
  constructor(viewer, player) {
    this.viewer = viewer;
    this.player = player;
    /** @type {Map<number, PointerEvent>} Fingers on the picture. */
    this.fingers = new Map();
    /** @type {{start: Place, event: PointerEvent, path: Place[], pan: boolean} | null} */
    this.stroke = null;
    /** @type {Place | null} First corner of a box by two clicks. */
    this.corner = null;
    /** @type {Place | null} Where the brush is that does not paint. */
    this.over = null;
    const canvas = viewer.canvas;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.drop(event));
    canvas.addEventListener("pointerleave", () => this.stroke || this.corner || this.clear());
    at = this;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      viewer.zoomBy(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), [event.clientX, event.clientY]);
    }, { passive: false });
    for (const [name, read] of /** @type {const} */ ([["tool", String], ["sign", Number]])) {
      for (const input of document.querySelectorAll(`input[name=${name}]`)) {
        input.addEventListener("change", () => store.set({ [name]: read(/** @type {HTMLInputElement} */ (input).value) }));
      }
    }
    byId("brush").addEventListener("input", () => setBrush(Number(/** @type {HTMLInputElement} */ (byId("brush")).value)));
    store.watch((state, before) => {
      choose("tool", state.tool);
      choose("sign", String(state.sign));
      byId("signs").hidden = state.tool !== "point";
      byId("brush-size").hidden = !paints(state.tool);
      /** @type {HTMLInputElement} */ (byId("brush")).value = String(state.brush);
      canvas.dataset.tool = state.tool;
      if ((before.asking && !state.asking) || state.frame !== before.frame) viewer.wet = [];
      if (state.tool !== before.tool || state.frame !== before.frame) this.clear();
      else if (state.brush !== before.brush && this.over) this.ring(this.over);
      else if (state.cross && state.cross !== before.cross && this.corner) this.box(this.corner, state.cross);
      if (!paints(state.tool) || this.stroke) return;
      if (state.cross && (state.cross !== before.cross || !this.over)) this.ring([state.cross[0] + 0.5, state.cross[1] + 0.5]);
      else if (before.cross && !state.cross) this.clear();
    });
  }

  clear() {
    this.stroke = null;
    this.corner = null;
    this.over = null;
    this.viewer.sketch = null;
    this.viewer.draw();
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.viewer.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, event);
    if (this.fingers.size > 1) return this.clear(); // two fingers pinch
    const pan = event.button === 1;
    if (store.state.playing && !pan) return this.player.pause(); // the frame is to be seen before it is corrected
    const start = this.viewer.pixel(event.clientX, event.clientY);
    if (!start && !pan) return;
    if (!pan && !ready(this.viewer)) return;
    this.stroke = { start: start ?? [0, 0], event, path: start ? [start] : [], pan };
    if (event.button === 1) event.preventDefault();
    this.sketch();
  }

  /** @param {PointerEvent} event */
  move(event) {
    const last = this.fingers.get(event.pointerId);
    if (last && this.fingers.size === 2) this.pinch(last, event);
    if (last) this.fingers.set(event.pointerId, event);
    const stroke = this.stroke;
    if (stroke?.pan && last) return this.viewer.drag(event.clientX - last.clientX, event.clientY - last.clientY);
    const place = this.viewer.pixel(event.clientX, event.clientY, true);
    if (place && stroke && this.fingers.size === 1) stroke.path.push(place);
    else if (place && this.corner) this.box(this.corner, place);
    else if (place && paints(store.state.tool) && event.pointerType !== "touch") this.ring(place);
    if (stroke) this.sketch();
    this.hover(store.state.tool === "point" && place && !stroke ? markerAt(place[0], place[1], this.viewer.scale) : undefined);
  }

  /** Show that a click removes a point. @param {import("./types.js").Given | undefined} marker */
  hover(marker) {
    const { canvas } = this.viewer;
    canvas.toggleAttribute("data-marker", !!marker);
    canvas.title = marker ? `Click with ${marker.label ? "Add" : "Remove"} to take this point back` : "";
  }

  /** @param {PointerEvent} last @param {PointerEvent} event */
  pinch(last, event) {
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) return;
    const far = (/** @type {PointerEvent} */ each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    this.viewer.drag((event.clientX - last.clientX) / 2, (event.clientY - last.clientY) / 2);
    this.viewer.zoomBy(far(event) / Math.max(1, far(last)), [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2]);
  }

  /** @param {PointerEvent} event */
  drop(event) {
    this.fingers.delete(event.pointerId);
    this.clear();
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.fingers.delete(event.pointerId);
    const stroke = this.stroke;
    this.stroke = null;
    this.viewer.sketch = null;
    this.viewer.draw();
    if (!stroke || stroke.pan) return;
    const { tool } = store.state;
    const end = this.viewer.pixel(event.clientX, event.clientY, true) ?? stroke.start;
    const still = Math.hypot(event.clientX - stroke.event.clientX, event.clientY - stroke.event.clientY) < SMALL;
    if (tool === "point") this.point(stroke.start, stroke.event.button === 2 || stroke.event.altKey);
    else if (tool === "box" || isRegion(tool)) this.boxed(stroke.start, end, still);
    else this.painted(stroke.path, (tool === "eraser") !== (stroke.event.button === 2 || stroke.event.altKey));
  }

  /** @param {Place} place @param {boolean} other The other button: removes where the first adds. */
  point([x, y], other) {
    const { sign } = store.state;
    point(x, y, other ? (sign ? 0 : 1) : sign, this.viewer.scale);
  }

  /** A box by dragging, or by two clicks. @param {Place} start @param {Place} end @param {boolean} still */
  boxed(start, end, still) {
    if (still && !this.corner) {
      this.corner = start;
      return this.box(start, start);
    }
    const [a, b] = [this.corner ?? start, end];
    this.corner = null;
    const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])].map(Math.round);
    if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return;
    const { tool } = store.state;
    if (isRegion(tool)) addRegion(tool, box);
    else prompt({ box });
  }

  /** The whole mask with the stroke in it. @param {Place[]} path @param {boolean} erase */
  painted(path, erase) {
    const { job, object, brush, frame } = store.state;
    if (!job?.info) return;
    const { width, height } = job.info;
    if (erase && !masks.at(frame)?.objects.some((each) => each.id === object)) return warn("The chosen object is not in this frame: there is nothing to erase.");
    this.viewer.wet.push(stroked(path, brush, erase)); // it is seen until its mask is there
    prompt(async (now) => {
      // Not the mask that is shown: its edges may be changed, and would be changed again.
      const page = await /** @type {Promise<{frames: import("./types.js").FrameMasks[]}>} */ (
        ask("GET", `jobs/${job.id}/masks?start=${frame}&stop=${frame + 1}&edges=false`)
      );
      const there = page.frames[0]?.objects.find((each) => each.id === now);
      const data = there ? raster(there.counts, height, width).data : new Uint8Array(width * height);
      brushed(data, width, height, path, brush / 2, erase ? 0 : 1);
      return { mask: { size: /** @type {[number, number]} */ ([height, width]), counts: encode(data, height, width) } };
    });
  }

  /** @param {Place} a @param {Place} b */
  box(a, b) {
    this.viewer.sketch = (context, scale) => {
      for (const [color, dash] of /** @type {[string, number[]][]} */ ([["#000", []], ["#fff", [6 / scale, 4 / scale]]])) {
        context.strokeStyle = color;
        context.setLineDash(dash);
        context.lineWidth = 1.5 / scale;
        context.strokeRect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
      }
    };
    this.viewer.draw();
  }

  sketch() {
    const stroke = this.stroke;
    const { tool, brush } = store.state;
    if (!stroke || stroke.pan || tool === "point") return;
    if (tool === "box" || isRegion(tool)) return this.box(this.corner ?? stroke.start, stroke.path[stroke.path.length - 1]);
    this.viewer.sketch = stroked(stroke.path, brush, tool === "eraser");
    this.viewer.draw();
  }

  /** The brush where the pointer is: its size is seen before it paints. @param {Place} place */
  ring(place) {
    this.over = place;
    this.viewer.sketch = (context, scale) => {
      for (const [color, width] of /** @type {const} */ ([["#000", 3], ["#fff", 1.2]])) {
        context.beginPath();
        context.arc(...place, store.state.brush / 2, 0, 7);
        context.lineWidth = width / scale;
        context.strokeStyle = color;
        context.stroke();
      }
    };
    this.viewer.draw();
  }
}

/**
 * What draws a stroke that is no mask yet.
 * @param {Place[]} path
 * @param {number} brush
 * @param {boolean} erases
 * @returns {(context: CanvasRenderingContext2D) => void}
 */
function stroked(path, brush, erases) {
  return (context) => {
    context.lineWidth = brush;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = erases ? "#b3261e90" : "#ffffff90";
    context.beginPath();
    context.moveTo(...path[0]);
    for (const place of path) context.lineTo(...place);
    context.stroke();
  };
}

/**
 * Tell if the masks of this frame can be changed now; if not, the person is told. Work that goes on is no bar.
 * @param {Viewer} viewer
 */
function ready(viewer) {
  const { frame, playing, tool } = store.state;
  if (!hasFrames(store.state) || playing) return false;
  if (isRegion(tool)) return true; // it is of all frames
  const there = masks.at(frame) !== null; // where it is not fetched yet, the server knows
  const seen = viewer.seen.frame === frame;
  if (!there) warn("This frame has no mask yet. Wait until it is there, then correct it.");
  else if (!seen) warn(`The picture of frame ${numberOf(store.state, frame)} is not there yet, so this click was not taken. Click again when you see it.`);
  return there && seen;
}

/** @param {string} tool @returns {boolean} It is a brush that paints, or erases. */
const paints = (tool) => tool === "brush" || tool === "eraser";

/** @param {string} name @param {string} value */
export function choose(name, value) {
  const input = /** @type {HTMLInputElement | null} */ (document.querySelector(`input[name="${name}"][value="${value}"]`));
  if (input) input.checked = true;
}

/** @param {number} size */
export function setBrush(size) {
  const brush = Math.min(200, Math.max(2, Math.round(size)));
  store.set({ brush });
  keep({ brush });
}

/**
 * Set the bytes within a distance of a path.
 * @param {Uint8Array} data
 * @param {number} width
 * @param {number} height
 * @param {Place[]} path
 * @param {number} radius
 * @param {0 | 1} value
 */
function brushed(data, width, height, path, radius, value) {
  path.forEach(([x, y], index) => {
    const [u, v] = path[index - 1] ?? [x, y];
    const long = (x - u) ** 2 + (y - v) ** 2 || 1;
    const bottom = Math.min(height - 1, Math.max(y, v) + radius);
    const right = Math.min(width - 1, Math.max(x, u) + radius);
    for (let row = Math.max(0, Math.floor(Math.min(y, v) - radius)); row <= bottom; row++) {
      for (let column = Math.max(0, Math.floor(Math.min(x, u) - radius)); column <= right; column++) {
        const along = Math.min(1, Math.max(0, ((column + 0.5 - u) * (x - u) + (row + 0.5 - v) * (y - v)) / long));
        const far = (column + 0.5 - u - along * (x - u)) ** 2 + (row + 0.5 - v - along * (y - v)) ** 2;
        if (far <= radius * radius) data[row * width + column] = value;
      }
    }
  });
}

/* Pointing by keys: a crosshair that the arrows move. */

export function toggleCross() {
  const { cross, job } = store.state;
  if (!job?.info) return;
  store.set({ cross: cross ? null : [Math.floor(job.info.width / 2), Math.floor(job.info.height / 2)] });
  if (store.state.cross) byId("picture").focus();
}

/** @param {number} x @param {number} y */
export function moveCross(x, y) {
  const { cross, job } = store.state;
  if (!cross || !job?.info) return;
  store.set({ cross: [Math.min(job.info.width - 1, Math.max(0, cross[0] + x)), Math.min(job.info.height - 1, Math.max(0, cross[1] + y))] });
}

/** @type {Tools | null} */
let at = null;

/** Drop a box or a stroke that is begun. @returns {boolean} There was one. */
export function cancelStroke() {
  if (!at?.stroke && !at?.corner) return false;
  at.clear();
  return true;
}

/** Do at the crosshair as the tool does below the pointer. @param {boolean} other As with the other button: removes where the first adds. */
export function clickCross(other) {
  const { cross, tool, job } = store.state;
  if (!cross || !job?.info || !at || !ready(at.viewer)) return;
  // The arrows reach no further than the last pixels: a corner on one of them lies on the border.
  const corner = /** @type {Place} */ ([cross[0] < job.info.width - 1 ? cross[0] : job.info.width, cross[1] < job.info.height - 1 ? cross[1] : job.info.height]);
  if (tool === "box" || isRegion(tool)) at.boxed(corner, corner, true); // a corner, then the other
  else if (paints(tool)) at.painted([[cross[0] + 0.5, cross[1] + 0.5]], (tool === "eraser") !== other);
  else at.point([cross[0] + 0.5, cross[1] + 0.5], other);
}
