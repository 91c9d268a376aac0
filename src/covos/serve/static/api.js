/** Requests to the server; every error is a Problem that says what, why and how to mend it. */

/** @typedef {import("./types.js").Fault} Fault */

/** An error as a person reads it. Status 0: the server does not answer. */
export class Problem extends Error {
  /** @param {Fault} fault */
  constructor(fault) {
    super(fault.what);
    this.fault = fault;
  }

  get status() {
    return this.fault.status;
  }
}

export const OFFLINE = { what: "The server does not answer", why: "It was stopped, or the network is gone", fix: "Start covos serve again; your work is kept", status: 0 };

/**
 * @param {number} status
 * @param {string} text
 * @returns {Problem}
 */
export function problem(status, text) {
  /** @type {Record<string, unknown>} */
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = {}; // a proxy in between answers in its own words
  }
  const word = (/** @type {string} */ key) => (typeof body[key] === "string" ? /** @type {string} */ (body[key]) : "");
  return new Problem({ what: word("title") || `The server answered ${status}`, why: word("detail"), fix: word("fix"), status });
}

/**
 * Send a request and read the JSON answer.
 * @template [T=unknown]
 * @param {string} method
 * @param {string} path Below /api/.
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function ask(method, path, body, signal) {
  /** @type {Response} */
  let response;
  /** @type {string} */
  let text;
  try {
    response = await fetch(`api/${path}`, {
      method,
      signal,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text(); // the answer may break off, too
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(OFFLINE);
  }
  if (!response.ok) throw problem(response.status, text);
  return /** @type {T} */ (text ? JSON.parse(text) : null);
}

/** Over a network, frames come as WebP: half the bytes. On this machine JPEG is there sooner. */
const KIND = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname) ? "" : "&kind=webp";

/** Address of a frame's picture below /api/. @param {string | null} job @param {number} frame @param {number} width */
export const frameAt = (job, frame, width) => `jobs/${job}/frames/${frame}?w=${width}${KIND}`;

/**
 * Fetch a picture.
 * @param {string} path Below /api/.
 * @param {AbortSignal} signal
 * @returns {Promise<ImageBitmap>}
 */
export async function picture(path, signal) {
  const response = await fetch(`api/${path}`, { signal });
  if (!response.ok) throw problem(response.status, await response.text());
  return createImageBitmap(await response.blob());
}

/**
 * Listen to a job. The stream is closed while the tab is hidden: a browser has six connections a host, for all tabs.
 * @param {string} id
 * @param {(kind: "job" | "progress" | "masks" | "end", data: any) => void} hear
 * @param {(open: boolean) => void} opened Called when the stream opens, and when it breaks.
 * @returns {() => void} Stops listening.
 */
export function listen(id, hear, opened) {
  /** @type {EventSource | null} */
  let source = null;
  let wait = 1000;
  let timer = 0;

  function open() {
    close();
    if (document.hidden) return;
    source = new EventSource(`api/jobs/${id}/events`);
    source.onopen = () => {
      wait = 1000;
      opened(true);
    };
    for (const kind of /** @type {const} */ (["job", "progress", "masks", "end"])) {
      source.addEventListener(kind, (event) => hear(kind, event.data ? JSON.parse(event.data) : null));
    }
    source.onerror = () => {
      close();
      opened(false);
      timer = setTimeout(open, wait);
      wait = Math.min(30000, wait * 2);
    };
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", open);
  addEventListener("online", open);
  open();
  return () => {
    document.removeEventListener("visibilitychange", open);
    removeEventListener("online", open);
    close();
  };
}
