// @ts-check
/**
 * The live view of a run in the browser: header, groups, actions table, detail.
 *
 * Decides what is drawn and when it asks the kernel; the messages are those of `views/protocol.py`. Whatever came from a
 * user is set as text, never as markup: nothing in here writes HTML. It never holds more of a run than the page that is
 * seen, so a million actions cost what fifty do. Must not know: how the kernel finds rows.
 */

// ---------------------------------------------------------------------------------------------------- messages
// A test compares these with protocol.py: the same names, the same fields.
/** @typedef {"queued"|"waiting_for_resources"|"initializing"|"running"|"paused"|"succeeded"|"cached"|"recovered"|"failed"|"timed_out"|"aborted"} Look */
/** @typedef {{[look: string]: number}} Counts */
/** @typedef {{look: Look, title: string, text: string}} Step */
/** @typedef {{protocol: number, run: string, task: string, started_at: number}} Fixed */
/**
 * @typedef {{version: number, now: number, phase: Look, words: string, mixed: boolean, over: boolean, counts: Counts,
 *   total: number, ended: number, failed: number, results: number, seconds: number, rate: string, left: string,
 *   left_short: string, workers: number, slots: number, busy: number, message: string, note: string, steps: Step[],
 *   can_abort: boolean, aborting: boolean, can_rerun: boolean}} Head
 */
/** @typedef {{key: string, look: Look, count: number, text: string, task: string, action: string, row: number}} Cause */
/** @typedef {{total: number, failed: number, causes: Cause[]}} Causes */
/** @typedef {{by: string, down: boolean}} Sort */
/**
 * @typedef {{table?: "actions"|"results", looks?: Look[], node?: string, task?: string, cause?: string, search?: string,
 *   sort?: Sort[], hold?: boolean, causes?: boolean}} Query
 */
/** @typedef {{key: string, title: string, type: "text"|"number"|"seconds"|"instant", width: number, shown: boolean, sortable: boolean}} TableColumn */
/** @typedef {{row: number, look: Look, cells: string[], seconds: number|null, since?: number, bad?: boolean, slow?: number,
 *   heading?: string, below?: number}} Row */
/**
 * @typedef {{kind: "rows", view: string, id: number, number: number, base: number, version: number, total: number,
 *   searched: number, headings: number, newer: number, offset: number, order: string, columns: string[], catalog: TableColumn[],
 *   rows: Row[], changed: {[position: string]: Row}, length: number, error: string}} RowsAnswer
 */
/**
 * @typedef {{key: string, kind: "root"|"group"|"task"|"driver", name: string, depth: number, leaf: boolean,
 *   open: boolean, counts: Counts, total: number, ended: number, failed: number, seconds: number, since?: number}} GroupRow
 */
/**
 * @typedef {{kind: "groups", view: string, id: number, number: number, base: number, version: number, total: number,
 *   groups: number, bad: number, offset: number, rows: GroupRow[], changed: {[position: string]: GroupRow}, length: number}} GroupsAnswer
 */
/** @typedef {{name: string, type: string, text: string, more: boolean}} Value */
/** @typedef {{file: string, function: string, line: number, own: boolean, lines: [number, string][]}} Frame */
/** @typedef {{fault: "user"|"system"|"timeout"|"abort", code: string, message: string, traceback: string, frames: Frame[]}} ErrorInfo */
/**
 * @typedef {{number: number, look: Look, ended_by: string, counted: boolean, worker: string, started_at: number,
 *   seconds: number|null, cpu_seconds: number|null, memory_bytes: number|null}} AttemptLine
 */
/** @typedef {{start: number, text: string, total: number, lines: number, more: boolean}} LogPart */
/**
 * @typedef {{kind: "detail", view: string, id: number, version: number, row: number, action: string, task: string, look: Look,
 *   words: string, path: string[], worker: string, called_at: number, queued_seconds: number|null, seconds: number|null,
 *   since?: number, cpu_seconds: number|null, memory_bytes: number|null, error: ErrorInfo|null, inputs: Value[],
 *   outputs: Value[], rich: string[], attempts: AttemptLine[], log: LogPart, can_abort: boolean, can_rerun: boolean,
 *   gone: string}} DetailAnswer
 */
/**
 * @typedef {{key: string, kind: "numbers"|"words"|"none", low: string, high: string, bins: number[], marked: number,
 *   distinct: number, top: [string, number][], count: number}} Spread
 */
/** @typedef {{kind: "spread", view: string, id: number, version: number, total: number, read: number, columns: Spread[]}} SpreadAnswer */
/**
 * @typedef {{kind: "rich", view: string, id: number, row: number, form: string, mime: string, data: string, text: string,
 *   error: string}} RichAnswer
 */
/** Sub-lane, row, start, end, position in `tasks`, look, number of the try. @typedef {[number, number, number, number, number, Look, number]} Bar */
/**
 * @typedef {{worker: string, rows: number, bars: Bar[], busy: number[], failed: [number, number, number][], actions: number,
 *   longest: number}} Lane
 */
/** @typedef {{start: number, end: number, busy: number[], failed: number[]}} Overview */
/**
 * @typedef {{kind: "timeline", view: string, id: number, version: number, now: number, start: number, end: number,
 *   overview: Overview, total: number, first: number, lanes: Lane[], tasks: string[], actions: number}} TimelineAnswer
 */
/** @typedef {{kind: "done", view: string, id: number, ok: boolean, message: string, run: string}} DoneAnswer */
/** @typedef {RowsAnswer|GroupsAnswer|DetailAnswer|SpreadAnswer|TimelineAnswer|RichAnswer|DoneAnswer} Answer */
/**
 * What anywidget gives: traits and custom messages.
 * @typedef {{get(name: string): any, on(name: string, call: (message: any) => void): void,
 *   off(name: string, call?: (message: any) => void): void, send(message: object): void}} Model
 */

export const PROTOCOL = 1;
/** Rows are of one height, so that a position is a multiplication. */
export const ROW = 26;
/** Most rows in the page, of the table and of the tree each. */
export const MAX_ROWS = 60;
/** Browsers cut elements off at 17 to 33 million pixels; from here on the scroll bar is a scale. */
export const MAX_PIXELS = 8_000_000;
/** Milliseconds: between two requests of a kind; until a request counts as stuck; until the kernel counts as silent. */
const GAP = 50;
const PATIENCE = 1_500;
const SILENCE = 5_000;
const SEARCH_DELAY = 150;
const ANNOUNCE_GAP = 30_000;
/** Widths at which the layout changes; the same as in run.css. */
const NARROW = 640;
const WIDE = 1_180;

// ---------------------------------------------------------------------------------------------------- words and numbers
/** The order of segments and chips, and each look in words. @type {[Look, string][]} */
export const LOOKS = [
  ["succeeded", "succeeded"],
  ["cached", "cached"],
  ["recovered", "recovered"],
  ["failed", "failed"],
  ["timed_out", "timed out"],
  ["aborted", "aborted"],
  ["running", "running"],
  ["initializing", "initializing"],
  ["paused", "paused"],
  ["waiting_for_resources", "waiting for resources"],
  ["queued", "queued"],
];
/** @type {{[look: string]: string}} */
const WORDS = Object.fromEntries(LOOKS);
/** @type {ReadonlySet<string>} */
const ALWAYS = new Set(["succeeded", "failed", "running", "queued"]);
const NOT_YET = "–";

/** @param {number} number */
export const count = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
/** A count in little room: in full below a million. @param {number} number */
export const shortCount = (number) => (number < 1e6 ? count(number) : `${(Math.floor(number / 1e4) / 100).toFixed(2)}M`);
/** @param {number} number @param {string} noun */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Like `wording.duration`: `8.4 ms`, `412 ms`, `1.84 s`, `58.4 s`, `4m 12s`, `2h 05m`, `3d 04h`. @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NOT_YET;
  const time = Math.max(0, seconds);
  if (Math.round(time * 1000) < 1000) return time < 0.00995 ? `${(time * 1000).toFixed(1)} ms` : `${(time * 1000).toFixed(0)} ms`;
  if (time < 59.95) return time < 9.995 ? `${time.toFixed(2)} s` : `${time.toFixed(1)} s`;
  return long(Math.round(time));
}

