/**
 * Uploads in parts, by the tus protocol: after a lost connection, a pause or a reload they go on where they were. The
 * server keeps what came; this browser remembers its address by the file's name, size and date.
 */

import { OFFLINE, Problem, ask, problem } from "./api.js";
import { read, write } from "./settings.js";

/** @typedef {{name: string, size: number, at: string}} Started An upload that this browser began. */
/** @typedef {{sent: number, rate: number, waiting: boolean}} Sent `rate` in bytes a second; `waiting` for the network. */
/** @typedef {{signal: AbortSignal, paused: () => Promise<void>}} Control `signal` gives it up: what has come is deleted; `paused` waits while it is paused. */

const PART = 8 << 20;
const TUS = { "tus-resumable": "1.0.0" };
const KEY = "covos.uploads";
const LONGEST = 30000;

/** @returns {Record<string, Started>} */
function all() {
  return read(KEY) ?? {};
}

/** @param {File} file */
function keyOf(file) {
  return `${file.name} ${file.size} ${file.lastModified}`;
}

/** @param {string} key @param {Started | null} started */
function note(key, started) {
  const known = all();
  if (started) known[key] = started;
  else delete known[key];
  write(KEY, known);
}

/** Uploads that are not finished, for the start page. @returns {Started[]} */
export function unfinished() {
  return Object.values(all());
}

/** Forget an upload, here and on the server. @param {string} at */
export async function drop(at) {
  for (const [key, started] of Object.entries(all())) if (started.at === at) note(key, null);
  await send("DELETE", at).catch(() => undefined); // it expires by itself
}

/**
 * Send a file, and return the job that is made of it.
 * @param {File} file
 * @param {(sent: Sent) => void} progress
 * @param {Control} control
 * @returns {Promise<import("./types.js").Job>}
 */
export function upload(file, progress, control) {
  return givenUp(file, control, () => taken(file, progress, control));
}

/**
 * Do something with a file. If it is given up meanwhile, forget what was sent of it, and of no other of its name.
 * @template T
 * @param {File} file
 * @param {Control} control
 * @param {() => Promise<T>} does
 */
async function givenUp(file, { signal }, does) {
  try {
    return await does();
  } catch (error) {
    const started = all()[keyOf(file)];
    if (signal.aborted && started) void drop(started.at);
    throw error;
  }
}

/**
 * @param {File} file
 * @param {(sent: Sent) => void} progress
 * @param {Control} control
 */
async function taken(file, progress, control) {
  const { signal } = control;
  const key = keyOf(file);
  const id = await arrived(file, progress, control);
  for (;;) {
    progress({ sent: file.size, rate: 0, waiting: false });
    try {
      const job = await ask("POST", "jobs", { upload: id }, signal);
      note(key, null);
      return /** @type {import("./types.js").Job} */ (job);
    } catch (error) {
      if (!(error instanceof Problem) || error.status === 0) throw error;
      if (error.status !== 429) {
        note(key, null); // it cannot be read
        throw error;
      }
      progress({ sent: file.size, rate: 0, waiting: true }); // too much is waiting
      await delay(LONGEST, signal);
    }
  }
}

/**
 * Send a file that no job is made of, and return the id of the upload.
 * @param {File} file
 * @param {(sent: Sent) => void} progress
 * @param {Control} control
 */
export function transfer(file, progress, control) {
  return givenUp(file, control, async () => {
    const id = await arrived(file, progress, control);
    note(keyOf(file), null);
    return id;
  });
}

/**
 * Send all of a file; return the id of the upload.
 * @param {File} file
 * @param {(sent: Sent) => void} progress
 * @param {Control} control
 */
async function arrived(file, progress, { signal, paused }) {
  const key = keyOf(file);
  let at = "";
  let sent = 0;
  const begun = { time: performance.now(), sent: 0 };
  const tell = (/** @type {number} */ now, waiting = false) => {
    progress({ sent: now, rate: ((now - begun.sent) / (performance.now() - begun.time)) * 1000, waiting });
  };

  for (let wait = 1000; ; ) {
    await paused();
    signal.throwIfAborted();
    try {
      if (!at) {
        ({ at, sent } = (await known(key)) ?? { at: await begin(file), sent: 0 });
        note(key, { name: file.name, size: file.size, at });
        Object.assign(begun, { time: performance.now(), sent });
        tell(sent);
      }
      while (sent < file.size) {
        const before = sent;
        const slice = file.slice(sent, sent + PART);
        const answer = await send("PATCH", at, slice, { "upload-offset": String(sent) }, (loaded) => tell(before + loaded), signal);
        sent = offsetOf(answer);
        wait = 1000;
        await paused();
      }
      break;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Problem) || ![0, 408, 409, 502, 503, 504].includes(error.status)) {
        note(key, null);
        throw error;
      }
      at = ""; // the server says how much has come
      tell(sent, true);
      await delay(wait, signal);
      wait = Math.min(LONGEST, wait * 2);
    }
  }
  tell(file.size);
  return at.split("/").pop() ?? "";
}

/** @param {number} wait Milliseconds. @param {AbortSignal} signal Ends it at once. */
function delay(wait, signal) {
  return new Promise((done) => {
    setTimeout(done, wait);
    signal.addEventListener("abort", done);
  });
}

/** The upload that was begun before, and how much of it has come. @param {string} key */
async function known(key) {
  const started = all()[key];
  if (!started) return null;
  try {
    return { at: started.at, sent: offsetOf(await send("HEAD", started.at)) };
  } catch (error) {
    if (!(error instanceof Problem) || ![404, 410].includes(error.status)) throw error;
    return null; // it has expired
  }
}

/** @param {File} file */
async function begin(file) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const answer = await send("POST", "api/uploads", null, { "upload-length": String(file.size), "upload-metadata": `filename ${name}` });
  // Behind a proxy that adds a path, the address begins otherwise.
  return `api/uploads/${answer.getResponseHeader("location")?.split("/").pop() ?? ""}`;
}

/** @param {XMLHttpRequest} answer */
function offsetOf(answer) {
  return Number(answer.getResponseHeader("upload-offset"));
}

/**
 * By XHR: fetch tells no progress of what is sent.
 * @param {string} method
 * @param {string} at
 * @param {Blob | null} [body]
 * @param {Record<string, string>} [headers]
 * @param {(loaded: number) => void} [progress]
 * @param {AbortSignal} [signal]
 * @returns {Promise<XMLHttpRequest>}
 */
function send(method, at, body = null, headers = {}, progress = () => undefined, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open(method, at);
    for (const [name, value] of Object.entries({ ...TUS, ...headers })) request.setRequestHeader(name, value);
    if (body) request.setRequestHeader("content-type", "application/offset+octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => (request.status < 300 ? resolve(request) : reject(problem(request.status, request.responseText)));
    request.onerror = () => reject(new Problem(OFFLINE));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
