<?php
// The conversation of tests/src/conversation.rs in PHP, with the extension phpredis.

declare(strict_types=1);

[, $host, $port] = $argv;
$redis = new Redis();
$redis->connect($host, (int) $port);
// A claim that blocks may wait as long as it likes.
$redis->setOption(Redis::OPT_READ_TIMEOUT, -1);
$redis->client('SETNAME', 'conversation');

check($redis->ping() === true);
check(str_starts_with($redis->info()['redis_version'], '7.2.'));
ok('connect');

check($redis->client('GETNAME') === 'conversation');
ok('handshake');

$options = ['GROUP', 'wiki', 'PRIORITY', 5, 'DEDUPE', 'once', 'STATUS'];
[$status, $id] = $redis->rawCommand('QPUSH', 'jobs', 'hello', ...$options);
check($status === 'ready' && strlen($id) === 16);
check($redis->rawCommand('QPUSH', 'jobs', 'hello', ...$options) === ['duplicate', $id]);
check(strlen($redis->rawCommand('QPUSH', 'binary', "\x00\r\n\xff")) === 16);
check($redis->exists('jobs', 'none') === 1);
ok('push');

$pipeline = $redis->pipeline();
for ($n = 0; $n < 100; $n++) {
    $pipeline->rawCommand('QPUSH', 'jobs', "job $n");
}
$ids = $pipeline->rawCommand('QLEN', 'jobs')->exec();
$ready = array_pop($ids);
check(count(array_unique($ids)) === 100 && $ready === 101);
ok('pipeline');

[$one, $two, $length] = $redis->multi()
    ->rawCommand('QPUSH', 'jobs', 'one')
    ->rawCommand('QPUSH', 'other', 'two')
    ->rawCommand('QLEN', 'other')
    ->exec();
check(strlen($one) === 16 && strlen($two) === 16 && $length === 1);
ok('transaction');

$jobs = $redis->rawCommand('QCLAIM', 'jobs', 'COUNT', 200, 'LEASE', 60000);
$payloads = ['hello', ...array_map(fn ($n) => "job $n", range(0, 99)), 'one'];
check(array_column($jobs, 2) === $payloads);
check(array_unique(array_column($jobs, 0)) === ['jobs'] && array_unique(array_column($jobs, 3)) === [1]);
ask('push jobs');
[$woken] = $redis->rawCommand('QCLAIM', 'jobs', 'BLOCK', 0);
check($woken[2] === 'woken');
check($redis->rawCommand('QCLAIM', 'none') === []);
ok('claim');

$receipts = array_column([...$jobs, $woken], 1);
check($redis->rawCommand('QACK', 'jobs', ...$receipts) === 103);
check($redis->rawCommand('QACK', 'jobs', ...$receipts) === 0);
[[, $receipt]] = $redis->rawCommand('QCLAIM', 'other');
check($redis->rawCommand('QNACK', 'other', $receipt, 'DELAY', 0, 'ERROR', 'not yet') === 'retry');
[[, $receipt, , $attempt, $details]] = $redis->rawCommand('QCLAIM', 'other', 'META');
check($attempt === 2 && as_map($details)['last-error'] === 'not yet');
check($redis->rawCommand('QACK', 'other', $receipt) === 1);
// phpredis says nil by false, as it says an error; getLastError tells them apart.
check($redis->rawCommand('QSTATS', 'none') === false && $redis->getLastError() === null);
check(as_map($redis->rawCommand('QSTATS', 'jobs'))['acked'] === 103);
ok('ack');

$redis->rawCommand('QPAUSE', 'jobs', 'PUSH');
check(str_starts_with(error_of($redis, 'QPUSH', 'jobs', 'x'), 'PAUSED '));
$redis->rawCommand('QRESUME', 'jobs');
check(str_contains(error_of($redis, 'QPUSH', 'jobs'), "wrong number of arguments for 'qpush' command"));
check(str_contains(error_of($redis, 'QPUSH', 'jobs', 'x', 'BOGUS'), 'BOGUS'));
check(str_contains(error_of($redis, 'EVAL', 'return 1', 0), 'QPUSH'));
check($redis->ping() === true);
ok('errors');

$other = new Redis();
$other->connect($host, (int) $port);
$redis->watch('watched');
$other->rawCommand('QPUSH', 'watched', 'meanwhile');
check($redis->multi()->rawCommand('QPUSH', 'watched', 'never')->exec() === false);
$redis->watch('watched');
check(count($redis->multi()->rawCommand('QPUSH', 'watched', 'now')->exec()) === 1);
check($redis->rawCommand('QLEN', 'watched') === 2);
ok('watch');

check($redis->publish('nowhere', 'hello') === 0);
$messages = [];
ask('publish');
$listen = function (Redis $other, string $channel, string $message) use (&$messages) {
    $messages[] = $channel . ' ' . strtok($message, ' ');
    if (count($messages) === 4) {
        $other->close();
    }
};
try {
    $other->subscribe(['news', '__job__:events'], $listen);
} catch (RedisException) {
    // It listens until the connection ends.
}
check($messages === ['news hello', '__job__:events pushed', '__job__:events claimed', '__job__:events acked']);
ok('subscribe');

$redis->rawCommand('QPUSH', 'jobs', 'kept');
ask('restart');
fgets(STDIN);
// phpredis looks at the socket before it sends, and connects again when the other side has closed it.
[[, $receipt, $payload]] = $redis->rawCommand('QCLAIM', 'jobs');
check($payload === 'kept' && $redis->rawCommand('QACK', 'jobs', $receipt) === 1);
ok('reconnect');

/** An error whose code is ERR is a reply of false and getLastError; any other one is an exception. */
function error_of(Redis $redis, mixed ...$command): string
{
    $redis->clearLastError();
    try {
        check($redis->rawCommand(...$command) === false);
        return $redis->getLastError() ?? 'no error';
    } catch (RedisException $error) {
        return $error->getMessage();
    }
}

/** RESP2 has no maps: one comes as a flat list. */
function as_map(array $reply): array
{
    return array_column(array_chunk($reply, 2), 1, 0);
}

function check(bool $condition): void
{
    $condition || throw new LogicException('not what was expected');
}

function ok(string $step): void
{
    echo "ok $step\n";
}

function ask(string $what): void
{
    echo "please $what\n";
}
