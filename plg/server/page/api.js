// What is asked of the server: its routes, and the stream of one test.

export const BASE = "/api/v1/load-test";
const KEY = "plg.token";

export const token = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `the server answered ${status}`);
    this.status = status;
    this.faults = problem.faults || [];
  }
}

export async function ask(method, path, body, more = {}) {
  const headers = {};
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(path, { method, headers: { ...headers, ...more.headers }, body: sent, signal: more.signal });
  if (more.raw && answer.ok) return answer;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    if (answer.status === 401) dispatchEvent(new CustomEvent("plg:sign-in", { detail: found.detail }));
    throw new Refused(answer.status, found);
  }
  return found;
}

export const tests = (query) => ask("GET", `${BASE}/patterns?${new URLSearchParams(query)}`);
export const status = (id) => ask("GET", `${BASE}/patterns/${id}/status`);
export const metrics = (id, resolution) => ask("GET", `${BASE}/patterns/${id}/metrics${resolution ? `?resolution=${resolution}` : ""}`);
export const stop = (id) => ask("POST", `${BASE}/patterns/${id}/stop`);
export const plan = (body, signal) => ask("POST", `${BASE}/patterns/plan`, body, { signal });
export const start = (body, key) => ask("POST", `${BASE}/patterns/start`, body, { headers: { "Idempotency-Key": key } });
export const reportOf = (id) => `${BASE}/patterns/${id}/report.html`;

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
const HISTORY_AGAIN = 60000;

/**
 * The stream of a test, joined again where it breaks, from the last number that was heard.
 * `on.message(message)`, `on.state("open" | "lost" | "over" | "gone")`; `on.reload()` gives the number to go on from
 * where the break was too long for what the server keeps of it.
 */
export class Stream {
  constructor(id, since, on) {
    Object.assign(this, { id, since, on, wait: FIRST_WAIT, closed: false, lostAt: null });
    this.join();
  }

  join() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const address = `${scheme}://${location.host}${BASE}/stream/${this.id}?since=${this.since}`;
    const socket = token.get() ? new WebSocket(address, [`plg.token.${token.get()}`]) : new WebSocket(address);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT;
      this.lostAt = null;
      this.on.state("open");
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.seq <= this.since) return;
      this.since = message.seq;
      this.on.message(message);
    };
    socket.onclose = (event) => {
      if (this.closed) return;
      if (event.code === 1000) this.on.state("over");
      else if ([4404, 4403, 4401].includes(event.code)) this.on.state("gone");
      else this.again();
    };
  }

  again() {
    this.lostAt ??= Date.now();
    this.on.state("lost");
    this.timer = setTimeout(async () => {
      if (Date.now() - this.lostAt > HISTORY_AGAIN) {
        const since = await this.on.reload().catch(() => null);
        if (this.closed) return;
        if (since === null) return this.again();
        this.since = since;
      }
      this.join();
    }, this.wait);
    this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
