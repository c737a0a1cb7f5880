// One test, while it runs and after.

import * as api from "./api.js";
import { Chart, Drawing, View } from "./charts.js";
import { Curves } from "./curves.js";
import { line, sentence } from "./judge.js";
import { clock, el, moment, number, pill, put, quantity, RUNNING, seconds } from "./words.js";

const STALE_AFTER = 3000;
const LEDGER = ["sent", "shed", "late", "cancelled"];
const MARKS = 200;

export class Live {
  constructor(id, main, link) {
    Object.assign(this, { id, main, link, curves: new Curves(), violations: [], heardAt: Date.now(), state: "open", closed: false });
    this.view = new View(() => this.viewed());
    this.opening = this.open();
  }

  async open() {
    this.report = await api.status(this.id);
    if (this.closed) return;
    const since = await this.history();
    if (this.closed) return;
    this.build();
    this.drawing = new Drawing(() => this.draw());
    this.timer = setInterval(() => this.look(), 1000);
    if (!this.ended) this.follow(since);
  }

  async history() {
    const found = await api.metrics(this.id);
    this.curves.load(found);
    this.violations = found.violations.slice();
    this.ledger = found.ledger;
    return found.seq;
  }

  follow(since) {
    this.stream = new api.Stream(this.id, since, {
      message: (message) => this.hear(message),
      state: (state) => this.linked(state),
      reload: async () => {
        const seq = await this.history();
        this.report = await api.status(this.id);
        this.mark();
        return seq;
      },
    });
  }

  linked(state) {
    this.state = state;
    if (state === "open") this.heardAt = Date.now();
    if (state === "over" || state === "gone") this.refresh();
    this.mark();
  }

  hear(message) {
    this.heardAt = Date.now();
    this.curves.hear(message);
    if (message.ledger) this.ledger = message.ledger;
    if (message.type === "violation") this.violations.push({ at_s: message.t, ...message });
    if (message.type === "expectation") this.judged(message);
    if (message.type === "completion") this.refresh();
    if (message.type === "rate_update" && this.report.status === "queued") this.report.status = "running";
    this.mark();
  }

  judged(message) {
    const found = this.report.expectations.find((each) => each.text === message.text && !each.verdict);
    if (found) Object.assign(found, message, { turned_s: message.verdict === "fail" ? message.t : null });
  }

  /** Once a second: the state, and whether news still come. */
  async look() {
    if (document.hidden || this.ended) return;
    this.looks = (this.looks || 0) + 1;
    if (this.looks % 2 === 0) await this.refresh().catch(() => {});
    this.mark();
  }

  async refresh() {
    const told = await api.status(this.id);
    const before = this.report;
    this.report = told;
    told.expectations.forEach((each, i) => (each.turned_s ??= before.expectations[i]?.turned_s));
    this.ledger = told.ledger;
    this.mark();
  }

  get ended() {
    return !RUNNING.includes(this.report.status);
  }

  get elapsed() {
    return Math.max(this.curves.rates.last("t") || 0, this.ended ? this.report.duration_s || 0 : 0);
  }

  mark() {
    if (this.drawing) this.drawing.dirty = true;
  }

  // -- what is on the page ---------------------------------------------------------------------------------------

  build() {
    const { report } = this;
    this.pill = el("span", { class: "pill" });
    this.sentence = el("p", { class: "reason", "aria-live": "polite" });
    this.stale = el("p", { class: "stale", role: "alert", hidden: true });
    this.stopping = el("button", { type: "button", class: "danger", onclick: () => this.stop() }, "Stop the test");
    this.opened = el("a", { class: "button", href: api.reportOf(this.id), target: "_blank", rel: "noopener", hidden: true }, "Open the report");
    this.opened.addEventListener("click", (event) => this.openReport(event));
    this.figures = Object.fromEntries(["time", "rate", "acked", "depth", "age", "slope", "errors"].map((name) => [name, el("dd", {}, "–")]));
    const titles = { time: "Time", rate: "Sent now", acked: "Confirmed", depth: "Waiting", age: "Oldest waits", slope: "Backlog", errors: "Errors" };
    const figures = Object.entries(titles).map(([name, title]) => el("div", {}, el("dt", {}, title), this.figures[name]));
    this.progress = el("progress", { max: "1", value: "0", "aria-label": "Part of the plan that is over" });
    const head = el("header", { class: "head" },
      el("div", { class: "title" }, el("h1", {}, report.name), this.pill),
      this.sentence,
      el("p", { class: "about" }, `${report.target} · started ${moment(report.started_at)}${report.started_by ? ` by ${report.started_by}` : ""}`),
      el("div", { class: "actions" }, this.stopping, this.opened), this.progress, this.stale);
    this.charts = this.makeCharts();
    const [rate, ...others] = this.charts;
    this.table = el("tbody");
    this.ledgerList = el("dl", { class: "ledger" });
    this.hits = el("tbody");
    this.noHits = el("p", { class: "empty" }, "No guardrail has acted.");
    this.hitTable = el("table", { class: "stack" }, el("thead", {}, headings("When", "Guardrail", "Action", "Asked for", "Allowed")), this.hits);
    this.body = el("div", { class: "live" }, head, el("dl", { class: "figures" }, ...figures),
      el("section", { "aria-label": "Charts" }, this.controls(), rate.figure, el("div", { class: "pair" }, ...others.map((chart) => chart.figure))),
      el("section", {}, el("h2", {}, "What must hold"), report.expectations.length
        ? el("table", { class: "stack" }, el("thead", {}, headings("Line", "Stands", "#Bound", "#Now", "#Margin", "Used", "#Broken at")), this.table)
        : el("p", { class: "empty" }, "No line says what must hold, so nothing is judged.")),
      el("section", {}, el("h2", {}, "Every job accounted for"), this.ledgerList),
      el("section", {}, el("h2", {}, "Guardrails"), this.noHits, this.hitTable),
      report.warnings.length ? el("section", {}, el("h2", {}, "Remarks"), el("ul", { class: "remarks" }, ...report.warnings.map((each) => el("li", {}, each.message)))) : null);
    this.main.replaceChildren(this.body);
    document.title = `${report.name} · plg`;
  }

