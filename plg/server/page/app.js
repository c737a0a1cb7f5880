// The pages: all tests, one test, a new test; which one is in the address.

import * as api from "./api.js";
import { Live } from "./live.js";
import { Start } from "./start.js";
import { clock, el, moment, number, pill, put, RUNNING } from "./words.js";

const STATES = ["completed", "stopped", "failed", "interrupted"];
const EVERY = 2000;
const SPARK = 60;

class Tests {
  constructor(main) {
    Object.assign(this, { main, items: [], next: null, cards: new Map(), closed: false });
    this.running = el("div", { class: "cards" });
    this.none = el("p", { class: "empty" }, "No test runs. ", el("a", { href: "#/start" }, "Start one"), ".");
    this.words = el("input", { type: "search", id: "words", placeholder: "name, target or person", oninput: () => this.list() });
    this.state = el("select", { id: "state", onchange: () => this.load() }, el("option", { value: "" }, "all"), ...STATES.map((name) => el("option", { value: name }, name)));
    this.rows = el("tbody");
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.load(this.next) }, "Show older ones");
    this.empty = el("p", { class: "empty", hidden: true }, "No run fits.");
    const names = ["Test", "Verdict", "#Confirmed", "#Took", "Started", "By"];
    const head = el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col", class: name[0] === "#" ? "num" : null }, name.replace("#", "")))));
    main.replaceChildren(el("header", { class: "head" }, el("h1", {}, "Tests")),
      el("section", { "aria-label": "Running tests" }, el("h2", {}, "Running"), this.running, this.none),
      el("section", {}, el("h2", {}, "Past runs"),
        el("div", { class: "row filter" }, el("label", { for: "words" }, "Filter"), this.words, el("label", { for: "state" }, "State"), this.state),
        el("table", { class: "stack" }, head, this.rows), this.empty, this.more));
    document.title = "plg";
    this.timer = setInterval(() => document.hidden || this.look(), EVERY);
    this.load();
    this.look();
  }

  async load(cursor) {
    const asked = { limit: "100", ...(this.state.value ? { state: this.state.value } : {}), ...(cursor ? { cursor } : {}) };
    const found = await api.tests(asked);
    this.items = (cursor ? this.items : []).concat(found.items);
    this.next = found.next;
    this.list();
  }

  list() {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (item) => words.every((word) => `${item.name} ${item.target} ${item.started_by} ${item.verdict} ${item.test_id}`.toLowerCase().includes(word));
    const shown = this.items.filter((item) => !RUNNING.includes(item.status) && fits(item));
    this.more.hidden = !this.next;
    this.empty.hidden = shown.length > 0;
    put(this.empty, words.length || this.state.value ? "No run fits." : "No run has ended yet.");
    this.rows.replaceChildren(...shown.map((item) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: `#/test/${item.test_id}` }, item.name), el("span", { class: "note" }, item.target)),
      el("td", { "data-label": "Verdict" }, pill(item.status, item.verdict)),
      el("td", { class: "num", "data-label": "Confirmed" }, `${number(item.acked)} of ${number(item.planned)}`), el("td", { class: "num", "data-label": "Took" }, clock(item.duration_s)),
      el("td", { "data-label": "Started" }, moment(item.started_at)), el("td", { "data-label": "By" }, item.started_by || "–"))));
  }

  async look() {
    let items;
    try {
      const found = await Promise.all(RUNNING.map((state) => api.tests({ state, limit: "50" })));
      items = await Promise.all(found.flatMap((each) => each.items).map((item) => api.status(item.test_id)));
    } catch {
      this.running.classList.add("old");
      return;
    }
    if (this.closed) return;
    this.running.classList.remove("old");
    const ids = new Set(items.map((item) => item.test_id));
    let gone = false;
    for (const [id, card] of this.cards) {
      if (ids.has(id)) continue;
      card.root.remove();
      this.cards.delete(id);
      gone = true;
    }
    if (gone) this.load();
    for (const item of items) this.card(item);
    this.none.hidden = items.length > 0;
  }

  card(item) {
    let card = this.cards.get(item.test_id);
    if (!card) {
      this.cards.set(item.test_id, (card = makeCard(item, this.running)));
      api.metrics(item.test_id, "1").then(({ series }) => card.rates.unshift(...series.actual.filter((_, i) => i % 2 === 0)), () => {});
    }
    const health = item.queue_health;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    card.rates.push(item.actual_rate || 0);
    card.rates = card.rates.slice(-SPARK);
    const most = Math.max(1, ...card.rates);
    line.setAttribute("points", card.rates.map((rate, i) => `${(i * 200) / (SPARK - 1)},${30 - (28 * rate) / most}`).join(" "));
    card.spark.replaceChildren(line);
    if (card.status !== item.status) card.pill.replaceChildren(pill(item.status, item.verdict));
    card.status = item.status;
    card.progress.value = item.planned_duration_s ? Math.min(1, (item.elapsed_s || 0) / item.planned_duration_s) : 0;
    const broken = item.expectations.filter((each) => each.verdict === "fail").length;
    put(card.time, `${clock(item.elapsed_s)} of ${clock(item.planned_duration_s)}`);
    put(card.rate, `${number(item.actual_rate)}/s of ${number(item.target_rate)}/s`);
    put(card.depth, `${number(health.queue_depth)} waiting`);
    put(card.errors, `${number(item.ledger.failed + item.ledger.unknown)} errors`);
    card.errors.className = item.ledger.failed + item.ledger.unknown ? "bad" : "";
    put(card.verdict, broken ? `${broken} broken` : item.violations.length ? "guardrails acted" : "nothing broken");
    card.verdict.className = broken ? "bad" : item.violations.length ? "doubt" : "good";
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
  }
}

