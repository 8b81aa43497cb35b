// What runs inside of Redis. A script runs whole, with nothing beside it: this is where the order of events is made.
//
//   {prefix}:log        hash: head, floor, time, bytes, epoch, epochs, replid, and `h<slot>`, each slot's last offset
//   {prefix}:s<slot>    stream: the events of the topics of a slot, ids `<offset>-0`
//   {prefix}:order      stream: one entry for each call, ids `<last offset>-0`: whose event each offset is, by slot
//   {prefix}:k<slot>    sorted set: topic and key → offset of the newest; y<slot>: topic, key and type → the same
//   {prefix}:topics     sorted set: topic → last offset; {prefix}:ends: topic → where it ended
//   {prefix}:trimmed    sorted set: topic and type → highest trimmed offset; trimmed:topics: topic → the same;
//                       trimmed:newest, trimmed:newest:topics: only such as were the newest of their key
//   {prefix}:requests   hash: idempotency key → its answer; requests:order: key → time
//
// Offsets are dense between floor and head. An entry carries `e`, the event, and `i`: its time, its slot's offset
// before, and its key's. So readers see for themselves when something is missing that nobody declared.
//
// Every call looks whether the log still is what it was: another replication id is another server, or one that came
// back from disk or from a replica, and may have lost its newest events; a head below what the caller has seen is
// another past. Both begin a new epoch.

import { scriptOf, type RedisScript } from './redis-script.ts'

/**
 * Stores requests, trims, and marks a place in the caller's own channel. KEYS: the log. ARGV: see redis-writer.ts.
 *
 * The first thing that it writes for a request is one that Redis refuses when its memory is full, so that nothing is
 * half written.
 */
