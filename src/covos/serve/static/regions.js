/** Regions: boxes that the subject may not lie in, or has to. They are drawn over the picture and listed beside it. */

import { change } from "./actions.js";
import { byId, icon, make } from "./dom.js";
import { store } from "./state.js";

/** @typedef {import("./types.js").Region} Region */

const APART = 12; // pixels between the lines of the hatching

const TOLD = { exclude: "The subject stays out of this region.", within: "The subject stays within this region." };

/** @param {import("./types.js").Tool} tool @returns {tool is "exclude" | "within"} The tool draws a region of the subject. */
export const isRegion = (tool) => tool === "exclude" || tool === "within";

/** @param {"exclude" | "within"} role @param {number[]} box Left, top, right, bottom in pixels of the clip. */
export function addRegion(role, box) {
  void change("PUT", "regions", () => ({ regions: [...now(), { role, box }] }), TOLD[role]);
}

/** @returns {Region[]} Those of the latest answer. */
const now = () => store.state.job?.regions ?? [];

/** @param {Region} region */
function remove(region) {
  const words = region.role === "within" ? "The subject may leave it" : "The subject may lie there again";
  const same = (/** @type {Region} */ each) => JSON.stringify(each) === JSON.stringify(region);
  const rest = () => now().filter((_, index) => index !== now().findIndex(same));
  void change("PUT", "regions", () => ({ regions: rest() }), `The region is removed. ${words}.`);
}

/** @param {Region} region @param {number} place */
function row(region, place) {
  const { role, box } = region;
  const [left, top, right, bottom] = box.map(Math.round);
  const words = `${role === "exclude" ? "Not in" : "Only in"} ${right - left} × ${bottom - top} at ${left}, ${top}`;
  const button = make("button", { type: "button", className: "icon", "aria-label": `Remove region ${place + 1}`, title: "Remove" }, icon("close"));
  button.addEventListener("click", () => remove(region));
  return make("li", {}, make("span", {}, words), button);
}

export function startRegions() {
  const box = byId("regions-box");
  const list = byId("regions");
  store.watch((state, before) => {
    const regions = state.job?.regions ?? [];
    box.hidden = !regions.length && !isRegion(state.tool);
    byId("regions-none").hidden = regions.length > 0;
    if (state !== before && state.job?.regions === before.job?.regions) return;
    if (JSON.stringify(regions) === list.dataset.shown) return;
    list.dataset.shown = JSON.stringify(regions);
    const had = list.contains(document.activeElement);
    list.replaceChildren(...regions.map(row));
    if (had) (list.querySelector("button") ?? byId("picture")).focus();
  });
}

/**
 * Draw the regions, hatched.
 * @param {CanvasRenderingContext2D} context In pixels of the clip.
 * @param {Region[]} regions
 * @param {number} scale Pixels of the screen for one of the clip.
 */
export function drawRegions(context, regions, scale) {
  for (const { role, box } of regions) {
    const [left, top, right, bottom] = box;
    const shape = new Path2D();
    shape.rect(left, top, right - left, bottom - top);
    context.save();
    context.clip(shape);
    context.strokeStyle = role === "exclude" ? "#ff8a65c0" : "#80cbc4c0";
    context.lineWidth = 1.5 / scale;
    context.beginPath();
    const step = APART / scale;
    for (let x = left - (bottom - top); x < right; x += step) {
      context.moveTo(x, bottom);
      context.lineTo(x + bottom - top, top);
    }
    context.stroke();
    context.restore();
    for (const [color, width] of /** @type {const} */ ([["#000", 3], ["#fff", 1]])) {
      context.strokeStyle = color;
      context.lineWidth = width / scale;
      context.stroke(shape);
    }
  }
}
