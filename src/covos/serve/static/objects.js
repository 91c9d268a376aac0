/** The objects: a chip for each, with its colour, number and name; choose, hide, rename, merge, delete. */

import { change } from "./actions.js";
import { byId, counted, icon, make, sentence, setText } from "./dom.js";
import { store } from "./state.js";

/** @typedef {import("./types.js").Thing} Thing */

/** @type {number | null} Object that the dialog is about. */
let open = null;

/** @param {Thing} thing @param {boolean} chosen */
function chip(thing, chosen) {
  const swatch = make("span", { className: "swatch", "aria-hidden": "true" }, String(thing.id));
  swatch.style.background = thing.color;
  const pick = make("button", { type: "button", className: "pick", "aria-pressed": chosen }, swatch, make("span", {}, thing.name));
  pick.addEventListener("click", () => store.set({ object: thing.id }));
  const eye = make("button", { type: "button", className: "icon", "aria-pressed": thing.hidden, "aria-label": `Hide ${thing.name}`, title: `${thing.hidden ? "Show" : "Hide"} ${thing.name}` }, icon(thing.hidden ? "hidden" : "eye"));
  const shown = thing.hidden ? "is shown again" : "is hidden on this page alone. Downloads have it; delete it to leave it out";
  eye.addEventListener("click", () => change("PATCH", `objects/${thing.id}`, { hidden: !thing.hidden }, sentence(`${thing.name} ${shown}`)));
  const more = make("button", { type: "button", className: "icon", "aria-label": `More about ${thing.name}`, title: "Name, merge, delete", "aria-haspopup": "dialog" }, icon("more"));
  more.addEventListener("click", () => showObject(thing.id));
  return make("li", { className: chosen ? "chosen" : "" }, pick, eye, more);
}

/** @param {number} id */
function showObject(id) {
  const things = store.state.job?.objects ?? [];
  const thing = things.find((each) => each.id === id);
  if (!thing) return;
  open = id;
  setText(byId("object-title"), `Object ${id}`);
  const name = /** @type {HTMLInputElement} */ (byId("object-name"));
  name.value = thing.name;
  const others = things.filter((each) => each.id !== id);
  byId("object-merge-row").hidden = !others.length;
  byId("object-into").replaceChildren(...others.map((each) => make("option", { value: String(each.id) }, `${each.id} ${each.name}`)));
  /** @type {HTMLDialogElement} */ (byId("object")).showModal();
  name.select();
}

/** @param {number | null} id */
export function removeObject(id) {
  const thing = store.state.job?.objects.find((each) => each.id === id);
  if (!thing) return;
  const spans = store.state.timeline?.objects[thing.id]?.filter(([, , what]) => what === "present");
  const count = spans?.reduce((sum, [from, to]) => sum + to - from, 0);
  const where = count === undefined ? "all frames" : counted(count, "frame");
  void change("DELETE", `objects/${thing.id}`, undefined, sentence(`${thing.name} is deleted, with its masks on ${where} and its corrections`));
}

export function startObjects() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("object"));
  const name = /** @type {HTMLInputElement} */ (byId("object-name"));
  const nameNow = () => store.state.job?.objects.find((each) => each.id === open)?.name ?? "";
  name.addEventListener("change", () => {
    const wanted = name.value.trim();
    if (wanted && wanted !== nameNow()) void change("PATCH", `objects/${open}`, { name: wanted });
  });
  dialog.addEventListener("cancel", () => {
    name.value = nameNow(); // the field still tells of its change when Escape takes the focus from it
  });
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the focus goes back to the button that opened this; Enter would press it again
    name.blur(); // the change counts
    dialog.close();
  });
  byId("object-merge").addEventListener("click", () => {
    const into = Number(/** @type {HTMLSelectElement} */ (byId("object-into")).value);
    dialog.close();
    store.set({ object: into });
    const name = (/** @type {number | null} */ id) => store.state.job?.objects.find((each) => each.id === id)?.name ?? `object ${id}`;
    void change("POST", `objects/${open}/merge`, { into }, sentence(`${name(open)} is a part of ${name(into)} now, on all frames`));
  });
  byId("object-delete").addEventListener("click", () => {
    dialog.close();
    removeObject(open);
  });
  const fresh = byId("new-object");
  fresh.addEventListener("click", () => {
    const { job } = store.state;
    const before = job?.objects[0]?.id ?? null;
    store.set({ object: store.state.object === null ? before : null });
  });
  store.watch((state, before) => {
    fresh.setAttribute("aria-pressed", String(!!state.job && state.object === null));
    if (state !== before && state.job?.objects === before.job?.objects && state.object === before.object) return;
    const list = byId("objects");
    const place = [...list.querySelectorAll("button")].indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    list.replaceChildren(...(state.job?.objects ?? []).map((each) => chip(each, each.id === state.object)));
    if (place >= 0) list.querySelectorAll("button")[place]?.focus(); // the focus outlives its button
  });
}
