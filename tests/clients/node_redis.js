// The conversation of tests/src/conversation.rs in JavaScript, with node-redis.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createClient, ErrorReply, WatchError } from 'redis';

const [protocol, host, port] = process.argv.slice(2).map((word, i) => (i === 1 ? word : Number(word)));
const client = createClient({ RESP: protocol, name: 'conversation', socket: { host, port } });
// Without a listener a lost connection would end the program; with one the client reconnects by itself.
client.on('error', (error) => console.error(String(error)));
await client.connect();

const call = (...words) => client.sendCommand(words.map((word) => (Buffer.isBuffer(word) ? word : String(word))));
// A map comes as an object on RESP3, as a flat array on RESP2.
const asMap = (reply) =>
  Array.isArray(reply)
    ? Object.fromEntries(reply.flatMap((key, i) => (i % 2 ? [] : [[key, reply[i + 1]]])))
    : reply;
const ok = (step) => console.log('ok', step);
const ask = (what) => console.log('please', what);

async function refused(text, ...words) {
  await assert.rejects(call(...words), (error) => error instanceof ErrorReply && error.message.includes(text));
}

assert.equal(await client.ping(), 'PONG');
assert.match(await client.info(), /^redis_version:7\.2\./m);
ok('connect');

assert.equal(await client.clientGetName(), 'conversation');
assert.equal((await client.clientInfo()).resp, protocol);
ok('handshake');

const options = ['GROUP', 'wiki', 'PRIORITY', 5, 'DEDUPE', 'once', 'STATUS'];
const [status, id] = await call('QPUSH', 'jobs', 'hello', ...options);
assert.deepEqual([status, id.length], ['ready', 16]);
assert.deepEqual(await call('QPUSH', 'jobs', 'hello', ...options), ['duplicate', id]);
assert.equal((await call('QPUSH', 'binary', Buffer.from([0x00, 0x0d, 0x0a, 0xff]))).length, 16);
assert.equal(await client.type('jobs'), 'queue');
assert.equal(await client.exists(['jobs', 'none']), 1);
ok('push');

// Commands of one turn of the event loop leave in one write.
const numbers = Array.from({ length: 100 }, (_, n) => n);
const pushes = numbers.map((n) => call('QPUSH', 'jobs', `job ${n}`));
const [ready, ...ids] = [await call('QLEN', 'jobs'), ...(await Promise.all(pushes))];
assert.equal(new Set(ids).size, 100);
assert.equal(ready, 101);
ok('pipeline');

const [one, two, length] = await client
  .multi()
  .addCommand(['QPUSH', 'jobs', 'one'])
  .addCommand(['QPUSH', 'other', 'two'])
  .addCommand(['QLEN', 'other'])
  .exec();
assert.deepEqual([one.length, two.length, length], [16, 16, 1]);
ok('transaction');

const jobs = await call('QCLAIM', 'jobs', 'COUNT', 200, 'LEASE', 60000);
assert.deepEqual(
  jobs.map(([queue, , payload, attempt]) => [queue, payload, attempt]),
  ['hello', ...numbers.map((n) => `job ${n}`), 'one'].map((payload) => ['jobs', payload, 1]),
);
// A claim that blocks has a connection of its own: whatever comes behind it on this one would wait, too.
const worker = client.duplicate();
await worker.connect();
const claim = worker.sendCommand(['QCLAIM', 'jobs', 'BLOCK', '0']);
ask('push jobs');
assert.equal(await client.echo('meanwhile'), 'meanwhile');
const [woken] = await claim;
assert.equal(woken[2], 'woken');
assert.deepEqual(await call('QCLAIM', 'none'), []);
worker.destroy();
ok('claim');

const receipts = [...jobs, woken].map(([, receipt]) => receipt);
assert.equal(await call('QACK', 'jobs', ...receipts), 103);
assert.equal(await call('QACK', 'jobs', ...receipts), 0);
const [[, first]] = await call('QCLAIM', 'other');
assert.equal(await call('QNACK', 'other', first, 'DELAY', 0, 'ERROR', 'not yet'), 'retry');
const [[, second, , attempt, details]] = await call('QCLAIM', 'other', 'META');
assert.equal(attempt, 2);
assert.equal(asMap(details)['last-error'], 'not yet');
assert.equal(await call('QACK', 'other', second), 1);
assert.equal(await call('QSTATS', 'none'), null);
assert.equal(asMap(await call('QSTATS', 'jobs')).acked, 103);
ok('ack');

await call('QPAUSE', 'jobs', 'PUSH');
await refused('PAUSED', 'QPUSH', 'jobs', 'x');
await call('QRESUME', 'jobs');
await refused("wrong number of arguments for 'qpush' command", 'QPUSH', 'jobs');
await refused('BOGUS', 'QPUSH', 'jobs', 'x', 'BOGUS');
await refused('QPUSH', 'EVAL', 'return 1', 0);
assert.equal(await client.ping(), 'PONG');
ok('errors');

const other = client.duplicate();
await other.connect();
await client.watch('watched');
await other.sendCommand(['QPUSH', 'watched', 'meanwhile']);
await assert.rejects(client.multi().addCommand(['QPUSH', 'watched', 'never']).exec(), WatchError);
await client.watch('watched');
assert.equal((await client.multi().addCommand(['QPUSH', 'watched', 'now']).exec()).length, 1);
assert.equal(await call('QLEN', 'watched'), 2);
ok('watch');

assert.equal(await client.publish('nowhere', 'hello'), 0);
const messages = [];
await new Promise((resolve) => {
  const listener = (message, channel) => {
    if (messages.push([channel, message.split(' ')[0]]) === 4) resolve();
  };
  other.subscribe(['news', '__job__:events'], listener).then(() => ask('publish'));
});
assert.deepEqual(messages, [
  ['news', 'hello'],
  ...['pushed', 'claimed', 'acked'].map((word) => ['__job__:events', word]),
]);
other.destroy();
ok('subscribe');

await call('QPUSH', 'jobs', 'kept');
const reconnected = new Promise((resolve) => client.once('ready', resolve));
ask('restart');
await once(process.stdin, 'data');
await reconnected;
const [[, receipt, payload]] = await call('QCLAIM', 'jobs');
assert.equal(payload, 'kept');
assert.equal(await call('QACK', 'jobs', receipt), 1);
assert.equal(await client.clientGetName(), 'conversation');
ok('reconnect');

await client.close();
process.stdin.destroy();