  controls() {
    this.modes = Object.fromEntries([["all", "Whole run"], ["follow", "Follow the last minute"]].map(([mode, words]) =>
      [mode, el("button", { type: "button", "aria-pressed": "false", onclick: () => this.view.set(mode) }, words)]));
    this.zoomed = el("span", { class: "soft" });
    return el("div", { class: "controls", role: "group", "aria-label": "Part of the run that the charts show" }, ...Object.values(this.modes), this.zoomed);
  }

  viewed() {
    const { mode, range } = this.view;
    for (const [name, button] of Object.entries(this.modes || {})) button.setAttribute("aria-pressed", String(name === mode));
    if (this.zoomed) put(this.zoomed, mode === "zoom" ? `Zoomed: ${clock(range[0])} to ${clock(range[1])}` : "Drag across a chart to zoom; with a chart in focus: + − ← → 0 f");
    this.mark();
  }

  makeCharts() {
    const { curves, report, view } = this;
    const rates = (...names) => () => names.map((name) => curves.rates.data[name]);
    const gauges = (...names) => () => names.map((name) => curves.gauges.data[name]);
    const positive = (...names) => () => names.map((name, i) => (i ? curves.gauges.data[name].map((v) => (v > 0 ? v : null)) : curves.gauges.data[name]));
    const limits = report.limits || {};
    const limit = (name, format) => (limits[name] ? [{ at: limits[name], label: `${name} ${format(limits[name])}` }] : []);
    const behind = (lines, marks = () => []) => () => ({ phases: report.phases || [], lines, marks: marks() });
    const perSecond = (value) => `${number(value)}/s`;
    const jobs = [{ name: "y", format: number, least: 5 }];
    const hits = () => this.violations.slice(-MARKS).map((each) => ({ at: each.at_s }));
    const specs = [
      [{ key: "rate", title: "Rate asked for and sent", tall: true, names: true, note: "Jobs a second. ▼ marks where a guardrail acted.", scales: [{ name: "y", format: perSecond, least: 5 }],
        series: [{ label: "Sent", role: "actual", fill: true }, { label: "Allowed", role: "allowed", dash: [6, 3] }, { label: "Asked for", role: "target", dash: [2, 3] }],
        data: rates("t", "actual", "allowed", "target") }, limit("max_rate", perSecond), hits],
      [{ key: "depth", title: "Jobs that wait", note: "Depth of all queues of the test.", scales: jobs, series: [{ label: "Waiting", role: "depth", fill: true }], data: rates("t", "queue_depth") }, limit("max_queue_depth", number)],
      [{ key: "age", title: "Age of the oldest job", note: "How long the next job has waited already.", scales: [{ name: "y", format: seconds, least: 0.1 }], series: [{ label: "Oldest", role: "gauge", fill: true }], data: gauges("t", "queue_age_s") }, limit("max_queue_age", seconds)],
      [{ key: "flow", title: "Cumulative flow", note: "Height between confirmed and taken is the backlog, width is the wait. Taken: confirmed and no longer waiting.", scales: jobs,
        series: [{ label: "Due", role: "target", dash: [2, 3] }, { label: "Confirmed", role: "actual" }, { label: "Taken", role: "depth" }], bands: [{ series: [2, 3] }],
        data: () => [curves.gauges.data.t, curves.gauges.data.due, curves.gauges.data.acked, curves.taken()] }, []],
      [{ key: "latency", title: "Latency", note: "From due to confirmed by Redis, newest windows; log axis. Lag is how late plg itself was.", scales: [{ name: "y", format: seconds, log: true }],
        series: [{ label: "p50", role: "p50" }, { label: "p95", role: "p90", dash: [6, 3] }, { label: "p99", role: "p99" }, { label: "Lag p99", role: "max", dash: [2, 3] }],
        data: positive("t", "latency_p50_s", "latency_p95_s", "latency_p99_s", "lag_p99_s") }, []],
      [{ key: "errors", title: "Errors, shed and late", note: "Counted since the start.", scales: jobs,
        series: [{ label: "Errors", role: "errors" }, { label: "Shed", role: "shed", dash: [6, 3] }, { label: "Late", role: "late", dash: [2, 3] }], data: gauges("t", "errors", "shed", "late") }, []],
      [{ key: "machine", title: "The generator", note: "Processor (100% is one core) and memory of the process that sends.", scales: [{ name: "y", format: (v) => `${number(v)}%`, least: 10 }, { name: "mb", format: (v) => `${number(v)} MB`, least: 50 }],
        series: [{ label: "CPU", role: "actual" }, { label: "Memory", role: "gauge", scale: "mb", dash: [6, 3] }], data: gauges("t", "cpu_percent", "memory_mb") },
      limits.max_cpu ? [{ at: limits.max_cpu * 100, label: `max_cpu ${number(limits.max_cpu * 100)}%` }] : []],
    ];
    return specs.map(([spec, lines, marks]) => new Chart(spec, view, behind(lines, marks)));
  }

