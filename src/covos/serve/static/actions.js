/** What the person can do, as verbs. Each asks the server and brings the answer into the state. */

import { Problem, ask, listen } from "./api.js";
import { sentence } from "./dom.js";
import { Masks } from "./masks.js";
import { forget, recall } from "./settings.js";
import { busy, lastFrame, numberOf, phase, store } from "./state.js";
import { hush, tell, warn } from "./status.js";
import { again, answered, byNumber, leftOut } from "./words.js";

/** @typedef {import("./types.js").Job} Job */
/** @typedef {import("./types.js").Click} Click */

export const masks = new Masks(() => changed());
/** @type {() => void} Set by main.js: something that is drawn came in. */
let changed = () => undefined;

/** @param {() => void} draw */
export function onMasks(draw) {
  changed = draw;
}

let stopListening = () => {};
let began = 0;

/** @returns {number} Frame where the work began that was watched; the page goes back there. */
export function origin() {
  return began;
}

let probing = 0;

/** Say that the server does not answer, and try again, more and more rarely. */
function offline(wait = 1000) {
  store.set({ offline: true });
  clearTimeout(probing);
  probing = setTimeout(async () => {
    try {
      await ask("GET", "info");
      store.set({ offline: false });
      if (store.state.id) await refresh();
      else await showStart();
    } catch (error) {
      if (error instanceof Problem && error.status === 0) offline(Math.min(30000, wait * 2));
      else fail(error);
    }
  }, wait);
}

/** @param {unknown} error Show an error; what was stopped on purpose is none. */
export function fail(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (!(error instanceof Problem)) throw error;
  if (error.status === 0) return store.state.offline ? undefined : offline();
  if ((error.status === 404 || error.status === 410) && !store.state.job) return store.set({ expired: true });
  warn(wordsOf(error));
}

/** An error in sentences: what, why, and how to mend it. @param {Problem} error */
export const wordsOf = ({ fault }) => [fault.what, fault.why, fault.fix].map((each) => sentence(byNumber(each))).join(" ");

/* Jobs */

export async function showStart() {
  stopListening();
  store.dispatch({ type: "start" });
  try {
    const [{ jobs }, server] = await Promise.all([
      /** @type {Promise<{jobs: Job[]}>} */ (ask("GET", "jobs")),
      /** @type {Promise<import("./types.js").ServerInfo>} */ (ask("GET", "info")),
    ]);
    store.set({ jobs, server, offline: false });
  } catch (error) {
    fail(error);
  }
}

/** Wait for the clip that the server was started on: the page is there before it. */
export async function awaitOpening() {
  stopListening();
  store.dispatch({ type: "start" });
  while (new URLSearchParams(location.hash.slice(1)).has("opening")) {
    try {
      const server = await /** @type {Promise<import("./types.js").ServerInfo>} */ (ask("GET", "info"));
      store.set({ server, opening: server.opening?.name || "the clip", offline: false });
      if (server.opening?.job) {
        history.replaceState(null, "", `#job=${server.opening.job}`);
        return openJob(server.opening.job);
      }
    } catch (error) {
      if (!(error instanceof Problem) || error.status) return fail(error);
      store.set({ offline: true }); // it ends with an error in the terminal if it cannot open the clip
    }
    await new Promise((done) => setTimeout(done, 400));
  }
}

/** @param {string} token The server prints it where others can reach it. */
export async function logIn(token) {
  try {
    await ask("POST", "token", { token });
  } catch (error) {
    fail(error);
  }
}

/** @param {string} id */
export function openJob(id) {
  if (store.state.id === id) return;
  stopListening();
  store.dispatch({ type: "open", id, memory: recall(id) });
  began = 0;
  masks.open(id);
  stopListening = listen(id, hear, (open) => {
    if (!open) return offline();
    masks.renew(); // events may have been missed
    void refresh();
  });
}

async function refresh() {
  const { id } = store.state;
  if (!id) return;
  try {
    await askJob(id, "GET", "");
    readTimeline();
    if (!store.state.server) store.set({ server: await ask("GET", "info") });
  } catch (error) {
    if (store.state.id !== id) return;
    if (error instanceof Problem && [404, 410].includes(error.status)) ended(); // deleted while nobody listened
    else fail(error);
  }
}

