// The parts of the live view's script that need no page: words, scrolling, and the talk with a kernel (a fake comm).
// Run by tests/unit/views/test_script.py, or by hand: node --test tests/unit/views/script/

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../../../flyte_nb/views/static/run.js", import.meta.url));
const view = await import(`data:text/javascript;base64,${source.toString("base64")}`);

/** A comm that ends here, and a clock that stands still until it is moved. */
class Kernel {
  constructor() {
    this.sent = [];
    this.calls = new Map();
    this.clock = 1000;
    this.timers = [];
    this.time = {
      now: () => this.clock,
      later: (call, ms) => {
        const timer = { call, at: this.clock + ms };
        this.timers.push(timer);
        return timer;
      },
      cancel: (timer) => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }

  get() {
    return {};
  }

  on(name, call) {
    this.calls.set(name, call);
  }

  off(name) {
    this.calls.delete(name);
  }

  send(message) {
    this.sent.push(structuredClone(message));
  }

  /** Let time pass. */
  pass(ms) {
    const until = this.clock + ms;
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= until).sort((one, other) => one.at - other.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.clock = due.at;
      due.call();
    }
    this.clock = until;
  }

  answer(message) {
    this.calls.get("msg:custom")({ view: "me", base: 0, changed: {}, catalog: [], ...message });
  }
}

function linked() {
  const kernel = new Kernel();
  const pages = [];
  const link = new view.Link(kernel, "me", (kind, page) => pages.push([kind, page]), kernel.time);
  return { kernel, link, pages };
}

const page = (id, number, texts, more = {}) => ({ kind: "rows", id, number, offset: 0, length: texts.length, rows: texts.map((text) => ({ text })), ...more });

test("durations are written as the kernel writes them", () => {
  const expected = [[null, "–"], [NaN, "–"], [0.0084, "8.4 ms"], [0.412, "412 ms"], [0.9996, "1.00 s"], [1.84, "1.84 s"], [9.999, "10.0 s"], [58.4, "58.4 s"], [59.97, "1m 00s"], [252, "4m 12s"], [7500, "2h 05m"], [3 * 86400 + 4 * 3600, "3d 04h"], [-1, "0.0 ms"]];
  for (const [seconds, text] of expected) assert.equal(view.duration(seconds), text);
  assert.equal(view.clock(59.9), "59 s");
  assert.equal(view.clock(61.9), "1m 01s");
});

test("counts have commas, and a short form from a million on", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(view.count), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([999999, 1e6, 1209999].map(view.shortCount), ["999,999", "1.00M", "1.20M"]);
  assert.deepEqual([1, 2].map((number) => view.plural(number, "action")), ["1 action", "2 actions"]);
  assert.equal(view.countWords({ succeeded: 1200, timed_out: 1 }), "1,200 succeeded, 1 timed out");
  assert.equal(view.countWords({}), "none called yet");
});

test("a small bar has four segments and is hatched where nearly all was reused", () => {
  assert.deepEqual(view.smallBar({ cached: 19, succeeded: 1, failed: 2, timed_out: 1, queued: 3, paused: 1 }), { cached: 20, failed: 3, aborted: 0, running: 0, queued: 4 });
  assert.equal(view.smallBar({ cached: 1, succeeded: 1 }).succeeded, 2);
});

test("every row can be scrolled to, also of a million", () => {
  for (const total of [0, 1, 14, 15, 50_000, 307_000, 308_000, 1_000_000, 30_000_000]) {
    const scale = view.scrollScale(total, 392);
    assert.ok(scale.height <= view.MAX_PIXELS);
    assert.equal(scale.scaled, total * view.ROW > view.MAX_PIXELS);
    assert.ok(Math.abs(scale.maxTop - Math.max(0, total - 392 / view.ROW)) < 1e-6);
    if (!scale.maxTop) continue;
    for (const top of [0, scale.maxTop / 3, scale.maxTop]) assert.ok(Math.abs(scale.top(scale.scroll(top)) - top) < 1e-3, `${total} ${top}`);
    assert.equal(scale.top(scale.height), scale.maxTop);
  }
});

test("the window that is asked for holds what is seen and moves only when it must", () => {
  const first = view.windowAround(0, 16, 50_000, null);
  assert.deepEqual(first, { offset: 0, count: 24 });
  assert.equal(view.windowAround(8, 16, 50_000, first), first);
  const next = view.windowAround(20, 16, 50_000, first);
  assert.ok(next.offset <= 20 && next.offset + next.count >= 36 && next.count <= view.MAX_ROWS);
  assert.deepEqual(view.windowAround(49_985, 16, 50_000, next), { offset: 49_976, count: 24 });
  assert.deepEqual(view.windowAround(0, 16, 3, null), { offset: 0, count: 24 }); // it may grow
  assert.ok(view.windowAround(0, 60, 1e6, null).count <= view.MAX_ROWS);
});

