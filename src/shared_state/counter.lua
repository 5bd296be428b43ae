-- Decides on limits of which all gateways share the counts, by this server's clock.
--
-- KEYS: one a limit. ARGV: the moment in microseconds since 2026 (empty: this server's), then for each limit
--   kind   r: a rate (token bucket by GCRA) · s: a quota in a sliding window · m: a quota of a calendar month
--   how    e: enforced · o: by itself, of no matter to the others · f: forced, also below nothing (undo, later cost)
--   least, most: what the request must get, and what it may get; nothing at all (0, 0, by itself) is a look, and writes nothing
--   six numbers of the kind
-- Answer: 1 if taken, else 0; then for each limit what was granted, what remains, microseconds to wait.
-- All enforced limits or none: nothing is written for them if one refuses.
local EPOCH = 1767225600
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = (tonumber(time[1]) - EPOCH) * 1000000 + tonumber(time[2])
else
  now = tonumber(ARGV[1])
end
local seconds = math.floor(now / 1000000) + EPOCH

-- The state of a bucket is how far its theoretical arrival time lies ahead; kept as that moment.
local function rate(key, how, least, most, p)
  local interval, depth = p[1], p[2]
  local ahead = math.max(tonumber(redis.call('GET', key) or 0) - now, 0)
  local granted, wait = most, 0
  if how ~= 'f' then
    -- A twentieth of a microsecond of tolerance: moments are kept to about that.
    granted = math.max(math.min(most, math.floor((depth - ahead + 0.05) / interval)), 0)
    if granted < least then
      wait = ahead + least * interval - depth
      if least * interval > depth + 0.05 then wait = 1e15 end
      return 0, math.max(math.floor((depth - ahead + 0.05) / interval), 0), math.ceil(wait)
    end
  end
  ahead = math.max(ahead + granted * interval, 0)
  if most == 0 then
    return 0, math.max(math.floor((depth - ahead + 0.05) / interval), 0), math.ceil(ahead)
  end
  local function write()
    if ahead == 0 then
      redis.call('DEL', key)
    else
      redis.call('SET', key, string.format('%.17g', now + ahead), 'PX', string.format('%.0f', math.ceil(ahead / 1000) + 1000))
    end
  end
  return granted, math.max(math.floor((depth - ahead + 0.05) / interval), 0), math.ceil(ahead), write
end

-- A quota is kept as the number of its stretch, its count, and the count of the stretch before.
local function quota(key, how, least, most, kind, p)
  local count, number, ends, length = p[1], 0, 0, 0
  if kind == 's' then
    length = p[2]
    number = math.floor(seconds / length)
    ends = (number + 1) * length
  elseif seconds < p[3] then
    number, ends = p[2] - 1, p[3]
  elseif seconds < p[4] then
    number, ends = p[2], p[4]
  else
    number, ends = p[2] + 1, p[5]
  end
  local counted, before = 0, 0
  local state = redis.call('GET', key)
  if state then
    local n, c, b = string.match(state, '^(%d+) (%d+) (%d+)$')
    n = tonumber(n)
    if n == number then
      counted, before = tonumber(c), tonumber(b)
    elseif n == number - 1 then
      before = tonumber(c)
    end
  end
  local carried, inside = 0, math.max(ends - seconds, 0)
  if kind == 's' then
    carried = math.ceil(before * math.min(inside, length) / length)
  end
  local left = count - counted - carried
  local granted, wait = most, math.max(inside, 1)
  if how ~= 'f' then
    granted = math.max(math.min(most, left), 0)
    if granted < least then
      local room = count - least
      if kind == 's' and room >= 0 then
        local function part(of, fits) return math.min(math.floor(fits * length / math.max(of, 1)), length) end
        if room >= counted then
          wait = inside - part(before, room - counted)
        else
          wait = inside + length - part(counted, room)
        end
      end
      return 0, math.max(left, 0), math.max(wait, 1) * 1000000
    end
  end
  counted = math.max(counted + granted, 0)
  if most == 0 then
    return 0, math.max(count - counted - carried, 0), wait * 1000000
  end
  local function write()
    local keep = math.max(inside, 0) + length + 60
    redis.call('SET', key, string.format('%.0f %.0f %.0f', number, counted, before), 'EX', string.format('%.0f', keep))
  end
  return granted, math.max(count - counted - carried, 0), wait * 1000000, write
end

local answers, writes, refused = { 1 }, {}, false
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 10
  local kind, how = ARGV[at], ARGV[at + 1]
  local least, most, p = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), {}
  for n = 1, 6 do p[n] = tonumber(ARGV[at + 3 + n]) end
  local granted, remaining, wait, write
  if kind == 'r' then
    granted, remaining, wait, write = rate(key, how, least, most, p)
  else
    granted, remaining, wait, write = quota(key, how, least, most, kind, p)
  end
  if write == nil then
    refused = refused or how == 'e'
  elseif how == 'e' then
    writes[#writes + 1] = write
  else
    write()
  end
  answers[#answers + 1] = granted
  answers[#answers + 1] = remaining
  answers[#answers + 1] = wait
end
if refused then
  answers[1] = 0
else
  for _, write in ipairs(writes) do write() end
end
return answers
