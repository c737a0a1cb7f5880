// How the lines of `expect` stand while a test runs. Verdicts are the server's alone: here are only present values.

import { number, quantity } from "./words.js";

const COUNTS = ["sent", "acked", "failed", "unknown", "shed", "late", "cancelled"];
const LATENCY = { p50: "latency_p50_s", p95: "latency_p95_s", p99: "latency_p99_s" };
const GAUGES = { queue_depth: ["queue_depth", 1], queue_age: ["queue_age_s", 1], cpu: ["cpu_percent", 0.01], memory: ["memory_mb", 1e6] };
const COMPARE = {
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  "==": (a, b) => a === b, "!=": (a, b) => a !== b,
};

/** {value, of: "run" | "now"} where the stream tells it, else null. */
function present(line, state) {
  const { ledger, curves, violations, elapsed } = state;
  const run = (value) => (value === null || value === undefined ? null : { value, of: "run" });
  if (!line.plain) return null;
  if (COUNTS.includes(line.measure)) return run(ledger[line.measure]);
  if (line.measure === "errors") return run(ledger.failed + ledger.unknown);
  if (line.measure === "error_rate") return ledger.sent ? run((ledger.failed + ledger.unknown) / ledger.sent) : null;
  if (line.measure === "guardrail_hits") return run(violations.length);
  if (line.measure === "throughput") return elapsed > 1 ? run(ledger.acked / elapsed) : null;
  const gauge = GAUGES[line.measure];
  if (gauge && (!line.aggregate || line.aggregate === "max")) {
    const most = curves.most[gauge[0]];
    return most === null ? null : run(most * gauge[1]);
  }
  const column = line.measure === "latency" ? LATENCY[line.aggregate] : line.measure === "lag" && line.aggregate === "p99" ? "lag_p99_s" : null;
  const value = column ? (curves.now[column] ?? null) : null;
  return value === null ? null : { value, of: "now" };
}

function margin(value, op, bound) {
  if (op === "<" || op === "<=") return bound - value;
  if (op === ">" || op === ">=") return value - bound;
  return op === "==" ? -Math.abs(bound - value) : Math.abs(bound - value);
}

const WORDS = { pass: ["holds", "good", "✓"], fail: ["broken", "bad", "✕"], warn: ["warns", "doubt", "!"], no_data: ["no data", "doubt", "?"] };

/** {word, tone, sign, value, margin, share, said} of one line; `share` is how much of its bound is used, 0 to 1. */
export function line(each, state) {
  const bound = each.bound ?? null;
  if (each.verdict) {
    const [word, tone, sign] = WORDS[each.verdict] || [each.verdict, "doubt", "?"];
    return { word, tone, sign, final: true, value: each.observed, margin: each.margin, share: share(each.observed, bound), bound };
  }
  const found = bound === null ? null : present(each, state);
  if (state.ended) return { word: "not judged", tone: "doubt", sign: "?", value: null, margin: null, share: null, bound };
  if (!found) return { word: "judged at the end", tone: "soft", sign: "…", value: null, margin: null, share: null, bound };
  const holds = COMPARE[each.op](found.value, bound);
  const above = ["<", "<="].includes(each.op) || (each.op === "==" && found.value > bound);
  const [word, tone, sign] = holds ? ["holds so far", "good", "✓"]
    : found.of === "run" && above ? ["past its bound", "bad", "✕"] : found.of === "run" ? ["not yet", "soft", "…"] : ["past it now", "doubt", "!"];
  return { word, tone, sign, value: found.value, of: found.of, margin: margin(found.value, each.op, bound), share: share(found.value, bound), bound };
}

function share(value, bound) {
  if (value === null || value === undefined || !(bound > 0)) return null;
  return Math.max(0, Math.min(1, value / bound));
}

/** One sentence on how the test stands. */
export function sentence(state, lines) {
  const { status, report } = state;
  if (state.ended) return report.reason || (report.verdict ? `The verdict is ${report.verdict}.` : `The test is ${status}.`);
  if (status === "queued") return report.reason || "The test is being prepared; nothing has been sent yet.";
  const named = (i) => `“${report.expectations[i].text}”`;
  const broken = lines.findIndex((each) => each.tone === "bad");
  const hits = state.violations.filter((each) => each.action !== "observe").length;
  const guards = hits ? ` Guardrails acted ${hits === 1 ? "once" : `${number(hits)} times`}.` : "";
  if (broken >= 0) {
    const each = lines[broken];
    const more = lines.filter((other) => other.tone === "bad").length - 1;
    const unit = report.expectations[broken].unit;
    return `${named(broken)} ${each.final ? "is broken" : "is past its bound"}: ${quantity(each.value, unit)}${more ? `, and ${more} more` : ""}.${guards}`;
  }
  const now = lines.findIndex((each) => each.of === "now" && each.tone === "doubt");
  if (now >= 0) return `${named(now)} is past its bound at present: ${quantity(lines[now].value, report.expectations[now].unit)}. The whole run decides.${guards}`;
  const seen = lines.filter((each) => each.value !== null && each.tone === "good");
  const open = lines.length - seen.length;
  if (!lines.length) return `No line says what must hold, so nothing will be judged.${guards}`;
  const rest = open ? ` ${number(open)} of ${number(lines.length)} can only be told later.` : "";
  return `${seen.length ? `So far ${seen.length === lines.length ? "every line holds" : `${number(seen.length)} of ${number(lines.length)} lines hold`}.` : "Nothing is broken so far."}${seen.length ? (open ? " The others can only be told later." : "") : rest}${guards}`;
}