  // -- drawing, at most four times a second --------------------------------------------------------------------

  draw() {
    const { report, view, curves } = this;
    Object.assign(view, { end: this.elapsed, planned: report.planned_duration_s || 0, running: !this.ended });
    if (!this.named) (this.named = true) && this.viewed();
    for (const chart of this.charts) chart.draw();
    this.drawHead();
    this.drawFigures(curves.now);
    this.drawLedger();
    this.drawHits();
    document.documentElement.dataset.drawn = String(this.drawing.drawn);
  }

  drawHead() {
    const { report } = this;
    const { status, verdict } = report;
    if (this.shownState !== `${status} ${verdict}`) {
      this.shownState = `${status} ${verdict}`;
      this.pill.replaceChildren(pill(status, verdict));
    }
    const state = { status, report, ended: this.ended, ledger: this.ledger, curves: this.curves, violations: this.violations, elapsed: this.elapsed };
    const lines = report.expectations.map((each) => line(each, state));
    put(this.sentence, sentence(state, lines));
    this.drawLines(lines);
    this.stopping.hidden = this.ended;
    this.opened.hidden = !this.ended || report.status === "failed" && !report.ledger.sent;
    this.progress.hidden = this.ended;
    this.progress.value = report.planned_duration_s ? Math.min(1, this.elapsed / report.planned_duration_s) : 0;
    const age = Date.now() - this.heardAt;
    const old = !this.ended && status !== "queued" && (this.state !== "open" || age > STALE_AFTER);
    this.stale.hidden = !old;
    if (old) put(this.stale, `${this.state === "open" ? "No news" : "The connection is lost, trying again; no news"} for ${seconds(Math.round(age / 1000))}: what is shown is old.`);
    this.body.classList.toggle("old", old);
    put(this.link, this.ended ? "" : old ? "○ stale" : "● live");
  }

  drawFigures(now) {
    const { report, figures, ledger } = this;
    const slope = this.curves.slope();
    const depth = now.queue_depth ?? null;
    const planned = report.planned_duration_s ? ` of ${clock(report.planned_duration_s)}` : "";
    const say = (name, text, note = "", tone = "") => {
      if (figures[name].dataset.text === text + note) return;
      figures[name].dataset.text = text + note;
      figures[name].className = tone;
      figures[name].replaceChildren(text, el("small", {}, note));
    };
    say("time", clock(this.elapsed), planned);
    say("rate", this.ended ? "–" : `${number(now.actual)}/s`, this.ended ? "over" : `asked ${number(now.target)}/s`);
    say("acked", number(ledger.acked), `of ${number(ledger.planned)} planned`);
    say("depth", number(depth), this.curves.most.queue_depth === null ? "not measured" : `most ${number(this.curves.most.queue_depth)}`);
    say("age", seconds(now.queue_age_s), this.curves.most.queue_age_s === null ? "" : `most ${seconds(this.curves.most.queue_age_s)}`);
    const steady = slope !== null && (depth === 0 || Math.abs(slope) < Math.max(0.5, 0.005 * (depth || 0)));
    const way = slope === null ? "not known yet" : depth === 0 ? "empty" : steady ? "steady" : slope > 0 ? "▲ grows" : "▼ shrinks";
    say("slope", slope === null ? "–" : steady ? "0/s" : `${slope > 0 ? "+" : "−"}${number(Math.abs(slope))}/s`, way, slope > 0 && !steady ? "doubt" : "");
    const errors = ledger.failed + ledger.unknown;
    say("errors", number(errors), ledger.sent ? quantity(errors / ledger.sent, "fraction") : "", errors ? "bad" : "");
  }

