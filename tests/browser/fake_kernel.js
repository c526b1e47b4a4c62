// @ts-check
/**
 * A kernel for the live view without a kernel: answers requests from a rule instead of a run, so that looks and speed of
 * the view can be tried at any size in a page of its own. Decides what the pretended run holds; knows the messages only.
 */

const LOOKS = ["succeeded", "succeeded", "succeeded", "cached", "recovered", "succeeded"];

/** Fields whose words are ours. */
const KEPT = new Set(["kind", "view", "look", "phase", "key", "type", "columns", "fault"]);

export class FakeKernel {
  /** @param {{total?: number, ended?: number, failed?: number, over?: boolean, groups?: number, delay?: number, name?: string, hostile?: string, page?: string}} [options] page: a rich output; hostile: a text for every field that a user can write */
  constructor({ total = 50_000, ended = 33_623, failed = 25, over = false, groups = 7, delay = 5, name = "rfe_sweep", hostile = "", page = "" } = {}) {
    Object.assign(this, { hostile, page, total, ended, failed, over, groups, delay, name });
    this.calls = new Map();
    this.requests = [];
    this.number = 0;
    this.version = 1;
    this.busy = false;
    this.traits = { fixed: { protocol: 1, run: "r7k2m9xq4", task: name, started_at: Date.now() / 1000 - 1338 }, head: this.head(), causes: this.causes(), first: { rows: null, groups: null } };
    this.traits = this.soiled(this.traits);
  }

  counts() {
    const { total, ended, failed, over } = this;
    const running = over ? 0 : Math.min(32, total - ended);
    const all = { succeeded: ended - failed - Math.floor(ended / 6), cached: Math.floor(ended / 8), recovered: Math.floor(ended / 6) - Math.floor(ended / 8), failed: failed - Math.floor(failed / 4), timed_out: Math.floor(failed / 4), running, queued: total - ended - running };
    return Object.fromEntries(Object.entries(all).filter(([, number]) => number > 0));
  }

  head() {
    const { total, ended, failed, over } = this;
    const words = over ? (failed ? `Succeeded, but ${failed} actions failed` : "Succeeded") : "Running";
    return {
      version: this.version, now: Date.now() / 1000, phase: over ? "succeeded" : "running", words, mixed: over && failed > 0, over, counts: this.counts(), total, ended, failed,
      results: ended - failed, seconds: 1338, rate: "21.4/s", left: "at least 3–4 min left", left_short: "3+ min left", workers: 8, slots: 32, busy: over ? 0 : 32, message: "", note: "", steps: this.steps ?? [],
      can_abort: !over, aborting: false, can_rerun: over && failed > 0,
    };
  }

  causes() {
    const causes = [
      { key: "c0", look: "failed", count: 16, text: "ValueError: Input y contains NaN.", task: "train", action: "", row: 12 },
      { key: "c1", look: "timed_out", count: 6, text: "TimeoutError: ran longer than 60 s", task: "train", action: "", row: 40 },
      { key: "c2", look: "failed", count: 3, text: "MemoryError: Unable to allocate 1.2 GiB for an array with shape (182411, 91)", task: "train", action: "", row: 77 },
    ];
    return this.failed ? { total: 3, failed: this.failed, causes } : { total: 0, failed: 0, causes: [] };
  }

  // ---- what anywidget's model can do
  get(name) {
    return this.traits[name];
  }

  on(name, call) {
    this.calls.set(name, [...(this.calls.get(name) ?? []), call]);
  }

  off(name, call) {
    this.calls.set(name, (this.calls.get(name) ?? []).filter((other) => other !== call));
  }

  send(request) {
    this.requests.push(request);
    if (this.busy) return;
    const answer = this.answer(request);
    if (answer) setTimeout(() => this.tell(answer), this.delay);
  }

  tell(answer) {
    for (const call of this.calls.get("msg:custom") ?? []) call(this.soiled(structuredClone(answer)));
  }