function makeCard(item, into) {
  const card = { rates: [], pill: el("span"), progress: el("progress", { max: "1", value: "0", "aria-label": "Part of the plan that is over" }) };
  card.spark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 200 32"], ["class", "spark"], ["aria-hidden", "true"], ["preserveAspectRatio", "none"]]) card.spark.setAttribute(name, value);
  for (const name of ["time", "rate", "depth", "errors", "verdict"]) card[name] = el("li");
  card.root = el("article", { class: "card" }, el("div", { class: "title" }, el("h3", {}, el("a", { href: `#/test/${item.test_id}` }, item.name)), card.pill),
    el("p", { class: "note" }, item.target), card.spark, card.progress, el("ul", {}, card.rate, card.depth, card.errors, card.verdict, card.time));
  into.append(card.root);
  return card;
}

function signIn(words) {
  const main = document.getElementById("main");
  const field = el("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
  const form = el("form", { class: "row" }, el("label", { for: "token" }, "Token"), field, el("button", { class: "primary" }, "Sign in"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    api.token.set(field.value.trim());
    show();
  });
  main.replaceChildren(el("header", { class: "head" }, el("h1", {}, "Sign in"), el("p", { class: "reason" }, words || "This server asks who you are.")), form);
  field.focus();
}

let page = null;

function show() {
  page?.close();
  page = null;
  const main = document.getElementById("main");
  const [, where, id] = location.hash.split("/");
  for (const link of document.querySelectorAll("[data-nav]")) {
    const here = link.dataset.nav === (where === "start" ? "start" : "tests");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (where === "start") page = new Start(main);
  else if (where === "test" && /^[\w-]+$/.test(id || "")) {
    page = new Live(id, main, document.getElementById("link"));
    page.opening.catch((error) => {
      if (error.status !== 401) main.replaceChildren(el("p", { class: "empty", role: "alert" }, error.message));
    });
  } else page = new Tests(main);
}

addEventListener("hashchange", () => {
  if (!/^#(\/|$)/.test(location.hash)) return;
  show();
  document.getElementById("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("plg:sign-in", (event) => {
  page?.close();
  page = null;
  signIn(event.detail);
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.status === 401) event.preventDefault();
});
show();
