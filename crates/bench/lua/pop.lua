-- Claims the oldest ready job of a queue of JobQueueRedis's layout, written from its description.
-- KEYS  ready list, key of each id, id of each key, claimed zset, attempts, payloads
-- ARGV  the client's time in seconds
-- Returns the payload, or nil when nothing is ready. From here on the dedupe key is free again.
local ready, key_by_id, id_by_key, claimed, attempts, payloads = unpack(KEYS)
local id = redis.call('RPOP', ready)
if not id then
    return false
end
local key = redis.call('HGET', key_by_id, id)
if key then
    redis.call('HDEL', id_by_key, key)
end
redis.call('HDEL', key_by_id, id)
redis.call('ZADD', claimed, ARGV[1], id)
redis.call('HINCRBY', attempts, id, 1)
return redis.call('HGET', payloads, id)
