/* What a run has found: one JSON object for programs, two lines for people. */
#pragma once
#include "account.h"
#include "conn.h"
#include "latency.h"
#include "storm.h"

/* What is known of a run beside the counts. The server's cost: before anyone connects, before and after idling, and
   around the measured events. */
struct run {
  struct cost before, idle, held, start, end;
  double connect_s, wall_s, own_cpu_s, busy_s, metered_s; /* busy: the watched CPUs, in the metered time */
  uint64_t planned, reads, bytes;
  long closed;
};

/* Sums over all readers. wrong: readers that lost, doubled or reordered; apart: complete, but in another order. */
struct sums { uint64_t lost, doubled, reordered, wrong, apart; };

static double per(double a, double b) { return b > 0 ? a / b : 0; }

/* A server that has died has no figures left. */
static double since(double end, double start) { return end > start ? end - start : 0; }

static void field(const char *name, double value) { printf(",\"%s\":%.15g", name, value); }

/* A field cut to four places, which keeps figures readable. */
static void figure(const char *name, double value) { field(name, (double)(long long)(value * 1e4) / 1e4); }

static struct sums sum_up(void)
{
  struct sums sums = { 0 };
  struct conn *first = NULL;
  for (struct conn *c = subscribers; c < subscribers + opt.clients; c++) {
    if (!c->joined) continue;
    uint64_t planned = due_to(c, plan.next - number_first);
    sums.lost += planned - c->distinct;
    sums.doubled += c->doubled;
    sums.reordered += c->reordered;
    sums.wrong += c->distinct < planned || c->doubled || c->reordered;
    if (c->distinct < planned || opt.topics) continue;
    if (!first) first = c;
    sums.apart += c->order != first->order;
  }
  return sums;
}

static void report_counts(const struct run *run, const struct sums *sums)
{
  field("clients", (double)count.readers);
  field("slow", (double)count.slow);
  field("refused", (double)count.refused);
  field("closed", (double)run->closed);
  field("slowClosed", (double)count.slow_closed);
  figure("connectS", run->connect_s);
  field("published", opt.missed ? 0 : (double)plan.next);
  field("answered", (double)count.answered);
  field("publishFailed", (double)count.failed);
  field("arrived", (double)count.distinct);
  field("lost", (double)sums->lost);
  field("doubled", (double)sums->doubled);
  field("reordered", (double)sums->reordered);
  field("garbled", (double)count.garbled);
  field("foreign", (double)count.foreign);
  field("clientsWrong", (double)sums->wrong);
  field("clientsApart", (double)sums->apart);
  field("compressed", (double)count.compressed);
}

/* All about the measured deliveries, the warm-up's left out. */
static void report_deliveries(const struct run *run)
{
  double delivered = (double)latency.total;
  field("delivered", delivered);
  figure("wallS", run->wall_s);
  figure("deliveriesPerS", per(delivered, run->wall_s));
  field("reads", (double)run->reads);
  field("bytesReceived", (double)run->bytes);
  figure("bytesPerDelivery", per((double)run->bytes, delivered));
  figure("eventsPerRead", per(delivered, (double)run->reads));
  figure("p50Ms", latency_ms(0.5));
  figure("p99Ms", latency_ms(0.99));
  figure("maxMs", (double)latency.max / 1e6);
  figure("backMs", storm.back > storm.cut ? (double)(storm.back - storm.cut) / 1e6 : 0);
  figure("publishLagMaxMs", (double)count.lag_max / 1e6);
}

static void report_cost(const struct run *run)
{
  double delivered = (double)latency.total, users = (double)(count.readers + count.slow);
  double user_s = since(run->end.user_s, run->start.user_s), sys_s = since(run->end.sys_s, run->start.sys_s);
  figure("serverUserS", user_s);
  figure("serverSysS", sys_s);
  figure("usPerDelivery", per((user_s + sys_s) * 1e6, delivered));
  figure("userUsPerDelivery", per(user_s * 1e6, delivered));
  field("rssBeforeKb", run->before.rss_kb);
  field("rssConnectedKb", run->held.rss_kb);
  field("rssPeakKb", count.rss_peak_kb);
  figure("rssPerClientKb", per(run->held.rss_kb - run->before.rss_kb, users));
  figure("idleS", opt.idle_s);
  figure("idleCpuS", since(run->held.user_s + run->held.sys_s, run->idle.user_s + run->idle.sys_s));
  figure("ownCpuShare", per(run->own_cpu_s, run->wall_s));
  figure("othersCpuShare", per(since(run->busy_s, run->own_cpu_s + user_s + sys_s), run->metered_s));
}

static void tell(const struct run *run, const struct sums *sums, bool exact)
{
  double delivered = (double)latency.total;
  double cpu_s = since(run->end.user_s + run->end.sys_s, run->start.user_s + run->start.sys_s);
  fprintf(stderr, "load: %s: %llu events to %ld %s clients; lost %llu, doubled %llu, reordered %llu, apart %llu, "
    "closed %ld, refused %ld, publishing failed %ld\n", exact ? "exact" : "NOT EXACT", (unsigned long long)(plan.next - number_first),
    count.readers, opt.protocol, (unsigned long long)sums->lost, (unsigned long long)sums->doubled,
    (unsigned long long)sums->reordered, (unsigned long long)sums->apart, run->closed, count.refused, count.failed);
  fprintf(stderr, "load: %.0f deliveries/s, %.2f a read, p50 %.2f p99 %.2f ms; server %.2f us each, memory %.0f, "
    "connected %.0f, peak %.0f kB\n", per(delivered, run->wall_s), per(delivered, (double)run->reads), latency_ms(0.5),
    latency_ms(0.99), per(cpu_s * 1e6, delivered), run->before.rss_kb, run->held.rss_kb, count.rss_peak_kb);
  if (per(run->own_cpu_s, run->wall_s) > 0.9) fputs("load: WARNING: this program had its core full\n", stderr);
}

/* Prints everything. True when all that was planned arrived exactly once and in order, everywhere. */
static bool report(const struct run *run)
{
  struct sums sums = sum_up();
  bool whole = plan.next - number_first == run->planned && !count.failed && !count.refused && !run->closed;
  bool exact = whole && !sums.wrong && !sums.apart && !count.garbled;
  const char *exactly = exact ? "true" : "false";
  printf("{\"protocol\":\"%s\",\"publish\":\"%s\",\"exact\":%s", opt.protocol, opt.publish, exactly);
  report_counts(run, &sums);
  report_deliveries(run);
  report_cost(run);
  puts("}");
  tell(run, &sums, exact);
  return exact;
}