  /** The same with a hostile text in every field that a user can write. */
  soiled(value, name = "") {
    if (!this.hostile) return value;
    if (typeof value === "string") return KEPT.has(name) ? value : this.hostile;
    if (Array.isArray(value)) return value.map((one) => this.soiled(one, name));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.soiled(one, key)]));
    return value;
  }

  set(name, value) {
    this.traits[name] = value;
    for (const call of this.calls.get(`change:${name}`) ?? []) call(value);
  }

  /** Let actions end. */
  step(more) {
    this.ended = Math.min(this.total, this.ended + more);
    this.version += 1;
    this.set("head", this.head());
  }

  finish() {
    this.ended = this.total;
    this.over = true;
    this.version += 1;
    this.set("causes", this.causes());
    this.set("head", this.head());
  }

  // ---- answers
  answer(request) {
    const both = { view: request.view, id: request.id };
    if (request.kind === "rows" && request.query.table === "results") return { ...both, ...this.results(request) };
    if (request.kind === "spread") return { ...both, kind: "spread", version: this.version, total: this.total, read: this.total, columns: request.columns.map((key) => this.spread(key)) };
    if (request.kind === "timeline") return { ...both, ...this.lanes(request) };
    if (request.kind === "rich") return { ...both, kind: "rich", row: request.row, form: request.form, mime: "text/html", data: "", text: this.page ?? "<h1>Report</h1>", error: "" };
    if (request.kind === "rows") return { ...both, ...this.rows(request) };
    if (request.kind === "groups") return { ...both, ...this.tree(request) };
    if (request.kind === "detail") return { ...both, ...this.detail(request.row) };
    if (request.kind === "abort" || request.kind === "rerun") return { ...both, kind: "done", ok: true, message: "", run: "rnew" };
    return null;
  }

  /** A row, or one of two headings of causes. */
  rowOrHeading(position, causes, failedFirst) {
    if (!causes) return this.row(position, failedFirst);
    if (position === 0 || position === 13) return { ...this.row(position, true), cells: [], heading: position ? "TimeoutError: ran longer than 60 s" : "ValueError: Input y contains NaN.", below: position ? this.failed - 12 : 12 };
    return this.row(position - (position < 13 ? 1 : 2), failedFirst);
  }

  row(position, failedFirst) {
    const bad = failedFirst ? position < this.failed : position % 1500 === 1;
    const running = !this.over && position % 7 === 3 && position < 60;
    const look = bad ? (position % 4 === 3 ? "timed_out" : "failed") : running ? "running" : LOOKS[position % LOOKS.length];
    const value = bad ? (look === "failed" ? "ValueError: Input y contains NaN." : "TimeoutError: ran longer than 60 s") : running ? "" : position % 2 ? `auc 0.${8000 + (position % 997)}` : "Booster, 412 kB";
    const cells = ["", position % 3 ? "train" : "score", String(200 * (1 + (position % 4))), String(4 + (position % 5)), (0.01 * (1 + (position % 9))).toFixed(2), String(position % 5), value, bad ? "3" : "1", ""];
    const row = { row: position + 1, look, cells, seconds: running ? null : 0.3 + (position % 200) / 100 };
    if (bad) row.bad = true;
    if (running) row.since = Date.now() / 1000 - 1.2;
    return row;
  }

  rows({ query, offset, count }) {
    const filtered = Boolean(query.looks?.length || query.search || query.node || query.cause);
    const headings = query.causes ? 2 : 0;
    const total = query.search === "nothing" ? 0 : filtered ? Math.min(this.failed, this.total) + headings : this.total;
    const length = Math.max(0, Math.min(count, total - offset));
    const column = (key, title, type, width, shown = true) => ({ key, title, type, width, shown, sortable: key !== "value" });
    const catalog = [column("phase", "Phase", "text", 9), column("task", "Task", "text", 5), column("in:trees", "trees", "number", 4), column("in:depth", "depth", "number", 2), column("in:lr", "lr", "number", 4), column("in:fold", "fold", "number", 1), column("value", "Output or error", "text", 30), column("try", "Try", "number", 1), column("time", "Time", "seconds", 6), column("worker", "Worker", "text", 8, false)];
    return {
      kind: "rows", number: ++this.number, base: 0, version: this.version, total, searched: this.total, headings, newer: query.hold ? 214 : 0, offset, order: query.sort?.length ? "" : query.causes ? "by cause" : "latest change first",
      columns: catalog.filter((one) => one.shown).map((one) => one.key), catalog, rows: Array.from({ length }, (_, index) => this.rowOrHeading(offset + index, query.causes, filtered || this.over)), changed: {}, length, error: "",
    };
  }

  /** Thirty columns of numbers. */
  results({ query, offset, count }) {
    const catalog = Array.from({ length: 30 }, (_, index) => ({ key: index < 5 ? `in:x${index}` : `out:metric_${index}`, title: index < 5 ? `x${index}` : `metric_${index}`, type: "number", width: 8, shown: true, sortable: true }));
    const total = query.search === "nothing" ? 0 : this.total;
    const length = Math.max(0, Math.min(count, total - offset));
    const rows = Array.from({ length }, (_, index) => ({ row: offset + index + 1, look: "succeeded", seconds: 1, cells: catalog.map((_one, column) => (((offset + index) * (column + 7)) % 1000 / 1000).toFixed(4)) }));
    return { kind: "rows", number: ++this.number, base: 0, version: this.version, total, searched: total, headings: 0, newer: 0, offset, order: "in order of calls", columns: catalog.map((one) => one.key), catalog, rows, changed: {}, length, error: "" };
  }

  /** Eight workers: from far away how busy they were, from near single actions. */
  lanes({ start, end, pixels, first, count }) {
    const begin = this.traits.fixed.started_at;
    const all = { start: begin, end: begin + 1338 };
    const [from, to] = end > start ? [start, end] : [all.start, all.end];
    const near = to - from < 120;
    const lane = (number) => ({
      worker: `worker-${number}`, rows: 2, actions: Math.floor(this.total / 8), longest: 3.5,
      bars: near ? Array.from({ length: 80 }, (_, index) => [index % 2, index + 1, (index * (to - from)) / 80, ((index + 0.8) * (to - from)) / 80, (index + number) % 4, index % 17 === 3 ? "failed" : index % 23 === 5 ? "timed_out" : index % 29 === 7 ? "aborted" : "succeeded", index % 17 === 3 ? 3 : 1]) : [],
      busy: near ? [] : Array.from({ length: pixels }, (_, pixel) => Math.round(60 + 40 * Math.sin(pixel / 20 + number))),
      failed: near ? [] : [[200 + 30 * number, 7, 3]],
    });
    const lanes = Array.from({ length: Math.min(count, 8 - first) }, (_, index) => lane(first + index));
    const overview = { ...all, busy: Array.from({ length: 200 }, (_, index) => 10 + 6 * Math.cos(index / 9)), failed: [9, 49, 89, 129, 169] };
    return { kind: "timeline", version: this.version, now: begin + 1338, start: from, end: to, overview, total: 8, first, lanes, tasks: ["train", "score", "select", "fetch"], actions: this.total };
  }

  spread(key) {
    if (key === "in:x0") return { key, kind: "words", low: "", high: "", bins: [], marked: -1, distinct: 3, top: [["a", 5], ["b", 2]], count: 7 };
    return { key, kind: "numbers", low: "0.0000", high: "0.9990", bins: Array.from({ length: 20 }, (_, index) => 1 + (index * 7) % 13), marked: 4, distinct: 1000, top: [], count: this.total };
  }

  tree({ open, offset, count }) {
    const rows = [];
    const line = (key, kind, name, depth, total, failed, more = {}) => rows.push({ key, kind, name, depth, leaf: kind === "task", open: kind === "root" || open.includes(key), counts: { succeeded: total - failed, ...(failed ? { failed } : {}) }, total, ended: total, failed, seconds: 251, ...more });
    line("root", "root", "All actions", 0, this.total, this.failed, { ended: this.ended, counts: this.counts() });
    const each = Math.floor(this.total / this.groups);
    for (let group = 0; group < this.groups; group++) {
      const key = `g${group}`;
      line(key, "group", `iteration-${group}`, 1, each, group < 3 ? 9 - group : 0, group === 0 && !this.over ? { ended: Math.floor(each / 4), counts: { succeeded: Math.floor(each / 4), failed: 9, running: 32, queued: each - 32 - Math.floor(each / 4) }, since: Date.now() / 1000 - 62 } : {});
      if (open.includes(key)) for (const task of ["train", "score", "select"]) line(`${key}/${task}`, "task", task, 2, Math.floor(each / 3), 0);
    }
    const page = rows.slice(offset, offset + count);
    return { kind: "groups", number: ++this.number, base: 0, version: this.version, total: rows.length, groups: this.groups, bad: 3, offset, rows: page, changed: {}, length: page.length };
  }

  detail(row) {
    const bad = this.row(row - 1, true).bad ?? false;
    const frames = [
      { file: "Cell In[4]", function: "train", line: 23, own: true, lines: [[21, 'y = data.loc[mask, "readmitted"]'], [22, "model = HistGradientBoostingClassifier(max_iter=trees)"], [23, "model.fit(data.loc[mask, features], y, sample_weight=w)"]] },
      { file: "sklearn/utils/validation.py", function: "_assert_all_finite", line: 169, own: false, lines: [[169, "raise ValueError(msg_err)"]] },
    ];
    return {
      kind: "detail", version: this.version, row, action: `6c1m8wq2z${row}`, task: "train", look: bad ? "failed" : "succeeded", words: bad ? "failed on try 3 of 3" : "succeeded", path: [this.name, "iteration-6", "train"], worker: "worker-3",
      called_at: 1, queued_seconds: 0.3, seconds: 1.84, cpu_seconds: 1.71, memory_bytes: 612 * 2 ** 20,
      error: bad ? { fault: "user", code: "ValueError", message: "Input y contains NaN.", traceback: "Traceback ...\nValueError: Input y contains NaN.", frames } : null,
      inputs: [{ name: "trees", type: "int", text: "400", more: false }, { name: "depth", type: "int", text: "8", more: false }, { name: "lr", type: "float", text: "0.05", more: false }, { name: "features", type: "list", text: `[${Array.from({ length: 84 }, (_, index) => `'feature_${index}'`).join(", ")}]`, more: false }],
      outputs: bad ? [] : [{ name: "", type: "dict", text: "{'auc': 0.8503, 'loss': 0.312}", more: false }], rich: this.page ? ["report"] : [],
      attempts: [{ number: 3, look: bad ? "failed" : "succeeded", ended_by: bad ? "ValueError: Input y contains NaN." : "", counted: true, worker: "worker-3", started_at: Date.now() / 1000 - 9, seconds: 1.84, cpu_seconds: 1.71, memory_bytes: 612 * 2 ** 20 }, { number: 2, look: "aborted", ended_by: "worker lost, out of memory", counted: false, worker: "worker-5", started_at: Date.now() / 1000 - 12, seconds: 0.92, cpu_seconds: null, memory_bytes: 1.97 * 2 ** 30 }],
      log: { start: 0, text: "fold 2: 145,928 train rows, 36,483 validation rows\n84 features kept after iteration-5\nWARNING readmitted: 3 labels missing after merge\n", total: 130, lines: 3, more: false }, can_abort: false, can_rerun: true, gone: "",
    };
  }
}
