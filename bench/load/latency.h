/* Latencies, counted in buckets: 128 for each power of two nanoseconds, so each is under 0.8 % wide. */
#pragma once
#include <stdint.h>

#define LATENCY_BUCKETS (58 * 128)

static struct { uint64_t bucket[LATENCY_BUCKETS], total, max; } latency;

static void add_latency(uint64_t v)
{
  int power = 63 - __builtin_clzll(v | 128);
  latency.bucket[(power - 7) * 128 + (int)(v >> (power - 7))]++;
  latency.total++;
  if (v > latency.max) latency.max = v;
}

/* The latency in ms that this share of all deliveries did not exceed. */
static double latency_ms(double share)
{
  uint64_t left = (uint64_t)(share * (double)latency.total), i = 0;
  while (i < LATENCY_BUCKETS - 1 && latency.bucket[i] <= left) left -= latency.bucket[i++];
  uint64_t top = i < 256 ? i : (i % 128 + 129) << (i / 128 - 1);
  return (double)(top < latency.max ? top : latency.max) / 1e6;
}
