// BullMQ's own client: folder of its packages, URL of the server, jobs, `one` (add) or `many` (addBulk of 100).
// Prints its own cost as JSON, without the start of Node and the connecting.
const path = require("path");
const [modules, url, jobs, way] = process.argv.slice(2);
const { Queue } = require(path.join(modules, "bullmq"));
const AT_ONCE = 100;
const value = { value: "x".repeat(80) };

async function main() {
  const { hostname, port } = new URL(url);
  const queue = new Queue("bench", { connection: { host: hostname, port: Number(port) } });
  await queue.add("work", value);
  const cpu = process.cpuUsage(), begin = process.hrtime.bigint();
  let done = 0;
  if (way === "one") {
    for (; done < Number(jobs); done++) await queue.add("work", value);
  } else {
    const many = Array.from({ length: AT_ONCE }, () => ({ name: "work", data: value }));
    for (; done + AT_ONCE <= Number(jobs); done += AT_ONCE) await queue.addBulk(many);
  }
  const wall = Number(process.hrtime.bigint() - begin) / 1e9, used = process.cpuUsage(cpu);
  await queue.close();
  console.log(JSON.stringify({ jobs: done, wall_s: wall, cpu_s: (used.user + used.system) / 1e6 }));
}
main();
