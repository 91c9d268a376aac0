/**
 * The shapes that go between the page and the server, and the state of the page. Types alone: no code.
 *
 * @typedef {{what: string, why: string, fix: string, status: number}} Fault An error as a person reads it.
 * @typedef {{id: number, name: string, color: string, hidden: boolean}} Thing An object that is cut out.
 * @typedef {{width: number, height: number, frame_count: number, frame_rate: number, duration: number,
 *   sound: boolean, size_bytes: number, start: number, every: number}} ClipInfo `start`: number of the first frame in the whole video.
 * @typedef {{start: string | null, end: string | null, every?: number, times?: string}} Part A part of a video; places as `f12` is frame 12 of the whole.
 * @typedef {{role: "exclude" | "within", box: number[]}} Region Left, top, right, bottom in pixels of the clip.
 * @typedef {{state: "making" | "ready" | "failed", bytes: number, error: {what: string, why: string, fix: string} | null,
 *   notes: string[]} & Asked} ResultState
 * @typedef {{background: string | null, background_start: number | string, background_end: number | string | null, light_wrap: string,
 *   shadow: boolean, alpha: string | null, each_object: boolean, keep_hdr: boolean, invert: boolean, constant_rate: string | null, sound: string | null}} Composition What a download is composed of.
 * @typedef {{range: Part | null, value: string | null, matte: boolean | null, composition: Partial<Composition>}} Asked How a download is made.
 * @typedef {{grow: string, shrink: string, feather: string, fill_holes: string, min_area: string,
 *   smooth_time: string | number}} EdgeSettings
 * @typedef {"queued" | "running" | "done" | "failed" | "cancelled"} JobState
 * @typedef {"uploading" | "probing" | "finding" | "tracking" | "exporting"} Stage
 * @typedef {{id: string, name: string, state: JobState, stage: Stage | null, done: number, total: number,
 *   info: ClipInfo | null, objects: Thing[], revision: number, undo: string | null, redo: string | null, step: string,
 *   error: {what: string, why: string, fix: string} | null, notes: string[], place: number | null, proxy: boolean,
 *   edges: Partial<EdgeSettings>, regions: Region[], prompts: Given[], range: Part, results: Record<string, ResultState>, created: string}} Job
 * @typedef {{stage: Stage, step?: string, done: number, total: number, rate: number | null}} Progress `step`: what comes before the work itself.
 * @typedef {[number, number, "present" | "occluded" | "absent"]} Span Frames [from, to) and what the object does there.
 * @typedef {{times: number[], confidence: (number | null)[], status: string[], flags: number[], reasons: Record<string, string[]>,
 *   confirmed: number[], prompted: Record<string, number[]>, objects: Record<string, Span[]>,
 *   live: [number, number][], cuts: number[], corrected: number[]}} Timeline `live`: frames [from, to) of a track that goes on; `cuts`:
 *   frames that begin a shot; `corrected`: frames that were corrected and not tracked since.
 * @typedef {{id: number, counts: string, state?: string, confidence?: number | null}} ObjectMask
 * @typedef {{index: number, time: number, confidence: number | null, status: string,
 *   objects: ObjectMask[]}} FrameMasks
 * @typedef {{size: [number, number], frames: FrameMasks[]}} MaskPage
 * @typedef {{object: number, frame: number, mask: {size: [number, number], counts: string}, job: Job}} Prompted
 * @typedef {{name: string, title: string, container: string, alpha: boolean, bytes: number, soft: boolean, video: boolean,
 *   options: string[], choices: {value: string, bytes: number}[]}} Format `options`: what it knows of a composition, and the clip has.
 * @typedef {{version: string, limits: {upload: number, quota: number, waiting: number}, formats: string[],
 *   example: boolean, media: boolean, opening: {name: string, job: string} | null}} ServerInfo `opening`: the clip that it was started on; without a job, it is being opened.
 * @typedef {{format: string, asked: Asked, begun: boolean}} Exporting `begun`: the server has said that it makes it; before, it may tell of an earlier one.
 * @typedef {"forward" | "backward" | "both"} Direction
 * @typedef {"point" | "box" | "brush" | "eraser" | "exclude" | "within"} Tool
 * @typedef {"overlay" | "matte" | "checker" | "ground" | "side"} View
 * @typedef {{frame: number, object: number | null, x: number, y: number, label: 0 | 1}} Click A point that waits for its mask.
 * @typedef {{frame: number, object: number, kind: "point" | "box" | "mask" | "absent", x: number | null, y: number | null,
 *   label: 0 | 1 | null, box: number[] | null}} Given A prompt that is in force.
 * @typedef {{name: string, sent: number, total: number, rate: number, waiting: boolean, paused: boolean}} Upload
 * @typedef {{in: number | null, out: number | null}} Marks
 * @typedef {{text: string, undoes: boolean, revision: number}} Told `undoes`: Undo takes it back; `revision`: of the job, after it.
 *
 * @typedef {object} State
 * @property {string | null} id Job that is open; null on the start page.
 * @property {Job | null} job
 * @property {Job[]} jobs Earlier work, for the start page.
 * @property {ServerInfo | null} server
 * @property {Upload | null} upload
 * @property {Fault | null} refusal A clip that was not taken.
 * @property {string} opening Name of the clip that the server was started on, while it is being opened.
 * @property {boolean} expired
 * @property {boolean} offline
 * @property {Progress | null} progress
 * @property {Timeline | null} timeline
 * @property {number} frame Frame that is shown, from 0.
 * @property {boolean} live The newest frame is shown while masks are made.
 * @property {boolean} playing
 * @property {number} speed Times the clip's own speed; negative is backwards.
 * @property {boolean} sound
 * @property {Marks} marks
 * @property {Tool} tool
 * @property {0 | 1} sign What a click does: 1 adds, 0 removes.
 * @property {number} brush Diameter in pixels of the clip.
 * @property {number | null} object Object that clicks go to; null makes a new one.
 * @property {View} view
 * @property {"" | "yes" | "no"} matte How edges are cut out, here and in downloads: closely, without a matte, or as found so far.
 * @property {boolean} invert Everything but the subject is cut out, here and in downloads.
 * @property {boolean} bare The mask is hidden for a moment.
 * @property {[number, number] | null} cross Crosshair of pointing by keys, in pixels of the clip.
 * @property {number} asking Clicks that wait for their mask.
 * @property {boolean} late A click waits so long for its mask that it can be stopped.
 * @property {Click[]} clicks Points that wait for their mask; the job has the others.
 * @property {Told | null} told What was done last, shown below the picture for a while.
 * @property {Exporting | null} exporting The download that is fetched as soon as it is ready.
 */
export {};
