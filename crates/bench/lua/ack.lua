-- Ends a claimed job of a queue of JobQueueRedis's layout, written from its description.
-- KEYS  claimed zset, attempts, payloads
-- ARGV  the job's id
-- Returns 1, or 0 when the claim is over and the job belongs to someone else.
local claimed, attempts, payloads = unpack(KEYS)
if redis.call('ZREM', claimed, ARGV[1]) == 0 then
    return 0
end
redis.call('HDEL', attempts, ARGV[1])
return redis.call('HDEL', payloads, ARGV[1])
