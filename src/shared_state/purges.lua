-- Adds to the log of what gateways have purged, and answers what a gateway does not know yet of it, in one step.
-- KEYS: the log (its last entries), its state. ARGV: the name of an era, should one begin; the era, the generation and the
-- entry the asker has followed up to; how many entries stay; entries to add.
-- Answers era, generation, last entry, whether the asker's place is known (else all may have been purged), and the news.
local era = redis.call('HGET', KEYS[2], 'era')
local n = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')
if not era then
  era, n = ARGV[1], 0
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'era', era)
  redis.call('HSET', KEYS[2], 'n', 0)
end
local length = redis.call('LLEN', KEYS[1])
local behind = n - tonumber(ARGV[3])
-- The entry at the asker's place must be the one it saw: a server may have come back with an older log and gone on.
local known = ARGV[2] == era and behind >= 0 and behind <= length
if known and tonumber(ARGV[3]) > 0 then
  known = behind < length and redis.call('LINDEX', KEYS[1], -1 - behind) == ARGV[4]
end
local news = {}
if known and behind > 0 then
  news = redis.call('LRANGE', KEYS[1], -behind, -1)
end
if #ARGV > 5 then
  for i = 6, #ARGV do
    redis.call('RPUSH', KEYS[1], ARGV[i])
    n = n + 1
  end
  redis.call('LTRIM', KEYS[1], -tonumber(ARGV[5]), -1)
  redis.call('HSET', KEYS[2], 'n', n)
  redis.call('PUBLISH', KEYS[1], n)
end
local answer = { era, tostring(n), redis.call('LINDEX', KEYS[1], -1) or '', known and '1' or '0' }
for i = 1, #news do
  answer[4 + i] = news[i]
end
return answer
