// The load of `stanchion bench compare` on BullMQ, through its own client.
//
// The first argument is the load as JSON. Each line of standard input asks for one measurement, {"ms": N} or {"jobs": N}, and is
// answered by one line of figures; the end of the input ends the load, after the books were checked.

import { createInterface } from 'node:readline';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const load = JSON.parse(process.argv[2]);
/** A connection of its own for each: shared ones would pipeline what the load keeps apart. */
const connect = () => new Redis({ host: load.host, port: load.port, maxRetriesPerRequest: null });
const PAYLOAD_ID_DIGITS = 16;
// A job is kept by nobody once it is done.
const OPTIONS = { removeOnComplete: true, removeOnFail: false };

let sent = 0;
let claimed = 0;
let done = 0;
/** What waits for each job that is under way, by its number. */
const waiting = new Map();

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function payload(number) {
  return String(number).padStart(PAYLOAD_ID_DIGITS, '0').padEnd(load.payload, 'p');
}

/** The processor of all workers: the books are kept, and nothing else is done. */
async function work(job) {
  const number = Number(job.data.p.slice(0, PAYLOAD_ID_DIGITS));
  const entry = waiting.get(number);
  if (!entry || job.data.p.length !== load.payload) fail(`job ${number} was claimed, but is not under way`);
  if (entry.claimed) fail(`job ${number} was claimed twice`);
  entry.claimed = true;
  claimed += 1;
}

function completed(job) {
  const number = Number(job.data.p.slice(0, PAYLOAD_ID_DIGITS));
  const entry = waiting.get(number);
  if (!entry?.claimed) fail(`job ${number} was completed, but never claimed`);
  waiting.delete(number);
  done += 1;
  entry.resolve();
}

const name = (queue) => `bench-${queue}`;
const pushers = [];
const workers = [];
for (let at = 0; at < load.connections; at++) {
  const queue = name(at % load.queues);
  const pusher = new Queue(queue, { connection: connect() });
  pusher.on('error', (error) => fail(`queue: ${error.message}`));
  const worker = new Worker(queue, work, { connection: connect(), concurrency: load.depth * load.batch });
  worker.on('completed', completed);
  worker.on('error', (error) => fail(`worker: ${error.message}`));
  worker.on('failed', (job, error) => fail(`job ${job?.id} failed: ${error.message}`));
  pushers.push(pusher);
  workers.push(worker);
}
await Promise.all([...pushers, ...workers].map((each) => each.waitUntilReady()));

function entries(count) {
  const jobs = [];
  const ends = [];
  for (let at = 0; at < count; at++) {
    const number = sent++;
    ends.push(new Promise((resolve) => waiting.set(number, { resolve, claimed: false })));
    const opts = load.dedupe ? { ...OPTIONS, jobId: `k${number}` } : OPTIONS;
    jobs.push({ name: 'job', data: { p: payload(number) }, opts });
  }
  return { jobs, ends };
}

/** One command under way after the other: push a batch, then wait until all of it is completed. */
async function cycle(pusher, over, times) {
  while (!over()) {
    const { jobs, ends } = entries(load.batch);
    const begun = performance.now();
    if (jobs.length === 1) await pusher.add(jobs[0].name, jobs[0].data, jobs[0].opts);
    else await pusher.addBulk(jobs);
    times.push.push(performance.now() - begun);
    await Promise.all(ends);
    times.job.push(performance.now() - begun);
  }
}

function percentiles(times) {
  times.sort((one, other) => one - other);
  const at = (share) => 1e3 * (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
  return { count: times.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

async function measure(until) {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const [sentBefore, doneBefore] = [sent, done];
  const over = () =>
    until.jobs === undefined ? performance.now() - begun >= until.ms : sent - sentBefore >= until.jobs;
  const times = { push: [], job: [] };
  const loops = pushers.flatMap((pusher) => Array.from({ length: load.depth }, () => cycle(pusher, over, times)));
  await Promise.all(loops);
  const seconds = (performance.now() - begun) / 1e3;
  const used = process.cpuUsage(cpu);
  return {
    jobs: done - doneBefore,
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    push: percentiles(times.push),
    job: percentiles(times.job),
  };
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await measure(JSON.parse(line)))}\n`);
}
if (sent !== claimed || sent !== done || waiting.size > 0) {
  fail(`the books don't close: ${sent} jobs sent, ${claimed} claimed, ${done} completed`);
}
for (let queue = 0; queue < Math.min(load.queues, load.connections); queue++) {
  const counts = await pushers[queue].getJobCounts();
  const left = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (left > 0) fail(`all jobs are completed, but the queue still holds ${JSON.stringify(counts)}`);
}
await Promise.all(workers.map((worker) => worker.close()));
await Promise.all(pushers.map((pusher) => pusher.close()));
process.stdout.write('closed\n');
// The connections are ours and would keep the process alive.
process.exit(0);