/** A span that counts up on screen, in whole seconds. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  return whole < 60 ? `${whole} s` : long(whole);
}

/** @param {number} whole */
function long(whole) {
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor((whole % 86400) / 3600))}h`;
}

/** A time of day, with the day where it is not today. @param {number} instant @param {boolean} [exact] */
export function timeOfDay(instant, exact = false) {
  const then = new Date(instant * 1000);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(exact ? { second: "2-digit" } : {}), hourCycle: "h23" });
  return then.toDateString() === new Date().toDateString() ? time : `${then.getDate()} ${then.toLocaleString([], { month: "short" })} ${time}`;
}

/** @param {number} bytes */
const size = (bytes) => (bytes < 2 ** 30 ? `${count(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`);

/** Counts in words, for those who do not see the bar. @param {Counts} counts */
export const countWords = (counts) =>
  LOOKS.filter(([look]) => counts[look])
    .map(([look, word]) => `${count(counts[look] ?? 0)} ${word}`)
    .join(", ") || "none called yet";

// ---------------------------------------------------------------------------------------------------- scrolling
/**
 * Where rows are, whatever their number: `top` is the first visible row as a fraction. While all rows fit into an element
 * of MAX_PIXELS, a pixel is a pixel; beyond, the scroll bar is a scale from 0 to the last top.
 * @param {number} total @param {number} viewport
 */
export function scrollScale(total, viewport) {
  const pixels = total * ROW;
  const height = Math.min(pixels, MAX_PIXELS);
  const maxTop = Math.max(0, (pixels - viewport) / ROW);
  const maxScroll = Math.max(0, height - viewport);
  const scaled = pixels > MAX_PIXELS;
  return {
    height,
    scaled,
    maxTop,
    /** @param {number} scroll */
    top: (scroll) => Math.min(maxTop, scaled ? (scroll / maxScroll) * maxTop : scroll / ROW),
    /** @param {number} top */
    scroll: (top) => (scaled ? (top / maxTop) * maxScroll : top * ROW),
  };
}

/**
 * The part of a list to ask for: what is seen and some around it, moved only when what is seen leaves it.
 * @param {number} first @param {number} seen @param {number} total @param {{offset: number, count: number}|null} held
 */
export function windowAround(first, seen, total, held) {
  const end = Math.min(first + seen, total);
  if (held && first >= held.offset && end <= held.offset + held.count) return held;
  const count = Math.min(MAX_ROWS, seen + 8);
  return { offset: Math.max(0, Math.min(first - Math.floor((count - seen) / 2), total - count)), count };
}

// ---------------------------------------------------------------------------------------------------- the kernel
/**
 * A page after an answer: the answer itself, or what is held with the differences; null if they are of another base.
 * @template {RowsAnswer|GroupsAnswer} P
 * @param {P|null} held @param {P} answer
 * @returns {P|null}
 */
export function merged(held, answer) {
  if (answer.base === 0) return answer;
  if (!held || held.number !== answer.base) return null;
  const rows = /** @type {any[]} */ (held.rows.slice(0, answer.length));
  for (const [position, row] of Object.entries(answer.changed)) rows[Number(position)] = row;
  if (rows.length !== answer.length || rows.includes(undefined)) return null;
  const page = { ...held, ...answer, rows, changed: {}, base: 0 };
  if ("catalog" in page && !page.catalog.length) page.catalog = /** @type {RowsAnswer} */ (held).catalog;
  return page;
}

/**
 * Asks the kernel. Of a kind, only the newest request matters: while one is on its way the next waits, and takes the
 * place of any that waited before; answers to older ones are dropped.
 */
export class Link {
  /**
   * @param {Model} model @param {string} view @param {(kind: string, answer: any) => void} onPage
   * @param {{now(): number, later(call: () => void, ms: number): any, cancel(handle: any): void}} [time]
   */
  constructor(model, view, onPage, time = TIME) {
    this.model = model;
    this.view = view;
    /** Who asks for rows beside those that are shown: the order that is held is another one's. */
    this.aside = `${view}*`;
    this.onPage = onPage;
    this.time = time;
    this.id = 0;
    /** @type {Map<string, {wanted: any, sent: any, id: number, at: number, flying: boolean, timer: any, held: any}>} */
    this.channels = new Map();
    /** @type {Map<number, (answer: any) => void>} */
    this.waiting = new Map();
    this.receive = (/** @type {any} */ message) => this.answered(message);
    model.on("msg:custom", this.receive);
  }

  /** Follow a page or a detail: the newest request of a kind. @param {"rows"|"groups"|"detail"|"spread"|"timeline"} kind @param {object} request */
  follow(kind, request) {
    const channel = this.channel(kind);
    channel.wanted = request;
    this.flush(kind);
  }

  /** What is known of a kind. @param {string} kind */
  held(kind) {
    return this.channels.get(kind)?.held ?? null;
  }

  /** Whether the newest request of a kind has waited longer than a kernel that listens would let it. @param {string} kind */
  stuck(kind) {
    const channel = this.channels.get(kind);
    return Boolean(channel?.flying && this.time.now() - channel.at > PATIENCE);
  }

  /** Ask once. @param {string} kind @param {object} body @param {(answer: any) => void} [answered] */
  ask(kind, body, answered) {
    const id = ++this.id;
    if (answered) this.waiting.set(id, answered);
    try {
      this.model.send({ view: this.view, ...body, kind, id });
    } catch {} // the kernel is gone: as one that does not answer
  }

  /** No more of this unasked. @param {""|"rows"|"groups"|"detail"|"spread"|"timeline"} what */
  stop(what) {
    for (const [kind, channel] of this.channels) {
      if (what && what !== kind) continue;
      this.time.cancel(channel.timer);
      Object.assign(channel, { wanted: null, sent: null, flying: false, id: 0 });
      if (what === "detail") channel.held = null;
    }
    this.ask("stop", { what });
  }

  close() {
    this.stop("");
    this.model.off("msg:custom", this.receive);
  }

  /** @param {string} kind */
  channel(kind) {
    let channel = this.channels.get(kind);
    if (!channel) {
      channel = { wanted: null, sent: null, id: 0, at: -Infinity, flying: false, timer: null, held: null };
      this.channels.set(kind, channel);
    }
    return channel;
  }

  /** Send what is wanted, unless the kernel has just been asked or has not answered yet. @param {string} kind */
  flush(kind) {
    const channel = this.channel(kind);
    this.time.cancel(channel.timer);
    if (!channel.wanted) return;
    const wait = channel.at + (channel.flying ? PATIENCE : GAP) - this.time.now();
    if (wait > 0) {
      channel.timer = this.time.later(() => this.flush(kind), wait);
      return;
    }
    const request = channel.wanted;
    Object.assign(channel, { wanted: null, sent: request, at: this.time.now(), flying: true });
    this.ask(kind, request);
    channel.id = this.id;
  }

  /** @param {Answer} message */
  answered(message) {
    if (!message || (message.view !== this.view && message.view !== this.aside)) return;
    const once = this.waiting.get(message.id);
    if (once) {
      this.waiting.delete(message.id);
      once(message);
      return;
    }
    const channel = this.channels.get(message.kind);
    if (!channel || message.id !== channel.id) return;
    channel.flying = false;
    const page = message.kind === "rows" || message.kind === "groups" ? merged(channel.held, message) : message;
    if (page) {
      channel.held = page;
      this.onPage(message.kind, page);
    } else if (!channel.wanted) {
      channel.wanted = channel.sent; // a message was lost: ask for all of it
    }
    if (channel.wanted) this.flush(message.kind);
  }
}

const TIME = {
  now: () => performance.now(),
  later: (/** @type {() => void} */ call, /** @type {number} */ ms) => setTimeout(call, ms),
  cancel: (/** @type {any} */ handle) => clearTimeout(handle),
};

// ---------------------------------------------------------------------------------------------------- pieces of a page
/**
 * An element with properties, attributes (names with a dash, `role`) and children; text is text.
 * @param {string} tag @param {{[name: string]: any}} [props] @param {...(Node|string)} children
 * @returns {any}
 */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "role" || name.includes("-")) node.setAttribute(name, value);
    else /** @type {any} */ (node)[name] = value;
  }
  node.append(...children);
  return node;
}

/** Set text only where it differs: an untouched node keeps a reader's selection. @param {Node} node @param {string} text */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string|null} value */
function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) value === null ? node.removeAttribute(name) : node.setAttribute(name, value);
}

const ring = "M14.2 8A6.2 6.2 0 1 1 1.8 8a6.2 6.2 0 0 1 12.4 0z";
const disc = "M15 8A7 7 0 1 1 1 8a7 7 0 0 1 14 0z";
/** Strokes of each icon in a box of 16: f is filled, k is cut out of what is below, d is dotted. @type {{[name: string]: string[]}} */
const ICONS = {
  succeeded: ["M3.4 8.6l3.2 3.2 6.2-7.2"],
  cached: [ring, "M5.2 8.3l2 2 3.6-4.2"],
  recovered: ["M3.1 5.6A5.7 5.7 0 1 1 2.3 8.6", "M2.6 2.4v3.6h3.6", "M5.6 8.4l1.7 1.7 3.2-3.6"],
  failed: [`f${disc}`, "kM5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"],
  timed_out: [`f${disc}`, "kM8 4v4.3l2.8 1.7"],
  aborted: [ring, "M3.7 12.3l8.6-8.6"],
  running: [ring, "fM8 3.6a4.4 4.4 0 0 1 0 8.8z"],
  initializing: [ring, "fM8 8V3.6A4.4 4.4 0 0 1 12.4 8z"],
  paused: [ring, "M6.3 5.5v5M9.7 5.5v5"],
  waiting_for_resources: [`d${ring}`],
  queued: [ring],
  mixed: ["M8 1.8L15 14H1z", "M8 6.2v3.6M8 11.2v1.4"],
  right: ["M6 3.5l4.5 4.5L6 12.5"],
  down: ["M3.5 6L8 10.5 12.5 6"],
  up: ["M3.5 10L8 5.5 12.5 10"],
  left: ["M10 3.5L5.5 8l4.5 4.5"],
  search: ["M11.3 7A4.3 4.3 0 1 1 2.7 7a4.3 4.3 0 0 1 8.6 0z", "M10.2 10.2L14 14"],
  x: ["M4 4l8 8M12 4l-8 8"],
  desc: ["fM4.5 6.5L8 10.5l3.5-4z"],
  asc: ["fM4.5 9.5L8 5.5l3.5 4z"],
  copy: ["M5.5 5.5h7v8h-7z", "M3.5 10.5v-8h7"],
};
const SVG = "http://www.w3.org/2000/svg";
/** @type {Map<string, SVGElement>} */
const drawn = new Map();

/** A new copy of an icon; words stand beside it, so it is hidden from screen readers. @param {string} name */
function icon(name) {
  let made = drawn.get(name);
  if (!made) {
    made = document.createElementNS(SVG, "svg");
    made.setAttribute("viewBox", "0 0 16 16");
    made.setAttribute("class", `i i-${name}`);
    made.setAttribute("aria-hidden", "true");
    for (const stroke of ICONS[name] ?? []) {
      const style = stroke[0] === "M" ? "" : stroke[0];
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", style ? stroke.slice(1) : stroke);
      path.setAttribute("class", style ? `i-${style}` : "i-s");
      made.append(path);
    }
    drawn.set(name, made);
  }
  return /** @type {SVGElement} */ (made.cloneNode(true));
}

/** Put an icon into a holder, if it is not there. @param {HTMLElement} holder @param {string} name */
function setIcon(holder, name) {
  if (holder.dataset.icon === name) return;
  holder.dataset.icon = name;
  holder.replaceChildren(...(name ? [icon(name)] : []));
}

/** A button. @param {string} label @param {() => void} press @param {{[name: string]: any}} [props] @param {...(Node|string)} children */
const button = (label, press, props = {}, ...children) =>
  el("button", { type: "button", onclick: press, ...props }, ...(children.length ? children : [label]));

/** @param {string} name @param {string} label @param {() => void} press */
const iconButton = (name, label, press) => el("button", { type: "button", class: "ghost sq", title: label, "aria-label": label, onclick: press }, icon(name));

/** Draw the segments of a bar. @param {HTMLElement} bar @param {Counts} counts */
function setBar(bar, counts) {
  const shown = LOOKS.filter(([look]) => counts[look]);
  const key = shown.map(([look]) => look).join();
  if (bar.dataset.looks !== key) {
    bar.dataset.looks = key;
    bar.replaceChildren(...(shown.length ? shown.map(([look]) => el("i", { class: `s-${look}` })) : [el("i", { class: "s-none" })]));
  }
  shown.forEach(([look], position) => {
    const segment = /** @type {HTMLElement} */ (bar.children[position]);
    const grow = String(counts[look]);
    if (segment.style.flexGrow !== grow) segment.style.flexGrow = grow;
  });
}

/** The four segments of a small bar: done (hatched where nearly all of it was reused), failed, running, the rest. @param {Counts} counts @returns {Counts} */
export function smallBar(counts) {
  const of = (/** @type {string[]} */ ...looks) => looks.reduce((sum, look) => sum + (counts[look] ?? 0), 0);
  const reused = of("cached", "recovered");
  const done = of("succeeded") + reused;
  return {
    [reused > 0.9 * done ? "cached" : "succeeded"]: done,
    failed: of("failed", "timed_out"),
    aborted: of("aborted"),
    running: of("running", "initializing"),
    queued: of("queued", "waiting_for_resources", "paused"),
  };
}

/** Copy text, also where the page is not served securely. @param {string} text @param {HTMLElement} near */
async function copyText(text, near) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = el("textarea", { value: text, class: "sr" });
    near.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

// ---------------------------------------------------------------------------------------------------- a long list
/**
 * A list that has only those rows in the page that are seen. Its owner draws a row into an element and is told
 * which rows are needed. One stop for Tab; the arrows move a mark, which screen readers follow.
 */
class LongList {
  /**
   * @param {{role: string, label: string, id: string, draw: (node: HTMLElement, position: number) => void, blank: () => HTMLElement,
   *   needs: () => void, open: (position: number) => void, key?: (event: KeyboardEvent, position: number) => boolean}} owner
   */
  constructor(owner) {
    this.owner = owner;
    this.total = 0;
    this.top = 0;
    this.active = -1;
    this.viewport = 0;
    this.scale = scrollScale(0, 0);
    /** @type {HTMLElement[]} */
    this.nodes = [];
    this.layer = el("div", { class: "layer", role: "presentation" });
    this.spacer = el("div", { class: "spacer", role: "presentation" });
    this.node = el(
      "div",
      { class: "scroll", role: owner.role, tabIndex: 0, "aria-label": owner.label, onscroll: () => this.scrolled(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event) },
      this.layer,
      this.spacer,
    );
    this.node.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this.wheeled(event), { passive: false });
    this.layer.addEventListener("click", (/** @type {MouseEvent} */ event) => this.clicked(event));
  }

  /** How many rows are seen, the cut ones too. */
  get seen() {
    return Math.min(MAX_ROWS, Math.ceil(this.viewport / ROW) + 1);
  }

  get first() {
    return Math.floor(this.top);
  }

  /** @param {number} total */
  resize(total) {
    const viewport = this.node.clientHeight || this.viewport; // none while the page hides it
    if (total === this.total && viewport === this.viewport) return;
    this.total = total;
    this.viewport = viewport;
    this.scale = scrollScale(total, viewport);
    this.spacer.style.height = `${this.scale.height}px`;
    setAttribute(this.node, "aria-rowcount", String(total));
    this.active = Math.min(this.active, total - 1);
    if (this.top > this.scale.maxTop) this.scrollTo(this.scale.maxTop);
  }

  scrolled() {
    if (Math.abs(this.node.scrollTop - this.scale.scroll(this.top)) < 1) return; // our own doing
    this.top = Math.max(0, this.scale.top(this.node.scrollTop));
    this.moved();
  }

  /** On a scale one turn of the wheel would pass thousands of rows. @param {WheelEvent} event */
  wheeled(event) {
    if (!this.scale.scaled || event.ctrlKey) return;
    const unit = event.deltaMode === 1 ? ROW : event.deltaMode === 2 ? this.viewport : 1;
    const top = Math.max(0, Math.min(this.scale.maxTop, this.top + (event.deltaY * unit) / ROW));
    if (top === this.top) return;
    event.preventDefault();
    this.scrollTo(top);
  }

  /** @param {number} top */
  scrollTo(top) {
    this.top = Math.max(0, Math.min(this.scale.maxTop, top));
    this.node.scrollTop = this.scale.scroll(this.top);
    this.moved();
  }

  moved() {
    this.owner.needs();
    this.draw();
  }

  /** Move the mark, and the list as far as needed. @param {number} position */
  mark(position) {
    this.active = Math.max(0, Math.min(this.total - 1, position));
    const fits = Math.floor(this.viewport / ROW);
    if (this.active < this.top) this.scrollTo(this.active);
    else if (this.active > this.top + fits - 1) this.scrollTo(this.active - fits + 1);
    this.draw();
  }

  /** Take all rows out of the page: nobody sees the list. */
  clear() {
    for (const node of this.nodes.splice(0)) node.remove();
  }

  draw() {
    const first = this.first;
    const shown = Math.max(0, Math.min(this.seen, this.total - first));
    while (this.nodes.length < shown) {
      const node = this.owner.blank();
      node.id = `${this.owner.id}-${this.nodes.length}`;
      this.nodes.push(node);
      this.layer.append(node);
    }
    for (const node of this.nodes.splice(shown)) node.remove();
    let active = null;
    for (let index = 0; index < shown; index++) {
      // A row keeps its element while it is scrolled: position modulo the number of elements.
      const position = first + ((index - (first % shown) + shown) % shown);
      const node = /** @type {HTMLElement} */ (this.nodes[index]);
      const place = `translateY(${((position - this.top) * ROW).toFixed(1)}px)`;
      if (node.style.transform !== place) node.style.transform = place;
      node.dataset.position = String(position);
      setAttribute(node, "aria-rowindex", String(position + 1));
      node.classList.toggle("is-active", position === this.active);
      if (position === this.active) active = node.id;
      this.owner.draw(node, position);
    }
    setAttribute(this.node, "aria-activedescendant", active);
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const row = /** @type {HTMLElement} */ (event.target).closest("[data-position]");
    if (!row || !this.layer.contains(row)) return;
    this.active = Number(/** @type {HTMLElement} */ (row).dataset.position);
    this.owner.open(this.active);
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.total) return;
    const page = Math.max(1, Math.floor(this.viewport / ROW) - 1);
    const at = this.active < 0 ? this.first - 1 : this.active;
    /** @type {{[key: string]: number}} */
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.total - 1, j: at + 1, k: at - 1 };
    const to = moves[event.key];
    if (to !== undefined) this.mark(to);
    else if (event.key === "Enter" && this.active >= 0) this.owner.open(this.active);
    else if (!this.owner.key?.(event, this.active)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// ---------------------------------------------------------------------------------------------------- A, B: header and chips
class Header {
  /** @param {RunView} view */
  constructor(view) {
    this.view = view;
    this.glyph = el("span", { class: "glyph" });
    this.name = el("span", { class: "name" });
    this.words = el("span", { class: "ph" });
    this.id = el("span", { class: "rid" });
    this.rate = el("b");
    this.slots = el("b");
    this.workers = el("span");
    this.facts = [el("span", {}, this.rate), el("span", { class: "dim" }, this.slots), this.workers];
    this.elapsed = el("b");
    this.elapsedWord = el("span", { class: "dim long" });
    this.left = el("span", { class: "long" });
    this.leftShort = el("span", { class: "short" });
    this.abort = button("Abort", () => view.abort(), { class: "big danger", title: "Stop this run and everything that it started" });
    this.rerun = button("Re-run failed", () => view.rerun(), { class: "big primary", title: "A new run of what failed or never ran" });
    this.fold = iconButton("up", "Fold this view to one line", () => view.fold(true));
    this.bar = el("span", { class: "bar", role: "presentation" });
    this.progress = el("div", { class: "barwrap", role: "progressbar", "aria-label": "Actions ended", "aria-valuemin": "0" }, this.bar);
    this.done = el("b");
    this.of = el("span", { class: "dim" });
    this.chips = el("div", { class: "chips", role: "group", "aria-label": "Phases: counts, and filters of the table" });
    /** @type {Map<string, {node: HTMLElement, number: HTMLElement, size: HTMLElement}>} */
    this.known = new Map();
    this.message = el("p", { class: "note" });
    this.steps = el("div", { class: "steps" });
    this.node = el(
      "div",
      { class: "head" },
      el(
        "div",
        { class: "h1" },
        this.glyph,
        this.name,
        this.words,
        this.id,
        el("span", { class: "sp" }),
        el("span", { class: "facts" }, ...this.facts),
        el("span", { class: "clock" }, el("span", {}, this.elapsed, this.elapsedWord), this.left, this.leftShort),
        this.abort,
        this.rerun,
        this.fold,
      ),
      el("div", { class: "barline" }, this.progress, el("span", { class: "pct" }, this.done, " ", this.of)),
      this.chips,
      this.message,
      this.steps,
    );
  }

  /** @param {Head} head @param {Fixed} fixed */
  update(head, fixed) {
    const gone = this.view.gone;
    const look = head.mixed || gone ? "mixed" : head.steps.length ? "initializing" : head.phase;
    setIcon(this.glyph, look);
    this.glyph.className = `glyph p-${look}`;
    setText(this.name, fixed.task);
    this.name.title = fixed.task;
    setText(this.words, gone ? `Last seen ${head.words.toLowerCase()}` : head.words);
    setText(this.id, fixed.run);
    this.facts[0].hidden = !head.rate || gone;
    setText(this.rate, head.rate);
    this.facts[1].hidden = this.workers.hidden = head.over || gone || !head.workers;
    setText(this.slots, count(head.busy));
    setText(this.facts[1], "");
    this.facts[1].replaceChildren(this.slots, `/${plural(head.slots, "slot")}`);
    setText(this.workers, plural(head.workers, "worker"));
    this.setClock(head);
    const ended = this.view.gone;
    this.abort.hidden = head.over || ended || !(head.can_abort || head.aborting || this.view.aborting);
    const sent = this.view.aborting || head.aborting;
    this.abort.disabled = sent;
    setText(this.abort, !sent ? "Abort" : this.view.link.stuckCommand() && !head.aborting ? "Abort sent, waits for the cell" : "Aborting…");
    this.rerun.hidden = !head.can_rerun || ended;
    this.rerun.disabled = this.view.rerunning;
    this.fold.hidden = !head.over;
    setText(this.done, count(head.ended));
    setText(this.of, `of ${count(head.total)}`);
    setBar(this.bar, head.counts);
    const words = `${count(head.ended)} of ${plural(head.total, "action")} ended, ${countWords(head.counts)}`;
    setAttribute(this.progress, "aria-valuemax", String(head.total));
    setAttribute(this.progress, "aria-valuenow", String(head.ended));
    setAttribute(this.progress, "aria-valuetext", words);
    this.progress.title = words;
    this.setChips(head);
    const note = gone ? this.lost(head, fixed) : head.message || head.note;
    this.message.hidden = !note;
    this.message.classList.toggle("bad", Boolean(head.message) && head.phase !== "aborted");
    setText(this.message, note);
    this.steps.hidden = !head.steps.length;
    if (!this.steps.hidden) this.steps.replaceChildren(...head.steps.flatMap((step) => [el("span", { class: `p-${step.look}`, title: WORDS[step.look] }, icon(step.look)), el("span", {}, step.title), el("span", { class: "dim" }, step.text)]));
  }

  /** What a reader can do when nothing comes any more. @param {Head} head @param {Fixed} fixed */
  lost(head, fixed) {
    return `The kernel does not answer. These are the last numbers that it sent, at ${timeOfDay(head.now, true)}.\nWhat was recorded is safe: after a restart, %flyte_view ${fixed.run} shows it, and flyte.rerun("${fixed.run}", recover=True) runs only the rest.`;
  }

  /** @param {Head} head */
  setClock(head) {
    const passed = head.over || this.view.gone ? 0 : this.view.sinceHead();
    setText(this.elapsed, head.over ? duration(head.seconds) : clock(head.seconds + passed));
    setText(this.elapsedWord, head.over ? `, ended ${timeOfDay(this.view.fixed.started_at + head.seconds)}` : this.view.gone ? " when last seen" : " elapsed");
    const still = head.over || this.view.gone;
    setText(this.left, still ? "" : head.left);
    setText(this.leftShort, still ? "" : head.left_short);
  }

  /** @param {Head} head */
  setChips(head) {
    for (const [look, word] of LOOKS) {
      const number = head.counts[look] ?? 0;
      let chip = this.known.get(look);
      if (!chip && !number && !(ALWAYS.has(look) && !head.over)) continue;
      if (!chip) {
        const figure = el("b");
        const largest = el("span", { class: "cv" }, el("span", {}, figure, ` ${word}`));
        const node = button("", () => this.view.toggleLook(look), { class: "chip", title: `Show only actions that are ${word}` }, icon(look), largest);
        chip = { node, number: figure, size: largest };
        this.known.set(look, chip);
        const after = LOOKS.slice(LOOKS.findIndex(([other]) => other === look) + 1).find(([other]) => this.known.has(other));
        this.chips.insertBefore(node, after ? /** @type {any} */ (this.known.get(after[0])).node : null);
      }
      const pressed = this.view.query.looks?.includes(look) ?? false;
      chip.node.hidden = head.over && !number && !pressed;
      chip.node.className = number ? `chip p-${look}` : "chip zero";
      setAttribute(chip.node, "aria-pressed", String(pressed));
      setText(chip.number, count(number));
      setAttribute(chip.size, "data-max", head.over ? `${count(number)} ${word}` : `${"0".repeat(count(head.total).length)} ${word}`);
    }
  }
}

// ---------------------------------------------------------------------------------------------------- C: what failed, and why
class Digest {
  /** @param {RunView} view */
  constructor(view) {
    this.view = view;
    this.all = false;
    this.drawn = "";
    this.node = el("section", { class: "digest", "aria-label": "Causes of failure" });
  }

  /** @param {Head} head @param {Causes|null} causes */
  update(head, causes) {
    this.node.hidden = !(head.over && causes?.total);
    if (this.node.hidden || !causes) return;
    const key = `${this.all}${JSON.stringify(causes)}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const listed = this.all ? causes.causes : causes.causes.slice(0, 3);
    const lines = listed.map((cause) =>
      el(
        "div",
        { class: "dg" },
        el("span", { class: `p-${cause.look}` }, icon(cause.look)),
        el("span", { class: "num" }, `${count(cause.count)} ×`),
        el("span", { class: "msg", title: cause.text }, cause.text),
        el("span", { class: "dim cut", title: cause.task }, cause.task),
        button(`Show ${count(cause.count)}`, () => this.view.showCause(cause)),
      ),
    );
    const hidden = causes.total - listed.length;
    const more = !hidden ? [] : this.all ? [el("div", { class: "dim" }, `and ${plural(hidden, "more cause")}`)] : [button(`${plural(hidden, "more cause")}`, () => this.showAll(), { class: "ghost" })];
    this.node.replaceChildren(el("h4", {}, `${plural(causes.failed, "failed action")}, ${plural(causes.total, "cause")}`), ...lines, ...more);
  }

  showAll() {
    this.all = true;
    this.view.draw();
  }
}

