// A BullMQ worker.
const { Worker } = require("bullmq");

const url = new URL(process.env.REDIS_URL || "redis://localhost:6379/0");
const connection = { host: url.hostname, port: Number(url.port || 6379), password: url.password || undefined };

const worker = new Worker("shop", async (job) => {
  await new Promise((resolve) => setTimeout(resolve, 10));
  console.log(`charged order ${job.data.order}: ${job.data.amount} ${job.data.currency}`);
}, { connection, concurrency: 5 });

worker.waitUntilReady().then(() => console.log("ready"));
