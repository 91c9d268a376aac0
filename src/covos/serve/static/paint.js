/** Paint masks as pictures: tinted with an outline, or as one white shape. */

import { raster } from "./rle.js";

/** @typedef {import("./types.js").Thing} Thing */
/** @typedef {{canvas: OffscreenCanvas, centre: [number, number] | null}} Painted Centre in pixels of the clip. */

const MOST = 1280;
const KEPT = 24;

/** @type {Map<string, Painted>} */
const painted = new Map();

/** @param {string} color As #rrggbb. */
function rgb(color) {
  const value = parseInt(color.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** @param {string} key @param {() => Painted} paint */
function cached(key, paint) {
  let found = painted.get(key);
  if (found) painted.delete(key);
  else found = paint();
  painted.set(key, found);
  for (const old of painted.keys()) {
    if (painted.size <= KEPT) break;
    painted.delete(old);
  }
  return found;
}

/**
 * An object as a tint with an outline in its colour between white and black lines: seen on any ground.
 * @param {string} counts
 * @param {[number, number]} size Rows and columns of the clip.
 * @param {{color: string, tint: number, dashed: boolean}} look `tint` from 0 to 1.
 * @returns {Painted}
 */
export function tinted(counts, size, look) {
  return cached(`${look.color} ${look.tint} ${look.dashed} ${counts}`, () => {
    const step = Math.max(1, Math.round(size[1] / MOST));
    const { data, height, width } = raster(counts, size[0], size[1], step);
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const [red, green, blue] = rgb(look.color);
    const with_alpha = (/** @type {number} */ alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    const inner = with_alpha(Math.round(look.tint * 255));
    const line = with_alpha(255);
    const dark = 0xb0000000;
    const light = 0xe0ffffff;
    let sum = 0;
    let down = 0;
    let across = 0;
    for (let row = 0, at = 0; row < height; row++) {
      for (let column = 0; column < width; column++, at++) {
        const here = data[at];
        const left = column > 0 ? data[at - 1] : here;
        const right = column < width - 1 ? data[at + 1] : here;
        const above = row > 0 ? data[at - width] : here;
        const below = row < height - 1 ? data[at + width] : here;
        if (here) {
          sum++;
          down += row;
          across += column;
          const rim = !(left && right && above && below);
          const gap = look.dashed && ((row + column) >> 3) % 2 === 1;
          pixels[at] = rim ? (gap ? light : line) : inner;
        } else if (left || right || above || below) {
          pixels[at] = dark;
        }
      }
    }
    return { canvas: drawn(image), centre: sum ? [(across / sum) * step, (down / sum) * step] : null };
  });
}

/**
 * The shape of some objects in white.
 * @param {string[]} counts
 * @param {[number, number]} size
 * @returns {Painted}
 */
export function shape(counts, size) {
  return cached(`white ${counts.join(" ")}`, () => {
    const step = Math.max(1, Math.round(size[1] / MOST));
    /** @type {ImageData | null} */
    let image = null;
    for (const each of counts) {
      const { data, height, width } = raster(each, size[0], size[1], step);
      image ??= new ImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      for (let at = 0; at < data.length; at++) if (data[at]) pixels[at] = 0xffffffff;
    }
    return { canvas: drawn(image ?? new ImageData(1, 1)), centre: null };
  });
}

/** @param {ImageData} image */
function drawn(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** A grey chequered ground, as other programs show what is transparent. */
export function checker() {
  const canvas = new OffscreenCanvas(24, 24);
  const ground = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  ground.fillStyle = "#c9ccd1";
  ground.fillRect(0, 0, 24, 24);
  ground.fillStyle = "#8b9097";
  ground.fillRect(0, 0, 12, 12);
  ground.fillRect(12, 12, 12, 12);
  return canvas;
}
