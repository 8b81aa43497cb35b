/* The command line of load: every option with its default and its help, in one table. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK_BYTES 27 /* of the marker that starts every payload: stream.h */
#define READ_BYTES_MAX (256 << 10)
#define TOPICS_MAX 100000 /* so that their numbers are five digits long */

static struct {
  const char *protocol, *path, *subprotocol, *hello, *publish, *publish_path, *content_type, *body;
  const char *payload, *id_begin, *resume_key, *ping, *pong;
  long port, clients, slow, slow_rcvbuf, events, warmup, bytes, connections, ahead, pid, cpus, read_max;
  long missed, missed_first, offset, spread, topics, cut, compressed;
  double rate, settle_s, idle_s, grace_s, linger_s, timeout_s;
  bool ws, stream, prices; /* protocol, publish and payload, understood */
} opt = {
  .protocol = "sse", .path = "/events", .publish = "post", .publish_path = "/publish", .content_type = "text/plain",
  .body = "$EVENT", .port = 3000, .clients = 100, .slow_rcvbuf = 4096, .events = 1000, .bytes = 128,
  .connections = 1, .cpus = 2, .read_max = READ_BYTES_MAX, .settle_s = 0.3, .grace_s = 3, .linger_s = 0.2,
  .timeout_s = 120, .spread = 1, .payload = "letters",
};

static const struct { const char *name; enum { TEXT, WHOLE, REAL } kind; void *at; const char *help; } options[] = {
  { "protocol", TEXT, &opt.protocol, "sse or ws: what subscribers speak (sse)" },
  { "port", WHOLE, &opt.port, "of the server, on 127.0.0.1 (3000)" },
  { "path", TEXT, &opt.path, "that subscribers ask for (/events)" },
  { "clients", WHOLE, &opt.clients, "subscribers that read (100)" },
  { "topics", WHOLE, &opt.topics, "event n goes to topic n modulo so many, which takes $TOPIC's place in both paths, and to\n"
    "                client n alone (0: all events to all)" },
  { "slow", WHOLE, &opt.slow, "further subscribers that never read after the answer's head (0)" },
  { "slow-rcvbuf", WHOLE, &opt.slow_rcvbuf, "their SO_RCVBUF in bytes (4096)" },
  { "subprotocol", TEXT, &opt.subprotocol, "ws: the Sec-WebSocket-Protocol to ask for" },
  { "hello", TEXT, &opt.hello, "ws: a text message that each subscriber sends first" },
  { "ping", TEXT, &opt.ping, "ws: a text message of one byte that is answered with --pong" },
  { "pong", TEXT, &opt.pong, "ws: the text message that answers it" },
  { "compressed", WHOLE, &opt.compressed, "1: ask for gzip, on ws for permessage-deflate (0)" },
  { "cut", WHOLE, &opt.cut, "cut all subscribers when so many events were measured, to come back at once, with the last\n"
    "                id that they saw, in Last-Event-ID (0: never)" },
  { "resume-key", TEXT, &opt.resume_key, "of the query, that takes the id instead of the header" },
  { "id-begin", TEXT, &opt.id_begin, "what stands before an id in the stream (sse 'id: ', ws '\"id\":\"')" },
  { "publish", TEXT, &opt.publish, "post: a request for each event; stream: one request, a line for each (post)" },
  { "publish-path", TEXT, &opt.publish_path, "that is posted to (/publish)" },
  { "content-type", TEXT, &opt.content_type, "of what is posted (text/plain)" },
  { "body", TEXT, &opt.body, "a request's body or a stream's line; $EVENT stands for the payload ($EVENT)" },
  { "events", WHOLE, &opt.events, "to publish and measure; 0 only connects (1000)" },
  { "missed", WHOLE, &opt.missed, "publish nothing: so many are there already, and subscribers come for them (0)" },
  { "missed-first", WHOLE, &opt.missed_first, "the first number of these; others are no part of the account (0)" },
  { "offset", WHOLE, &opt.offset, "$OFFSET in the path stands for it (0)" },
  { "spread", WHOLE, &opt.spread, "for so many subscribers in turn it is one less each (1)" },
  { "warmup", WHOLE, &opt.warmup, "events before these, counted but not timed (0)" },
  { "rate", REAL, &opt.rate, "events per second; 0: as fast as the server answers, or reads the stream (0)" },
  { "bytes", WHOLE, &opt.bytes, "of payload in each event, at least 27 (128)" },
  { "payload", TEXT, &opt.payload, "letters, or prices: a quote as JSON, of its own length (letters)" },
  { "connections", WHOLE, &opt.connections, "post: that publish, one request in flight on each (1)" },
  { "ahead", WHOLE, &opt.ahead, "publish at most so many events ahead of the mean subscriber; 0: no limit (0)" },
  { "settle", REAL, &opt.settle_s, "seconds to wait once all are connected (0.3)" },
  { "idle", REAL, &opt.idle_s, "seconds to then hold the connections and meter the idle server (0)" },
  { "grace", REAL, &opt.grace_s, "seconds without any delivery after which the missing are lost (3)" },
  { "linger", REAL, &opt.linger_s, "seconds to go on reading after the last delivery, for doubles (0.2)" },
  { "timeout", REAL, &opt.timeout_s, "seconds that connecting, or publishing beyond its plan, may take (120)" },
  { "pid", WHOLE, &opt.pid, "process to meter, with its descendants: CPU time and memory" },
  { "cpus", WHOLE, &opt.cpus, "the first so many CPUs are watched for the work of others (2)" },
  { "read-max", WHOLE, &opt.read_max, "bytes for each read; 1 cuts the stream at every byte (262144)" },
};
#define OPTIONS (sizeof options / sizeof *options)