// ---------------------------------------------------------------------------------------------------- E: groups
class Groups {
  /** @param {RunView} view */
  constructor(view) {
    this.view = view;
    /** @type {Set<string>} */
    this.open = new Set();
    /** @type {("failures"|"name"|"time"|"progress")[]} */
    this.sorts = ["failures", "name", "time", "progress"];
    this.sort = 0;
    /** @type {GroupsAnswer|null} */
    this.page = null;
    /** @type {{offset: number, count: number}|null} */
    this.asked = null;
    this.key = "";
    this.orderWord = el("span");
    this.order = button("", () => this.nextOrder(), { class: "ghost order", title: "Order of the groups: press for the next" }, this.orderWord, icon("desc"));
    this.list = new LongList({
      role: "treegrid",
      label: "Groups",
      id: `${view.id}-g`,
      blank: () => this.blank(),
      draw: (node, position) => this.drawRow(node, position),
      needs: () => this.needs(),
      open: (position) => this.filter(position),
      key: (event, position) => this.pressed(event, position),
    });
    this.summary = el("span", { class: "dim cut" });
    this.unfold = button("", () => this.toggleFold(), { class: "ghost gfold" }, el("span", { class: "tw" }), el("span", {}, "Groups"), this.summary);
    this.folded = true; // in a narrow view only
    this.node = el(
      "div",
      { class: "groups" },
      this.unfold,
      el("div", { class: "ghead" }, this.order, el("span"), el("span", { class: "num" }, "done"), el("span", { class: "num" }, "failed"), el("span", { class: "num g-sec" }, "time")),
      this.list.node,
    );
  }

  /** The query's part of it. */
  needs() {
    if (!this.list.viewport || !this.view.visible) return;
    const wanted = windowAround(this.list.first, this.list.seen, this.page?.total ?? MAX_ROWS, this.asked);
    const key = JSON.stringify([wanted, [...this.open], this.sort]);
    if (this.asked && this.key === key) return;
    this.asked = wanted;
    this.key = key;
    this.view.link.follow("groups", { follow: true, open: [...this.open], sort: this.sorts[this.sort], ...wanted });
  }

  again() {
    this.asked = null;
    this.needs();
  }

  nextOrder() {
    this.sort = (this.sort + 1) % this.sorts.length;
    this.list.scrollTo(0);
    this.again();
    this.view.draw();
  }

  toggleFold() {
    this.folded = !this.folded;
    this.view.layout();
  }

  update() {
    const words = { failures: "Failures first", name: "By name", time: "Longest first", progress: "Least done first" };
    setText(this.orderWord, words[this.sorts[this.sort] ?? "failures"]);
    this.node.classList.toggle("folded", this.folded);
    setAttribute(this.unfold, "aria-expanded", String(!this.folded));
    setIcon(this.unfold.firstChild, this.folded ? "right" : "down");
    const { groups = 0, bad = 0, total = 0 } = this.page ?? {};
    setText(this.summary, `${count(groups)}${bad ? `, ${count(bad)} with failures` : ""}`);
    this.list.resize(total);
    this.list.draw();
    this.needs();
  }

  /** @param {number} position @returns {GroupRow|undefined} */
  row(position) {
    return this.page?.rows[position - this.page.offset];
  }

  blank() {
    return el(
      "div",
      { class: "grow", role: "row" },
      el("span", { class: "nm", role: "gridcell" }, el("span", { class: "tw" }), el("span", { class: "cut" })),
      el("span", { class: "bar sm", role: "img" }),
      el("span", { class: "num", role: "gridcell" }, el("span"), el("span", { class: "dim" })),
      el("span", { class: "num", role: "gridcell" }),
      el("span", { class: "num dim g-sec", role: "gridcell" }),
    );
  }

  /** @param {HTMLElement} node @param {number} position */
  drawRow(node, position) {
    const row = this.row(position);
    const [name, bar, done, failed, time] = /** @type {HTMLElement[]} */ ([...node.children]);
    node.classList.toggle("is-blank", !row);
    if (!row || !name || !bar || !done || !failed || !time) return;
    node.style.setProperty("--d", String(row.depth));
    node.classList.toggle("sel", this.view.query.node === row.key);
    setAttribute(node, "aria-level", String(row.depth + 1));
    setAttribute(node, "aria-expanded", row.leaf ? null : String(row.open));
    setAttribute(node, "aria-selected", String(this.view.query.node === row.key));
    const [twist, label] = /** @type {HTMLElement[]} */ ([...name.children]);
    if (twist) setIcon(twist, row.leaf || row.kind === "root" ? "" : row.open ? "down" : "right");
    const said = row.kind === "root" ? "All actions" : row.name;
    if (label) setText(label, said);
    name.title = said;
    name.classList.toggle("driver", row.kind === "driver");
    setBar(bar, smallBar(row.counts));
    const words = `${count(row.ended)} of ${count(row.total)} ended, ${countWords(row.counts)}`;
    setAttribute(bar, "aria-label", words);
    bar.title = words;
    const [ended, of] = /** @type {HTMLElement[]} */ ([...done.children]);
    if (ended) setText(ended, shortCount(row.ended));
    if (of) setText(of, row.ended === row.total || row.kind === "root" ? "" : `/${shortCount(row.total)}`);
    done.title = `${count(row.ended)} of ${count(row.total)}`;
    setText(failed, row.failed ? `✕ ${shortCount(row.failed)}` : "0");
    failed.className = row.failed ? "num nf" : "num nf0";
    setText(time, row.since !== undefined ? clock(this.view.now() - row.since) : row.ended ? duration(row.seconds) : "");
  }

  /** A click on the arrow opens, one beside it filters. @param {number} position */
  filter(position) {
    const row = this.row(position);
    if (!row) return;
    if (/** @type {HTMLElement|null} */ (this.view.clickedOn)?.closest(".tw") && !row.leaf && row.kind !== "root") this.toggle(row);
    else this.view.filterNode(row);
  }

  /** @param {GroupRow} row @param {boolean} [to] */
  toggle(row, to = !row.open) {
    if (row.leaf || row.kind === "root" || to === row.open) return;
    if (to) this.open.add(row.key);
    else this.open.delete(row.key);
    this.again();
  }

  /** @param {KeyboardEvent} event @param {number} position */
  pressed(event, position) {
    const row = this.row(position);
    if (!row || (event.key !== "ArrowRight" && event.key !== "ArrowLeft")) return false;
    if (event.key === "ArrowRight") this.toggle(row, true);
    else if (row.open && row.kind !== "root") this.toggle(row, false);
    else {
      let parent = position - 1;
      while (parent >= 0 && (this.row(parent)?.depth ?? 0) >= row.depth) parent--;
      if (parent >= 0) this.list.mark(parent);
    }
    return true;
  }
}

// ---------------------------------------------------------------------------------------------------- F: the table
/** Widths in pixels of columns that always need the same. @type {{[key: string]: number}} */
const FIXED_WIDTH = { phase: 86, try: 24, time: 62, value: 150 };

/** The pixels that a column needs. @param {TableColumn} column */
const needed = (column) => FIXED_WIDTH[column.key] ?? Math.max(28, Math.min(220, Math.max(column.width, column.title.length + 1) * 7 + 2));

/**
 * Which columns are drawn in so much room: all that were chosen, as far as they fit; inputs give way first.
 * @param {TableColumn[]} chosen @param {number} room
 */
export function fitting(chosen, room) {
  const gap = 11;
  const weight = (/** @type {TableColumn} */ column) => ["phase", "value", "time", "task"].indexOf(column.key);
  const order = chosen.map((column, position) => ({ column, position })).sort((a, b) => (weight(a.column) < 0 ? 9 : weight(a.column)) - (weight(b.column) < 0 ? 9 : weight(b.column)) || a.position - b.position);
  const fits = new Set();
  let used = 22;
  for (const { column } of order) {
    const width = needed(column) + gap;
    if (used + width > room && fits.size > 1) continue;
    used += width;
    fits.add(column.key);
  }
  return chosen.filter((column) => fits.has(column.key));
}

/** The first column of the results: the row's position in the run. @type {TableColumn} */
const NUMBER = { key: "#", title: "row", type: "number", width: 6, shown: true, sortable: false };

/** How a column's values are spread: bins as bars, or the number of different words. @param {Spread} spread */
function histogram(spread) {
  if (spread.kind !== "numbers" || !spread.bins.length) {
    const text = spread.kind === "words" ? `${count(spread.distinct)} different` : "";
    return el("span", { class: "hist dim", title: spread.top.map(([word, number]) => `${word}: ${count(number)}`).join("\n") }, text);
  }
  const most = Math.max(...spread.bins, 1);
  const width = 100 / spread.bins.length;
  const bar = (/** @type {number} */ bin, /** @type {number} */ index) => {
    const height = bin ? Math.max(1.5, (bin / most) * 24) : 0;
    return `M${(index * width).toFixed(2)} 24v${(-height).toFixed(2)}h${(width * 0.9).toFixed(2)}v${height.toFixed(2)}z`;
  };
  const box = document.createElementNS(SVG, "svg");
  box.setAttribute("viewBox", "0 0 100 24");
  box.setAttribute("preserveAspectRatio", "none");
  box.setAttribute("class", "hist");
  box.setAttribute("role", "img");
  const words = `${count(spread.count)} values from ${spread.low} to ${spread.high}`;
  box.setAttribute("aria-label", words);
  for (const [kind, marks] of /** @type {[string, string][]} */ ([["b", spread.bins.map(bar).join("")], ["m", spread.marked < 0 ? "" : `M${((spread.marked + 0.45) * width).toFixed(2)} 0v24`]])) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", marks);
    box.append(path);
  }
  return el("span", { class: "hist", title: words }, box);
}

