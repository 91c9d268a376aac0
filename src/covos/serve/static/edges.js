/** The edge: grow or shrink, feather, specks, holes, steadiness. A change is sent as soon as the hand rests. */

import { change } from "./actions.js";
import { byId, setText } from "./dom.js";
import { store } from "./state.js";

const REST = 250;

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (byId(id));

/** What a control says, as the server takes it. */
const VALUES = {
  grow: () => {
    const grow = Number(input("grow").value);
    return { grow: String(Math.max(0, grow)), shrink: String(Math.max(0, -grow)) };
  },
  feather: () => ({ feather: input("feather").value }),
  specks: () => ({ min_area: Number(input("specks").value) ? `${input("specks").value}%` : "0" }),
  steady: () => ({ smooth_time: Number(input("steady").value) }),
  holes: () => ({ fill_holes: input("holes").checked ? "all" : "0" }),
};

/**
 * Pixels of a length as covos writes it: 3, 0.5% or 5‰ of the height.
 * @param {unknown} given
 * @returns {number}
 */
function pixels(given) {
  const text = String(given ?? "0");
  const height = store.state.job?.info?.height ?? 0;
  const part = text.endsWith("%") ? height / 100 : text.endsWith("‰") ? height / 1000 : 1;
  return (parseFloat(text) || 0) * part;
}

function labels() {
  const grow = Number(input("grow").value);
  setText(byId("grow-out"), `${grow > 0 ? "+" : ""}${grow} px`);
  setText(byId("feather-out"), `${input("feather").value} px`);
  setText(byId("specks-out"), Number(input("specks").value) ? `below ${input("specks").value}% of the frame` : "off");
  const steady = Number(input("steady").value);
  setText(byId("steady-out"), steady ? `${steady} ${steady === 1 ? "frame" : "frames"} each way` : "off");
}

export function startEdges() {
  let due = 0;
  /** @type {Set<keyof typeof VALUES>} Only these are sent: the others may have values that no slider shows. */
  const touched = new Set();
  const send = () => {
    clearTimeout(due);
    const changes = [...touched].map((id) => VALUES[id]());
    touched.clear();
    if (changes.length) void change("PATCH", "edges", Object.assign({}, ...changes));
  };
  for (const id of /** @type {(keyof typeof VALUES)[]} */ (Object.keys(VALUES))) {
    byId(id).addEventListener("input", () => {
      touched.add(id);
      labels();
      clearTimeout(due);
      due = setTimeout(send, REST);
    });
  }
  store.watch((state, before) => {
    if (state.id !== before.id) {
      clearTimeout(due); // it was meant for the job before
      touched.clear();
    }
    if (touched.size || !state.job || (state !== before && state.job.edges === before.job?.edges)) return;
    const { grow, shrink, feather, min_area, fill_holes, smooth_time } = state.job.edges;
    input("grow").value = String(Math.round(pixels(grow) - pixels(shrink)));
    input("feather").value = String(Math.round(pixels(feather)));
    input("specks").value = String(min_area ?? "").endsWith("%") ? String(parseFloat(String(min_area))) : "0";
    input("holes").checked = !!fill_holes && String(fill_holes) !== "0";
    input("steady").value = String(smooth_time ?? 0);
    labels();
  });
}