static void die(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  exit(2);
}

static void set_option(const char *name, const char *value)
{
  size_t i = 0;
  while (i < OPTIONS && strcmp(options[i].name, name)) i++;
  if (i == OPTIONS || !value) die("no such option, or no value: --%s (see --help)", name);
  char *end = "";
  if (options[i].kind == TEXT) *(const char **)options[i].at = value;
  else if (options[i].kind == WHOLE) *(long *)options[i].at = strtol(value, &end, 10);
  else *(double *)options[i].at = strtod(value, &end);
  if (*end || !*value) die("--%s cannot be '%s'", name, value);
}

static void read_options(char **args)
{
  for (args++; *args; args += 2) {
    if (!strcmp(*args, "--help")) {
      for (size_t i = 0; i < OPTIONS; i++) printf("--%-13s %s\n", options[i].name, options[i].help);
      exit(0);
    }
    if (strncmp(*args, "--", 2)) die("unexpected argument %s (see --help)", *args);
    set_option(*args + 2, args[1]);
  }
  opt.ws = !strcmp(opt.protocol, "ws");
  opt.stream = !strcmp(opt.publish, "stream");
  opt.prices = !strcmp(opt.payload, "prices");
  if (!opt.prices && strcmp(opt.payload, "letters")) die("--payload is letters or prices");
  if (!opt.id_begin) opt.id_begin = opt.ws ? "\"id\":\"" : "id: ";
  if (!*opt.id_begin) die("--id-begin cannot be empty");
  if (!opt.ping != !opt.pong || (opt.ping && strlen(opt.ping) != 1)) die("--ping is one byte, and goes with --pong");
  if (opt.topics && (opt.stream || !strstr(opt.path, "$TOPIC") || !strstr(opt.publish_path, "$TOPIC")))
    die("--topics need a $TOPIC in both paths, and a POST for each event");
  if (opt.topics && (opt.topics != opt.clients || opt.slow || opt.missed)) die("--topics are as many as --clients");
  if (opt.topics && opt.topics > TOPICS_MAX) die("--topics is at most %d", TOPICS_MAX);
  if (!opt.ws && strcmp(opt.protocol, "sse")) die("--protocol is sse or ws");
  if (!opt.stream && strcmp(opt.publish, "post")) die("--publish is post or stream");
  if (!strstr(opt.body, "$EVENT")) die("--body must hold $EVENT");
  if (opt.hello && strlen(opt.hello) > 65535) die("--hello is at most 65535 bytes");
  if (opt.clients < 1 || opt.connections < 1) die("--clients and --connections are at least 1");
  if (opt.connections > 255) die("--connections is at most 255");
  if (opt.stream && opt.connections > 1) die("a stream has one connection");
  if (opt.missed < 0 || opt.missed_first < 0 || opt.spread < 1) die("no negative numbers, and a spread of 1 at least");
  if (opt.missed && (opt.slow || opt.warmup)) die("--missed goes without --slow and --warmup");
  if (opt.missed) opt.events = opt.missed;
  if (opt.slow < 0 || opt.events < 0 || opt.warmup < 0 || opt.ahead < 0) die("no negative numbers, please");
  if (opt.bytes < MARK_BYTES) opt.bytes = MARK_BYTES;
  if (opt.read_max < 1 || opt.read_max > READ_BYTES_MAX) opt.read_max = READ_BYTES_MAX;
}
