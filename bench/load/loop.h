/* The event loop: handshakes, answers' heads, and whatever sockets have to read. */
#pragma once
#include "account.h"
#include "conn.h"

#define HEAD_BYTES_MAX (16 << 10)
#define TURN_SOCKETS 64 /* served before the publishing plan is looked at again */
#define WS_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455's sample, and its answer */
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static bool on_control(struct stream *s, unsigned opcode, const uint8_t *payload, size_t bytes)
{
  if (opcode == 8) return false;
  return opcode != 9 || send_frame((struct conn *)s, 10, payload, bytes);
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
  if (opt.ws ? c->status == 101 && strstr(head, WS_ACCEPT) : c->status == 200) return true;
  if (!count.refused) fprintf(stderr, "load: refused: %.*s\n", (int)strcspn(head, "\r\n"), head);
  return false;
}

static bool join(struct conn *c)
{
  c->joined = true;
  count.handshakes--;
  if (c->role == READER) count.readers++;
  else count.slow++;
  if (c->role == SLOW) watch(c, EPOLL_CTL_MOD, 0); /* from here on it never reads */
  return !opt.hello || send_frame(c, 1, opt.hello, strlen(opt.hello));
}

static void on_body(struct conn *c, const char *p, const char *end)
{
  if (!take_piece(&c->stream, p, end)) return;
  if (c->role == PUBLISHER) on_answer(c);
  else hang_up(c);
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
  ssize_t bytes = (ssize_t)form.subscribe_bytes;
  if (error || send(c->fd, form.subscribe, (size_t)bytes, MSG_NOSIGNAL) != bytes) hang_up(c);
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