/** The job that is open is no more. */
function ended() {
  stopListening();
  store.set({ expired: true });
}

/** The track that this page has asked for, or stopped: what is said of it when it is over. */
let tracked = { id: "", revision: 0, left: "", stopped: false };

/** Say what a track that is over has not done. @param {Job} job */
function tellTracked({ id, revision, undo }) {
  const { left, stopped } = tracked;
  const begun = id === tracked.id && revision > tracked.revision && undo === "track"; // clicks meanwhile are edits, too
  tracked = { id: "", revision: 0, left: "", stopped: false };
  if (stopped) tell(begun ? "Stopped: what was followed is kept. Track again for the rest." : "Stopped: no other frame was followed yet. Track again.", begun);
  else if (begun && left) tell(left, true);
}

/** @param {Job} job */
function take(job) {
  const before = store.state.job;
  const worked = busy(store.state);
  store.dispatch({ type: "job", job });
  if (before?.id === job.id && worked && !busy(store.state)) tellTracked(job);
  if (before && before.revision !== job.revision) readTimeline();
}

/** @param {"job" | "progress" | "masks" | "end"} kind @param {any} data */
function hear(kind, data) {
  if (kind === "job") {
    heard++;
    const was = phase(store.state);
    take(data);
    if (was !== phase(store.state)) readTimeline();
  } else if (kind === "progress") {
    store.set({ progress: data });
  } else if (kind === "masks") {
    masks.renew(data.from, data.to);
    if (store.state.job?.objects.length) readTimeline();
    else void refresh(); // the first frame with an object
    // The newest frame is shown, as long as the person has not gone elsewhere.
    const newest = data.to <= began ? data.from : data.to - 1; // tracking back, the first is the newest
    if (store.state.live && busy(store.state)) store.dispatch({ type: "goto", frame: newest, live: true });
    changed();
  } else {
    ended();
  }
}

let heard = 0;

/**
 * Ask for something that answers with the job. Events and answers overtake each other: an answer is old news where an
 * event came meanwhile, and another event follows every change.
 * @template {{state: string} | {job: Job}} T
 * @param {string | null} id The job: another may be open by the time that this is sent.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<T>}
 */
async function askJob(id, method, path, body) {
  const before = heard;
  const answer = await /** @type {Promise<T>} */ (ask(method, `jobs/${id}${path}`, body));
  if (store.state.id === id && heard === before) take(/** @type {Job} */ ("job" in answer ? answer.job : answer));
  return answer;
}

/** The next reading of the timeline, and when it is due. */
const reading = { timer: 0, due: Infinity, asked: 0, taken: 0 };

/** Read the timeline soon; of many wishes one request, rarer for long clips. */
function readTimeline() {
  const due = performance.now() + (busy(store.state) ? 400 + lastFrame(store.state) / 4 : 50);
  if (reading.due <= due) return;
  clearTimeout(reading.timer);
  reading.due = due;
  reading.timer = setTimeout(async () => {
    reading.due = Infinity; // a wish from now on is for another request: this one may know nothing of it
    const { id } = store.state;
    const mine = ++reading.asked;
    try {
      if (!id) return;
      const timeline = await /** @type {Promise<import("./types.js").Timeline>} */ (ask("GET", `jobs/${id}/timeline`));
      if (store.state.id !== id || mine < reading.taken) return;
      reading.taken = mine;
      store.set({ timeline });
    } catch (error) {
      if (!(error instanceof Problem && [404, 409].includes(error.status))) fail(error); // 404, 409: not there yet
    }
  }, due - performance.now());
}

/**
 * Make a job of the part between the marks: it alone is searched. The work on the whole clip stays as it is.
 * @param {import("./types.js").Part} range
 */
export async function takePart(range) {
  const { id } = store.state;
  try {
    if (busy(store.state)) await askJob(id, "POST", "/cancel"); // it would go first
    const job = await /** @type {Promise<Job>} */ (ask("POST", "jobs", { job: id, range }));
    location.hash = `job=${job.id}`;
  } catch (error) {
    fail(error);
  }
}

