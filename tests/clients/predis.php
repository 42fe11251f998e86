<?php
// The conversation of tests/src/conversation.rs in PHP, with Predis.

declare(strict_types=1);

require 'Predis/Autoloader.php';
Predis\Autoloader::register();

use Predis\Command\RawCommand;

[, $host, $port] = $argv;
// A claim that blocks may wait as long as it likes.
$client = new Predis\Client(['host' => $host, 'port' => (int) $port, 'read_write_timeout' => -1]);
$client->client('SETNAME', 'conversation');

check((string) $client->ping() === 'PONG');
check(str_starts_with($client->info()['Server']['redis_version'], '7.2.'));
ok('connect');

check($client->client('GETNAME') === 'conversation');
ok('handshake');

$options = ['GROUP', 'wiki', 'PRIORITY', 5, 'DEDUPE', 'once', 'STATUS'];
[$status, $id] = call('QPUSH', 'jobs', 'hello', ...$options);
check($status === 'ready' && strlen($id) === 16);
check(call('QPUSH', 'jobs', 'hello', ...$options) === ['duplicate', $id]);
check(strlen(call('QPUSH', 'binary', "\x00\r\n\xff")) === 16);
check((string) $client->type('jobs') === 'queue' && $client->exists('jobs', 'none') === 1);
ok('push');

$ids = $client->pipeline(function ($pipeline) {
    for ($n = 0; $n < 100; $n++) {
        $pipeline->executeCommand(new RawCommand(['QPUSH', 'jobs', "job $n"]));
    }
    $pipeline->executeCommand(new RawCommand(['QLEN', 'jobs']));
});
$ready = array_pop($ids);
check(count(array_unique($ids)) === 100 && $ready === 101);
ok('pipeline');

[$one, $two, $length] = $client->transaction(function ($transaction) {
    $transaction->executeCommand(new RawCommand(['QPUSH', 'jobs', 'one']));
    $transaction->executeCommand(new RawCommand(['QPUSH', 'other', 'two']));
    $transaction->executeCommand(new RawCommand(['QLEN', 'other']));
});
check(strlen($one) === 16 && strlen($two) === 16 && $length === 1);
ok('transaction');

$jobs = call('QCLAIM', 'jobs', 'COUNT', 200, 'LEASE', 60000);
$payloads = ['hello', ...array_map(fn ($n) => "job $n", range(0, 99)), 'one'];
check(array_column($jobs, 2) === $payloads);
check(array_unique(array_column($jobs, 0)) === ['jobs'] && array_unique(array_column($jobs, 3)) === [1]);
ask('push jobs');
[$woken] = call('QCLAIM', 'jobs', 'BLOCK', 0);
check($woken[2] === 'woken');
check(call('QCLAIM', 'none') === []);
ok('claim');

$receipts = array_column([...$jobs, $woken], 1);
check(call('QACK', 'jobs', ...$receipts) === 103);
check(call('QACK', 'jobs', ...$receipts) === 0);
[[, $receipt]] = call('QCLAIM', 'other');
check(call('QNACK', 'other', $receipt, 'DELAY', 0, 'ERROR', 'not yet') === 'retry');
[[, $receipt, , $attempt, $details]] = call('QCLAIM', 'other', 'META');
check($attempt === 2 && as_map($details)['last-error'] === 'not yet');
check(call('QACK', 'other', $receipt) === 1);
check(call('QSTATS', 'none') === null);
check(as_map(call('QSTATS', 'jobs'))['acked'] === 103);
ok('ack');

call('QPAUSE', 'jobs', 'PUSH');
check(str_starts_with(error_of('QPUSH', 'jobs', 'x'), 'PAUSED '));
call('QRESUME', 'jobs');
check(str_contains(error_of('QPUSH', 'jobs'), "wrong number of arguments for 'qpush' command"));
check(str_contains(error_of('QPUSH', 'jobs', 'x', 'BOGUS'), 'BOGUS'));
check(str_contains(error_of('EVAL', 'return 1', 0), 'QPUSH'));
check((string) $client->ping() === 'PONG');
ok('errors');

$other = new Predis\Client(['host' => $host, 'port' => (int) $port, 'read_write_timeout' => -1]);
$push_watched = fn (bool $meanwhile) => $client->transaction(
    ['watch' => 'watched', 'cas' => true],
    function ($transaction) use ($other, $meanwhile) {
        // Predis watches as soon as something is asked.
        $transaction->executeCommand(new RawCommand(['QLEN', 'watched']));
        if ($meanwhile) {
            $other->executeCommand(new RawCommand(['QPUSH', 'watched', 'meanwhile']));
        }
        $transaction->multi();
        $transaction->executeCommand(new RawCommand(['QPUSH', 'watched', $meanwhile ? 'never' : 'now']));
    },
);
try {
    $push_watched(meanwhile: true);
    check(false);
} catch (Predis\Transaction\AbortedMultiExecException) {
}
check(count($push_watched(meanwhile: false)) === 1);
check(call('QLEN', 'watched') === 2);
ok('watch');

check($client->publish('nowhere', 'hello') === 0);
$messages = [];
ask('publish');
$subscription = $other->pubSubLoop(['subscribe' => ['news', '__job__:events']]);
foreach ($subscription as $message) {
    if ($message->kind === 'message') {
        $messages[] = $message->channel . ' ' . strtok($message->payload, ' ');
    }
    if (count($messages) === 4) {
        $subscription->stop();
    }
}
check($messages === ['news hello', '__job__:events pushed', '__job__:events claimed', '__job__:events acked']);
ok('subscribe');

call('QPUSH', 'jobs', 'kept');
ask('restart');
fgets(STDIN);
// Predis says that the connection is lost and leaves the rest to us: the next command makes a new one.
try {
    $claimed = call('QCLAIM', 'jobs');
} catch (Predis\Connection\ConnectionException) {
    $claimed = call('QCLAIM', 'jobs');
}
[[, $receipt, $payload]] = $claimed;
check($payload === 'kept' && call('QACK', 'jobs', $receipt) === 1);
ok('reconnect');

function call(mixed ...$command): mixed
{
    global $client;
    return $client->executeCommand(new RawCommand($command));
}

function error_of(mixed ...$command): string
{
    try {
        call(...$command);
        return 'no error';
    } catch (Predis\Response\ServerException $error) {
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