test("differences make the page that the kernel has", () => {
  const held = page(1, 4, ["a", "b", "c"], { catalog: ["kept"] });
  const merged = view.merged(held, page(1, 5, [], { base: 4, length: 2, changed: { 1: { text: "B" } }, catalog: [] }));
  assert.deepEqual(merged.rows.map((row) => row.text), ["a", "B"]);
  assert.deepEqual(merged.catalog, ["kept"]);
  assert.deepEqual(held.rows.map((row) => row.text), ["a", "b", "c"]);
  assert.equal(view.merged(held, page(1, 5, [], { base: 3, length: 3 })), null);
  assert.equal(view.merged(null, page(1, 5, [], { base: 3, length: 3 })), null);
  assert.equal(view.merged(held, page(1, 5, [], { base: 4, length: 5, changed: { 4: { text: "e" } } })), null);
});

test("of many requests only the first and the newest are sent", () => {
  const { kernel, link, pages } = linked();
  for (let offset = 0; offset < 50; offset++) link.follow("rows", { offset });
  assert.deepEqual(kernel.sent.map((one) => one.offset), [0]);
  kernel.answer(page(1, 1, ["old"]));
  kernel.pass(100);
  assert.deepEqual(kernel.sent.map((one) => one.offset), [0, 49]);
  kernel.answer(page(1, 2, ["late"]));
  kernel.answer(page(2, 3, ["new"]));
  assert.deepEqual(pages.map(([, one]) => one.rows[0].text), ["old", "new"]);
});

test("a request that is not answered waits, is told, and gives way to the next", () => {
  const { kernel, link } = linked();
  link.follow("rows", { offset: 0 });
  assert.equal(link.stuck("rows"), false);
  link.follow("rows", { offset: 9 });
  kernel.pass(1400);
  assert.equal(kernel.sent.length, 1);
  kernel.pass(200);
  assert.deepEqual(kernel.sent.map((one) => one.offset), [0, 9]);
  kernel.pass(2000);
  assert.equal(link.stuck("rows"), true);
});

test("what is sent unasked is merged, and a lost message leads to a new request", () => {
  const { kernel, link, pages } = linked();
  link.follow("rows", { offset: 0, follow: true });
  kernel.answer(page(1, 1, ["a", "b"]));
  kernel.answer(page(1, 2, [], { base: 1, length: 2, changed: { 0: { text: "A" } } }));
  assert.deepEqual(pages.at(-1)[1].rows.map((row) => row.text), ["A", "b"]);
  kernel.pass(100);
  kernel.answer(page(1, 4, [], { base: 3, length: 2, changed: { 1: { text: "B" } } }));
  assert.equal(pages.length, 2);
  assert.equal(kernel.sent.length, 2);
  kernel.answer(page(2, 5, ["A", "B"]));
  assert.deepEqual(link.held("rows").rows.map((row) => row.text), ["A", "B"]);
});

test("answers for other views are not ours", () => {
  const { kernel, link, pages } = linked();
  link.follow("rows", { offset: 0 });
  kernel.answer({ ...page(1, 1, ["x"]), view: "other" });
  assert.equal(pages.length, 0);
});

test("a command is answered once, and a closed link is silent", () => {
  const { kernel, link } = linked();
  const done = [];
  link.ask("abort", { row: 0 }, (answer) => done.push(answer.ok));
  kernel.answer({ kind: "done", id: 1, ok: true });
  kernel.answer({ kind: "done", id: 1, ok: true });
  assert.deepEqual(done, [true]);
  link.follow("rows", { offset: 0 });
  link.follow("rows", { offset: 5 });
  link.close();
  kernel.pass(10_000);
  assert.deepEqual(kernel.sent.map((one) => one.kind), ["abort", "rows", "stop"]);
});

test("columns that do not fit give way, inputs first", () => {
  const column = (key, width = 4) => ({ key, title: key, type: "text", width, shown: true, sortable: true });
  const all = [column("phase"), column("task", 8), ...Array.from({ length: 12 }, (_, index) => column(`in:x${index}`)), column("value"), column("try"), column("time")];
  assert.equal(view.fitting(all, 5000).length, all.length);
  const some = view.fitting(all, 520).map((one) => one.key);
  assert.ok(some.length < all.length);
  for (const key of ["phase", "task", "value", "time"]) assert.ok(some.includes(key), key);
});

test("marks of an axis can be told apart however near they are", () => {
  const words = [0, 1, 2].map((number) => view.axisWords(1256 + number * 0.1, 0.1));
  assert.deepEqual(words, ["20m 56.0s", "20m 56.1s", "20m 56.2s"]);
  assert.deepEqual([view.axisWords(1256.001, 0.001), view.axisWords(5.002, 0.002), view.axisWords(60, 30), view.axisWords(30, 0.5)], ["20m 56.001s", "5.002 s", "1m 00s", "30.0 s"]);
});

test("an axis has whole marks with room for their words", () => {
  assert.deepEqual(view.axisMarks(0, 60, 700), [0, 10, 20, 30, 40, 50, 60]);
  assert.ok(view.axisMarks(0, 30 * 86400, 700).length <= 10);
  for (const span of [0.002, 0.7, 61, 5000, 1e6]) {
    const marks = view.axisMarks(3, 3 + span, 900);
    assert.ok(marks.length >= 1 && marks.length <= 13, `${span}: ${marks.length}`);
  }
});