/** @param {string} id */
export async function deleteJob(id) {
  try {
    await ask("DELETE", `jobs/${id}`).catch((error) => {
      if (!(error instanceof Problem && error.status === 404)) throw error; // 404: another page has deleted it
    });
    forget(id);
    if (store.state.id === id) location.hash = "";
    else await showStart();
  } catch (error) {
    fail(error);
  }
}

/* Edits stand in a line: each knows what those before it have done. */

let line = Promise.resolve(true);

/** Milliseconds after which a click that waits for its mask can be stopped. */
const LATE = 3000;

/**
 * Do something when all edits before it are done. Its errors are shown while its job is open.
 * @param {string | null} id
 * @param {() => Promise<void>} does
 * @param {string} [lost] Said where the server does not answer: it is not sent again.
 * @param {(error: Problem) => void} [refused] Shows a refusal.
 * @returns {Promise<boolean>} False if there was an error: it does not hold up the edits after it.
 */
function inLine(id, does, lost = "This was not done", refused = fail) {
  line = line.then(does).then(() => true).catch((error) => {
    if (store.state.id !== id) return false;
    if (error instanceof Problem && error.status) refused(error);
    else fail(error);
    if (error instanceof Problem && error.status === 0) warn(`${lost}: the server does not answer. Do it again when it does.`);
    return false;
  }).catch((error) => {
    reportError(error);
    return false;
  });
  return line;
}

/** The object that clicks make which were given for a new one. */
let fresh = { number: /** @type {number | null} */ (null) };
store.watch((state, before) => {
  if (state.id !== before.id || (state.object === null && before.object !== null)) fresh = { number: null };
});

/**
 * @typedef {{points?: [number, number][], labels?: number[], box?: number[], mask?: {size: [number, number], counts: string}}} Said
 */

/**
 * Give a prompt; its mask shows as soon as it is there.
 * @param {Said | ((object: number | null) => Promise<Said>)} prompt What is said, or what makes it once those before are answered.
 * @param {Click[]} [clicks] Points to draw meanwhile.
 */
export function prompt(prompt, clicks = []) {
  const { id, frame, object: asked } = store.state;
  const meant = asked === null ? fresh : { number: asked };
  store.dispatch({ type: "asked", click: clicks });
  void inLine(id, async () => {
    /** @type {number | null} */
    let made = null;
    const waits = setTimeout(() => {
      if (store.state.id === id) store.set({ late: true });
    }, LATE);
    try {
      const object = meant.number;
      const was = store.state;
      const said = typeof prompt === "function" ? await prompt(object) : prompt;
      const answer = await /** @type {Promise<import("./types.js").Prompted>} */ (askJob(id, "POST", "/prompts", { frame, object, ...said }));
      made = meant.number = answer.object;
      if (store.state.id !== id) return;
      const before = masks.at(frame)?.objects.find((each) => each.id === answer.object)?.counts;
      const words = answered(frame, answer, was, before);
      masks.put(frame, answer.object, answer.mask);
      readTimeline();
      hush();
      tell(words, true);
    } finally {
      clearTimeout(waits);
      if (store.state.id === id) store.dispatch({ type: "answered", click: clicks, asked, object: made });
    }
  }, `This ${clicks.length ? "click" : "prompt"} was not taken`);
}

/**
 * A click: the point is added to the object, or taken from it.
 * @param {number} x
 * @param {number} y
 * @param {0 | 1} label
 */
export function click(x, y, label) {
  const { frame, object } = store.state;
  prompt({ points: [[x, y]], labels: [label] }, [{ frame, object, x, y, label }]);
}

/**
 * Take a prompt back, chosen when all edits before it are done.
 * @param {() => {path: string, words: string} | undefined} choose It gives the path below the job, and what is said then.
 */
export function takeBack(choose) {
  const { id } = store.state;
  return inLine(id, async () => {
    if (store.state.id !== id) return;
    const chosen = choose();
    if (chosen) await edit(id, "DELETE", chosen.path, undefined, chosen.words);
  });
}

/** Do something when all edits so far are done. @param {() => void} does */
export const whenDone = (does) => inLine(store.state.id, async () => does());