class Table {
  /** @param {RunView} view @param {"actions"|"results"} kind */
  constructor(view, kind) {
    this.view = view;
    this.kind = kind;
    /** @type {Sort[]} */
    this.sort = [];
    /** Columns that were chosen; none are the default ones. @type {string[]} */
    this.columns = [];
    /** How values are spread, by column. @type {Map<string, Spread>} */
    this.spreads = new Map();
    this.spreadKey = "";
    /** What the reader calls the best, which row that is, and of which results. @type {Sort|null} */
    this.bestBy = null;
    /** @type {{row: number, words: string}|null} */
    this.best = null;
    this.bestKey = this.counted = "";
    this.choice = el("select", { class: "best", "aria-label": "What is best", title: "The best row has a star, and its place is marked in every histogram", hidden: true, onchange: () => this.chooseBest() });
    /** @type {RowsAnswer|null} */
    this.page = null;
    /** @type {{offset: number, count: number}|null} */
    this.asked = null;
    this.key = "";
    /** @type {TableColumn[]} */
    this.layout = [];
    this.layoutKey = "";
    this.head = el("div", { class: "thead", role: "row" });
    this.filters = el("div", { class: "filter", role: "group", "aria-label": "Filters" });
    this.empty = el("div", { class: "empty" });
    this.list = new LongList({
      role: "grid",
      label: kind === "actions" ? "Actions" : "Results",
      id: `${view.id}-${kind}`,
      blank: () => el("div", { class: "row", role: "row" }),
      draw: (node, position) => this.drawRow(node, position),
      needs: () => this.needs(),
      open: (position) => this.open(position),
      key: (event, position) => this.pressed(event, position),
    });
    const mark = this.list.mark.bind(this.list);
    this.list.mark = (position) => {
      mark(position);
      if (view.detail.row >= 0) this.open(this.list.active);
    };
    this.node = el("div", { class: kind === "results" ? "main wide" : "main" }, this.filters, this.head, this.empty, this.list.node);
    this.list.node.addEventListener("scroll", () => (this.head.scrollLeft = this.list.node.scrollLeft));
    this.list.node.addEventListener("pointerenter", () => this.hold(true));
    this.list.node.addEventListener("pointerleave", () => this.hold(false));
    this.pointed = false;
    this.released = false;
    this.wanted = -1;
    this.drawnKey = "";
  }

  /** The order stands still while somebody points at a row, reads on, or looks at an action. */
  get held() {
    return !this.released && (this.pointed || this.list.top > 0 || this.view.detail.row >= 0);
  }

  /** What failed stands by its causes, once no more can come. */
  get byCause() {
    const { looks, cause } = this.view.query;
    return this.kind === "actions" && !this.sort.length && Boolean(cause || (looks?.length && looks.every((look) => look === "failed" || look === "timed_out")));
  }

  /** @param {boolean} pointed */
  hold(pointed) {
    this.pointed = pointed;
    this.released = false;
    if (!this.view.head?.over) this.needs();
  }

  release() {
    this.released = true;
    this.list.scrollTo(0);
    this.needs();
  }

  needs() {
    if (!this.list.viewport || !this.view.visible || this.view.tab !== this.kind) return;
    const wanted = windowAround(this.list.first, this.list.seen, this.page?.total ?? MAX_ROWS, this.asked);
    const over = this.view.head?.over ?? true;
    const query = { ...this.view.query, table: this.kind, sort: this.sort, ...(over ? { causes: this.byCause } : this.held ? { hold: true } : {}) };
    const key = JSON.stringify([wanted, query, this.columns]);
    if (this.asked && key === this.key) return;
    this.asked = wanted;
    this.key = key;
    this.view.link.follow("rows", { follow: true, query, columns: this.columns, ...wanted });
  }

  /** How the columns' values are spread: asked again when the query or the marked row is another one. */
  /** What "best" means: the reader's choice, or the output that the rows are sorted by; nothing unasked. @returns {Sort|null} */
  get bestSort() {
    const sort = this.sort[0];
    return this.bestBy ?? (sort?.by.startsWith("out:") ? sort : null);
  }

  /** Ask which row is the best one: again when the query, the choice or the results are others. */
  needBest() {
    const sort = this.bestSort;
    const catalog = this.page?.catalog ?? [];
    this.setBestChoices(catalog.filter((column) => column.key.startsWith("out:") && column.type === "number"));
    if (!sort || !catalog.length || this.view.tab !== "results") {
      if (!sort) this.best = null;
      return;
    }
    const query = { ...this.view.query, table: this.kind, sort: [sort] };
    const key = JSON.stringify([query, this.counted]);
    if (key === this.bestKey) return;
    this.bestKey = key;
    const columns = [sort.by, ...catalog.filter((column) => column.shown && column.key !== sort.by && !column.key.startsWith("out:")).map((column) => column.key)].slice(0, 6);
    this.view.link.ask("rows", { view: this.view.link.aside, follow: false, query, columns, offset: 0, count: 1 }, (/** @type {RowsAnswer} */ answer) => {
      const row = answer.kind === "rows" ? answer.rows[0] : undefined;
      if (this.bestKey !== key) return;
      const title = (/** @type {string} */ name) => answer.catalog.find((column) => column.key === name)?.title ?? name;
      const cell = (/** @type {string} */ name) => row?.cells[answer.columns.indexOf(name)] ?? "";
      const told = columns.slice(1).filter((name) => cell(name)).map((name) => `${title(name)} ${cell(name)}`);
      const found = cell(sort.by) && cell(sort.by) !== "nan";
      this.best = row && found ? { row: row.row, words: `★ best ${title(sort.by)} ${cell(sort.by)}: ${told.join(", ")}` } : null;
      this.view.draw();
    });
  }

  /** @param {TableColumn[]} outputs */
  setBestChoices(outputs) {
    const key = JSON.stringify(outputs.map((column) => [column.key, column.title]));
    this.choice.hidden = this.view.tab !== "results" || !outputs.length;
    if (this.choice.dataset.key === key) return;
    this.choice.dataset.key = key;
    const option = (/** @type {string} */ value, /** @type {string} */ text) => el("option", { value }, text);
    this.choice.replaceChildren(option("", "Best: top of a sort"), ...outputs.flatMap((column) => [option(`+${column.key}`, `Best: highest ${column.title}`), option(`-${column.key}`, `Best: lowest ${column.title}`)]));
    this.choice.value = this.bestBy ? `${this.bestBy.down ? "+" : "-"}${this.bestBy.by}` : "";
  }

  chooseBest() {
    const value = this.choice.value;
    this.bestBy = value ? { by: value.slice(1), down: value[0] === "+" } : null;
    this.view.draw();
  }

  needSpreads() {
    const columns = this.layout.map((column) => column.key).filter((key) => key !== "#");
    const request = { follow: true, query: { ...this.view.query, table: this.kind }, columns, marked: this.view.detail.row >= 0 ? this.view.detail.row : (this.best?.row ?? -1) };
    const key = JSON.stringify(request);
    if (this.view.tab !== "results" || this.kind !== "results" || !columns.length || key === this.spreadKey) return;
    this.spreadKey = key;
    this.view.link.follow("spread", request);
  }

  /** @param {SpreadAnswer} answer */
  takeSpreads(answer) {
    this.spreads = new Map(answer.columns.map((spread) => [spread.key, spread]));
    this.counted = `${answer.total} ${answer.read}`;
    this.layoutKey = "";
  }

  /** Descending, ascending, default. @param {string} by */
  sortBy(by) {
    const sort = this.sort[0];
    this.sort = sort?.by !== by ? [{ by, down: true }] : sort.down ? [{ by, down: false }] : [];
    this.again();
    this.view.draw();
  }

  /** Ask again: the query is another one. */
  again() {
    this.asked = null;
    this.list.active = -1;
    this.list.scrollTo(0);
    this.needs();
  }

  /** @param {RowsAnswer} page */
  take(page) {
    this.page = page;
    if (this.wanted >= 0 && this.row(this.wanted)) this.open(this.wanted);
  }

  update() {
    const page = this.page;
    this.setLayout();
    this.setFilters();
    this.list.resize(page?.total ?? 0);
    this.setEmpty();
    this.list.draw();
    this.needs();
    if (this.kind === "results") this.needBest();
    this.needSpreads();
  }

  setLayout() {
    const catalog = this.page?.catalog ?? [];
    const shown = new Set(this.page?.columns ?? []);
    const room = this.node.clientWidth;
    const together = Boolean(this.page?.headings);
    const key = JSON.stringify([catalog, [...shown], room, this.view.slim, this.sort, together]);
    if (key === this.layoutKey) return;
    const spreadsOnly = this.layoutKey === "" && key === this.drawnKey;
    this.layoutKey = this.drawnKey = key;
    const chosen = (this.page?.columns ?? []).map((name) => catalog.find((column) => column.key === name)).filter((column) => column !== undefined);
    if (this.kind === "results") this.layout = chosen.length ? [NUMBER, ...chosen] : [];
    else if (this.view.slim && together) this.layout = fitting(chosen.filter((column) => column.key === "time" || column.key.startsWith("in:")), room);
    else this.layout = this.view.slim ? chosen.filter((column) => column.key === "phase" || column.key === "value" || column.key === "time") : fitting(chosen, room);
    const tracks = this.layout.map((column) => (column.key === "value" ? "minmax(0,1fr)" : `${needed(column)}px`));
    if (this.kind === "results") this.node.style.setProperty("--w", `${Math.max(room, this.layout.reduce((sum, column) => sum + needed(column) + 11, 13))}px`);
    else if (!this.layout.some((column) => column.key === "value") && tracks.length) tracks[tracks.length - 1] = "minmax(0,1fr)";
    this.node.style.setProperty("--cols", tracks.join(" "));
    const focused = this.head.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).textContent : null;
    this.head.replaceChildren(...this.layout.map((column) => this.headCell(column)));
    const buttons = [...this.head.querySelectorAll("button")];
    buttons[0]?.setAttribute("tabindex", "0");
    if (focused !== null) buttons.find((one) => one.textContent === focused)?.focus({ preventScroll: true });
    this.head.scrollLeft = this.list.node.scrollLeft;
    if (!spreadsOnly) for (const node of this.list.nodes) node.replaceChildren();
  }

  /** @param {TableColumn} column */
  headCell(column) {
    const sort = this.sort[0];
    const on = sort !== undefined && sort.by === column.key;
    const title = this.view.slim && column.key === "value" && this.kind === "actions" ? "Task, output or error" : column.title;
    const side = column.type === "text" || column.key === "phase" ? "" : "num";
    const kind = `${side}${/^(in|out):/.test(column.key) ? " mono" : ""}${on ? " on" : ""}`;
    const word = el("span", { class: "cut" }, title);
    const label = column.sortable ? button("", () => this.sortBy(column.key), { class: "th", tabIndex: -1 }, word, ...(on ? [icon(sort.down ? "desc" : "asc")] : [])) : word;
    const cell = el("span", { role: "columnheader", class: kind, title: column.key.startsWith("in:") ? `input ${title}` : title }, label);
    if (column.sortable) cell.setAttribute("aria-sort", on ? (sort.down ? "descending" : "ascending") : "none");
    const spread = this.spreads.get(column.key);
    if (this.kind === "results") cell.append(spread ? histogram(spread) : el("span", { class: "hist" }));
    return cell;
  }

  setFilters() {
    const tokens = this.view.tokens();
    const key = JSON.stringify(tokens.map(([text]) => text));
    if (this.filters.dataset.key === key) return;
    this.filters.dataset.key = key;
    this.filters.hidden = !tokens.length;
    this.filters.replaceChildren(
      ...tokens.map(([text, clear]) => el("span", { class: "tok" }, el("span", { class: "cut", title: text }, text), iconButton("x", `Remove the filter ${text}`, clear))),
      ...(tokens.length > 1 ? [button("Clear all", () => this.view.clearFilters(), { class: "ghost" })] : []),
    );
  }

  setEmpty() {
    const page = this.page;
    const none = Boolean(page && !page.total);
    this.empty.hidden = !none;
    if (!page || !none) return;
    const filtered = this.view.tokens().length > 0;
    const word = this.view.query.search ? ` “${this.view.query.search}” in a name, an input, an output or an error` : "";
    const text = page.error || (filtered ? `No action matches${word}; ${plural(page.searched, "action")} searched.` : "No actions yet.");
    if (this.empty.textContent?.startsWith(text)) return;
    this.empty.replaceChildren(el("span", {}, text), ...(filtered ? [button("Clear filters", () => this.view.clearFilters())] : []));
  }

  /** @param {number} position @returns {Row|undefined} */
  row(position) {
    return this.page?.rows[position - this.page.offset];
  }

  /** @param {HTMLElement} node @param {number} position */
  drawRow(node, position) {
    const row = this.row(position);
    node.classList.toggle("is-blank", !row);
    setAttribute(node, "aria-busy", row ? null : "true");
    const heads = row?.heading !== undefined;
    if (row && node.classList.contains("cause") !== heads) node.replaceChildren();
    if (row) node.classList.toggle("cause", heads);
    if (!row) return;
    if (heads) return this.drawHeading(node, row);
    if (node.children.length !== this.layout.length) node.replaceChildren(...this.layout.map((column) => this.blankCell(column)));
    const chosen = row.row === this.view.detail.row;
    node.classList.toggle("sel", chosen);
    node.classList.toggle("best", row.row === this.best?.row);
    setAttribute(node, "aria-selected", String(chosen));
    this.layout.forEach((column, index) => this.drawCell(/** @type {HTMLElement} */ (node.children[index]), column, row));
  }

  /** The cause of the rows below. @param {HTMLElement} node @param {Row} row */
  drawHeading(node, row) {
    const text = row.heading ?? "";
    node.classList.remove("sel");
    setAttribute(node, "aria-selected", null);
    if (!node.children.length) node.append(el("span", { class: "glyph" }), el("span", { class: "cut mono", role: "gridcell" }), el("span", { class: "dim" }));
    const [glyph, words, number] = /** @type {HTMLElement[]} */ ([...node.children]);
    if (!glyph || !words || !number) return;
    glyph.className = `glyph p-${row.look}`;
    setIcon(glyph, row.look);
    setText(words, text);
    words.title = text;
    setText(number, count(row.below ?? 0));
  }

  /** @param {TableColumn} column */
  blankCell(column) {
    if (column.key === "phase") return el("span", { class: "ph", role: "gridcell" }, el("span", { class: "glyph" }), el("span", { class: "word" }));
    if (column.key === "value" && this.view.slim) return el("span", { class: "cut", role: "gridcell" }, el("span"), el("span", { class: "mono dim" }), el("span", { class: "mono" }));
    return el("span", { class: column.type === "text" ? "cut" : "num cut", role: "gridcell" });
  }

  /** @param {HTMLElement} cell @param {TableColumn} column @param {Row} row */
  drawCell(cell, column, row) {
    const text = column.key === "#" ? `${row.row === this.best?.row ? "★ " : ""}${row.row}` : (row.cells[this.page?.columns.indexOf(column.key) ?? -1] ?? "");
    if (column.key === "phase") {
      const [glyph, word] = /** @type {HTMLElement[]} */ ([...cell.children]);
      cell.className = `ph p-${row.look}`;
      if (glyph) setIcon(glyph, row.look);
      if (word) setText(word, WORDS[row.look] ?? row.look);
      cell.title = WORDS[row.look] ?? row.look;
    } else if (column.key === "time") {
      setText(cell, row.since !== undefined ? duration(Math.max(0, this.view.now() - row.since)) : duration(row.seconds));
      cell.classList.toggle("slow", row.slow !== undefined);
      cell.title = row.slow === undefined ? "" : `${row.slow} times the median of its task`;
    } else if (column.key === "value" && this.view.slim) this.drawBoth(cell, row, text);
    else {
      setText(cell, text);
      cell.title = text;
      if (column.key === "value") cell.classList.toggle("err1", row.bad === true);
      if (column.key === "try") cell.classList.toggle("dim", text === "1");
    }
  }

  /** Task, inputs and value in one cell, where there is no room for more. @param {HTMLElement} cell @param {Row} row @param {string} value */
  drawBoth(cell, row, value) {
    const columns = this.page?.columns ?? [];
    const inputs = columns.flatMap((name, index) => (name.startsWith("in:") && row.cells[index] ? [row.cells[index]] : [])).join(" · ");
    const texts = [row.cells[columns.indexOf("task")] ?? "", inputs, value];
    const spans = /** @type {HTMLElement[]} */ ([...cell.children]);
    spans.forEach((span, index) => setText(span, texts[index] ? `${texts[index]} ` : ""));
    if (spans[2]) spans[2].className = row.bad ? "mono err1" : "mono";
    cell.title = texts.filter(Boolean).join(" ");
  }

  /** A row that has not come yet is opened when it does. @param {number} position */
  open(position) {
    const row = this.row(position);
    this.wanted = row ? -1 : position;
    if (row && row.heading === undefined) this.view.detail.open(row.row);
  }

  /** @param {KeyboardEvent} event @param {number} position */
  pressed(event, position) {
    const row = this.row(position);
    if (event.key !== "c" || !row || row.heading !== undefined) return false;
    this.view.copy(this.rowText(row), "Row copied");
    return true;
  }

  /** A row for the clipboard: titles and values, a line each. @param {Row} row */
  rowText(row) {
    const page = /** @type {RowsAnswer} */ (this.page);
    const values = page.columns.map((key, index) => {
      const title = page.catalog.find((column) => column.key === key)?.title ?? key;
      const text = key === "phase" ? WORDS[row.look] : key === "time" ? duration(row.seconds) : row.cells[index];
      return `${title}\t${text ?? ""}`;
    });
    return [`Row\t${row.row}`, ...values].join("\n");
  }

  /** What is seen, in words. */
  footText() {
    const page = this.page;
    if (!page || !page.total) return "";
    const first = this.list.first + 1;
    const last = Math.min(page.total, Math.floor(this.list.top + this.list.viewport / ROW));
    if (page.headings) return `${count(page.total - page.headings)} of ${count(page.searched)}, ${page.order}`;
    const of = page.total === page.searched || this.kind === "results" ? count(page.total) : `${count(page.total)} (of ${count(page.searched)})`;
    const hint = this.kind !== "results" ? "" : `${this.best ? `. ${this.best.words}` : ""}; run.results is all of it as a DataFrame`;
    return `Rows ${count(first)}–${count(Math.max(first, last))} of ${of}${page.order ? `, ${page.order}` : ""}${hint}`;
  }
}

