/*
 * load - publishes events to a broadcast server, receives them on many subscribers, and accounts for every single
 *        delivery: whether it came exactly once and in order, how late it was, and what it cost the server.
 *
 *   gcc -O2 -Wall -Wextra -o load load.c -ldl
 *   taskset -c 1 ./load --port 3000 --path /events/news --publish-path /events/news \
 *       --clients 1000 --events 2000 --rate 200 --pid $SERVER
 *   ./load --help     all options
 *
 * Every payload carries a marker with its number and the time at which it was DUE. So a server (or this program) that
 * stalls makes every event due meanwhile late, and the latencies say so. Without --rate nothing is due at any time,
 * and the time is that of sending. Events may be plain text or sit inside JSON.
 *
 * A bitmap for each subscriber holds the numbers it has seen. lost: never came; doubled: came again; reordered: came
 * for the first time, but after a later one of the same publishing connection. Events of different connections have no
 * order of their own, but all subscribers must see the same: those that see another than the first one are apart.
 * Warm-up events are counted like all others, but not timed.
 *
 * With --topics each event goes to one subscriber; what came to another is garbled. With --cut all subscribers are cut
 * once and come back with their ids; what they missed meanwhile is late, and lost where the server does not know ids.
 * bytesReceived is what came over the wire, compressed or not, framing included.
 *
 * With --missed the events are there already: subscribers come for what they have missed, all at once, and the time of
 * each delivery counts from the first one's knock.
 *
 * One thread, epoll, 127.0.0.1 only. A JSON object goes to stdout, two lines for people to stderr.
 * Exit status: 0 everything arrived exactly once and in order, 1 it did not, 2 wrong usage or nothing to measure.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include "load/options.h"
#include "load/conn.h"
#include "load/loop.h"
#include "load/publisher.h"
#include "load/report.h"
#include "load/slow.h"

#define HANDSHAKES_MAX 256 /* under way at a time: below every usual listen backlog */

static void make_forms(void)
{
  const char *upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: " WS_KEY "\r\n";
  char *subprotocol = opt.subprotocol ? text("Sec-WebSocket-Protocol: %s\r\n", opt.subprotocol) : "";
  const char *compressed = opt.ws ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    : "Accept-Encoding: gzip\r\n";
  form.subscribe = text("GET %s$QUERY HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n%s%s%s$HEADER\r\n", opt.path, opt.port,
    opt.ws ? upgrade : "Accept: text/event-stream\r\n", opt.ws ? subprotocol : "", opt.compressed ? compressed : "");

  const char *place = strstr(opt.body, "$EVENT"), *rest = place + strlen("$EVENT");
  char *payload = must(make_payload()), *head = "";
  char *body = text("%.*s%s%s%s", (int)(place - opt.body), opt.body, payload, rest, opt.stream ? "\n" : "");
  char *publish_path = text("%s", opt.publish_path), *topic = strstr(publish_path, "$TOPIC");
  if (topic) form.topic_at = strlen("POST ") + (size_t)(topic - publish_path);
  publish_path = fill(publish_path, "$TOPIC", text("%05d", 0));
  if (!opt.stream)
    head = text("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
      publish_path, opt.port, opt.content_type, strlen(body));
  form.event = text("%s%s", head, body);
  form.event_bytes = strlen(form.event);
  form.payload_at = strlen(head) + (size_t)(place - opt.body);
}

static void prepare(void)
{
  rlim_t sockets = (rlim_t)(opt.clients + opt.slow + opt.connections + 32);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (sockets > limit.rlim_max || setrlimit(RLIMIT_NOFILE, &limit)) die("too few open files are allowed here");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  subscribers = must(calloc((size_t)(opt.clients + opt.slow), sizeof *subscribers));
  publishers = must(calloc((size_t)opt.connections, sizeof *publishers));
  sender = must(calloc((size_t)(opt.warmup + opt.events) + 1, 1));
  make_forms();
}

static void connect_subscribers(void)
{
  long all = opt.clients + opt.slow;
  for (uint64_t end = in(opt.timeout_s); (subscribers_total < all || count.handshakes) && now < end;) {
    while (subscribers_total < all && count.handshakes < HANDSHAKES_MAX) {
      struct conn *c = &subscribers[subscribers_total++];
      c->role = subscribers_total > opt.clients ? SLOW : READER;
      if (c->role == READER) {
        c->seen = must(calloc((size_t)(opt.warmup + opt.events) / 8 + 1, 1));
        c->above = must(calloc((size_t)opt.connections, sizeof *c->above));
      }
      count.handshakes++;
      dial(c);
    }
    turn(now + SAMPLE_NS);
  }
  for (long i = 0; i < subscribers_total; i++) if (!subscribers[i].joined) hang_up(&subscribers[i]);
  if (!count.readers) die("no subscriber could connect");
}

/* The measured part begins. */
static void start_metering(struct run *run)
{
  count.reads = count.bytes = 0;
  run->start = look_at_server();
  run->own_cpu_s = -own_cpu_s();
  run->busy_s = -busy_s((int)opt.cpus);
  run->metered_s = -seconds();
}

static void end_metering(struct run *run)
{
  run->end = look_at_server();
  run->own_cpu_s += own_cpu_s();
  run->busy_s += busy_s((int)opt.cpus);
  run->metered_s += seconds();
  run->wall_s = (double)(count.last_delivery - plan.start) / 1e9;
  run->reads = count.reads;
  run->bytes = count.bytes;
  run->closed = count.closed;
}

/* Subscribers come for what is there already: connecting them is the load. */
static void catch_up(struct run *run)
{
  number_first = (uint64_t)opt.missed_first;
  plan.next = number_first + (uint64_t)opt.missed;
  plan.start = count.last_delivery = look();
  find_server((int)opt.pid);
  start_metering(run);
  connect_subscribers();
  for (uint64_t end = in(opt.timeout_s); now < end; turn(now + SAMPLE_NS)) {
    bool overdue = now > count.last_delivery + (uint64_t)(opt.grace_s * 1e9);
    if (overdue || count.distinct == (uint64_t)opt.missed * (uint64_t)count.readers) break;
  }
  end_metering(run);
  run->held = run->end;
  turn_until(in(opt.linger_s));
}

int main(int argc, char **argv)
{
  (void)argc;
  read_options(argv);
  if (opt.compressed) load_zlib();
  prepare();
  struct run run = { .planned = opt.events ? (uint64_t)(opt.warmup + opt.events) : 0 };

  find_server((int)opt.pid);
  run.before = look_at_server();
  if (opt.missed) {
    catch_up(&run);
    return report(&run) ? 0 : 1;
  }
  run.connect_s = -seconds();
  connect_subscribers();
  run.connect_s += seconds();
  turn_until(in(opt.settle_s));
  find_server((int)opt.pid);
  run.idle = look_at_server();
  turn_until(in(opt.idle_s));
  run.held = look_at_server();

  if (run.planned) connect_publishers();
  if (run.planned && opt.warmup) publish_up_to((uint64_t)opt.warmup);
  find_server((int)opt.pid);
  start_metering(&run);
  if (run.planned) publish_up_to(run.planned);
  if (run.planned && opt.stream) end_stream();
  end_metering(&run);
  if (run.planned) turn_until(in(opt.linger_s));
  run.closed = count.closed;
  count_given_up();
  return report(&run) ? 0 : 1;
}