/** @param {import("./types.js").Direction} direction @param {number | null} [stop] */
export function track(direction, stop = null) {
  if (busy(store.state)) return;
  const { id, job, frame } = store.state;
  began = frame;
  tracked = { id: id ?? "", revision: job?.revision ?? 0, left: leftOut(store.state, direction), stopped: false };
  store.set({ live: true });
  void change("POST", "track", { direction, start: store.state.frame, stop });
}

/** Track to the mark that lies ahead; to the one behind if none does. */
export function trackToMark() {
  const { marks, frame } = store.state;
  if (marks.out !== null && marks.out > frame) track("forward", marks.out);
  else if (marks.in !== null && marks.in < frame) track("backward", marks.in);
  else warn("There is no mark to track to. Set one with In or Out.");
}

export function stop() {
  const { id, asking, job } = store.state;
  const tracks = job?.stage === "tracking";
  if (tracks && tracked.id !== id) tracked = { id: job.id, revision: job.revision, left: "", stopped: false }; // another page began it
  tracked.stopped = tracked.id === id && (tracks || phase(store.state) === "queued");
  if (!asking) return void change("POST", "cancel");
  // A click that does not answer holds the line up: this goes beside it.
  edit(id, "POST", "cancel", undefined).catch((error) => {
    if (store.state.id === id) fail(error);
  });
}

/** Go on with a search that failed or was stopped. */
export function searchOn() {
  store.set({ live: true });
  void change("POST", "retry");
}

/** The frame of the last press that confirms, and its job: a double click is on one frame. */
let pressed = "";

/**
 * Confirm this frame; take that back if it is confirmed. A press does as the button says when it is pressed, so the second
 * of two quick ones changes nothing.
 * @param {boolean} [double] The browser takes it as the second press of a double click.
 */
export function confirmFrame(double = false) {
  const { id, frame } = store.state;
  const twice = double && pressed === `${id}/${frame}`;
  pressed = `${id}/${frame}`;
  const name = `Frame ${numberOf(store.state, frame)}`;
  const isConfirmed = () => !!store.state.timeline?.confirmed.includes(frame);
  const wanted = !isConfirmed();
  void inLine(id, async () => {
    if (store.state.id !== id) return;
    if (twice || isConfirmed() === wanted) return tell(`${name} is ${isConfirmed() ? "confirmed" : "open"} already. The second press changes nothing.`);
    if (wanted) await edit(id, "POST", "confirm", { frame }, `${name} is confirmed. No track changes it.`);
    else await edit(id, "DELETE", `confirm?frame=${frame}`, undefined, `${name} is open again. A track may change it.`);
    const { timeline } = store.state;
    if (store.state.id !== id || !timeline) return;
    const others = timeline.confirmed.filter((each) => each !== frame);
    store.set({ timeline: { ...timeline, confirmed: wanted ? [...others, frame].sort((a, b) => a - b) : others } }); // the next press knows it
  });
}

export const undo = () => change("POST", "undo", undefined, () => again("Undone", store.state.job?.undo));
export const redo = () => change("POST", "redo", undefined, () => again("Done again", store.state.job?.redo));

/**
 * Ask for a change of the job, and read the masks again.
 * @param {string} method
 * @param {string} path Below the job.
 * @param {unknown | (() => unknown)} [body] A function makes it when those before are answered; not if another job is open by then.
 * @param {string | (() => string)} [words] Said when it is done; a function makes them before.
 * @param {(error: Problem) => void} [refused] Shows a refusal where it belongs; without one, it is shown as any error is.
 * @returns {Promise<boolean>} False if it was refused.
 */
export function change(method, path, body, words, refused) {
  const { id } = store.state;
  return inLine(id, async () => {
    if (typeof body !== "function") await edit(id, method, path, body, words);
    else if (store.state.id === id) await edit(id, method, path, body(), words);
  }, undefined, refused);
}

/**
 * @param {string | null} id
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {string | (() => string)} [words]
 */
async function edit(id, method, path, body, words) {
  const before = store.state.job?.revision ?? 0;
  const said = typeof words === "function" ? words() : words;
  await askJob(id, method, `/${path}`, body);
  if (store.state.id !== id) return;
  masks.renew();
  changed();
  readTimeline();
  hush();
  if (said) tell(said, path !== "redo" && (store.state.job?.revision ?? 0) > before);
}
