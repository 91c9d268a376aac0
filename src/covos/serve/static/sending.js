/** A video is sent, or the example is taken: what the start page does. */

import { fail, showStart } from "./actions.js";
import { Problem, ask } from "./api.js";
import { bytes } from "./dom.js";
import { store } from "./state.js";
import { warn } from "./status.js";
import { upload } from "./upload.js";

/** @typedef {import("./types.js").Job} Job */

/** @type {AbortController | null} */
let sending = null;

/** @param {unknown} error A clip that was not taken. */
function refused(error) {
  store.set({ upload: null });
  if (error instanceof Problem && error.status) store.set({ refusal: error.fault });
  else fail(error);
}

/** @param {File} file One at a time. */
export async function sendFile(file) {
  if (sending) return warn("A video is being sent already. Drop the next one when it is here.");
  sending = new AbortController();
  try {
    await showStart();
    await send(file, sending.signal);
  } finally {
    sending = null;
  }
}

/** @param {File} file @param {AbortSignal} signal */
async function send(file, signal) {
  const most = Number(store.state.server?.limits["upload"] ?? Infinity);
  if (file.size > most) {
    const fault = { what: "This file is too large", why: `It has ${bytes(file.size)}; this server takes ${bytes(most)}`, fix: "Cut it, or start covos serve with a larger limit", status: 413 };
    return store.set({ refusal: fault });
  }
  /** @param {Partial<import("./types.js").Upload>} changes */
  const tell = (changes) => {
    const { upload } = store.state;
    if (upload) store.set({ upload: { ...upload, ...changes } });
  };
  store.set({ refusal: null, upload: { name: file.name, sent: 0, total: file.size, rate: 0, waiting: false, paused: false } });
  const paused = async () => {
    if (!store.state.upload?.paused) return;
    await new Promise((done) => {
      goOn = () => done(undefined);
    });
  };
  try {
    const job = await upload(file, tell, { signal, paused });
    store.set({ upload: null });
    location.hash = `job=${job.id}`;
  } catch (error) {
    refused(error);
  }
}

let goOn = () => {};

/** Pause an upload after the part that is on its way, or go on with it. */
export function pauseSending() {
  const { upload } = store.state;
  if (!upload) return;
  store.set({ upload: { ...upload, paused: !upload.paused } });
  if (upload.paused) goOn();
}

/** Give an upload up; what has come of it is deleted. */
export function stopSending() {
  sending?.abort();
  goOn();
}

export async function takeExample() {
  try {
    const job = await /** @type {Promise<Job>} */ (ask("POST", "jobs", { example: true }));
    location.hash = `job=${job.id}`;
  } catch (error) {
    refused(error);
  }
}
