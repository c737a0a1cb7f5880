// Numbers and states as people read them.

export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 10000) return Math.round(value).toLocaleString("en").replace(/,/g, "\u202f");
  if (Number.isInteger(value) || size >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 0.001) return `${number(value * 1e6)} µs`;
  if (size < 1) return `${number(value * 1e3)} ms`;
  if (size < 60) return `${number(value)} s`;
  return clock(value);
}

export function clock(value) {
  if (value === null || value === undefined) return "–";
  const whole = Math.max(0, Math.floor(value));
  const two = (part) => String(part).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

const UNITS = {
  s: seconds,
  fraction: (value) => (value === null ? "–" : `${number(value * 100)} %`),
  "jobs/s": (value) => `${number(value)}/s`,
  bytes: (value) => (value === null ? "–" : `${number(value / 1e6)} MB`),
};

export function quantity(value, unit) {
  return value === null || value === undefined ? "–" : (UNITS[unit] || number)(value);
}

export function moment(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export const RUNNING = ["queued", "running", "draining"];
export const GOOD = ["pass", "warn"];

/** The word, the class and the sign of a state: never the colour alone. */
export function standing(status, verdict) {
  if (RUNNING.includes(status)) return { word: status, tone: "live", sign: "●" };
  if (GOOD.includes(verdict)) return { word: verdict, tone: "good", sign: "✓" };
  if (verdict === "fail" || verdict === "error") return { word: verdict, tone: "bad", sign: "✕" };
  return { word: verdict || status, tone: "doubt", sign: "!" };
}

/** An element: `el("td", {class: "num"}, "12", other)`. What is text stays text. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function pill(status, verdict) {
  const { word, tone, sign } = standing(status, verdict);
  return el("span", { class: `verdict ${tone}` }, el("span", { "aria-hidden": "true" }, sign), word.toUpperCase());
}

/** Put text where it differs: a reader's place and a screen reader's attention are kept. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
