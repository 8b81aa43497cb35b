/* Takes what a subscriber receives into account: each event's first arrival, its order, its lateness; and doubles. */
#pragma once
#include "conn.h"
#include "latency.h"

static void on_mark(struct stream *s, bool ok, uint64_t due, uint64_t number)
{
  struct conn *c = (struct conn *)s;
  if (c->role != READER) return;
  if (ok && opt.missed && (number < number_first || number >= plan.next)) {
    count.foreign++; /* what others publish meanwhile */
    return;
  }
  if (!ok || number < number_first || number >= plan.next) {
    count.garbled++;
    return;
  }
  if (opt.topics && number % (uint64_t)opt.topics != (uint64_t)(c - subscribers)) {
    count.garbled++; /* whole, but somebody else's */
    return;
  }
  number -= number_first;
  count.last_delivery = now;
  if (opt.missed) due = plan.start;
  uint8_t *seen = &c->seen[number / 8], bit = (uint8_t)(1 << number % 8);
  if (*seen & bit) {
    c->doubled++;
    return;
  }
  *seen |= bit;
  c->distinct++;
  count.distinct++;
  c->order = (c->order ^ number) * 0x100000001b3; /* as FNV-1a does it */
  uint64_t *above = &c->above[sender[number]];
  if (number < *above) c->reordered++;
  else *above = number;
  if (number >= (uint64_t)opt.warmup) add_latency(now > due ? now - due : 0);
}