export const COMMIT: RedisScript = scriptOf(`
local log = KEYS[1]
local prefix = string.sub(log, 1, -4)
local call, format, sub, unpackAt, packed = redis.call, string.format, string.sub, struct.unpack, struct.pack
local now, seenEpoch, seen, fresh = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local keepsHistory, eventsMax, bytesMax, ageMs = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local rowsMax, epochsMax = tonumber(ARGV[9]), tonumber(ARGV[10])
local keyMs, keysMax = tonumber(ARGV[11]), tonumber(ARGV[12])
local payload, requests, channel, number, wanted = ARGV[13], tonumber(ARGV[14]), ARGV[15], ARGV[16], ARGV[17]

local function int(value) return format('%.0f', value) end

if not now then
  local clock = call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
local replid = string.match(call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local known = call('HMGET', log, 'head', 'floor', 'time', 'bytes', 'forgotten', 'forgottenNewest', 'epoch', 'first',
  'terms', 'replid', 'history')
local head, floor, time, bytes = tonumber(known[1]), tonumber(known[2]), tonumber(known[3]), tonumber(known[4])
local forgotten, forgottenNewest = tonumber(known[5]) or 0, tonumber(known[6]) or 0
local epoch, first, terms = known[7], tonumber(known[8]), tonumber(known[9]) or 0

local function begin()
  epoch, first, terms = fresh, head + 1, terms + 1
  local rows = (call('HGET', log, 'epochs') or '') .. epoch .. ' ' .. int(first) .. '\\n'
  while terms > epochsMax do
    rows = sub(rows, string.find(rows, '\\n', 1, true) + 1)
    terms = terms - 1
  end
  call('HSET', log, 'epoch', epoch, 'first', int(first), 'terms', terms, 'epochs', rows, 'replid', replid)
end

if not head then
  head, floor, time, bytes = seen, seen, 0, 0
  call('HSET', log, 'head', int(head), 'floor', int(floor), 'time', 0, 'bytes', 0, 'history', keepsHistory)
  local names = {}
  for _, name in ipairs({ 'order', 'topics', 'ends', 'trimmed', 'trimmed:topics', 'trimmed:newest',
      'trimmed:newest:topics', 'requests', 'requests:order' }) do names[#names + 1] = prefix .. name end
  for slot = 0, 255 do
    names[#names + 1] = prefix .. 's' .. slot
    names[#names + 1] = prefix .. 'k' .. slot
    names[#names + 1] = prefix .. 'y' .. slot
  end
  call('UNLINK', unpack(names))
  begin()
elseif known[11] ~= keepsHistory then
  return redis.error_reply('HYDRANT history')
elseif known[10] ~= replid or (seenEpoch == epoch and seen > head) then
  begin()
end
if now > time then time = now end

local function addAll(key, scores)
  local args = {}
  for member, score in pairs(scores) do
    args[#args + 1] = score
    args[#args + 1] = member
    if #args == 2000 then
      call('ZADD', key, unpack(args))
      args = {}
    end
  end
  if #args > 0 then call('ZADD', key, unpack(args)) end
end

local function bound(key)
  local excess = call('ZCARD', key) - rowsMax
  if excess > 0 then call('ZREMRANGEBYRANK', key, 0, excess - 1) end
end

-- requests ------------------------------------------------------------------------------------------------------------

local base, appendedBytes = head, 0
local outcomes, order, touched, bySlot = {}, {}, {}, {}
local lastOf, endOf, answers, answerTimes = {}, {}, {}, {}
local hasEnds = requests > 0 and call('EXISTS', prefix .. 'ends') == 1

local function isEnded(topic)
  if endOf[topic] == nil then endOf[topic] = hasEnds and call('ZSCORE', prefix .. 'ends', topic) or false end
  return endOf[topic]
end

local function idAt(offset)
  if offset >= first then return epoch .. '-' .. int(offset) end
  local name = epoch
  for row, from in string.gmatch(call('HGET', log, 'epochs'), '(%S+) (%d+)\\n') do
    if tonumber(from) <= offset then name = row end
  end
  return name .. '-' .. int(offset)
end

local function lastIdOf(topic)
  local last = lastOf[topic] or call('ZSCORE', prefix .. 'topics', topic)
  return last and idAt(tonumber(last)) or 'none'
end

local function answerOf(key)
  local text = answers[key] or call('HGET', prefix .. 'requests', key)
  if not text then return nil end
  local at, answered, from, fingerprint = string.match(text, '^(%S+) (%S+) (%S+) (.*)$')
  if tonumber(at) <= time - keyMs then return nil end
  return fingerprint, answered .. ' ' .. from
end

local timeText
local function slotAt(slot)
  local last = call('HGET', log, 'h' .. slot) or '0'
  local at = { before = tonumber(last), last = last, records = {}, keys = {}, kinds = {} }
  at.stream = prefix .. 's' .. slot
  bySlot[slot] = at
  touched[#touched + 1] = slot
  return at
end

-- Stores the event whose head begins at a place of the payload. Answers the place behind it, or an error.
local function stored(from)
  local slot, bodyLength, body = unpackAt('>BI4', payload, from)
  local _, topicLength, typeLength, keyLength, texts = unpackAt('>BHHH', payload, body)
  local at = bySlot[slot] or slotAt(slot)
  local topic, bytesOf = sub(payload, texts, texts + topicLength - 1), sub(payload, body, body + bodyLength - 1)
  local offset = head + 1
  local text = int(offset)
  if keepsHistory == '1' then
    local keyFrom = texts + topicLength + typeLength
    local member = topic .. '\\n' .. sub(payload, keyFrom, keyFrom + keyLength - 1)
    at.kinds[member .. '\\n' .. sub(payload, texts + topicLength, keyFrom - 1)] = text
    local previous = at.keys[member] or call('ZSCORE', prefix .. 'k' .. slot, member) or '0'
    timeText = timeText or int(time)
    local id, info = text .. '-0', timeText .. ' ' .. at.last .. ' ' .. previous
    local added = redis.pcall('XADD', at.stream, id, 'e', bytesOf, 'i', info)
    if type(added) == 'table' and added.err then
      -- An entry beyond the head is none of this log's: somebody wrote it, or put an old copy of the log in its place.
      if not string.find(added.err, 'equal or smaller', 1, true) then return nil, added end
      call('UNLINK', at.stream)
      call('XADD', at.stream, id, 'e', bytesOf, 'i', info)
    end
    at.keys[member] = text
    appendedBytes = appendedBytes + bodyLength + 64
  end
  head, at.last = offset, text
  local records = at.records
  local count = #records
  records[count + 1] = packed('>I4I4', offset - base, bodyLength)
  records[count + 2] = bytesOf
  order[#order + 1] = sub(payload, from, from)
  lastOf[topic] = text
  if typeLength == 11 and sub(payload, texts + topicLength, texts + topicLength + 10) == 'hydrant:end' then
    endOf[topic], hasEnds = text, true
  end
  return body + bodyLength
end

local place = 1
for request = 1, requests do
  local keyLength, printLength, lastLength, count, length
  keyLength, printLength, lastLength, count, length, place = unpackAt('>HHHI4I4', payload, place)
  local key = sub(payload, place, place + keyLength - 1)
  local fingerprint = sub(payload, place + keyLength, place + keyLength + printLength - 1)
  local ifLast = sub(payload, place + keyLength + printLength, place + keyLength + printLength + lastLength - 1)
  local from = place + keyLength + printLength + lastLength
  place = from + length
  local outcome
  if keyLength > 0 then
    local print, answer = answerOf(key)
    if print then outcome = print == fingerprint and '=' .. answer or 'key' end
  end
  if not outcome and (hasEnds or lastLength > 0) then
    local at = from
    for event = 1, count do
      local _, bodyLength, body = unpackAt('>BI4', payload, at)
      local _, topicLength, _, _, texts = unpackAt('>BHHH', payload, body)
      local topic = sub(payload, texts, texts + topicLength - 1)
      if isEnded(topic) then
        outcome = 'ended ' .. topic
        break
      end
      if event == 1 and lastLength > 0 then
        local last = lastIdOf(topic)
        if last ~= ifLast then outcome = 'last ' .. last break end
      end
      at = body + bodyLength
    end
  end
  if not outcome then
    outcome = '+' .. epoch .. ' ' .. int(head + 1)
    local at = from
    for event = 1, count do
      local refused
      at, refused = stored(at)
      if refused then return refused end
    end
    if keyLength > 0 then
      answers[key] = int(time) .. ' ' .. epoch .. ' ' .. sub(outcome, 15) .. ' ' .. fingerprint
      answerTimes[key] = int(time)
    end
  end
  outcomes[request] = outcome
end

-- what they changed ---------------------------------------------------------------------------------------------------

if head > base then
  bytes = bytes + appendedBytes
  local fields = { 'head', int(head), 'time', int(time), 'bytes', int(bytes) }
  for _, slot in ipairs(touched) do
    fields[#fields + 1] = 'h' .. slot
    fields[#fields + 1] = bySlot[slot].last
    if keepsHistory == '1' then
      addAll(prefix .. 'k' .. slot, bySlot[slot].keys)
      addAll(prefix .. 'y' .. slot, bySlot[slot].kinds)
    end
  end
  call('HSET', log, unpack(fields))
  if keepsHistory == '1' then
    local id, slots = int(head) .. '-0', table.concat(order)
    call('XADD', prefix .. 'order', id, 's', slots, 'b', int(appendedBytes), 'm', int(time))
  end
  addAll(prefix .. 'topics', lastOf)
  bound(prefix .. 'topics')
  local ended = {}
  for topic in pairs(lastOf) do ended[topic] = endOf[topic] or nil end
  if next(ended) then
    addAll(prefix .. 'ends', ended)
    bound(prefix .. 'ends')
  end
  local slots = {}
  for at, slot in ipairs(touched) do slots[at] = string.char(slot) end
  slots = packed('>H', #slots) .. table.concat(slots)
  for _, slot in ipairs(touched) do
    local at = bySlot[slot]
    local place = packed('>dddd', base, head, time, at.before)
    call('SPUBLISH', prefix .. slot, epoch .. place .. slots .. table.concat(at.records))
  end
end
if next(answers) then
  local requestsKey, requestsOrder = prefix .. 'requests', prefix .. 'requests:order'
  for key, text in pairs(answers) do call('HSET', requestsKey, key, text) end
  addAll(requestsOrder, answerTimes)
  local old = call('ZRANGEBYSCORE', requestsOrder, '-inf', int(time - keyMs), 'LIMIT', 0, 1000)
  if #old == 0 then
    local excess = call('ZCARD', requestsOrder) - keysMax
    if excess > 0 then old = call('ZRANGE', requestsOrder, 0, math.min(excess, 1000) - 1) end
  end
  if #old > 0 then
    call('HDEL', requestsKey, unpack(old))
    call('ZREM', requestsOrder, unpack(old))
  end
end

-- retention -----------------------------------------------------------------------------------------------------------

local cut, cutSlots, left, budget, isCutAll = floor, {}, bytes, math.max(1000, 2 * (head - base)), false

local function measure(entry)
  local to, slots, size, at = tonumber(string.match(entry[1], '^%d+')), entry[2][2], entry[2][4], tonumber(entry[2][6])
  local from = to - #slots
  if from > cut then
    -- Calls that nobody remembers: their events go unseen.
    cut, isCutAll, forgotten, forgottenNewest = from, true, from, from
  end
  local events, each = to - cut, size / #slots
  local tooMany, tooLarge = head - cut - eventsMax, left - bytesMax
  local take = math.max(tooMany, math.ceil(tooLarge / each))
  if ageMs > 0 and at <= time - ageMs then take = events else take = math.min(take, events, head - 1 - cut) end
  take = math.min(take, budget)
  if take <= 0 then return false end
  for at = cut - from + 1, cut - from + take do cutSlots[string.byte(slots, at)] = true end
  cut, left, budget = cut + take, left - each * take, budget - take
  return take == events and budget > 0
end

local function isOver()
  return head - cut > eventsMax or left > bytesMax or ageMs > 0
end

-- Of all types together an event is noted by its topic, of some types by topic and type: what supersedes it differs.
local function trimSlot(slot, noted)
  local stream, keys, kinds = prefix .. 's' .. slot, prefix .. 'k' .. slot, prefix .. 'y' .. slot
  for _, entry in ipairs(call('XRANGE', stream, '-', int(cut) .. '-0')) do
    local text, body = string.match(entry[1], '^%d+'), entry[2][2]
    local flags, topicLength, typeLength, keyLength, at = unpackAt('>BHHH', body)
    local topic = sub(body, at, at + topicLength - 1)
    local kind = sub(body, at + topicLength, at + topicLength + typeLength - 1)
    at = at + topicLength + typeLength
    local member = topic .. '\\n' .. sub(body, at, at + keyLength - 1)
    local pair, kindMember = topic .. '\\n' .. kind, member .. '\\n' .. kind
    noted.pairs[pair], noted.topics[topic] = text, text
    local isNewest, isNewestKind = call('ZSCORE', keys, member) == text, call('ZSCORE', kinds, kindMember) == text
    if isNewest then call('ZREM', keys, member) end
    if isNewestKind then call('ZREM', kinds, kindMember) end
    if isNewest or keyLength == 0 then noted.newestTopics[topic] = text end
    if isNewestKind or keyLength == 0 then noted.newestPairs[pair] = text end
  end
  call('XTRIM', stream, 'MINID', int(cut + 1) .. '-0')
end

local function forget(pairsKey, topicsKey, highest)
  local excess = call('ZCARD', pairsKey) - rowsMax
  if excess <= 0 then return highest end
  local gone = call('ZPOPMIN', pairsKey, excess)
  highest = math.max(highest, tonumber(gone[#gone]))
  call('ZREMRANGEBYSCORE', topicsKey, '-inf', int(highest))
  return highest
end

if keepsHistory == '1' and isOver() then
  local isGoing, count = true, 1
  while isGoing do
    local page = call('XRANGE', prefix .. 'order', '(' .. int(cut) .. '-0', '+', 'COUNT', count)
    isGoing, count = #page > 0, 50
    for _, entry in ipairs(page) do
      isGoing = isOver() and measure(entry)
      if not isGoing then break end
    end
  end
  if cut > floor then
    local noted = { pairs = {}, topics = {}, newestPairs = {}, newestTopics = {} }
    for slot = 0, 255 do if isCutAll or cutSlots[slot] then trimSlot(slot, noted) end end
    call('XTRIM', prefix .. 'order', 'MINID', int(cut + 1) .. '-0')
    addAll(prefix .. 'trimmed', noted.pairs)
    addAll(prefix .. 'trimmed:topics', noted.topics)
    addAll(prefix .. 'trimmed:newest', noted.newestPairs)
    addAll(prefix .. 'trimmed:newest:topics', noted.newestTopics)
    forgotten = forget(prefix .. 'trimmed', prefix .. 'trimmed:topics', forgotten)
    forgottenNewest = forget(prefix .. 'trimmed:newest', prefix .. 'trimmed:newest:topics', forgottenNewest)
    floor, bytes = cut, math.max(0, left)
    call('HSET', log, 'floor', int(floor), 'bytes', int(bytes), 'forgotten', int(forgotten),
      'forgottenNewest', int(forgottenNewest))
  end
elseif keepsHistory == '0' and head > floor then
  floor = head
  call('HSET', log, 'floor', int(floor))
end

-- the mark ------------------------------------------------------------------------------------------------------------

if channel ~= '' then
  local mark = { number = number, epoch = epoch, head = int(head), floor = int(floor), bytes = int(bytes) }
  if epoch ~= seenEpoch then mark.epochs = call('HGET', log, 'epochs') end
  if #wanted > 0 then
    local fields = {}
    for at = 1, #wanted do fields[at] = 'h' .. string.byte(wanted, at) end
    local heads = call('HMGET', log, unpack(fields))
    for at = 1, #heads do heads[at] = heads[at] or '0' end
    mark.heads = heads
  end
  if #ARGV > 17 then
    local topics = {}
    for at = 18, #ARGV do topics[at - 17] = ARGV[at] end
    local ends = call('ZMSCORE', prefix .. 'ends', unpack(topics))
    for at = 1, #ends do ends[at] = ends[at] or '0' end
    mark.ends = ends
  end
  call('SPUBLISH', channel, cjson.encode(mark))
end
return { epoch, int(head), int(floor), int(bytes), outcomes }
`)