// ---------------------------------------------------------------------------------------------------- G: one action
const CPU_HINT = "CPU: processor time of the body's own code, without threads and processes that it started";
const PEAK_HINT = "Peak: the most memory that the worker's process had while it ran, with all that ran there";
class Detail {
  /** @param {RunView} view */
  constructor(view) {
    this.view = view;
    /** The row that is looked at; -1 is none. */
    this.row = -1;
    /** @type {DetailAnswer|null} */
    this.answer = null;
    /** Rich forms of the output that have come, and those that were asked for, by name. @type {Map<string, RichAnswer|null>} */
    this.rich = new Map();
    this.drawn = "";
    this.glyph = el("span", { class: "glyph" });
    this.name = el("span", { class: "nm cut" });
    this.id = el("span", { class: "rid cut" });
    this.words = el("span", { class: "cut" });
    this.abort = button("Abort", () => this.command("abort"), { class: "danger" });
    this.rerun = button("Re-run this", () => this.command("rerun"));
    this.crumb = el("div", { class: "crumb" });
    this.jumps = el("div", { class: "dnav", role: "tablist", "aria-label": "Parts of the action" });
    this.body = el("div", { class: "db", tabIndex: 0, role: "document", "aria-label": "Action" });
    this.back = button("", () => this.close(), { class: "ghost back" }, icon("left"), "Back");
    this.node = el(
      "section",
      { class: "detail", "aria-label": "Selected action", hidden: true },
      el("div", { class: "dh" }, el("div", { class: "l1" }, this.back, this.glyph, this.name, this.id, this.words, el("span", { class: "sp" }), this.abort, this.rerun, iconButton("x", "Close (Esc)", () => this.close())), this.crumb, this.jumps),
      this.body,
    );
  }

  /** @param {number} row */
  open(row) {
    if (row === this.row) return;
    this.row = row;
    this.answer = null;
    this.rich = new Map();
    this.drawn = "";
    this.node.hidden = false;
    this.view.link.follow("detail", { follow: true, row, log_from: 0, full: false });
    this.view.layout();
  }

  close() {
    if (this.row < 0) return;
    this.row = -1;
    this.answer = null;
    this.node.hidden = true;
    this.view.link.stop("detail");
    this.view.layout();
    this.view.table.list.node.focus({ preventScroll: true });
  }

  again() {
    if (this.row >= 0) this.view.link.follow("detail", { follow: true, row: this.row, log_from: 0, full: false });
  }

  /** @param {"abort"|"rerun"} kind */
  command(kind) {
    const pressed = kind === "abort" ? this.abort : this.rerun;
    pressed.disabled = true;
    this.view.link.ask(kind, { row: this.row }, (/** @type {DoneAnswer} */ done) => {
      pressed.disabled = false;
      this.view.say(done.message || (kind === "abort" ? "Abort sent" : `Started run ${done.run}`));
    });
  }

  /** @param {DetailAnswer} answer */
  take(answer) {
    if (answer.row === this.row) this.answer = answer;
  }

  update() {
    const answer = this.answer;
    if (this.row < 0) return;
    if (!answer) {
      this.node.classList.add("is-waiting");
      return;
    }
    this.node.classList.remove("is-waiting");
    setIcon(this.glyph, answer.look);
    this.glyph.className = `glyph p-${answer.look}`;
    setText(this.name, answer.task);
    setText(this.id, answer.action);
    setText(this.words, answer.words);
    this.abort.hidden = !answer.can_abort || this.view.gone;
    this.rerun.hidden = !answer.can_rerun || this.view.gone;
    const time = answer.since !== undefined ? this.view.now() - answer.since : answer.seconds;
    const cost = [
      answer.path.join(" › "),
      answer.worker,
      time === null ? "" : duration(answer.since !== undefined ? Math.floor(time) : time),
      answer.queued_seconds === null ? "" : `waited ${duration(answer.queued_seconds)}`,
      answer.cpu_seconds === null ? "" : `CPU ${duration(answer.cpu_seconds)}`,
      answer.memory_bytes === null ? "" : `peak ${size(answer.memory_bytes)}`,
    ];
    setText(this.crumb, cost.filter(Boolean).join(" · "));
    const hints = [answer.cpu_seconds === null ? "" : CPU_HINT, answer.memory_bytes === null ? "" : PEAK_HINT];
    this.crumb.title = [this.crumb.textContent, ...hints].filter(Boolean).join("\n");
    const key = JSON.stringify({ ...answer, version: 0, id: 0, seconds: 0 });
    if (key === this.drawn) return;
    const changed = this.drawn !== "";
    this.drawn = key;
    this.drawBody(answer, changed);
    this.node.dataset.row = String(answer.row);
  }

  /** @param {DetailAnswer} answer @param {boolean} changed */
  drawBody(answer, changed) {
    const scroll = changed ? this.body.scrollTop : 0;
    const atEnd = changed && this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - 4;
    const log = answer.log;
    /** @type {[string, string, HTMLElement[]][]} */
    const parts = [];
    if (answer.gone) parts.push(["Action", "", [el("p", {}, answer.gone)]]);
    if (answer.error) parts.push(["Error", "", this.errorPart(answer.error)]);
    parts.push(["Inputs", count(answer.inputs.length), this.valuesPart(answer.inputs, "No inputs.")]);
    if (!answer.error || answer.outputs.length) parts.push(["Output", answer.outputs.length ? "" : "none", [...this.richPart(answer), ...this.valuesPart(answer.outputs, "No output yet.")]]);
    parts.push(["Attempts", count(answer.attempts.length), this.attemptsPart(answer)]);
    parts.push(["Log", log.lines ? plural(log.lines, "line") : "empty", this.logPart(log)]);
    const heads = parts.map(([title, note, body]) => {
      const head = el("h5", {}, title, el("span", { class: "dim" }, note));
      const copied = this.copyable(title, answer);
      if (copied) head.append(copied);
      return { head, body };
    });
    this.body.replaceChildren(...heads.flatMap(({ head, body }) => [head, ...body]));
    this.jumps.replaceChildren(
      ...parts.map(([title, note], index) =>
        button("", () => this.jump(/** @type {any} */ (heads[index]).head, index), { class: "tab", role: "tab", "aria-selected": String(index === 0), tabIndex: index ? -1 : 0 }, title, ...(note ? [" ", el("span", { class: "dim" }, note)] : [])),
      ),
    );
    this.body.scrollTop = atEnd && scroll > 0 ? this.body.scrollHeight : scroll;
  }

  /** @param {HTMLElement} head @param {number} index */
  jump(head, index) {
    this.body.scrollTop = head.offsetTop - this.body.offsetTop - 8;
    [...this.jumps.children].forEach((tab, position) => setAttribute(tab, "aria-selected", String(position === index)));
  }

  /** @param {string} title @param {DetailAnswer} answer */
  copyable(title, answer) {
    /** @type {{[title: string]: string}} */
    const texts = {
      Error: answer.error ? answer.error.traceback || `${answer.error.code}: ${answer.error.message}` : "",
      Inputs: answer.inputs.map((value) => `${value.name} = ${value.text}`).join("\n"),
      Output: answer.outputs.map((value) => value.text).join("\n"),
      Log: answer.log.text,
    };
    if (!texts[title]) return null;
    return button("", () => this.copyAll(title), { class: "ghost" }, icon("copy"), "Copy");
  }

  /** Copy a part in full: what was cut is asked for. @param {string} title */
  copyAll(title) {
    const pick = (/** @type {DetailAnswer} */ answer) => {
      if (title === "Error") return answer.error?.traceback || `${answer.error?.code}: ${answer.error?.message}`;
      if (title === "Log") return answer.log.text;
      if (title === "Inputs") return answer.inputs.map((value) => `${value.name} = ${value.text}`).join("\n");
      return answer.outputs.map((value) => value.text).join("\n");
    };
    const answer = this.answer;
    if (!answer) return;
    const cut = answer.log.more || [...answer.inputs, ...answer.outputs].some((value) => value.more);
    if (!cut || this.view.gone) this.view.copy(pick(answer), `${title} copied`);
    else this.view.link.ask("detail", { follow: false, row: this.row, log_from: 0, full: true }, (whole) => this.view.copy(pick(whole), `${title} copied`));
  }

  /** @param {ErrorInfo} error */
  errorPart(error) {
    const fault = { user: "", system: "The system failed, not the task's code.", timeout: "", abort: "" }[error.fault];
    const title = el("div", { class: "etitle" }, el("em", {}, error.code), error.message ? `: ${error.message}` : "");
    const trace = error.frames.length ? error.frames.flatMap((frame) => this.framePart(frame)) : error.traceback ? [el("pre", {}, error.traceback)] : [];
    return [...(fault ? [el("p", { class: "dim" }, fault)] : []), title, ...trace];
  }

  /** A frame: the user's with its code, others folded. @param {Frame} frame */
  framePart(frame) {
    const at = `${frame.file}, line ${frame.line}, in ${frame.function}`;
    const width = String(frame.lines.at(-1)?.[0] ?? "").length;
    const lines = frame.lines.map(([number, text]) => {
      const hit = number === frame.line;
      const mark = `${hit ? "›" : " "} ${String(number).padStart(width)}  `;
      return el("span", { class: hit ? "hit" : "line" }, el("span", { class: "ln" }, mark), `${text}\n`);
    });
    const code = lines.length ? [el("pre", {}, ...lines)] : [];
    if (frame.own) return [el("div", { class: "at" }, at), ...code];
    return [el("details", { class: "fold" }, el("summary", {}, at), ...code)];
  }

  /** @param {Value[]} values @param {string} none */
  valuesPart(values, none) {
    if (!values.length) return [el("p", { class: "dim" }, none)];
    const long = (/** @type {Value} */ value) => value.text.length > 60 || value.text.includes("\n");
    const rows = values.flatMap((value) => [
      el("dt", { class: long(value) ? "long" : "", title: value.type }, value.name || value.type),
      el("dd", { class: long(value) ? "long" : "", title: value.type }, el("pre", {}, value.text + (value.more ? " …" : ""))),
    ]);
    return [el("dl", { class: "kv" }, ...rows)];
  }

  /** An output's own picture or page: the first form that it has, and buttons for the others. @param {DetailAnswer} answer @returns {HTMLElement[]} */
  richPart(answer) {
    if (answer.rich.length && !this.rich.size) this.askRich(/** @type {string} */ (answer.rich[0]));
    const shown = [...this.rich.values()].flatMap((form) => (form ? [this.richForm(form)] : []));
    const more = answer.rich.filter((form) => !this.rich.has(form)).map((form) => button(`Show ${form}`, () => this.askRich(form)));
    return [...shown, ...more];
  }

  /** @param {string} form */
  askRich(form) {
    const row = this.row;
    this.rich.set(form, null);
    this.view.link.ask("rich", { row, form }, (/** @type {RichAnswer} */ answer) => {
      if (row !== this.row || answer.kind !== "rich") return;
      this.rich.set(form, answer);
      this.drawn = "";
      this.view.draw();
    });
  }

