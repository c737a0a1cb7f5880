// A scenario that is pasted: checked and drawn as one types, sent only on request.

import * as api from "./api.js";
import { Chart, Drawing, View } from "./charts.js";
import { clock, el, number, put } from "./words.js";

const DEBOUNCE = 300;
const KEPT = "plg.draft";
const EXAMPLE = `scenario "sale" {
  target "embedded"   # a server of its own, only for this test

  job order {
    queue "shop:orders"
    payload { sku: "A-\${seq}", user: "\${uuid}" }
  }
  workers 2 each 10ms only embedded

  traffic {
    doors: ramp 10/s -> 150/s over 10s
    then crowd: sine 200/s +- 80/s every 5s over 20s
    then stampede: burst 50/s -> 350/s for 1s every 5s over 15s
  }
  guardrails {
    max_rate 300/s
    max_total_jobs 20_000
    max_duration 2m
    max_queue_depth 5_000
  }
  expect {
    errors == 0
    p99(latency) < 50ms
    max(queue_depth) < 1_000
  }
}
`;

/** How a text is spelled: {plg}, {yaml} or {json}. */
export function spelling(text) {
  const bare = text.replace(/^(\s|#[^\n]*(\n|$))*/, "");
  if (bare.startsWith("{")) return "json";
  return /^(scenario\s+"|suite\s+"|import\s|pattern\s+\w+\s*[({])/.test(bare) ? "plg" : "yaml";
}

export class Start {
  constructor(main) {
    Object.assign(this, { main, plan: null, turn: 0 });
    this.view = new View(() => this.mark());
    this.view.running = false;
    this.build();
    this.drawing = new Drawing(() => this.chart.draw());
    this.text.value = sessionStorage.getItem(KEPT) || "";
    this.changed(0);
  }

  mark() {
    if (this.drawing) this.drawing.dirty = true;
  }

  build() {
    this.text = el("textarea", { id: "scenario", rows: "22", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-describedby": "faults spelled",
      placeholder: "Paste a scenario: .plg, YAML or JSON" });
    this.marks = el("pre", { class: "marks", "aria-hidden": "true" });
    this.gutter = el("pre", { class: "gutter", "aria-hidden": "true" });
    this.spelled = el("span", { id: "spelled", class: "soft" });
    this.faults = el("ol", { id: "faults", class: "faults", "aria-live": "polite" });
    this.go = el("button", { type: "button", class: "primary", disabled: true, onclick: () => this.start() }, "Start the test");
    this.target = el("input", { id: "target", type: "text", placeholder: "the one in the scenario", autocomplete: "off", spellcheck: "false" });
    const curve = () => this.plan?.curve || { t_s: [], target: [], allowed: [] };
    this.chart = new Chart({ key: "plan", title: "What will be sent", tall: true, names: true, limits: "always", note: "Jobs a second by the plan. Nothing has been sent.", scales: [{ name: "y", format: (v) => `${number(v)}/s`, least: 5 }],
      series: [{ label: "Asked for", role: "target", dash: [2, 3] }, { label: "Allowed", role: "actual", fill: true }], data: () => [curve().t_s, curve().target, curve().allowed] },
    this.view, () => ({ phases: this.plan?.phases || [], lines: this.plan?.limits?.max_rate ? [{ at: this.plan.limits.max_rate, label: `max_rate ${number(this.plan.limits.max_rate)}/s` }] : [] }));
    this.facts = el("dl", { class: "figures" });
    this.planned = el("div", { class: "planned" }, this.facts, this.chart.figure);
    this.unplanned = el("p", { class: "empty" }, "The plan is drawn here once the scenario has no faults.");
    this.notes = el("ul", { class: "remarks" });
    const example = el("button", { type: "button", onclick: () => this.example() }, "Take an example");
    this.main.replaceChildren(el("header", { class: "head" }, el("h1", {}, "Start a test"),
      el("p", { class: "reason" }, "The scenario is checked and its plan drawn as you type. Nothing is sent before you start it.")),
    el("div", { class: "compose" },
      el("div", {}, el("div", { class: "row" }, el("label", { for: "scenario" }, "Scenario"), this.spelled, el("span", { class: "grow" }), example),
        el("div", { class: "editor" }, this.gutter, el("div", { class: "paper" }, this.marks, this.text)), this.faults),
      el("div", {}, el("div", { class: "row" }, el("label", { for: "target" }, "Target"), this.target, this.go), this.unplanned, this.planned, this.notes)));
    this.text.addEventListener("input", () => this.changed(DEBOUNCE));
    this.target.addEventListener("input", () => this.changed(DEBOUNCE));
    this.text.addEventListener("scroll", () => this.scrolled());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !this.go.disabled) this.start();
    });
    document.title = "Start a test · plg";
  }

  example() {
    this.text.value = EXAMPLE;
    this.changed(0);
    this.text.focus();
  }

  scrolled() {
    this.gutter.scrollTop = this.marks.scrollTop = this.text.scrollTop;
    this.marks.scrollLeft = this.text.scrollLeft;
  }

  body() {
    const text = this.text.value;
    const target = this.target.value.trim();
    return { [spelling(text)]: text, ...(target ? { target } : {}) };
  }

  changed(wait) {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.go.disabled = true;
    this.turn += 1;
    sessionStorage.setItem(KEPT, this.text.value);
    const empty = !this.text.value.trim();
    put(this.spelled, empty ? "" : { plg: "plg", yaml: "YAML", json: "JSON" }[spelling(this.text.value)]);
    this.point([]);
    if (empty) return this.show(null, []);
    this.timer = setTimeout(() => this.check(this.turn), wait);
  }

  async check(turn) {
    this.asked = new AbortController();
    try {
      const plan = await api.plan(this.body(), this.asked.signal);
      if (turn === this.turn) this.show(plan, []);
    } catch (error) {
      if (error.name === "AbortError" || turn !== this.turn) return;
      this.show(null, error.faults?.length ? error.faults : [{ message: error.message, line: null }]);
    }
  }

  show(plan, faults) {
    this.plan = plan;
    this.go.disabled = !plan;
    this.planned.hidden = !plan;
    this.unplanned.hidden = Boolean(plan);
    if (plan) {
      this.view.end = plan.duration_s;
      const clipped = plan.planned - plan.sent_estimate;
      const facts = [["Lasts", clock(plan.duration_s)], ["Jobs", number(plan.planned)], ["Peak", `${number(plan.peak_rate)}/s`], ["Clipped", number(Math.max(0, clipped))], ["Target", plan.target]];
      this.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { class: name === "Target" ? "small" : null }, value))));
    }
    this.notes.replaceChildren(...(plan?.warnings || []).map((each) => el("li", {}, each.message)));
    this.faults.replaceChildren(...faults.map((fault) => this.fault(fault)));
    this.text.setAttribute("aria-invalid", String(faults.length > 0));
    this.point(faults);
    this.mark();
  }

  fault(fault) {
    const place = fault.line ? `Line ${fault.line}${fault.column ? `:${fault.column}` : ""}` : fault.path?.length ? fault.path.join(".") : "";
    const words = [el("b", {}, place), ` ${fault.message}`, fault.help ? el("span", { class: "note" }, fault.help) : null];
    return el("li", {}, fault.line ? el("button", { type: "button", class: "plain", onclick: () => this.goTo(fault) }, ...words) : el("span", {}, ...words));
  }

  offset(fault) {
    const lines = this.text.value.split("\n");
    return lines.slice(0, fault.line - 1).reduce((sum, each) => sum + each.length + 1, 0) + Math.max(0, (fault.column || 1) - 1);
  }

  goTo(fault) {
    const at = this.offset(fault);
    this.text.focus();
    this.text.setSelectionRange(at, at);
    this.text.scrollTop = Math.max(0, (fault.line - 5) * 20);
  }

  /** Mark faults in the text, and their lines beside it. */
  point(faults) {
    const text = this.text.value;
    const lines = new Set(faults.map((fault) => fault.line));
    const count = text.split("\n").length;
    this.gutter.replaceChildren(...Array.from({ length: count }, (_, i) => el("span", { class: lines.has(i + 1) ? "bad" : null }, `${lines.has(i + 1) ? "✕ " : ""}${i + 1}\n`)));
    const pieces = [];
    let from = 0;
    for (const at of faults.filter((fault) => fault.line).map((fault) => this.offset(fault)).sort((a, b) => a - b)) {
      if (at < from) continue;
      const length = Math.max(1, (/^[\w.:$"'-]+/.exec(text.slice(at)) || [" "])[0].length);
      pieces.push(text.slice(from, at), el("mark", {}, text.slice(at, at + length)));
      from = at + length;
    }
    this.marks.replaceChildren(...pieces, `${text.slice(from)}\n`);
    this.scrolled();
  }

  async start() {
    this.go.disabled = true;
    put(this.go, "Starting…");
    try {
      const started = await api.start(this.body(), crypto.randomUUID?.() || String(Math.random()));
      location.hash = `#/test/${started.test_id}`;
    } catch (error) {
      put(this.go, "Start the test");
      this.show(this.plan, error.faults?.length ? error.faults : [{ message: error.message, line: null }]);
    }
  }

  close() {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.drawing.close();
    this.chart.close();
  }
}
