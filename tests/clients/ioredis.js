// The conversation of tests/src/conversation.rs in JavaScript, with ioredis.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Redis, ReplyError } from 'ioredis';

const [host, port] = process.argv.slice(2);
const redis = new Redis({ host, port: Number(port), connectionName: 'conversation' });
// Without a listener every lost connection would be printed as unhandled; the client reconnects by itself.
redis.on('error', (error) => console.error(String(error)));

// ioredis speaks RESP2 only: a map comes as a flat array.
const asMap = (reply) => Object.fromEntries(reply.flatMap((key, i) => (i % 2 ? [] : [[key, reply[i + 1]]])));
const ok = (step) => console.log('ok', step);
const ask = (what) => console.log('please', what);

async function refused(text, ...words) {
  await assert.rejects(
    redis.call(...words),
    (error) => error instanceof ReplyError && error.message.includes(text),
  );
}

assert.equal(await redis.ping(), 'PONG');
assert.match(await redis.info(), /^redis_version:7\.2\./m);
ok('connect');

assert.equal(await redis.client('GETNAME'), 'conversation');
assert.match(await redis.client('INFO'), / resp=2/);
ok('handshake');

const options = ['GROUP', 'wiki', 'PRIORITY', 5, 'DEDUPE', 'once', 'STATUS'];
const [status, id] = await redis.call('QPUSH', 'jobs', 'hello', ...options);
assert.deepEqual([status, id.length], ['ready', 16]);
assert.deepEqual(await redis.call('QPUSH', 'jobs', 'hello', ...options), ['duplicate', id]);
assert.equal((await redis.call('QPUSH', 'binary', Buffer.from([0x00, 0x0d, 0x0a, 0xff]))).length, 16);
assert.equal(await redis.type('jobs'), 'queue');
assert.equal(await redis.exists('jobs', 'none'), 1);
ok('push');

const numbers = Array.from({ length: 100 }, (_, n) => n);
const pipeline = redis.pipeline();
numbers.forEach((n) => pipeline.call('QPUSH', 'jobs', `job ${n}`));
const replies = await pipeline.call('QLEN', 'jobs').exec();
assert.ok(replies.every(([error]) => error === null));
assert.equal(new Set(replies.map(([, reply]) => reply)).size, 101);
assert.equal(replies[100][1], 101);
ok('pipeline');

const transaction = await redis
  .multi()
  .call('QPUSH', 'jobs', 'one')
  .call('QPUSH', 'other', 'two')
  .call('QLEN', 'other')
  .exec();
const [one, two, length] = transaction.map(([, reply]) => reply);
assert.deepEqual([one.length, two.length, length], [16, 16, 1]);
ok('transaction');

const jobs = await redis.call('QCLAIM', 'jobs', 'COUNT', 200, 'LEASE', 60000);
assert.deepEqual(
  jobs.map(([queue, , payload, attempt]) => [queue, payload, attempt]),
  ['hello', ...numbers.map((n) => `job ${n}`), 'one'].map((payload) => ['jobs', payload, 1]),
);
// A claim that blocks has a connection of its own: whatever comes behind it on this one would wait, too.
const worker = redis.duplicate();
const claim = worker.call('QCLAIM', 'jobs', 'BLOCK', 0);
ask('push jobs');
assert.equal(await redis.echo('meanwhile'), 'meanwhile');
const [woken] = await claim;
assert.equal(woken[2], 'woken');
assert.deepEqual(await redis.call('QCLAIM', 'none'), []);
worker.disconnect();
ok('claim');

const receipts = [...jobs, woken].map(([, receipt]) => receipt);
assert.equal(await redis.call('QACK', 'jobs', receipts), 103);
assert.equal(await redis.call('QACK', 'jobs', receipts), 0);
const [[, first]] = await redis.call('QCLAIM', 'other');
assert.equal(await redis.call('QNACK', 'other', first, 'DELAY', 0, 'ERROR', 'not yet'), 'retry');
const [[, second, , attempt, details]] = await redis.call('QCLAIM', 'other', 'META');
assert.equal(attempt, 2);
assert.equal(asMap(details)['last-error'], 'not yet');
assert.equal(await redis.call('QACK', 'other', second), 1);
assert.equal(await redis.call('QSTATS', 'none'), null);
assert.equal(asMap(await redis.call('QSTATS', 'jobs')).acked, 103);
ok('ack');

await redis.call('QPAUSE', 'jobs', 'PUSH');
await refused('PAUSED', 'QPUSH', 'jobs', 'x');
await redis.call('QRESUME', 'jobs');
await refused("wrong number of arguments for 'qpush' command", 'QPUSH', 'jobs');
await refused('BOGUS', 'QPUSH', 'jobs', 'x', 'BOGUS');
await refused('QPUSH', 'EVAL', 'return 1', 0);
assert.equal(await redis.ping(), 'PONG');
ok('errors');

const other = redis.duplicate();
await redis.watch('watched');
await other.call('QPUSH', 'watched', 'meanwhile');
assert.equal(await redis.multi().call('QPUSH', 'watched', 'never').exec(), null);
await redis.watch('watched');
assert.equal((await redis.multi().call('QPUSH', 'watched', 'now').exec()).length, 1);
assert.equal(await redis.call('QLEN', 'watched'), 2);
ok('watch');

assert.equal(await redis.publish('nowhere', 'hello'), 0);
const messages = [];
await new Promise((resolve) => {
  other.on('message', (channel, message) => {
    if (messages.push([channel, message.split(' ')[0]]) === 4) resolve();
  });
  other.subscribe('news', '__job__:events').then(() => ask('publish'));
});
assert.deepEqual(messages, [
  ['news', 'hello'],
  ...['pushed', 'claimed', 'acked'].map((word) => ['__job__:events', word]),
]);
other.disconnect();
ok('subscribe');

await redis.call('QPUSH', 'jobs', 'kept');
ask('restart');
await once(process.stdin, 'data');
// ioredis keeps a command until it is connected again, and sends anew what had no reply yet.
const [[, receipt, payload]] = await redis.call('QCLAIM', 'jobs');
assert.equal(payload, 'kept');
assert.equal(await redis.call('QACK', 'jobs', receipt), 1);
assert.equal(await redis.client('GETNAME'), 'conversation');
ok('reconnect');

await redis.quit();
process.stdin.destroy();
