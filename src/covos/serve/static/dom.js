/** Small helpers for elements and words. */

/**
 * The element with an id, which is in index.html.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return /** @type {T} */ (found);
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]> & Record<string, unknown>} [properties] `aria-` and `data-` become attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children);
  return element;
}

/**
 * An icon of index.html's symbols.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Change an icon in place.
 * @param {HTMLElement} button
 * @param {string} name
 */
export function setIcon(button, name) {
  const href = `#i-${name}`;
  const use = button.querySelector("use");
  if (use && use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/**
 * Set text only where it changes: a screen reader reads what is written again.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {number} bytes */
export function bytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** @param {number} seconds @returns {string} As 1:02:03.040 */
export function clock(seconds) {
  const all = Math.max(0, Math.round(seconds * 1000));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const hours = Math.floor(all / 3600000);
  const text = `${two(Math.floor(all / 60000) % 60)}:${two(Math.floor(all / 1000) % 60)}.${String(all % 1000).padStart(3, "0")}`;
  return hours ? `${hours}:${text}` : text;
}

/** @param {string} text @returns {string} With a capital, and a stop at its end: covos writes its errors without. */
export function sentence(text) {
  if (!text) return "";
  const isFile = /^[^:]*\.\w{1,5}(:|\s|$)/.test(text); // a file keeps its name
  return (isFile ? text[0] : text[0].toUpperCase()) + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
