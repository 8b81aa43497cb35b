/* Publishes: at the planned times or as fast as the server takes it, by a POST for each event or one for all. */
#pragma once
#include "conn.h"
#include "loop.h"
#include "payload.h"
#include "storm.h"

#define CHUNK_BYTES (64 << 10) /* of lines in one HTTP chunk, at most, unless a line is longer */
#define CHUNK_HEAD_BYTES 10    /* eight hex digits and CRLF */
#define SAMPLE_NS (NS_PER_S / 10)
#define TOPIC_DIGITS 5

/* May the next event go out now? `due` becomes the time that it carries. */
static bool next_due(uint64_t *due)
{
  uint64_t readers = (uint64_t)count.readers, ahead = (uint64_t)opt.ahead;
  if (plan.next == plan.end) return false;
  if (ahead && plan.next * readers >= count.distinct + ahead * readers) return false; /* a delivery wakes us */
  *due = now;
  if (opt.rate > 0) *due = plan.start + (uint64_t)((double)(plan.next - plan.first) * 1e9 / opt.rate);
  if (*due > now) {
    if (*due < plan.wake) plan.wake = *due;
    return false;
  }
  if (plan.next >= (uint64_t)opt.warmup && now - *due > count.lag_max) count.lag_max = now - *due;
  return true;
}

/* Appends the next event to what the publisher has to send. */
static void put(struct conn *c, uint64_t due)
{
  char topic[8], *at = c->out + c->out_bytes;
  sender[plan.next] = (uint8_t)(c - publishers);
  memcpy(at, form.event, form.event_bytes);
  write_payload(at + form.payload_at, due, plan.next);
  if (form.topic_at) {
    snprintf(topic, sizeof topic, "%05u", (unsigned)(plan.next % (uint64_t)opt.topics));
    memcpy(at + form.topic_at, topic, TOPIC_DIGITS);
  }
  plan.next++;
  c->out_bytes += form.event_bytes;
}

/* Sends the lines that are due as one chunk, once the chunk before has gone. */
static void stream_due(struct conn *c)
{
  uint64_t due;
  char size[CHUNK_HEAD_BYTES + 1];
  if (c->out_bytes || !next_due(&due)) return;
  c->out_bytes = CHUNK_HEAD_BYTES;
  do put(c, due); while (c->out_bytes + form.event_bytes <= CHUNK_BYTES && next_due(&due));
  snprintf(size, sizeof size, "%08x\r\n", (unsigned)(c->out_bytes - CHUNK_HEAD_BYTES));
  memcpy(c->out, size, CHUNK_HEAD_BYTES);
  memcpy(c->out + c->out_bytes, "\r\n", 2);
  c->out_bytes += 2;
  plan.wake = now;
  flush(c);
}

static void publish_due(void)
{
  uint64_t due;
  plan.wake = now + SAMPLE_NS;
  if (opt.stream) {
    stream_due(publishers);
    return;
  }
  for (struct conn *c = publishers; c < publishers + opt.connections; c++) {
    if (c->unanswered || c->stage != HEAD) continue;
    if (!next_due(&due)) return;
    c->unanswered = true;
    put(c, due);
    flush(c);
  }
}

static bool any_publisher(bool (*is)(const struct conn *))
{
  for (long i = 0; i < opt.connections; i++) if (is(&publishers[i])) return true;
  return false;
}

static bool is_unanswered(const struct conn *c) { return c->unanswered; }
static bool is_connecting(const struct conn *c) { return c->stage == CONNECTING; }
static bool is_open(const struct conn *c) { return c->stage != CLOSED; }

/* Can nothing be published any more? A stream that is answered before its end has failed. */
static bool cannot_publish(void) { return !any_publisher(is_open) || (opt.stream && count.answered); }

static void connect_publishers(void)
{
  for (struct conn *c = publishers; c < publishers + opt.connections; c++) {
    c->role = PUBLISHER;
    c->out = must(malloc(form.event_bytes + CHUNK_BYTES + HEAD_BYTES_MAX));
    dial(c);
  }
  for (uint64_t end = in(opt.timeout_s); any_publisher(is_connecting) && now < end;) turn(end);
  if (!opt.stream) return;
  char *request = text("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nContent-Type: %s\r\n"
    "Transfer-Encoding: chunked\r\n\r\n", opt.publish_path, opt.port, opt.content_type);
  publishers->out_bytes = strlen(request);
  memcpy(publishers->out, request, publishers->out_bytes);
  free(request);
  flush(publishers);
}

static void end_stream(void)
{
  struct conn *c = publishers;
  uint64_t end = in(opt.timeout_s);
  while (c->out_bytes && now < end) turn(end);
  if (!cannot_publish()) {
    c->unanswered = true;
    c->out_bytes = 5;
    memcpy(c->out, "0\r\n\r\n", 5);
    flush(c);
    while (c->unanswered && now < end) turn(end);
    if (!c->unanswered) return;
  }
  count.failed++;
}

/* Publishes up to this number, and waits until all has come, or nothing more does. */
static void publish_up_to(uint64_t number)
{
  plan.first = plan.next;
  plan.end = number;
  plan.start = count.last_delivery = look();
  uint64_t planned = opt.rate > 0 ? (uint64_t)((double)(number - plan.first) * 1e9 / opt.rate) : 0;
  for (uint64_t end = in(opt.timeout_s) + planned, sample = 0; now < end && !cannot_publish(); turn(plan.wake)) {
    publish_due();
    if (opt.cut && !storm.cut && plan.next >= (uint64_t)(opt.warmup + opt.cut)) cut_all();
    if (plan.next == number && !any_publisher(is_unanswered)) {
      bool overdue = now > count.last_delivery + (uint64_t)(opt.grace_s * 1e9);
      if (overdue || count.distinct == due_to_all(number)) break;
    }
    if (now < sample) continue;
    look_at_server();
    sample = now + SAMPLE_NS;
  }
}
