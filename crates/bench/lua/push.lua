-- Adds jobs to a queue of JobQueueRedis's layout, written from its description.
-- KEYS  ready list, key of each id, id of each key, delayed zset, payloads, queues that have jobs
-- ARGV  the queue's name, then for each job: id, dedupe key or '', due time or 0, payload
-- Returns how many were added: a job whose dedupe key is held is dropped without a word.
local ready, key_by_id, id_by_key, delayed, payloads, busy = unpack(KEYS)
if (#ARGV - 1) % 4 ~= 0 then
    return redis.error_reply('Unmatched arguments')
end
local added = 0
for i = 2, #ARGV, 4 do
    local id, key, due, payload = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    if key == '' or redis.call('HEXISTS', id_by_key, key) == 0 then
        if due > 0 then
            redis.call('ZADD', delayed, due, id)
        else
            redis.call('LPUSH', ready, id)
        end
        if key ~= '' then
            redis.call('HSET', key_by_id, id, key)
            redis.call('HSET', id_by_key, key, id)
        end
        redis.call('HSET', payloads, id, payload)
        added = added + 1
    end
end
if added > 0 then
    redis.call('SADD', busy, ARGV[1])
end
return added
