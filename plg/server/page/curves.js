// What was heard of one test, by column and bounded: of an hour the page keeps its shape and its extremes.

const MOST = 4000;

export class Table {
  /** `key` is the column whose extremes stay when rows are thinned. */
  constructor(columns, key) {
    this.columns = columns;
    this.key = key;
    this.clear();
  }

  clear() {
    this.data = Object.fromEntries(this.columns.map((name) => [name, []]));
  }

  get length() {
    return this.data.t.length;
  }

  add(row) {
    const times = this.data.t;
    if (times.length && row.t <= times[times.length - 1]) return;
    for (const name of this.columns) this.data[name].push(row[name] ?? null);
    if (times.length > MOST) this.thin();
  }

  /** Of four neighbours among the older half keep the least and the largest. */
  thin() {
    const kept = [];
    const key = this.data[this.key];
    const half = Math.floor(this.length / 2 / 4) * 4;
    for (let at = 0; at < half; at += 4) {
      let low = at;
      let high = at;
      for (let i = at + 1; i < at + 4; i++) {
        if (key[i] < key[low]) low = i;
        if (key[i] >= key[high]) high = i;
      }
      kept.push(Math.min(low, high));
      if (low !== high) kept.push(Math.max(low, high));
    }
    for (let i = half; i < this.length; i++) kept.push(i);
    for (const name of this.columns) {
      const column = this.data[name];
      this.data[name] = kept.map((i) => column[i]);
    }
  }

  last(name) {
    const column = this.data[name];
    for (let i = column.length - 1; i >= 0; i--) if (column[i] !== null) return column[i];
    return null;
  }
}

const RATES = ["t", "target", "allowed", "actual", "queue_depth"];
const GAUGES = [
  "t", "queue_depth", "queue_age_s", "cpu_percent", "memory_mb", "errors", "lag_p99_s", "latency_p50_s",
  "latency_p95_s", "latency_p99_s", "due", "sent", "acked", "shed", "late",
];
const EXTREMES = ["queue_depth", "queue_age_s", "cpu_percent", "memory_mb"];
const SLOPE_OVER = 20;

export class Curves {
  constructor() {
    this.rates = new Table(RATES, "actual");
    this.gauges = new Table(GAUGES, "queue_depth");
    this.clear();
  }

  clear() {
    this.rates.clear();
    this.gauges.clear();
    this.most = Object.fromEntries(EXTREMES.map((name) => [name, null]));
    this.now = {};
    this.nextGauge = -1;
  }

  /** The history as `GET …/metrics` answers it; rows that stand for many are drawn as their least and their largest. */
  load(answer) {
    this.clear();
    const { series, min, max, resolution_s: step } = answer;
    for (let i = 0; i < series.t.length; i++) {
      const row = {};
      for (const name of Object.keys(series)) row[name] = series[name][i];
      if (min && max) {
        const from = min.t[i];
        this.rates.add({ ...row, t: from, actual: min.actual[i], queue_depth: min.queue_depth[i] });
        const later = Math.max(row.t, from + step / 1000);
        this.rates.add({ ...row, t: later, actual: max.actual[i], queue_depth: max.queue_depth[i] });
        for (const name of EXTREMES) this.extreme(name, max[name][i]);
      } else {
        this.rates.add(row);
      }
      this.gauge(row);
    }
  }

  extreme(name, value) {
    if (value !== null && value !== undefined && !(value <= this.most[name])) this.most[name] = value;
  }

  gauge(row) {
    for (const name of EXTREMES) this.extreme(name, row[name]);
    Object.assign(this.now, row);
    if (row.t < this.nextGauge) return;
    this.nextGauge = row.t + 0.45;
    this.gauges.add(row);
  }

  hear(message) {
    if (message.type === "rate_update") {
      this.rates.add(message);
      this.extreme("queue_depth", message.queue_depth);
      for (const name of RATES) this.now[name] = message[name];
    } else if (message.type === "metrics_update") {
      const { latency, ledger, ...row } = message;
      const percentiles = { latency_p50_s: latency.p50, latency_p95_s: latency.p95, latency_p99_s: latency.p99 };
      this.gauge({ ...row, ...ledger, ...percentiles });
    }
  }

  /** How fast the backlog grows (jobs/s): least squares over the newest seconds; null where that is not known yet. */
  slope() {
    const { t, queue_depth: depth } = this.rates.data;
    const end = t[t.length - 1];
    let n = 0, sumT = 0, sumD = 0, sumTT = 0, sumTD = 0;
    for (let i = t.length - 1; i >= 0 && t[i] > end - SLOPE_OVER; i--) {
      if (depth[i] === null) continue;
      const at = t[i] - end;
      n += 1;
      sumT += at;
      sumD += depth[i];
      sumTT += at * at;
      sumTD += at * depth[i];
    }
    const spread = n * sumTT - sumT * sumT;
    return n < 5 || spread <= 0 ? null : (n * sumTD - sumT * sumD) / spread;
  }

  /** Confirmed jobs that no longer wait, as far as the depth tells. */
  taken() {
    const { acked, queue_depth: depth } = this.gauges.data;
    const first = depth.find((value) => value !== null) ?? null;
    const start = first === null ? 0 : Math.max(0, first - (acked[depth.indexOf(first)] || 0));
    let most = 0;
    return acked.map((count, i) => {
      if (depth[i] === null || count === null) return null;
      return (most = Math.max(most, Math.min(count, count - (depth[i] - start))));
    });
  }
}
