# frozen_string_literal: true

# The conversation of tests/src/conversation.rs in Ruby, with redis-rb.

require 'redis'

$stdout.sync = true

def ok(step) = puts("ok #{step}")
def ask(what) = puts("please #{what}")

def check(condition)
  raise 'not what was expected' unless condition
end

# RESP2 has no maps: one comes as a flat list.
def as_map(reply) = reply.each_slice(2).to_h

def error_of(redis, *command)
  redis.call(*command)
  'no error'
rescue Redis::CommandError => e
  e.message
end

host, port = ARGV
# Without a limit on reading, so that a claim that blocks may wait as long as it likes.
redis = Redis.new(host: host, port: Integer(port), read_timeout: 0)
redis.call('CLIENT', 'SETNAME', 'conversation')

check(redis.ping == 'PONG')
check(redis.info['redis_version'].start_with?('7.2.'))
ok('connect')

check(redis.call('CLIENT', 'GETNAME') == 'conversation')
ok('handshake')

options = ['GROUP', 'wiki', 'PRIORITY', 5, 'DEDUPE', 'once', 'STATUS']
status, id = redis.call('QPUSH', 'jobs', 'hello', *options)
check(status == 'ready' && id.size == 16)
check(redis.call('QPUSH', 'jobs', 'hello', *options) == ['duplicate', id])
check(redis.call('QPUSH', 'binary', "\x00\r\n\xff".b).size == 16)
check(redis.type('jobs') == 'queue' && redis.exists('jobs', 'none') == 1)
ok('push')

*ids, ready = redis.pipelined do |pipeline|
  100.times { |n| pipeline.call(['QPUSH', 'jobs', "job #{n}"]) }
  pipeline.call(%w[QLEN jobs])
end
check(ids.uniq.size == 100 && ready == 101)
ok('pipeline')

one, two, length = redis.multi do |transaction|
  transaction.call(%w[QPUSH jobs one])
  transaction.call(%w[QPUSH other two])
  transaction.call(%w[QLEN other])
end
check(one.size == 16 && two.size == 16 && length == 1)
ok('transaction')

jobs = redis.call('QCLAIM', 'jobs', 'COUNT', 200, 'LEASE', 60_000)
payloads = ['hello', *100.times.map { |n| "job #{n}" }, 'one']
check(jobs.map { |queue, _, payload, attempt| [queue, payload, attempt] } == payloads.map { |p| ['jobs', p, 1] })
ask('push jobs')
woken, = redis.call('QCLAIM', 'jobs', 'BLOCK', 0)
check(woken[2] == 'woken')
check(redis.call('QCLAIM', 'none') == [])
ok('claim')

receipts = [*jobs, woken].map { |_, receipt| receipt }
check(redis.call('QACK', 'jobs', *receipts) == 103)
check(redis.call('QACK', 'jobs', *receipts).zero?)
(_, receipt), = redis.call('QCLAIM', 'other')
check(redis.call('QNACK', 'other', receipt, 'DELAY', 0, 'ERROR', 'not yet') == 'retry')
(_, receipt, _, attempt, details), = redis.call('QCLAIM', 'other', 'META')
check(attempt == 2 && as_map(details)['last-error'] == 'not yet')
check(redis.call('QACK', 'other', receipt) == 1)
check(redis.call('QSTATS', 'none').nil?)
check(as_map(redis.call('QSTATS', 'jobs'))['acked'] == 103)
ok('ack')

redis.call('QPAUSE', 'jobs', 'PUSH')
check(error_of(redis, 'QPUSH', 'jobs', 'x').start_with?('PAUSED '))
redis.call('QRESUME', 'jobs')
check(error_of(redis, 'QPUSH', 'jobs').include?("wrong number of arguments for 'qpush' command"))
check(error_of(redis, 'QPUSH', 'jobs', 'x', 'BOGUS').include?('BOGUS'))
check(error_of(redis, 'EVAL', 'return 1', 0).include?('QPUSH'))
check(redis.ping == 'PONG')
ok('errors')

other = Redis.new(host: host, port: Integer(port), read_timeout: 0)
aborted = redis.watch('watched') do
  other.call('QPUSH', 'watched', 'meanwhile')
  redis.multi { |transaction| transaction.call(%w[QPUSH watched never]) }
end
check(aborted.nil?)
done = redis.watch('watched') do
  redis.multi { |transaction| transaction.call(%w[QPUSH watched now]) }
end
check(done.size == 1 && redis.call('QLEN', 'watched') == 2)
ok('watch')

check(redis.publish('nowhere', 'hello').zero?)
messages = []
ask('publish')
other.subscribe('news', '__job__:events') do |on|
  on.message do |channel, message|
    messages << "#{channel} #{message.split.first}"
    other.unsubscribe if messages.size == 4
  end
end
check(messages == ['news hello', '__job__:events pushed', '__job__:events claimed', '__job__:events acked'])
ok('subscribe')

redis.call('QPUSH', 'jobs', 'kept')
ask('restart')
$stdin.gets
# redis-rb connects again by itself, once a command.
(_, receipt, payload), = redis.call('QCLAIM', 'jobs')
check(payload == 'kept' && redis.call('QACK', 'jobs', receipt) == 1)
ok('reconnect')