  /** A picture, or a page in a frame without rights: no script runs in it, and it reaches neither this page nor the net. @param {RichAnswer} form @returns {HTMLElement} */
  richForm(form) {
    if (form.error) return el("p", { class: "dim" }, form.error);
    if (form.mime === "image/png" || form.mime === "image/jpeg") return el("img", { class: "rich", alt: `Output as ${form.form}`, src: `data:${form.mime};base64,${form.data}` });
    if (form.mime !== "text/html") return el("pre", {}, form.text);
    const frame = el("iframe", { class: "rich", title: `Output as ${form.form}` });
    frame.setAttribute("sandbox", "");
    frame.srcdoc = form.text;
    return frame;
  }

  /** @param {DetailAnswer} answer */
  attemptsPart(answer) {
    if (!answer.attempts.length) return [el("p", { class: "dim" }, answer.look === "cached" || answer.look === "recovered" ? "None: an earlier result was taken." : "None yet.")];
    const cell = (/** @type {string} */ kind, /** @type {any[]} */ ...children) => el("td", { class: kind }, ...children);
    const measured = answer.attempts.some((attempt) => attempt.cpu_seconds !== null || attempt.memory_bytes !== null);
    const rows = answer.attempts.map((attempt) =>
      el(
        "tr",
        {},
        cell("num", String(attempt.number)),
        cell(`w p-${attempt.look}`, icon(attempt.look), ` ${attempt.ended_by || WORDS[attempt.look]}`, ...(attempt.counted || !attempt.ended_by ? [] : [el("span", { class: "dim" }, " (not counted as a retry)")])),
        cell("", attempt.worker),
        cell("num", attempt.started_at ? timeOfDay(attempt.started_at, true) : NOT_YET),
        cell("num", duration(attempt.seconds)),
        ...(measured ? [cell("num", duration(attempt.cpu_seconds)), cell("num", attempt.memory_bytes === null ? NOT_YET : size(attempt.memory_bytes))] : []),
      ),
    );
    rows.forEach((row, index) => {
      const told = /** @type {AttemptLine} */ (answer.attempts[index]).ended_by;
      if (told) row.children[1].title = told;
    });
    const costs = measured ? ["CPU", "Peak"] : [];
    const hints = { CPU: CPU_HINT, Peak: PEAK_HINT };
    const titles = ["Try", "Ended by", "Worker", "Started", "Time", ...costs].map((title, index) =>
      el("th", { scope: "col", class: index === 1 || index === 2 ? "" : "num", title: hints[/** @type {"CPU"} */ (title)] ?? "" }, title),
    );
    return [el("table", { class: "t" }, el("thead", {}, el("tr", {}, ...titles)), el("tbody", {}, ...rows))];
  }

  /** @param {LogPart} log */
  logPart(log) {
    if (!log.total) return [el("p", { class: "dim" }, "Nothing was printed.")];
    const note = log.more ? [el("p", { class: "dim" }, `${log.start ? "The last" : "The first"} ${count(log.text.length)} of ${count(log.total)} characters; Copy takes all.`)] : [];
    return [...note, el("pre", { class: "log" }, log.text)];
  }
}

// ---------------------------------------------------------------------------------------------------- H: the timeline
/** Pixels: of a sub-lane, between lanes, of the axis, of the overview. */
const LANE = 9;
const LANE_GAP = 12;
const AXIS = 18;
const OVERVIEW = 34;
const MAX_LANES = 40;
const MOST_PIXELS = 2_400;

/** Steps of an axis that are whole for a reader, in seconds. */
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/** Marks of an axis: seconds from `from` to `to` with room for a label each. @param {number} from @param {number} to @param {number} pixels */
export function axisMarks(from, to, pixels) {
  const step = STEPS.find((one) => (one / (to - from)) * pixels >= 70) ?? 86400 * Math.ceil((to - from) / 86400 / 8);
  const marks = [];
  for (let mark = Math.ceil(from / step) * step; mark <= to && marks.length < 50; mark += step) marks.push(mark);
  return marks;
}

/** A mark of an axis in words that tell it from its neighbours: `20m 56.2s`. @param {number} mark @param {number} step */
export function axisWords(mark, step) {
  if (step >= 1 || mark < 60) return mark < 10 && step < 0.01 ? `${mark.toFixed(3)} s` : duration(mark);
  const places = Math.min(3, Math.ceil(-Math.log10(step) - 1e-9));
  const minutes = Math.floor(mark / 60 + 1e-9);
  return `${minutes}m ${Math.max(0, mark - 60 * minutes).toFixed(places).padStart(places + 3, "0")}s`;
}

