"""The scripts of :mod:`pipelines.leases.redis`: the rules of ``rules.py``, told to Redis.

A test plays the same random steps by both.
"""

from __future__ import annotations

from typing import Final

from pipelines.lease import NUDGED, REMEMBERED
from pipelines.leases.rules import NOTHING, SKEW

MOST_NUDGES: Final = 10_000
"""Nudges kept at most; the sweep finds what the oldest were about."""

# KEYS: hash, index by end, index by beat. A record is read and written whole. Its numbers travel as
# text: Redis cuts those that a script returns, and Lua rounds those that it prints.
_RECORD: Final = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local function stored(key)
  local f = redis.call('HMGET', key, 'name', 'epoch', 'holder', 'state', 'at', 'until', 'gone')
  if f[1] then
    return {{name = f[1], epoch = tonumber(f[2]), holder = f[3], state = f[4],
            at = tonumber(f[5]), ends = tonumber(f[6]), gone = f[7] == '1'}}
  end
end

local function left(record)
  if record.at <= now + {SKEW} then
    return record.ends - now
  end
  return 0
end

local function is_alive(record)
  return not record.gone and left(record) > 0
end

local function told(answer, record)
  return {{answer, string.format('%.0f', record.epoch), record.holder, record.state,
          string.format('%.6f', left(record)), string.format('%.6f', math.max(0, now - record.at)),
          record.name}}
end

local function keep(name, epoch, holder, state, ttl, gone)
  redis.call('HSET', KEYS[1], 'name', name, 'epoch', string.format('%.0f', epoch),
    'holder', holder, 'state', state, 'at', string.format('%.6f', now),
    'until', string.format('%.6f', now + ttl), 'gone', gone and '1' or '0')
  redis.call('EXPIRE', KEYS[1], math.ceil(ttl) + {REMEMBERED})
  -- Some are never listed, nor released. Of these the hashes are gone by themselves.
  local old = string.format('(%.6f', now - {REMEMBERED + 1})
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', old, 'LIMIT', 0, 100)) do
    redis.call('ZREM', KEYS[2], one)
    redis.call('ZREM', KEYS[3], one)
  end
  if gone then
    redis.call('ZREM', KEYS[2], name)
    redis.call('ZREM', KEYS[3], name)
  else
    redis.call('ZADD', KEYS[2], string.format('%.6f', now + ttl), name)
    redis.call('ZADD', KEYS[3], string.format('%.6f', now), name)
  end
  return told('yes', stored(KEYS[1]))
end
"""

# ARGV: name, holder, epoch, ttl, state.
CLAIM: Final = f"""{_RECORD}
local was = stored(KEYS[1])
local epoch = tonumber(ARGV[3])
if was then
  local same = not was.gone and (was.holder == ARGV[2] or was.holder == '')
  if not same and is_alive(was) then
    return told('no', was)
  end
  epoch = math.max(epoch, same and was.epoch or was.epoch + 1)
end
return keep(ARGV[1], epoch, ARGV[2], ARGV[5], tonumber(ARGV[4]))
"""

# ARGV: name, holder, epoch, ttl, state.
BEAT: Final = f"""{_RECORD}
local was = stored(KEYS[1])
local epoch = tonumber(ARGV[3])
if was and was.epoch >= epoch then
  local same = was.epoch == epoch and (was.holder == ARGV[2] or was.holder == '')
  if was.gone or not same then
    return told('no', was)
  end
end
return keep(ARGV[1], epoch, ARGV[2], ARGV[5], tonumber(ARGV[4]))
"""

# ARGV: name, epoch, floor, ttl, state, force.
TAKE: Final = f"""{_RECORD}
local was = stored(KEYS[1])
local epoch = tonumber(ARGV[2])
if was and (was.epoch > epoch
    or (is_alive(was) and ARGV[6] == '0')
    or (was.gone and was.epoch == epoch)) then
  return told('no', was)
end
return keep(ARGV[1], math.max(epoch, tonumber(ARGV[3])) + 1, '', ARGV[5], tonumber(ARGV[4]))
"""

# KEYS: as above, and the tombstone; ARGV: name, epoch, kind of the tombstone or ''.
RELEASE: Final = f"""{_RECORD}
local was = stored(KEYS[1])
if was and was.epoch > tonumber(ARGV[2]) then
  return
end
keep(ARGV[1], tonumber(ARGV[2]), '', '{NOTHING}', 0, true)
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[4], ARGV[3], 'EX', {REMEMBERED})
end
"""

READ: Final = f"""{_RECORD}
local was = stored(KEYS[1])
if was and not was.gone then
  return told('yes', was)
end
"""

# KEYS: index by end, with which the hashes' keys begin, index by beat; ARGV: only expired ones.
# Those of a clock that was set back have their beat in the future.
LEASES: Final = f"""{_RECORD}
local until_now = ARGV[1] == '1' and string.format('%.6f', now) or '+inf'
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', until_now)
if ARGV[1] == '1' then
  local future = string.format('(%.6f', now + {SKEW})
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], future, '+inf')) do
    names[#names + 1] = name
  end
end
local found = {{}}
for _, name in ipairs(names) do
  local was = stored(KEYS[1] .. ':' .. name)
  if was then
    found[#found + 1] = told('yes', was)
  else
    redis.call('ZREM', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
  end
end
return found
"""

# KEYS: tombstone; ARGV: kind.
CLEAR: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""

# KEYS: sorted set by time; ARGV: kind and room.
NUDGE: Final = f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], string.format('%.6f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.6f', now - {NUDGED}))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -{MOST_NUDGES + 1})
redis.call('EXPIRE', KEYS[1], {NUDGED})
"""

# KEYS: sorted set by time; ARGV: since when, not included.
NUDGES: Final = """
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES')
"""

TIME: Final = "return redis.call('TIME')"
