/** The viewer: the picture, the masks over it, points and crosshair; zoom and pan. */

import { byId } from "./dom.js";
import { paintGround } from "./ground.js";
import { checker, shape, tinted } from "./paint.js";
import { drawRegions, isRegion } from "./regions.js";
import { settings } from "./settings.js";

/** @typedef {import("./types.js").State} State */
/** @typedef {{picture: CanvasImageSource | null, frame: number, masks: import("./types.js").FrameMasks | null | undefined,
 *   size: [number, number], cutout: ImageBitmap | null}} Shown `cutout`: as downloads will have it, if it is known. */

const MOST = 32;

export class Viewer {
  /**
   * @param {() => {state: State, shown: Shown}} look What there is to draw.
   * @param {() => void} drawn Called when it is drawn.
   */
  constructor(look, drawn) {
    this.look = look;
    this.drawn = drawn;
    /** What stands on the canvas; no frame before the first picture. @type {{frame: number | null, view: string, cutout: ImageBitmap | null}} */
    this.seen = { frame: null, view: "", cutout: null };
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("picture"));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.ground = checker();
    this.scratch = new OffscreenCanvas(1, 1);
    this.zoom = 1;
    /** @type {[number, number]} Middle of the view in shares of the picture. */
    this.middle = [0.5, 0.5];
    /** @type {((context: CanvasRenderingContext2D, scale: number) => void) | null} Draws the stroke or box at hand. */
    this.sketch = null;
    /** @type {((context: CanvasRenderingContext2D) => void)[]} Draw strokes whose masks are still to come. */
    this.wet = [];
    this.due = 0;
    new ResizeObserver(() => this.resize()).observe(byId("viewer"));
    this.resize();
  }

  resize() {
    const box = byId("viewer").getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    this.draw();
  }

  /** Draw at the next frame of the screen; many changes become one drawing. */
  draw() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.paint();
    });
  }

  /** Rectangles of the canvas that show the picture: one, or two side by side. */
  panes() {
    const { width, height } = this.canvas;
    if (this.look().state.view !== "side") return [{ x: 0, y: 0, width, height }];
    const gap = 4;
    if (width > height) {
      const half = Math.floor((width - gap) / 2);
      return [{ x: 0, y: 0, width: half, height }, { x: width - half, y: 0, width: half, height }];
    }
    const half = Math.floor((height - gap) / 2);
    return [{ x: 0, y: 0, width, height: half }, { x: 0, y: height - half, width, height: half }];
  }

  /**
   * Where the picture lies in a pane.
   * @param {{x: number, y: number, width: number, height: number}} pane
   */
  place(pane) {
    const info = this.look().state.job?.info;
    const [width, height] = info ? [info.width, info.height] : [16, 9];
    const scale = Math.min(pane.width / width, pane.height / height) * this.zoom;
    return {
      scale,
      left: pane.x + pane.width / 2 - this.middle[0] * width * scale,
      top: pane.y + pane.height / 2 - this.middle[1] * height * scale,
      width: width * scale,
      height: height * scale,
    };
  }

  /** Pixels of the window for one of the clip. */
  get scale() {
    return this.place(this.panes()[0]).scale / (devicePixelRatio || 1);
  }

  /** Width in screen pixels at which the picture stands. */
  get wide() {
    return this.place(this.panes()[0]).width;
  }

  /**
   * Column and row of the clip below a place of the window. On the right and lower border they are its width and height,
   * where boxes end that take the last pixels in.
   * @param {number} x
   * @param {number} y
   * @param {boolean} [clamp] Bring places outside to the border; else they give null, and so do these two borders.
   * @returns {[number, number] | null}
   */
  pixel(x, y, clamp = false) {
    const info = this.look().state.job?.info;
    if (!info) return null;
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    const [across, down] = [(x - box.left) * ratio, (y - box.top) * ratio];
    const panes = this.panes();
    const pane = panes.find((each) => across >= each.x && across <= each.x + each.width && down >= each.y && down <= each.y + each.height) ?? panes[0];
    const { left, top, scale } = this.place(pane);
    const [column, row] = [(across - left) / scale, (down - top) / scale];
    if (!clamp && (column < 0 || row < 0 || column >= info.width || row >= info.height)) return null;
    return [Math.min(Math.max(0, column), info.width), Math.min(Math.max(0, row), info.height)];
  }

  /**
   * Zoom, and keep the pixel below a place of the window where it is.
   * @param {number} factor
   * @param {[number, number]} [about]
   */
  zoomBy(factor, about) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = about ?? [box.left + box.width / 2, box.top + box.height / 2];
    const before = this.pixel(x, y, true);
    this.zoom = Math.min(MOST, Math.max(1, this.zoom * factor));
    const after = this.pixel(x, y, true);
    const info = this.look().state.job?.info;
    if (before && after && info) this.pan((before[0] - after[0]) / info.width, (before[1] - after[1]) / info.height);
    this.draw();
  }

  /** @param {number} across @param {number} down In shares of the picture. */
  pan(across, down) {
    const half = 0.5 / this.zoom;
    const within = (/** @type {number} */ value) => Math.min(1 - half, Math.max(half, value));
    this.middle = [within(this.middle[0] + across), within(this.middle[1] + down)];
    this.draw();
  }

  /** @param {number} x @param {number} y Movement in pixels of the window. */
  drag(x, y) {
    const { width, height } = this.place(this.panes()[0]);
    const ratio = this.canvas.width / this.canvas.getBoundingClientRect().width;
    this.pan((-x * ratio) / width, (-y * ratio) / height);
  }

  fit() {
    this.zoom = 1;
    this.middle = [0.5, 0.5];
    this.draw();
  }

  paint() {
    const { state, shown } = this.look();
    const context = this.context;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.seen = { frame: shown.picture && state.job?.info ? shown.frame : null, view: state.view, cutout: shown.cutout };
    this.canvas.dataset.frame = String(this.seen.frame ?? "");
    this.drawn();
    if (!state.job?.info) return;
    const views = state.view === "side" ? ["overlay", "checker"] : [state.view];
    this.panes().forEach((pane, index) => {
      const place = this.place(pane);
      context.save();
      context.beginPath();
      context.rect(pane.x, pane.y, pane.width, pane.height);
      context.clip();
      context.imageSmoothingEnabled = place.scale < 3;
      const masks = state.bare ? [] : this.visible(state, shown);
      if (views[index] === "overlay") this.overlay(state, shown, place, masks);
      else this.cut(state, shown, place, masks, views[index]);
      this.pointers(state, shown, place);
      context.restore();
    });
  }

  /**
   * Masks that are not hidden, with their objects.
   * @param {State} state
   * @param {Shown} shown
   */
  visible(state, shown) {
    const things = new Map((state.job?.objects ?? []).map((each) => [each.id, each]));
    return (shown.masks?.objects ?? []).flatMap((mask) => {
      const thing = things.get(mask.id);
      return thing && !thing.hidden && mask.counts ? [{ mask, thing }] : [];
    });
  }

  /**
   * @param {State} state
   * @param {Shown} shown
   * @param {ReturnType<Viewer["place"]>} place
   * @param {ReturnType<Viewer["visible"]>} masks
   */
  overlay(state, shown, place, masks) {
    const context = this.context;
    if (shown.picture) context.drawImage(shown.picture, place.left, place.top, place.width, place.height);
    for (const { mask, thing } of masks) {
      const dashed = thing.id !== state.object;
      const { canvas, centre } = tinted(mask.counts, shown.size, { color: thing.color, tint: settings.tint / 100, dashed });
      context.drawImage(canvas, place.left, place.top, place.width, place.height);
      if (centre && masks.length > 1) this.number(thing, place.left + centre[0] * place.scale, place.top + centre[1] * place.scale);
    }
  }

  /** @param {import("./types.js").Thing} thing @param {number} x @param {number} y */
  number(thing, x, y) {
    const context = this.context;
    const ratio = devicePixelRatio || 1;
    context.beginPath();
    context.arc(x, y, 10 * ratio, 0, 7);
    context.fillStyle = "#14161ad0";
    context.fill();
    context.fillStyle = "#fff";
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(thing.id), x, y + ratio / 2);
  }

  /**
   * @param {State} state
   * @param {Shown} shown
   * @param {ReturnType<Viewer["place"]>} place
   * @param {ReturnType<Viewer["visible"]>} masks
   * @param {string} view
   */
  cut(state, shown, place, masks, view) {
    const context = this.context;
    const { left, top, width, height } = place;
    if (view === "ground") paintGround(context, place);
    else {
      context.fillStyle = view === "matte" ? "#000" : (context.createPattern(this.ground, "repeat") ?? "#999");
      context.fillRect(left, top, width, height);
    }
    const { cutout } = shown;
    const all = state.invert && !masks.length && !state.bare;
    if (all && view === "matte") {
      context.fillStyle = "#fff";
      context.fillRect(left, top, width, height);
    } else if (all && shown.picture) context.drawImage(shown.picture, left, top, width, height);
    if (!masks.length) return;
    const canvas = cutout ?? shape(masks.map((each) => each.mask.counts), shown.size).canvas;
    const feather = cutout ? 0 : soft(state, place.scale);
    // The cut is put together at the size of the canvas, so that zooming in costs no memory.
    if (this.scratch.width !== this.canvas.width || this.scratch.height !== this.canvas.height) {
      this.scratch = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    }
    const cut = /** @type {OffscreenCanvasRenderingContext2D} */ (this.scratch.getContext("2d"));
    cut.globalCompositeOperation = "copy";
    cut.filter = feather > 0.3 ? `blur(${feather}px)` : "none";
    cut.drawImage(canvas, left, top, width, height);
    cut.filter = "none";
    // The true cut-out is inverted already.
    cut.globalCompositeOperation = state.invert && !cutout ? "source-out" : "source-in";
    if (view === "matte") {
      cut.fillStyle = "#fff";
      cut.fillRect(left, top, width, height);
    } else if (!cutout && shown.picture) cut.drawImage(shown.picture, left, top, width, height);
    context.drawImage(this.scratch, 0, 0);
  }

  /**
   * @param {State} state
   * @param {Shown} shown
   * @param {ReturnType<Viewer["place"]>} place
   */
  pointers(state, shown, place) {
    const context = this.context;
    const ratio = devicePixelRatio || 1;
    const at = (/** @type {number} */ x, /** @type {number} */ y) => /** @type {const} */ ([place.left + (x + 0.5) * place.scale, place.top + (y + 0.5) * place.scale]);
    for (const click of state.playing || state.bare ? [] : [...(state.job?.prompts ?? []), ...state.clicks]) {
      if (click.x === null || click.y === null) continue; // no point
      if (click.frame !== shown.frame || (click.object !== null && click.object !== state.object)) continue;
      const [x, y] = at(click.x, click.y);
      context.beginPath();
      context.arc(x, y, 7 * ratio, 0, 7);
      context.fillStyle = click.label ? "#1a7f37" : "#b3261e";
      context.fill();
      context.lineWidth = 2 * ratio;
      context.strokeStyle = "#fff";
      context.stroke();
      context.beginPath();
      context.moveTo(x - 3.5 * ratio, y);
      context.lineTo(x + 3.5 * ratio, y);
      if (click.label) {
        context.moveTo(x, y - 3.5 * ratio);
        context.lineTo(x, y + 3.5 * ratio);
      }
      context.stroke();
    }
    if (state.cross) {
      const [x, y] = at(...state.cross);
      for (const [color, width] of /** @type {const} */ ([["#000", 4], ["#fff", 1.5]])) {
        context.beginPath();
        for (const side of [-1, 1]) {
          context.moveTo(x + 5 * side * ratio, y);
          context.lineTo(x + 22 * side * ratio, y);
          context.moveTo(x, y + 5 * side * ratio);
          context.lineTo(x, y + 22 * side * ratio);
        }
        context.lineWidth = width * ratio;
        context.strokeStyle = color;
        context.stroke();
      }
    }
    if (this.sketch || this.wet.length || isRegion(state.tool)) {
      context.save();
      context.translate(place.left, place.top);
      context.scale(place.scale, place.scale);
      if (isRegion(state.tool)) drawRegions(context, state.job?.regions ?? [], place.scale / ratio);
      for (const draw of this.wet) draw(context);
      this.sketch?.(context, place.scale / ratio);
      context.restore();
    }
  }
}

/**
 * Feather in screen pixels, of the quick cut-out: about how soft the true one is.
 * @param {State} state
 * @param {number} scale
 */
function soft(state, scale) {
  const given = String(state.job?.edges.feather ?? "0");
  const height = state.job?.info?.height ?? 0;
  const pixels = given.endsWith("%") ? (parseFloat(given) / 100) * height : given.endsWith("‰") ? (parseFloat(given) / 1000) * height : parseFloat(given);
  return ((pixels || 0) * scale) / 4;
}
