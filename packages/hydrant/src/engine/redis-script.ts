// Scripts that run inside of Redis: whole, and with nothing beside them. Here those that read; the one that writes is
// redis-commit-script.ts, which also says what is where.

import { createHash } from 'node:crypto'

/** A script and the name that Redis knows it by. */
export interface RedisScript {
  readonly text: string
  readonly sha: string
}

/**
 * Of topics and keys, or topics, keys and types, whose newest event is beyond an offset, the newest up to there. ARGV:
 * after, the offset, how many steps back it may take, `k` or `y`, slots. Answers slot and offset in turn; what the
 * steps do not suffice for is left out.
 */
export const STATE_BEFORE: RedisScript = scriptOf(`
local prefix = string.sub(KEYS[1], 1, -4)
local after, to, steps, index = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local found = {}

local function kindOf(body)
  local _, topicLength, typeLength, _, at = struct.unpack('>BHHH', body)
  return string.sub(body, at + topicLength, at + topicLength + typeLength - 1)
end

local function before(slot, offset, kind)
  while steps > 0 do
    steps = steps - 1
    local id = string.format('%.0f-0', offset)
    local entry = redis.call('XRANGE', prefix .. 's' .. slot, id, id)[1]
    if not entry then return 0 end
    if offset <= to and (not kind or kindOf(entry[2][2]) == kind) then return offset end
    offset = tonumber(string.match(entry[2][4], '%d+$'))
  end
  return 0
end

for at = 5, #ARGV do
  local slot = ARGV[at]
  local newer = redis.call('ZRANGEBYSCORE', prefix .. index .. slot, '(' .. ARGV[2], '+inf', 'WITHSCORES')
  for member = 1, #newer, 2 do
    local kind = index == 'y' and string.match(newer[member], '[^\\n]*$')
    local offset = before(slot, tonumber(newer[member + 1]), kind)
    if offset > after then
      found[#found + 1] = slot
      found[#found + 1] = string.format('%.0f', offset)
    end
  end
end
return found
`)

/** The offset before the first event at or after a time. ARGV: the time, the head to answer where there is none. */
export const SEEK_TIME: RedisScript = scriptOf(`
local order = string.sub(KEYS[1], 1, -4) .. 'order'
local since, high = tonumber(ARGV[1]), tonumber(ARGV[2])
local low = tonumber(redis.call('HGET', KEYS[1], 'floor')) or 0
local function firstAfter(offset)
  return redis.call('XRANGE', order, string.format('(%.0f-0', offset), '+', 'COUNT', 1)[1]
end
while low < high do
  local middle = math.floor((low + high) / 2)
  local entry = firstAfter(middle)
  if entry and tonumber(entry[2][6]) < since then
    low = math.min(high, tonumber(string.match(entry[1], '^%d+')))
  else
    high = middle
  end
end
return string.format('%.0f', low)
`)

/** A script by its text. */
export function scriptOf(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
