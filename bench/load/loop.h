/* The event loop: handshakes, answers' heads, and whatever sockets have to read. */
#pragma once
#include "account.h"
#include "conn.h"
#include "storm.h"

#define HEAD_BYTES_MAX (16 << 10)
#define TURN_SOCKETS 64 /* served before the publishing plan is looked at again */
#define WS_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455's sample, and its answer */
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static bool on_control(struct stream *s, unsigned opcode, const uint8_t *payload, size_t bytes)
{
  if (opcode == 8) return false;
  return opcode != 9 || send_frame((struct conn *)s, 10, payload, bytes);
}

/* A ping of a protocol's own. An answer that cannot be sent is one that the server will miss. */
static void on_byte(struct stream *s, char byte)
{
  if (opt.ping && byte == *opt.ping) send_frame((struct conn *)s, 1, opt.pong, strlen(opt.pong));
}

/* Reads the status and the framing out of an answer's head; false when it is not what was asked for. */
static bool understand(struct conn *c, const char *head)
{
  const char *length = strcasestr(head, "\r\ncontent-length:");
  c->status = strlen(head) > 12 ? atoi(head + 9) : 0;
  c->stream.part = SIZE;
  c->stream.left = length ? strtoull(length + 17, NULL, 10) : 0;
  c->stream.framing = length || c->status == 204 ? COUNTED : TO_THE_END;
  if (strcasestr(head, "\r\ntransfer-encoding: chunked")) c->stream.framing = CHUNKED;
  if (c->role == PUBLISHER) return true;
  if (opt.ws) c->stream.framing = FRAMES;
  if (strcasestr(head, opt.ws ? "permessage-deflate" : "\r\ncontent-encoding: gzip"))
    c->stream.inflater = must(start_inflating(opt.ws ? RAW_WINDOW : GZIP_WINDOW));
  count.compressed += c->stream.inflater != NULL;
  if (opt.ws ? c->status == 101 && strstr(head, WS_ACCEPT) : c->status == 200) return true;
  if (!count.refused) fprintf(stderr, "load: refused: %.*s\n", (int)strcspn(head, "\r\n"), head);
  return false;
}

static bool join(struct conn *c)
{
  count.handshakes--;
  if (c->away) on_back(c);
  else if (c->role == READER) count.readers++;
  else count.slow++;
  c->joined = true;
  if (c->role == SLOW) watch(c, EPOLL_CTL_MOD, 0); /* from here on it never reads */
  return !opt.hello || send_frame(c, 1, opt.hello, strlen(opt.hello));
}

static void on_body(struct conn *c, const char *p, const char *end)
{
  bool over = take_piece(&c->stream, p, end);
  if (c->cutting) cut(c);
  else if (over && c->role == PUBLISHER) on_answer(c);
  else if (over || c->stream.broken) hang_up(c);
}

/* Gathers an answer's head, which comes in one piece unless it was cut, and passes on what stands behind it. */
static void on_head(struct conn *c, const char *p, size_t bytes)
{
  c->head = must(realloc(c->head, c->head_bytes + bytes + 1));
  memcpy(c->head + c->head_bytes, p, bytes);
  c->head_bytes += bytes;
  c->head[c->head_bytes] = 0;
  char *head = c->head, *empty_line = strstr(head, "\r\n\r\n"), *end = head + c->head_bytes;
  if (!empty_line) {
    if (c->head_bytes > HEAD_BYTES_MAX) hang_up(c);
    return;
  }
  c->head = NULL;
  c->head_bytes = 0;
  empty_line[2] = 0;
  if (!understand(c, head)) hang_up(c);
  else {
    c->stage = BODY;
    if (c->role != PUBLISHER && !join(c)) hang_up(c);
    else on_body(c, empty_line + 4, end);
  }
  free(head);
}

static void on_readable(struct conn *c)
{
  static char buffer[READ_BYTES_MAX];
  ssize_t bytes = recv(c->fd, buffer, (size_t)opt.read_max, 0);
  if (bytes < 0 && errno == EAGAIN) return;
  if (bytes <= 0) {
    hang_up(c);
    return;
  }
  look();
  if (c->role == READER) {
    count.reads++;
    count.bytes += (uint64_t)bytes;
  }
  if (c->stage == HEAD) on_head(c, buffer, (size_t)bytes);
  else on_body(c, buffer, buffer + bytes);
}

/* The request with a value where the name stands; both are freed. */
static char *fill(char *request, const char *name, char *value)
{
  char *place = strstr(request, name), *filled = request;
  if (place) {
    filled = text("%.*s%s%s", (int)(place - request), request, value, place + strlen(name));
    free(request);
  }
  free(value);
  return filled;
}

/* Asks for the stream: for a topic of its own, from a place of its own, or from where it was cut. */
static bool send_subscribe(struct conn *c)
{
  const char *id = c->stream.ids.whole, *key = opt.resume_key;
  long number = c - subscribers;
  char *asked = text("%s", form.subscribe);
  asked = fill(asked, "$QUERY", *id && key ? text("%c%s=%s", strchr(opt.path, '?') ? '&' : '?', key, id) : text("%s", ""));
  asked = fill(asked, "$HEADER", *id && !key ? text("Last-Event-ID: %s\r\n", id) : text("%s", ""));
  asked = fill(asked, "$OFFSET", text("%ld", opt.offset - number % opt.spread));
  asked = fill(asked, "$TOPIC", text("%05ld", number));
  ssize_t bytes = (ssize_t)strlen(asked), sent = send(c->fd, asked, (size_t)bytes, MSG_NOSIGNAL);
  free(asked);
  return sent == bytes;
}

static void on_connected(struct conn *c)
{
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (c->role == PUBLISHER && error) {
    if (!plan.next) die("cannot connect to publish: %s", strerror(error));
    close(c->fd); /* the server has died under the load, which the report will show */
    c->stage = CLOSED;
    return;
  }
  c->stage = HEAD;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  if (c->role == PUBLISHER) return;
  if (error || !send_subscribe(c)) hang_up(c);
}

/* Waits for sockets until then, at most, and serves some. */
static void turn(uint64_t until)
{
  struct epoll_event events[TURN_SOCKETS];
  uint64_t wait = until > look() ? until - now : 0;
  struct timespec t = { (time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S) };
  int total = epoll_pwait2(epoll_fd, events, TURN_SOCKETS, &t, NULL);
  for (int i = 0; i < total; i++) {
    struct conn *c = events[i].data.ptr;
    if (c->stage == CONNECTING) on_connected(c);
    else {
      if (events[i].events & EPOLLOUT && c->blocked) flush(c);
      if (events[i].events & ~(uint32_t)EPOLLOUT && (c->stage == HEAD || c->stage == BODY)) on_readable(c);
    }
  }
  look();
}

static void turn_until(uint64_t end)
{
  while (look() < end) turn(end);
}
