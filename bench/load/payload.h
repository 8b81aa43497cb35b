/*
 * What an event holds: letters, or prices as a market's feed would publish them. Both have a length that never changes,
 * so that the next event is written over the last one; what compresses, and how well, is the prices' own doing.
 */
#pragma once
#include <stdint.h>
#include "options.h"

#define NO_MARK "#!000000000000000000000000!"
#define SYMBOLS 64
#define MS_PER_DAY 86400000ull

static const char *const quote_format = "{\"mark\":\"#!%016llx%08llx!\",\"symbol\":\"%c%c%c\",\"price\":%.2f,\"bid\":%.2f,"
  "\"ask\":%.2f,\"size\":%u,\"volume\":%u,\"time\":\"2026-01-31T%02u:%02u:%02u.%03uZ\"}";

/* Of each symbol: its price in cents, 100.10 to 998.90, and what was traded, always seven digits. */
static struct { unsigned cents, volume; } quotes[SYMBOLS];

/* Numbers that look random and are the same in every run: xorshift, from Marsaglia. */
static unsigned next_random(void)
{
  static uint32_t state = 2463534242u;
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

/* Prices walk by a few cents, each symbol by itself. Returns the length without the final zero byte. */
static size_t write_quote(char *at, size_t bytes_max, uint64_t due, uint64_t number)
{
  unsigned s = next_random() % SYMBOLS, size = 100 + next_random() % 9 * 100, ms = (unsigned)(due / 1000000 % MS_PER_DAY);
  unsigned walked = quotes[s].cents + next_random() % 21 - 10, volume = (quotes[s].volume + size) % 9000000;
  quotes[s].cents = walked < 10010 || walked > 99890 ? 10010 + next_random() % 89000 : walked;
  quotes[s].volume = volume;
  double price = quotes[s].cents / 100.0;
  return (size_t)snprintf(at, bytes_max, quote_format, (unsigned long long)due, (unsigned long long)number, 'A' + s % 26,
    'A' + s * 7 % 26, 'A' + s / 3 % 26, price, price - 0.01, price + 0.01, size, 1000000 + volume, ms / 3600000,
    ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* An event without its number: the marker first, or in the quote. */
static char *make_payload(void)
{
  if (opt.prices) {
    char quote[512];
    write_quote(quote, sizeof quote, 0, 0);
    return strdup(quote);
  }
  char *payload = calloc(1, (size_t)opt.bytes + 1);
  if (!payload) return NULL;
  for (long i = 0; i < opt.bytes; i++) payload[i] = (char)('a' + i % 26);
  memcpy(payload, NO_MARK, MARK_BYTES);
  return payload;
}

/* Writes the next event over the one that stands there. */
static void write_payload(char *at, uint64_t due, uint64_t number)
{
  char event[512];
  if (opt.prices) memcpy(at, event, write_quote(event, sizeof event, due, number));
  else {
    snprintf(event, sizeof event, "%016llx%08llx", (unsigned long long)due, (unsigned long long)number);
    memcpy(at + 2, event, 24);
  }
}
