-- Says that a gateway (ARGV[1]) is there, and answers how many were in the last 15 seconds. KEYS[1]: the set of them.
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 15)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], 60)
return { redis.call('ZCARD', KEYS[1]) }
