// k6 with its Redis module: one LPUSH an iteration, arrivals by its own executor for open-loop load.
// BENCH_URL says where, BENCH_SHAPE which arrivals, as the options of an executor in JSON.
import redis from "k6/experimental/redis";

const client = new redis.Client(__ENV.BENCH_URL);
const value = "x".repeat(80);
export const options = { scenarios: { push: JSON.parse(__ENV.BENCH_SHAPE) } };

export default async function () {
  await client.lpush("plg:bench", value);
}
