// Artillery with node-redis: one LPUSH for each virtual user. BENCH_SOCKET says where; the cost between the first push
// and the last is written to BENCH_COST as JSON.
"use strict";
const fs = require("fs");
const { createClient } = require(process.env.BENCH_MODULES + "/redis");

const value = "x".repeat(80);
let client = null;
let first = null;
let jobs = 0;

async function push() {
  if (client === null) {
    const fresh = createClient({ socket: { path: process.env.BENCH_SOCKET } });
    client = fresh.connect().then(() => fresh);
  }
  const connected = await client;
  if (first === null) first = { cpu: process.cpuUsage(), wall: process.hrtime.bigint() };
  await connected.lPush("plg:bench", value);
  jobs += 1;
  if (jobs % 100 === 0) {
    const cpu = process.cpuUsage(first.cpu);
    const wall = Number(process.hrtime.bigint() - first.wall) / 1e9;
    fs.writeFileSync(process.env.BENCH_COST, JSON.stringify({ jobs, cpu_s: (cpu.user + cpu.system) / 1e6, wall_s: wall }));
  }
}

module.exports = { push };