  drawLines(lines) {
    const rows = this.report.expectations;
    while (this.table.children.length < rows.length) {
      const cells = ["state", "num", "num", "num", "used", "num"].map((name, i) => el("td", { class: name, "data-label": ["", "Bound", "Now", "Margin", "Used", "Broken at"][i] }));
      this.table.append(el("tr", {}, el("th", { scope: "row", class: "asked mono" }), ...cells));
    }
    lines.forEach((each, i) => {
      const [name, state, bound, value, margin, used, turned] = this.table.children[i].children;
      const { unit, text, level } = rows[i];
      put(name, text + (level === "warn" ? " (warn)" : ""));
      state.className = `state ${each.tone}`;
      put(state, `${each.sign} ${each.word}`);
      put(bound, quantity(each.bound, unit));
      put(value, quantity(each.value, unit) + (each.of === "now" ? " now" : ""));
      put(margin, each.margin === null || each.margin === undefined ? "–" : `${each.margin > 0 ? "+" : each.margin < 0 ? "−" : ""}${quantity(Math.abs(each.margin), unit)}`);
      if (!used.firstChild && each.share !== null) used.append(el("meter", { min: "0", max: "1", "aria-label": "Part of the bound that is used" }));
      if (used.firstChild) {
        used.firstChild.hidden = each.share === null;
        used.firstChild.value = each.share ?? 0;
      }
      put(turned, rows[i].turned_s === null || rows[i].turned_s === undefined ? "–" : clock(rows[i].turned_s));
    });
  }

  drawLedger() {
    const { ledger } = this;
    const waiting = Math.max(0, ledger.planned - LEDGER.reduce((sum, name) => sum + (ledger[name] || 0), 0));
    const parts = [["planned", "Planned", ""], ["sent", "Sent", "first"], ["shed", "Shed", "term"], ["late", "Late", "term"], ["cancelled", "Cancelled", "term"]];
    const entries = parts.map(([name, word, kind]) => [word, ledger[name], kind]);
    if (!this.ended) entries.push(["Still to come", waiting, "term"]);
    entries.push(["Confirmed", ledger.acked, "second"], ["Failed", ledger.failed, "term"], ["Unknown", ledger.unknown, "term"]);
    const text = JSON.stringify(entries);
    if (this.ledgerText === text) return;
    this.ledgerText = text;
    this.ledgerList.replaceChildren(...entries.map(([word, value, kind]) =>
      el("div", { class: `${kind}${value ? "" : " zero"}` }, el("dt", {}, word), el("dd", {}, number(value ?? 0)))));
  }

  drawHits() {
    if (this.hitsShown === this.violations.length) return;
    this.hitsShown = this.violations.length;
    this.noHits.hidden = this.violations.length > 0;
    this.hitTable.hidden = !this.violations.length;
    const shown = this.violations.slice(-50).reverse();
    this.hits.replaceChildren(...shown.map((each) => el("tr", {},
      el("th", { scope: "row" }, clock(each.at_s)), el("td", { "data-label": "Guardrail" }, el("code", {}, each.guardrail)),
      el("td", { "data-label": "Action" }, each.action), el("td", { class: "num", "data-label": "Asked for" }, number(each.requested)), el("td", { class: "num", "data-label": "Allowed" }, number(each.allowed)))));
  }

  // -- what one can do ------------------------------------------------------------------------------------------

  async stop() {
    this.stopping.disabled = true;
    put(this.stopping, "Stopping…");
    try {
      await api.stop(this.id);
    } catch (error) {
      put(this.stopping, "Stop the test");
      this.stopping.disabled = false;
      this.stale.hidden = false;
      put(this.stale, error.message);
    }
    await this.refresh();
  }

  /** A token is in no link: with one the report is fetched and saved. */
  async openReport(event) {
    if (!api.token.get()) return;
    event.preventDefault();
    const answer = await api.ask("GET", api.reportOf(this.id), undefined, { raw: true });
    const saved = el("a", { href: URL.createObjectURL(await answer.blob()), download: `${this.report.name}.html` });
    saved.click();
    setTimeout(() => URL.revokeObjectURL(saved.href), 10000);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.stream?.close();
    this.drawing?.close();
    this.charts?.forEach((chart) => chart.close());
    put(this.link, "");
  }
}

function headings(...names) {
  return el("tr", {}, ...names.map((name) => el("th", { scope: "col", class: name[0] === "#" ? "num" : null }, name.replace("#", ""))));
}
