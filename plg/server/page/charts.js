// Charts of one test: one x axis for all, zoom and following kept apart, phases and limits drawn behind the lines.

import { clock, el, put } from "./words.js";

const HEIGHT = 200;
const FOLLOW = 60;
let colours = {};

export function colour(role) {
  return (colours[role] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim());
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** What part of the run the charts show: "all" of it, the newest minute ("follow"), or what was zoomed to ("zoom"). */
export class View {
  constructor(changed) {
    Object.assign(this, { mode: "all", range: null, end: 1, planned: 0, running: true, changed });
  }

  set(mode, range = null) {
    this.mode = mode;
    this.range = range;
    this.changed();
  }

  /** From and to (s). */
  shown() {
    const whole = Math.max(1, this.running ? Math.max(this.end, Math.min(this.planned, this.end * 1.25)) : this.end);
    if (this.mode === "zoom") return this.range;
    if (this.mode === "follow") return [Math.max(0, this.end - FOLLOW), Math.max(this.end, Math.min(FOLLOW, whole))];
    return [0, whole];
  }

  key(name) {
    const [from, to] = this.shown();
    const width = to - from;
    const moves = { "+": [0.25, -0.25], "-": [-0.5, 0.5], ArrowLeft: [-0.25, -0.25], ArrowRight: [0.25, 0.25] }[name];
    if (name === "0") this.set("all");
    else if (name === "f") this.set("follow");
    else if (moves) {
      const left = Math.max(0, from + width * moves[0]);
      this.set("zoom", [left, Math.max(left + 0.5, to + width * moves[1])]);
    } else return false;
    return true;
  }
}

function axes(spec) {
  const grid = { stroke: () => colour("grid"), width: 1 };
  const common = { stroke: () => colour("soft"), grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const [first, second] = spec.scales;
  const labels = (format) => (u, splits) => splits.map((value) => (value === null ? "" : format(value)));
  const left = { ...common, scale: first.name, size: 58, values: labels(first.format) };
  if (first.log) left.filter = (u, splits) => splits.map((v) => (Math.abs(Math.log10(v) % 1) < 1e-9 ? v : null));
  const found = [{ ...common, size: 30, values: labels(clock), space: 64 }, left];
  if (second) found.push({ ...common, scale: second.name, side: 1, size: 58, grid: { show: false }, values: labels(second.format) });
  return found;
}

function scales(spec) {
  const found = { x: { time: false } };
  for (const scale of spec.scales) {
    if (scale.log) {
      found[scale.name] = { distr: 3, log: 10, range: (u, low, high) => logRange(low, high) };
    } else {
      found[scale.name] = { range: (u, low, high) => [0, Math.max(scale.least || 1, high || 0, spec.limitShown?.(high) || 0) * 1.08] };
    }
  }
  return found;
}

function logRange(low, high) {
  if (!(low > 0)) return [0.0001, 1];
  return [10 ** Math.floor(Math.log10(low)), 10 ** Math.ceil(Math.log10(Math.max(high, low * 1.01)))];
}

export class Chart {
  /**
   * `spec`: {key, title, note, scales: [{name, format, log?, least?}], series: [{label, role, scale?, dash?, fill?}]};
   * `behind()` gives {phases, lines: [{at, label}], marks: [{at, label}]}.
   */
  constructor(spec, view, behind = () => ({})) {
    Object.assign(this, { spec, view, behind, width: 0, seen: true });
    this.values = spec.series.map(() => el("b", {}, "–"));
    const keys = spec.series.map((series, i) => el("li", {}, el("i", { class: `key r-${series.role}${series.dash ? " dashed" : ""}`, "aria-hidden": "true" }), `${series.label} `, this.values[i]));
    this.holder = el("div", { class: "holder", tabindex: "0", role: "img", "aria-keyshortcuts": "+ - 0 f ArrowLeft ArrowRight" });
    const title = el("h3", { id: `chart-${spec.key}` }, spec.title);
    this.figure = el("figure", { class: "chart", "data-chart": spec.key, "aria-labelledby": title.id },
      title, el("ul", { class: "legend" }, ...keys), this.holder, el("figcaption", {}, spec.note));
    this.holder.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && view.key(event.key)) event.preventDefault();
    });
    this.watching = new ResizeObserver(() => this.resize());
    this.watching.observe(this.holder);
    this.looking = new IntersectionObserver((found) => {
      this.seen = found[found.length - 1].isIntersecting;
      if (this.seen) this.draw();
    }, { rootMargin: "200px" });
    this.looking.observe(this.holder);
  }

  resize() {
    const width = Math.floor(this.holder.clientWidth);
    if (!width || width === this.width) return;
    this.width = width;
    if (this.plot) this.plot.setSize({ width, height: this.height() });
    else this.make(width);
  }

  height() {
    return this.spec.tall && innerWidth > 640 ? HEIGHT * 1.35 : HEIGHT;
  }

  make(width) {
    const { spec, view } = this;
    const series = spec.series.map((each) => ({
      label: each.label, scale: each.scale || spec.scales[0].name, stroke: () => colour(each.role), width: each.width || 1.75,
      dash: each.dash, points: { show: false }, spanGaps: false,
      fill: each.fill ? () => `${colour(each.role)}22` : undefined,
    }));
    this.plot = new uPlot({
      width, height: this.height(), legend: { show: false }, padding: [16, spec.scales[1] ? 0 : 22, 0, 0],
      scales: scales({ ...spec, limitShown: (high) => this.limitShown(high) }), axes: axes(spec), series: [{}, ...series],
      bands: spec.bands?.map((band) => ({ ...band, fill: () => `${colour("depth")}26` })),
      cursor: {
        sync: { key: "plg" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, focus: { prox: -1 },
        bind: { dblclick: () => () => view.set("all") },
      },
      hooks: {
        drawClear: [(u) => this.drawBehind(u)], draw: [(u) => this.drawLimits(u)],
        setSelect: [(u) => this.selected(u)], setCursor: [() => this.tell()],
      },
    }, [[], ...spec.series.map(() => [])], this.holder);
    this.draw(true);
  }

  /** A limit is inside the picture where the values come within reach of it. */
  limitShown(high) {
    const lines = this.behind().lines || [];
    return Math.max(0, ...lines.map((line) => line.at).filter((at) => this.spec.limits === "always" || high > at * 0.3));
  }

  selected(u) {
    if (u.select.width < 8) return;
    const range = [u.select.left, u.select.left + u.select.width].map((at) => u.posToVal(at, "x"));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.view.set("zoom", [Math.max(0, range[0]), Math.max(range[1], range[0] + 0.2)]);
  }

  drawBehind(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
    ctx.clip();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    for (const [i, phase] of (this.behind().phases || []).entries()) {
      const from = u.valToPos(phase.start_s, "x", true);
      const to = u.valToPos(phase.start_s + phase.duration_s, "x", true);
      if (i % 2 === 0) {
        ctx.fillStyle = colour("band");
        ctx.fillRect(from, bbox.top, to - from, bbox.height);
      }
      const left = Math.max(from, bbox.left) + 4 * ratio;
      if (this.spec.names && ctx.measureText(phase.name).width < to - left) {
        ctx.fillStyle = colour("soft");
        ctx.fillText(phase.name, left, bbox.top - 4 * ratio);
      }
    }
    ctx.restore();
  }

  drawLimits(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    const { lines = [], marks = [] } = this.behind();
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = ctx.fillStyle = colour("limit");
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    for (const line of lines) {
      const y = u.valToPos(line.at, this.spec.scales[0].name, true);
      if (y < bbox.top) continue;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.textAlign = "right";
      ctx.textBaseline = "alphabetic";
      ctx.fillText(line.label, bbox.left + bbox.width - 6 * ratio, y - 4 * ratio > bbox.top + 9 * ratio ? y - 4 * ratio : y + 12 * ratio);
    }
    ctx.setLineDash([]);
    for (const mark of marks) {
      const x = u.valToPos(mark.at, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top + 9 * ratio);
      ctx.lineTo(x - 5 * ratio, bbox.top);
      ctx.lineTo(x + 5 * ratio, bbox.top);
      ctx.fill();
    }
    ctx.restore();
  }

  /** Values beside the names of the lines: of where the pointer is, else the newest. */
  tell() {
    const at = this.plot?.cursor.idx;
    const data = this.plot?.data || [];
    this.spec.series.forEach((series, i) => {
      const column = data[i + 1] || [];
      let value = at === null || at === undefined ? null : column[at];
      if (at === null || at === undefined) for (let j = column.length - 1; j >= 0 && value === null; j--) value = column[j];
      const scale = this.spec.scales.find((each) => each.name === series.scale) || this.spec.scales[0];
      put(this.values[i], value === null || value === undefined ? "–" : scale.format(value));
    });
  }

  /** What nobody sees is drawn when it comes into sight. */
  draw(unseen = false) {
    if (!this.plot || !(this.seen || unseen)) return;
    const data = this.spec.data();
    const [from, to] = this.view.shown();
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: from, max: to });
    });
    this.tell();
    const told = this.spec.series.map((series, i) => `${series.label} ${this.values[i].textContent}`).join(", ");
    this.holder.setAttribute("aria-label", `${this.spec.title}: ${told}`);
  }

  close() {
    this.watching.disconnect();
    this.looking.disconnect();
    this.plot?.destroy();
  }
}

/** Draws at most four times a second, and nothing while nobody looks. */
export class Drawing {
  constructor(draw) {
    Object.assign(this, { draw, dirty: true, drawn: 0 });
    this.timer = setInterval(() => this.tick(), 250);
    this.shown = () => this.tick();
    this.themed = () => {
      colours = {};
      this.dirty = true;
    };
    document.addEventListener("visibilitychange", this.shown);
    dark.addEventListener("change", this.themed);
  }

  tick() {
    if (!this.dirty || document.hidden) return;
    this.dirty = false;
    requestAnimationFrame(() => {
      this.drawn += 1;
      this.draw();
    });
  }

  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.shown);
    dark.removeEventListener("change", this.themed);
  }
}