/** When what ran where: a lane per worker, drawn on a canvas since there may be a thousand bars. */
class Timeline {
  /** @param {RunView} view */
  constructor(view) {
    this.view = view;
    /** The span that is seen, UTC seconds; both 0: all of it. */
    this.start = 0;
    this.end = 0;
    this.first = 0;
    this.key = "";
    /** @type {TimelineAnswer|null} */
    this.answer = null;
    this.over = el("canvas", { class: "tlover", role: "img", "aria-label": "The whole run: drag to choose a span" });
    this.canvas = el("canvas", { class: "tllanes", role: "img", tabIndex: 0, "aria-label": "Timeline" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.labels = el("div", { class: "tllabels" });
    this.note = el("span", { class: "dim cut" });
    this.legend = el("span", { class: "tllegend" });
    this.pages = el("span", { class: "tlpages" });
    const zoom = (/** @type {number} */ factor) => () => this.zoom(factor);
    const tools = [button("Zoom in", zoom(0.5)), button("Zoom out", zoom(2)), button("All", () => this.look(0, 0)), button("Last minute", () => this.lastMinute())];
    /** What bars are told apart by. @type {"task"|"phase"} */
    this.by = "task";
    this.tell = /** @type {const} */ (["task", "phase"]).map((by) => button(by, () => this.tellBy(by), { class: "tog", title: `Tell bars apart by their ${by}` }));
    tools.push(el("span", { class: "dim" }, "Told apart by"), ...this.tell);
    this.tipKey = "";
    this.dragged = false;
    this.scroller = el("div", { class: "tlscroll" }, this.labels, this.canvas, this.tip);
    this.node = el("div", { class: "tl", hidden: true }, el("div", { class: "tltool" }, ...tools, this.legend, el("span", { class: "sp" }), this.note, this.pages), this.over, this.scroller);
    this.canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.pointed(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.canvas.addEventListener("click", (/** @type {MouseEvent} */ event) => this.clicked(event));
    this.canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.pressed(event));
    this.canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.move(event));
    this.canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this.wheeled(event), { passive: false });
    this.over.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.drag(event));
  }

  needs() {
    const pixels = Math.min(MOST_PIXELS, this.canvas.clientWidth);
    if (!pixels || !this.view.visible || this.view.tab !== "timeline") return;
    const request = { follow: true, start: this.start, end: this.end, span: 0, pixels, first: this.first, count: MAX_LANES };
    const key = JSON.stringify(request);
    if (key === this.key) return;
    this.key = key;
    this.view.link.follow("timeline", request);
  }

  /** @param {number} start @param {number} end */
  look(start, end) {
    this.start = start;
    this.end = end;
    this.needs();
    this.draw();
  }

  /** The span that is seen, in numbers. @returns {[number, number]} */
  span() {
    const answer = this.answer;
    return this.end > this.start ? [this.start, this.end] : answer ? [answer.start, answer.end] : [0, 1];
  }

  /** @param {number} factor @param {number} [at] */
  zoom(factor, at = 0.5) {
    const all = this.answer?.overview;
    if (!all) return;
    const [start, end] = this.span();
    const width = Math.max(0.002, (end - start) * factor);
    const middle = start + (end - start) * at;
    const from = Math.max(all.start, middle - width * at);
    const to = Math.min(all.end, from + width);
    if (from <= all.start && to >= all.end) this.look(0, 0);
    else this.look(from, to);
  }

  /** @param {number} part */
  pan(part) {
    const [start, end] = this.span();
    if (this.end) this.panTo(start + (end - start) * part, end - start);
  }

  /** @param {"task"|"phase"} by */
  tellBy(by) {
    this.by = by;
    this.draw();
  }

  /** Ctrl and the wheel zoom at the pointer; the wheel alone scrolls, as everywhere. @param {WheelEvent} event */
  wheeled(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? 0.8 : 1.25, Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)));
  }

  /** The span that is seen follows the pointer; a press without a move is a click. @param {PointerEvent} down */
  move(down) {
    const box = this.canvas.getBoundingClientRect();
    const [start, end] = this.span();
    this.dragged = false;
    const moved = (/** @type {PointerEvent} */ event) => {
      if (!this.end || (!this.dragged && Math.abs(event.clientX - down.clientX) < 4)) return;
      this.dragged = true;
      this.panTo(start - ((event.clientX - down.clientX) / box.width) * (end - start), end - start);
    };
    this.canvas.setPointerCapture(down.pointerId);
    this.canvas.addEventListener("pointermove", moved);
    this.canvas.addEventListener("lostpointercapture", () => this.canvas.removeEventListener("pointermove", moved), { once: true });
  }

  /** @param {number} start @param {number} width */
  panTo(start, width) {
    const all = this.answer?.overview;
    if (!all) return;
    const from = Math.max(all.start, Math.min(all.end - width, start));
    this.look(from, from + width);
  }

  lastMinute() {
    const all = this.answer?.overview;
    if (all) this.look(Math.max(all.start, all.end - 60), all.end);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    /** @type {{[key: string]: () => void}} */
    const keys = { ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), "+": () => this.zoom(0.5), "-": () => this.zoom(2), Home: () => this.look(0, 0) };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }

  /** A span is chosen in the overview; a click without a drag shows all. @param {PointerEvent} down */
  drag(down) {
    const all = this.answer?.overview;
    if (!all) return;
    const box = this.over.getBoundingClientRect();
    const at = (/** @type {PointerEvent} */ event) => all.start + Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * (all.end - all.start);
    const from = at(down);
    this.over.setPointerCapture(down.pointerId);
    const up = (/** @type {PointerEvent} */ event) => {
      const to = at(event);
      if (Math.abs(event.clientX - down.clientX) < 4) this.look(0, 0);
      else this.look(Math.min(from, to), Math.max(from, to));
    };
    this.over.addEventListener("pointerup", up, { once: true });
  }

  /** The bar, or the failure, at a place: in lines of words. @param {MouseEvent} event @returns {{text: string[], look?: Look, row: number, attempt?: number}|null} */
  at(event) {
    const answer = this.answer;
    if (!answer) return null;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const seconds = (x / box.width) * (answer.end - answer.start);
    const slack = (2 / box.width) * (answer.end - answer.start);
    let top = AXIS;
    for (const lane of answer.lanes) {
      const height = Math.max(1, lane.rows) * LANE;
      if (y >= top && y < top + height + LANE_GAP) {
        const failed = lane.failed.find(([pixel]) => Math.abs((pixel / answer_pixels(answer, box.width)) * box.width - x) < 3);
        const bar = lane.bars.find(([sub, , from, to]) => y >= top + sub * LANE && y < top + (sub + 1) * LANE && seconds >= from - slack && seconds <= to + slack);
        if (bar) {
          const [, row, from, to, task, look, attempt] = bar;
          const when = answer.start + from - this.view.fixed.started_at;
          return { text: [`${answer.tasks[task] ?? ""} ${WORDS[look] ?? look}${attempt > 1 ? `, try ${attempt}` : ""}, row ${row}`, `${duration(to - from)} on ${lane.worker || "kernel"}, from ${duration(when)}`], look, row, attempt };
        }
        if (failed) return { text: [`${plural(failed[2], "failure")} here, row ${failed[1]}`], look: "failed", row: failed[1] };
        const busy = lane.busy[Math.floor(x)];
        return busy === undefined ? null : { text: [`${lane.worker || "kernel"}: ${busy} % busy`], row: -1 };
      }
      top += height + LANE_GAP;
    }
    return null;
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    const found = this.at(event);
    this.tip.hidden = !found || (this.dragged && event.buttons > 0);
    if (!found) return;
    const key = `${found.row} ${found.text.join("\n")}`;
    if (key !== this.tipKey) this.fillTip(key, found);
    const box = this.scroller.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 12, Math.max(0, box.width - this.tip.offsetWidth - 4));
    this.tip.style.transform = `translate(${left}px, ${event.clientY - box.top + this.scroller.scrollTop + 14}px)`;
  }

  /** Words of the tip; why a try ended badly is asked for. @param {string} key @param {{text: string[], look?: Look, row: number, attempt?: number}} found */
  fillTip(key, found) {
    this.tipKey = key;
    const lines = found.text.map((text, index) => el("div", {}, ...(index || !found.look ? [] : [el("span", { class: `p-${found.look}` }, icon(found.look)), " "]), text));
    this.tip.replaceChildren(...lines);
    if (!found.look || !["failed", "timed_out", "aborted"].includes(found.look)) return;
    this.view.link.ask("detail", { follow: false, row: found.row, log_from: 0, full: false }, (/** @type {DetailAnswer} */ answer) => {
      if (this.tipKey !== key || answer.kind !== "detail") return;
      const attempt = found.attempt === undefined ? answer.attempts[0] : answer.attempts.find((one) => one.number === found.attempt);
      if (attempt?.ended_by) this.tip.append(el("div", { class: "why cut" }, attempt.ended_by));
    });
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const found = this.dragged ? null : this.at(event);
    if (found && found.row >= 0) this.view.detail.open(found.row);
  }

  update() {
    this.needs();
    this.draw();
  }

  draw() {
    const answer = this.answer;
    if (!answer || this.node.hidden) return;
    const lanes = answer.lanes.reduce((sum, lane) => sum + Math.max(1, lane.rows) * LANE + LANE_GAP, AXIS);
    const colours = this.colours();
    this.drawOverview(surface(this.over, OVERVIEW), answer, colours);
    const pen = surface(this.canvas, lanes);
    const width = this.canvas.clientWidth;
    const scale = width / Math.max(1e-9, answer.end - answer.start);
    this.drawAxis(pen, answer, width, lanes, colours);
    let top = AXIS;
    const labels = [];
    for (const lane of answer.lanes) {
      this.drawLane(pen, lane, answer, { top, scale, width, colours });
      const longest = lane.longest >= 1 ? `longest ${duration(lane.longest)}` : "";
      const label = el("span", { class: "cut", title: [lane.worker || "kernel", plural(lane.actions, "action"), longest].filter(Boolean).join(", ") }, lane.worker || "kernel");
      if (longest && lane.rows > 1) label.append(el("br"), el("span", { class: "dim" }, longest));
      label.style.top = `${top - 5}px`;
      labels.push(label);
      top += Math.max(1, lane.rows) * LANE + LANE_GAP;
    }
    this.labels.replaceChildren(...labels);
    this.drawWords(answer);
  }

  /** @param {TimelineAnswer} answer */
  drawWords(answer) {
    const words = `${plural(answer.actions, "action")} on ${plural(answer.total, "worker")} in ${duration(answer.end - answer.start)}`;
    setText(this.note, words);
    setAttribute(this.canvas, "aria-label", `Timeline: ${words}`);
    this.tell.forEach((one, index) => setAttribute(one, "aria-pressed", String((index === 0) === (this.by === "task"))));
    const key = `${this.by}\n${answer.tasks.join("\n")}`;
    if (this.legend.dataset.key !== key) {
      this.legend.dataset.key = key;
      const swatch = (/** @type {string} */ kind, /** @type {string} */ word) => el("span", { class: "cut", title: word }, el("i", { class: `sw ${kind}` }), word);
      const bad = [swatch("swbad", "failed"), swatch("swbad swlate", "timed out")];
      if (this.by === "phase") this.legend.replaceChildren(swatch("swok", "succeeded"), swatch("sw2 swrun", "running"), ...bad, swatch("sw1 swoff", "aborted or lost"));
      else this.legend.replaceChildren(...answer.tasks.slice(0, 6).map((task, index) => swatch(`sw${Math.min(index, 3)}`, task)), ...bad);
    }
    const more = answer.total > MAX_LANES;
    if (!more) this.pages.replaceChildren();
    else if (this.pages.dataset.first !== `${answer.first}/${answer.total}`) {
      this.pages.dataset.first = `${answer.first}/${answer.total}`;
      const go = (/** @type {number} */ by) => () => {
        this.first = Math.max(0, Math.min(answer.total - 1, answer.first + by));
        this.needs();
      };
      this.pages.replaceChildren(iconButton("left", "Workers before", go(-MAX_LANES)), `workers ${answer.first + 1}–${Math.min(answer.total, answer.first + MAX_LANES)} of ${answer.total}`, iconButton("right", "Workers after", go(MAX_LANES)));
    }
  }

  /** Colours as the theme has them now. */
  colours() {
    const probe = el("i", { class: "probe" });
    this.node.append(probe);
    const of = (/** @type {string} */ name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const found = { soft: of("--soft"), ok: of("--ok"), brand: of("--brand"), err: of("--err"), warn: of("--warn"), edge: of("--edge"), dim: of("--dim"), line: of("--line"), bg: of("--bg"), sel: of("--sel") };
    probe.remove();
    return found;
  }

  /** @param {CanvasRenderingContext2D} pen @param {TimelineAnswer} answer @param {{[name: string]: string}} colours */
  drawOverview(pen, answer, colours) {
    const all = answer.overview;
    const width = this.over.clientWidth;
    const most = Math.max(...all.busy, 1e-9);
    const step = width / Math.max(1, all.busy.length);
    const x = (/** @type {number} */ time) => ((time - all.start) / Math.max(1e-9, all.end - all.start)) * width;
    const [start, end] = this.span();
    if (this.end) {
      pen.fillStyle = colours.sel ?? "";
      pen.fillRect(x(start), 0, Math.max(2, x(end) - x(start)), OVERVIEW);
    }
    pen.fillStyle = colours.soft ?? "";
    all.busy.forEach((busy, index) => {
      const height = busy ? Math.max(1, (busy / most) * (OVERVIEW - 8)) : 0;
      pen.fillRect(index * step, OVERVIEW - height, Math.max(1, step - 0.5), height);
    });
    pen.fillStyle = colours.err ?? "";
    for (const index of all.failed) pen.fillRect(index * step, 0, Math.max(2, step - 0.5), 6);
    if (!this.end) return;
    pen.strokeStyle = colours.brand ?? "";
    pen.strokeRect(x(start) + 0.5, 0.5, Math.max(2, x(end) - x(start)) - 1, OVERVIEW - 1);
  }

  /** @param {CanvasRenderingContext2D} pen @param {TimelineAnswer} answer @param {number} width @param {number} height @param {{[name: string]: string}} colours */
  drawAxis(pen, answer, width, height, colours) {
    const zero = this.view.fixed.started_at;
    pen.font = `11px ${getComputedStyle(this.node).fontFamily}`;
    pen.textBaseline = "top";
    const marks = axisMarks(answer.start - zero, answer.end - zero, width);
    const step = (marks[1] ?? 1) - (marks[0] ?? 0);
    for (const mark of marks) {
      const x = Math.round(((mark + zero - answer.start) / (answer.end - answer.start)) * width) + 0.5;
      pen.fillStyle = colours.line ?? "";
      pen.fillRect(x, AXIS - 4, 1, height);
      pen.fillStyle = colours.dim ?? "";
      if (x < width - 40) pen.fillText(mark ? axisWords(mark, step) : "start", x + 3, 1);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen @param {Lane} lane @param {TimelineAnswer} answer
   * @param {{top: number, scale: number, width: number, colours: {[name: string]: string}}} place
   */
  drawLane(pen, lane, answer, { top, scale, width, colours }) {
    const height = Math.max(1, lane.rows) * LANE - 2;
    const pixels = answer_pixels(answer, width);
    pen.fillStyle = colours.soft ?? "";
    lane.busy.forEach((busy, pixel) => {
      if (!busy) return;
      const tall = Math.max(1, (Math.min(100, busy) / 100) * height);
      pen.fillRect((pixel / pixels) * width, top + height - tall, Math.max(1, width / pixels), tall);
    });
    for (const [sub, , from, to, task, look] of lane.bars) {
      const [x, y] = [from * scale, top + sub * LANE];
      const wide = Math.max(1, (to - from) * scale - 0.5);
      const bad = look === "failed" ? colours.err : look === "timed_out" ? colours.warn : null;
      const byPhase = this.by === "phase";
      const plain = byPhase && look === "succeeded" ? colours.ok : colours.soft;
      pen.fillStyle = pen.strokeStyle = bad ?? (look === "aborted" ? colours.edge : look === "running" ? colours.brand : plain) ?? "";
      // Tasks, or phases, differ by shape, not by colour alone: full, thin, outline, stripes; bad ends are taller.
      const shape = !byPhase ? task : look === "aborted" ? 1 : look === "running" ? 2 : 0;
      if (look === "failed") pen.fillRect(x, y - 1, Math.max(2, wide), LANE);
      else if (bad) for (let stripe = 0; stripe < Math.max(2, wide); stripe += 3) pen.fillRect(x + stripe, y - 1, Math.min(2, Math.max(2, wide) - stripe), LANE);
      else if (shape === 1) pen.fillRect(x, y + 2, wide, 3);
      else if (shape === 2 && wide > 3) pen.strokeRect(x + 0.5, y + 0.5, wide - 1, 6);
      else if (shape > 2 && wide > 4) for (let stripe = 0; stripe < wide; stripe += 4) pen.fillRect(x + stripe, y, Math.min(2, wide - stripe), 7);
      else pen.fillRect(x, y, wide, 7);
    }
    pen.fillStyle = colours.err ?? "";
    for (const [pixel] of lane.failed) pen.fillRect((pixel / pixels) * width, top - 2, 2, height + 4);
  }
}

/** How many pixels an answer was made for. @param {TimelineAnswer} answer @param {number} width */
const answer_pixels = (answer, width) => Math.max(1, ...answer.lanes.map((lane) => lane.busy.length)) > 1 ? Math.max(...answer.lanes.map((lane) => lane.busy.length)) : Math.min(MOST_PIXELS, width);

/** A canvas, cleared and in the screen's own pixels. @param {HTMLCanvasElement} canvas @param {number} height @returns {CanvasRenderingContext2D} */
function surface(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(canvas.clientWidth * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== tall) canvas.height = tall;
  canvas.style.height = `${height}px`;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, height);
  return pen;
}

// ---------------------------------------------------------------------------------------------------- the view
const KEYS = [
  ["↑ ↓ Home End PgUp PgDn", "move in the table or the groups"],
  ["← →", "close or open a group"],
  ["Enter", "open the action, or filter by the group"],
  ["j k", "next, previous"],
  ["/", "search"],
  ["1 2 3", "Actions, Results, Timeline"],
  ["f", "only what failed"],
  ["c", "copy the row"],
  ["Esc", "close, clear the search, leave"],
  ["?", "these keys"],
];
let views = 0;
/** Views that are open: a cell whose output is published again makes a new one, which goes on where the old one was. @type {Set<RunView>} */
const opened = new Set();

/** One view of one run: what `render` puts under a cell. */
export class RunView {
  /** @param {Model} model @param {HTMLElement} root */
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.id = `v${(++views).toString(36)}${Math.random().toString(36).slice(2, 10)}`;
    /** @type {Fixed} */
    this.fixed = model.get("fixed");
    /** @type {Head} */
    this.head = model.get("head");
    this.headAt = performance.now();
    /** @type {Query} */
    this.query = {};
    /** Words for the node and the cause that are filtered by. */
    this.nodeName = "";
    this.causeText = "";
    this.slim = false;
    this.aborting = false;
    this.rerunning = false;
    this.visible = false;
    this.silent = false;
    this.folded = this.head.over && !this.head.failed && this.head.phase === "succeeded" && Date.now() / 1000 - this.head.now > 5;
    /** @type {HTMLElement|null} */
    this.clickedOn = null;
    this.frame = 0;
    this.said = { at: -Infinity, quarter: 0, failed: false, over: this.head.over };
    this.link = Object.assign(new Link(model, this.id, (kind, answer) => this.take(kind, answer)), { stuckCommand: () => this.commandAt > 0 && performance.now() - this.commandAt > PATIENCE });
    this.commandAt = 0;
    this.painted = false;
    /** @type {{table: LongList, groups: LongList}|null} */
    this.goTo = null;
    /** @type {any} */
    this.searching = null;
    /** @type {any} */
    this.forget = null;
    this.header = new Header(this);
    this.digest = new Digest(this);
    this.detail = new Detail(this);
    this.groups = new Groups(this);
    this.actions = new Table(this, "actions");
    this.results = new Table(this, "results");
    this.timeline = new Timeline(this);
    /** The tab that is open, and the table that is seen or was seen last. @type {"actions"|"results"|"timeline"} */
    this.tab = "actions";
    this.table = this.actions;
    this.tabs = /** @type {HTMLElement[]} */ ([]);
    this.resultsCount = el("span", { class: "dim" });
    this.count = el("span", { class: "dim" });
    this.search = el("input", { type: "search", placeholder: "Search names, inputs, errors", "aria-label": "Search names, inputs, outputs and errors", spellcheck: false, autocomplete: "off", oninput: () => this.typed() });
    this.columnsButton = button("", () => this.toggleMenu(), { class: "ghost cols", "aria-haspopup": "true", "aria-expanded": "false" }, "Columns ", icon("down"));
    this.menu = el("div", { class: "menu", role: "group", "aria-label": "Columns", hidden: true });
    this.panes = el("div", { class: "panes" }, this.groups.node, this.actions.node, this.results.node, this.timeline.node, this.detail.node);
    this.rows = el("span", { class: "cut" });
    this.newer = button("", () => this.table.release(), { class: "ghost newer", title: "Show the newest first again" });
    this.fresh = el("span");
    this.toast = el("span", { class: "said" });
    this.help = button("", () => this.toggleKeys(), { class: "ghost keys", "aria-expanded": "false" }, el("kbd", {}, "?"), " keys");
    this.grip = el("button", { type: "button", class: "ghost sq grip", "aria-label": "Height of the view: drag, or press the arrow keys", title: "Drag to resize" });
    this.keys = el("dl", { class: "keylist", hidden: true }, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key ?? "")), el("dd", {}, what ?? "")]));
    this.status = el("div", { class: "sr", role: "status", "aria-live": "polite" });
    this.oneLine = el("div", { class: "sum" });
    this.whole = el("div", { class: "whole" });
    this.section = this.build();
    this.onScreen = true;
    this.onPage = () => this.setVisible(!document.hidden && this.onScreen);
    this.seen = new IntersectionObserver((entries) => {
      this.onScreen = entries.some((entry) => entry.isIntersecting);
      this.onPage();
    });
    this.sized = new ResizeObserver(() => this.layout());
    this.themed = new MutationObserver(() => this.timeline.draw());
    /** @type {[string, () => void][]} */
    this.changes = [
      ["change:head", () => this.headChanged()],
      ["change:causes", () => this.draw()],
    ];
    this.timer = setInterval(() => this.tick(), 1000);
    const former = [...opened].find((view) => view.fixed.run === this.fixed.run && view.visible && !view.section.isConnected);
    if (former) this.goOn(former);
    opened.add(this);
    this.listen();
  }

  /** Take over what a reader had chosen in a view that has just been replaced. @param {RunView} former */
  goOn(former) {
    const { query, nodeName, causeText, folded, rerunning } = former;
    Object.assign(this, { query, nodeName, causeText, folded, rerunning });
    for (const kind of /** @type {const} */ (["actions", "results"])) Object.assign(this[kind], { sort: former[kind].sort, columns: former[kind].columns, bestBy: former[kind].bestBy });
    if (former.tab !== "actions") this.showTab(former.tab);
    this.search.value = former.search.value;
    this.groups.open = former.groups.open;
    this.groups.sort = former.groups.sort;
    this.groups.folded = former.groups.folded;
    this.digest.all = former.digest.all;
    this.panes.style.cssText = former.panes.style.cssText;
    if (former.detail.row >= 0) this.detail.open(former.detail.row);
    this.goTo = { table: former.table.list, groups: former.groups.list };
    former.visible = false;
    opened.delete(former);
  }

  /** Scroll to where the former view was, once there is something to scroll. */
  arrive() {
    if (!this.goTo || !this.table.page || !this.groups.page || !this.table.list.viewport) return;
    const { table, groups } = this.goTo;
    this.goTo = null;
    this.table.list.active = table.active;
    this.table.list.scrollTo(table.top);
    this.groups.list.active = groups.active;
    this.groups.list.scrollTo(groups.top);
  }

  get gone() {
    return this.silent && !this.head.over;
  }

  /** The kernel's clock, in seconds. */
  now() {
    return this.head.now + this.sinceHead();
  }

  sinceHead() {
    return (performance.now() - this.headAt) / 1000;
  }

  build() {
    const field = el("label", { class: "field" }, icon("search"), this.search, el("kbd", { "aria-hidden": "true" }, "/"));
    this.tabs = [
      button("", () => this.showTab("actions"), { class: "tab", role: "tab", "aria-selected": "true" }, "Actions ", this.count),
      button("", () => this.showTab("results"), { class: "tab", role: "tab", "aria-selected": "false" }, "Results ", this.resultsCount),
      button("Timeline", () => this.showTab("timeline"), { class: "tab", role: "tab", "aria-selected": "false" }),
    ];
    this.results.node.hidden = true;
    const tools = el("div", { class: "tabs" }, el("span", { role: "tablist", class: "tablist" }, ...this.tabs), el("span", { class: "sp" }), this.results.choice, field, this.columnsButton);
    const foot = el("div", { class: "foot" }, this.rows, this.newer, el("span", { class: "sp" }), this.toast, this.fresh, this.help, this.grip);
    this.whole.append(this.header.node, this.digest.node, tools, this.menu, this.panes, this.keys, foot);
    const label = `Run ${this.fixed.task} ${this.fixed.run}`;
    // JupyterLab's own shortcuts would take the keys; MathJax would turn a user's text into formulas.
    const section = el("section", { class: "fnb tex2jax_ignore mathjax_ignore", role: "region", "aria-label": label, "data-lm-suppress-shortcuts": "true" });
    section.append(this.oneLine, this.whole, this.status);
    this.root.append(section);
    return section;
  }

  listen() {
    for (const [name, call] of this.changes) this.model.on(name, call);
    this.section.addEventListener("click", (/** @type {any} */ event) => (this.clickedOn = event.target), true);
    this.section.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.pressed(event));
    document.addEventListener("visibilitychange", this.onPage);
    this.seen.observe(this.section);
    this.sized.observe(this.section);
    this.themed.observe(document.body, { attributes: true }); // where JupyterLab names its theme
    this.dragging();
    this.showFirst();
    this.draw();
  }

  /** What the traits tell before the first request is answered. */
  showFirst() {
    const first = this.model.get("first");
    if (first?.rows) this.actions.take(first.rows);
    if (first?.groups) this.groups.page = first.groups;
  }

  close() {
    opened.delete(this);
    for (const [name, call] of this.changes) this.model.off(name, call);
    this.link.close();
    document.removeEventListener("visibilitychange", this.onPage);
    this.seen.disconnect();
    this.sized.disconnect();
    this.themed.disconnect();
    clearInterval(this.timer);
    cancelAnimationFrame(this.frame);
    this.section.remove();
  }

  // ---- what comes in
  headChanged() {
    this.head = this.model.get("head");
    this.headAt = performance.now();
    this.silent = false;
    if (this.head.over || this.head.aborting) this.commandAt = 0;
    if (this.head.over) this.aborting = false;
    this.announce();
    this.draw();
  }

  /** @param {string} kind @param {any} answer */
  take(kind, answer) {
    if (kind === "rows") this.table.take(answer);
    if (kind === "spread") this.results.takeSpreads(answer);
    if (kind === "timeline") this.timeline.answer = answer;
    if (kind === "groups") this.groups.page = answer;
    if (kind === "detail") this.detail.take(answer);
    this.draw();
  }

  /** Hidden views cost nothing: the kernel is told to send no more, and is asked anew when they are seen again. @param {boolean} visible */
  setVisible(visible) {
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible) this.askAgain();
    else this.link.stop("");
    this.draw();
  }

  askAgain() {
    if (!this.visible || this.folded) return;
    this.layout();
    this.table.asked = null;
    this.groups.asked = null;
    this.results.spreadKey = this.timeline.key = "";
    this.table.needs();
    this.timeline.needs();
    this.groups.needs();
    this.detail.again();
  }

  tick() {
    if (this.head.over || !this.visible) return;
    this.silent = performance.now() - this.headAt > SILENCE;
    this.draw();
  }

  // ---- drawing
  /** Views that nobody sees are not painted, but for the first time and at the end. */
  draw() {
    if (this.frame || (!this.visible && this.painted && !this.head.over)) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const head = this.head;
    this.painted = true;
    this.section.classList.toggle("line1", this.folded);
    this.oneLine.hidden = !this.folded;
    this.whole.hidden = this.folded;
    if (this.folded) return this.paintLine(head);
    this.header.update(head, this.fixed);
    this.digest.update(head, this.model.get("causes"));
    setText(this.count, count(head.total));
    setText(this.resultsCount, count(head.results));
    this.groups.update();
    if (this.tab === "timeline") this.timeline.update();
    else this.table.update();
    this.arrive();
    this.detail.update();
    setText(this.rows, this.tab === "timeline" ? "Drag in the overview to choose a span; on the lanes drag to move, Ctrl + wheel to zoom; + − ← →" : this.table.footText());
    this.rows.title = this.rows.textContent ?? "";
    const newer = this.tab !== "timeline" && this.table.held ? (this.table.page?.newer ?? 0) : 0;
    this.newer.hidden = !newer || head.over;
    setText(this.newer, `order held, ${count(newer)} newer`);
    setText(this.fresh, this.freshness(head));
  }

  /** @param {Head} head */
  freshness(head) {
    if (head.over) return "final";
    if (this.gone) return `last seen ${timeOfDay(head.now, true)}`;
    if (this.link.stuck("rows") || this.link.stuck("groups")) return "waits for the cell that runs";
    return "live";
  }

  /** @param {Head} head */
  paintLine(head) {
    const look = head.mixed ? "mixed" : head.phase;
    const reused = LOOKS.filter(([name]) => ["cached", "recovered", "failed", "timed_out"].includes(name) && head.counts[name]).map(([name, word]) => `${count(head.counts[name] ?? 0)} ${word}`);
    const text = head.message ? `${head.words} · ${head.message}` : `${head.words} · ${plural(head.total, "action")} in ${duration(head.seconds)}`;
    this.oneLine.replaceChildren(
      el("span", { class: `glyph p-${look}` }, icon(look)),
      el("b", { class: "cut" }, this.fixed.task),
      el("span", { class: "cut", title: text }, text),
      el("span", { class: "sp" }),
      el("span", { class: "dim" }, reused.join(" · ")),
      button("", () => this.fold(false), { class: "ghost" }, "Open ", icon("down")),
    );
  }

  /** @param {boolean} folded */
  fold(folded) {
    this.folded = folded;
    if (folded) this.link.stop("");
    this.paint();
    if (!folded) this.askAgain();
    this.section.querySelector(folded ? ".sum button" : ".h1 .sq")?.focus({ preventScroll: true });
    this.draw();
  }

  /** After a change of size, or of which panes there are. */
  layout() {
    if (this.folded) return;
    const width = this.section.clientWidth;
    const detail = this.detail.row >= 0;
    this.slim = width <= NARROW || detail;
    this.section.classList.toggle("narrow", width <= NARROW);
    this.panes.classList.toggle("open", detail);
    this.panes.classList.toggle("beside", detail && width >= WIDE);
    if (!this.section.isConnected || !this.visible) return;
    this.table.list.resize(this.table.list.total);
    this.groups.list.resize(this.groups.list.total);
    this.table.list.viewport ||= this.table.list.node.clientHeight;
    this.groups.list.viewport ||= this.groups.list.node.clientHeight;
    this.table.needs();
    this.groups.needs();
    this.draw();
  }

  // ---- what a reader does
  /** @param {"actions"|"results"|"timeline"} tab */
  showTab(tab) {
    if (this.tab === tab) return;
    this.tab = tab;
    if (tab !== "timeline") this.table = this[tab];
    this.actions.node.hidden = tab !== "actions";
    this.results.node.hidden = tab !== "results";
    this.timeline.node.hidden = tab !== "timeline";
    this.columnsButton.hidden = tab === "timeline";
    if (tab !== "results") this.results.choice.hidden = true;
    for (const table of [this.actions, this.results]) if (table.kind !== tab) table.list.clear();
    this.table.asked = null;
    this.results.spreadKey = this.timeline.key = "";
    if (tab !== "results") this.link.stop("spread");
    if (tab !== "timeline") this.link.stop("timeline");
    else this.link.stop("rows");
    this.panes.classList.toggle("whole", tab !== "actions");
    this.tabs.forEach((node, index) => setAttribute(node, "aria-selected", String(["actions", "results", "timeline"][index] === tab)));
    this.layout();
    this.draw();
  }

  changed() {
    this.table.again();
    this.draw();
  }

  /** @param {string} look */
  toggleLook(look) {
    const looks = new Set(this.query.looks ?? []);
    if (!looks.delete(/** @type {Look} */ (look))) looks.add(/** @type {Look} */ (look));
    this.query = { ...this.query, looks: [...looks] };
    this.changed();
  }

  /** @param {GroupRow} row */
  filterNode(row) {
    const same = row.kind === "root" || this.query.node === row.key;
    this.query = { ...this.query, node: same ? "" : row.key };
    this.nodeName = row.name;
    this.changed();
  }

  /** @param {Cause} cause */
  showCause(cause) {
    this.query = { cause: cause.key };
    this.causeText = cause.text;
    this.changed();
    this.table.list.node.focus({ preventScroll: true });
  }

  typed() {
    clearTimeout(this.searching);
    this.searching = setTimeout(() => this.setSearch(this.search.value), SEARCH_DELAY);
  }

  /** @param {string} text */
  setSearch(text) {
    if ((this.query.search ?? "") === text) return;
    this.query = { ...this.query, search: text };
    this.changed();
  }

  /** Active filters: what they say, and how each is removed. @returns {[string, () => void][]} */
  tokens() {
    /** @type {[string, () => void][]} */
    const found = [];
    const without = (/** @type {Query} */ part) => () => {
      this.query = { ...this.query, ...part };
      if (part.search === "") this.search.value = "";
      this.changed();
    };
    if (this.query.node) found.push([this.nodeName, without({ node: "" })]);
    if (this.query.looks?.length) found.push([this.query.looks.map((look) => WORDS[look]).join(" or "), without({ looks: [] })]);
    if (this.query.cause) found.push([this.causeText, without({ cause: "" })]);
    if (this.query.search) found.push([`“${this.query.search}”`, without({ search: "" })]);
    return found;
  }

  clearFilters() {
    this.search.value = "";
    this.query = {};
    this.changed();
  }

  toggleMenu() {
    const show = this.menu.hidden;
    this.menu.hidden = !show;
    setAttribute(this.columnsButton, "aria-expanded", String(show));
    if (!show) return;
    const page = this.table.page;
    const shown = new Set(page?.columns ?? []);
    const drawn = new Set(this.table.layout.map((column) => column.key));
    this.menu.replaceChildren(
      ...(page?.catalog ?? []).map((column) => {
        const box = el("input", { type: "checkbox", checked: shown.has(column.key), onchange: () => this.chooseColumn(column.key, box.checked) });
        const crowded = this.table.kind === "actions" && shown.has(column.key) && !drawn.has(column.key) && !this.slim;
        return el("label", {}, box, el("span", { class: "cut" }, column.title), ...(crowded ? [el("span", { class: "dim" }, "no room")] : []));
      }),
      button("Default columns", () => this.chooseColumn("", false), { class: "ghost" }),
    );
    this.menu.querySelector("input")?.focus();
  }

  /** @param {string} key @param {boolean} on */
  chooseColumn(key, on) {
    const page = this.table.page;
    const shown = new Set(page?.columns ?? []);
    if (on) shown.add(key);
    else shown.delete(key);
    this.table.columns = key ? (page?.catalog ?? []).map((column) => column.key).filter((name) => shown.has(name)) : [];
    this.table.asked = null;
    this.table.needs();
    if (!key) this.toggleMenu();
  }

  toggleKeys() {
    this.keys.hidden = !this.keys.hidden;
    setAttribute(this.help, "aria-expanded", String(!this.keys.hidden));
  }

  abort() {
    this.aborting = true;
    this.commandAt = performance.now();
    this.link.ask("abort", { row: 0 }, (/** @type {DoneAnswer} */ done) => {
      this.commandAt = 0;
      if (!done.ok) {
        this.aborting = false;
        this.say(done.message);
      }
      this.draw();
    });
    setTimeout(() => this.draw(), PATIENCE + 50);
    this.draw();
  }

  rerun() {
    this.rerunning = true;
    this.link.ask("rerun", { row: 0 }, (/** @type {DoneAnswer} */ done) => {
      this.rerunning = false;
      this.say(done.ok ? `Started run ${done.run}` : done.message);
      this.draw();
    });
    this.draw();
  }

  /** @param {string} text @param {string} told */
  copy(text, told) {
    void copyText(text, this.section).then(() => this.say(told));
  }

  /** A word in the foot, where it does not move anything; also spoken. @param {string} text */
  say(text) {
    setText(this.toast, text);
    this.toast.title = text;
    setText(this.status, text);
    clearTimeout(this.forget);
    this.forget = setTimeout(() => setText(this.toast, ""), 8000);
  }

  /** Speak of the start, the first failure, quarters and the end, never of rows and clocks. */
  announce() {
    const { head, said } = this;
    const quarter = head.total ? Math.floor((4 * head.ended) / head.total) : 0;
    const news = (head.over && !said.over) || (head.failed && !said.failed) || quarter > said.quarter;
    const quiet = performance.now() - said.at < ANNOUNCE_GAP;
    if (!news || (quiet && !head.over)) return;
    this.said = { at: performance.now(), quarter, failed: head.failed > 0, over: head.over };
    setText(this.status, `Run ${this.fixed.task}: ${head.words}, ${count(head.ended)} of ${plural(head.total, "action")} ended, ${count(head.failed)} failed`);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /** @type {HTMLElement} */ (event.target).matches("input[type=search]");
    if (event.key === "Escape") this.escape();
    else if (typing) {
      if (event.key === "Enter") this.setSearch(this.search.value);
      else if (event.key === "ArrowDown") this.table.list.node.focus();
      else return;
    } else if (event.key === "/") this.search.focus();
    else if (event.key === "?") this.toggleKeys();
    else if (event.key === "f") this.toggleFailed();
    else if (event.key === "1") this.showTab("actions");
    else if (event.key === "2") this.showTab("results");
    else if (event.key === "3") this.showTab("timeline");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  toggleFailed() {
    const on = this.query.looks?.includes("failed");
    this.query = { ...this.query, looks: on ? [] : ["failed", "timed_out"] };
    this.changed();
  }

  /** Closes what was opened last, then gives the keyboard back. */
  escape() {
    if (!this.menu.hidden) {
      this.toggleMenu();
      this.columnsButton.focus();
    } else if (!this.keys.hidden) this.toggleKeys();
    else if (this.detail.row >= 0) this.detail.close();
    else if (this.search.value || this.query.search) {
      this.search.value = "";
      this.setSearch("");
    } else /** @type {HTMLElement|null} */ (document.activeElement)?.blur();
  }

  dragging() {
    const resize = (/** @type {number} */ height) => {
      this.panes.style.setProperty("--h", `${Math.round(Math.max(200, Math.min(window.innerHeight * 0.8, height)))}px`);
      this.layout();
    };
    this.grip.addEventListener("pointerdown", (/** @type {PointerEvent} */ down) => {
      const height = this.panes.clientHeight;
      const move = (/** @type {PointerEvent} */ event) => resize(height + event.clientY - down.clientY);
      this.grip.setPointerCapture(down.pointerId);
      this.grip.addEventListener("pointermove", move);
      this.grip.addEventListener("lostpointercapture", () => this.grip.removeEventListener("pointermove", move), { once: true });
    });
    this.grip.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      resize(this.panes.clientHeight + (event.key === "ArrowDown" ? ROW : -ROW));
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

/**
 * Draw a view of a run into a cell's output. An error of ours is a line, never a blank box.
 * @param {{model: Model, el: HTMLElement}} place
 */
function render({ model, el: root }) {
  if (model.get("fixed")?.protocol !== PROTOCOL) {
    root.append(el("p", {}, "This view was made by another version of flyte_nb: run the cell again."));
    return undefined;
  }
  try {
    const view = new RunView(model, root);
    return () => view.close();
  } catch (error) {
    root.append(el("p", {}, `flyte_nb: the view of run ${model.get("fixed")?.run} could not be drawn: ${error}`));
    throw error;
  }
}

export default { render };
