/** Run lengths of COCO: columns from left to right, background first, written as pycocotools' strings. */

/**
 * Read a compressed string.
 * @param {string} text
 * @returns {Uint32Array} Lengths of the runs: background, object, background ...
 */
export function decompress(text) {
  const counts = new Uint32Array(text.length);
  let found = 0;
  for (let at = 0; at < text.length;) {
    let value = 0;
    let shift = 0;
    let group;
    do {
      group = text.charCodeAt(at++) - 48;
      value += (group & 31) * 2 ** shift; // not |: 32 bits are too few for the groups of a large count
      shift += 5;
    } while (group & 32 && at < text.length);
    if (group & 16) value -= 2 ** shift;
    if (found > 2) value += counts[found - 2];
    counts[found++] = value;
  }
  return counts.subarray(0, found);
}

/** @param {string} text Compressed string. @returns {boolean} The mask has no pixel. */
export function isEmpty(text) {
  return !decompress(text).some((count, run) => run % 2 && count > 0);
}

/**
 * Write run lengths as a compressed string.
 * @param {ArrayLike<number>} counts
 * @returns {string}
 */
export function compress(counts) {
  let text = "";
  for (let index = 0; index < counts.length; index++) {
    let rest = index > 2 ? counts[index] - counts[index - 2] : counts[index];
    for (let more = true; more;) {
      const group = rest & 31;
      rest >>= 5;
      more = group & 16 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode(48 + group + (more ? 32 : 0));
    }
  }
  return text;
}

/**
 * Draw a mask into bytes, row by row, at every `step`-th pixel: a screen shows no more.
 * @param {string} text Compressed string.
 * @param {number} height Rows of the clip.
 * @param {number} width Columns of the clip.
 * @param {number} step
 * @returns {{data: Uint8Array, height: number, width: number}} 1 inside, 0 outside.
 */
export function raster(text, height, width, step = 1) {
  const rows = Math.ceil(height / step);
  const columns = Math.ceil(width / step);
  const data = new Uint8Array(rows * columns);
  const counts = decompress(text);
  let end = 0;
  for (let run = 0; run < counts.length; run++) {
    const begin = end;
    end += counts[run];
    if (run % 2 === 0 || begin === end) continue;
    for (let column = Math.floor(begin / height); column * height < end && column < width; column++) {
      if (column % step) continue;
      const top = Math.max(0, begin - column * height);
      const bottom = Math.min(height, end - column * height);
      let place = Math.ceil(top / step) * columns + column / step;
      for (let row = Math.ceil(top / step) * step; row < bottom; row += step, place += columns) data[place] = 1;
    }
  }
  return { data, height: rows, width: columns };
}

/**
 * Read bytes, row by row, into a compressed string.
 * @param {Uint8Array} data 1 inside, 0 outside.
 * @param {number} height
 * @param {number} width
 * @returns {string}
 */
export function encode(data, height, width) {
  /** @type {number[]} */
  const counts = [];
  let value = 0;
  let run = 0;
  for (let column = 0; column < width; column++) {
    for (let place = column; place < height * width; place += width) {
      if (data[place] === value) {
        run++;
      } else {
        counts.push(run);
        value = data[place];
        run = 1;
      }
    }
  }
  counts.push(run);
  return compress(counts);
}
