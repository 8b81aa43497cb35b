/*
 * The state of a run: every connection, what was counted, what is being published. And the sockets themselves: dialled,
 * watched, written to, hung up.
 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "options.h"
#include "process.h"
#include "stream.h"

#define NS_PER_S 1000000000ull

/* One connection. The stream comes first: its owner is found by a cast. */
struct conn {
  struct stream stream;
  int fd;
  enum { READER, SLOW, PUBLISHER } role;
  enum { CONNECTING, HEAD, BODY, CLOSED } stage;
  char *head; /* of an answer, while its end has not come */
  size_t head_bytes;
  int status;
  bool joined;                                   /* a subscriber that was accepted */
  bool cutting, away;                            /* a reader that is to be cut; that was, and is not back */
  uint8_t *seen;                                 /* a reader's: one bit for each event */
  uint64_t distinct, doubled, reordered, order;  /* order: a hash of the numbers as they came */
  uint64_t *above;                               /* for each publisher the highest number seen */
  char *out;                                     /* a publisher's: what is to be sent */
  size_t out_bytes, out_sent;
  bool unanswered, blocked;
};

static struct conn *subscribers, *publishers;
static long subscribers_total;
static int epoll_fd;
static uint64_t now; /* CLOCK_MONOTONIC in ns, as of the last look */

static struct {
  long handshakes, readers, slow, refused, closed, slow_closed, failed, away, compressed;
  uint64_t distinct, garbled, foreign, reads, bytes, answered, last_delivery, lag_max;
  double rss_peak_kb;
} count;

/* What is being published: the numbers from first up to, not including, end; the next one; when to look again. */
static struct { uint64_t first, next, end, start, wake; } plan;

/* The number of the first event of all; the sender of each. */
static uint64_t number_first;
static uint8_t *sender;

/* What subscribers ask, and what is sent for one event: the payload and the topic's
   digits, where topics have them, are written over at their places. */
static struct { char *subscribe, *event; size_t event_bytes, payload_at, topic_at; } form;

static uint64_t look(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return now = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static double seconds(void) { return (double)look() / 1e9; }

static uint64_t in(double s) { return look() + (uint64_t)(s * 1e9); }

static void *must(void *memory)
{
  if (!memory) die("out of memory");
  return memory;
}

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
  char *made;
  va_list args;
  va_start(args, format);
  if (vasprintf(&made, format, args) < 0) die("out of memory");
  va_end(args);
  return made;
}

/* How many of these events a reader is to get: all of them, or those of its topic. */
static uint64_t due_to(const struct conn *c, uint64_t events)
{
  uint64_t topic = (uint64_t)(c - subscribers), topics = (uint64_t)opt.topics;
  if (!topics) return events;
  return events > topic ? (events - topic - 1) / topics + 1 : 0;
}

/* How many deliveries these events are, to all readers. */
static uint64_t due_to_all(uint64_t events) { return opt.topics ? events : events * (uint64_t)count.readers; }

/* The server's cost now; the highest memory that any look has found is kept. */
static struct cost look_at_server(void)
{
  struct cost cost = server_cost();
  if (cost.rss_kb > count.rss_peak_kb) count.rss_peak_kb = cost.rss_kb;
  return cost;
}

static void watch(struct conn *c, int how, uint32_t events)
{
  struct epoll_event event = { .events = events, .data.ptr = c };
  if (epoll_ctl(epoll_fd, how, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void dial(struct conn *c)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port) };
  int one = 1, small = (int)opt.slow_rcvbuf;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (c->role == SLOW) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  c->stage = CONNECTING;
  watch(c, EPOLL_CTL_ADD, EPOLLOUT);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS && errno != ECONNREFUSED)
    die("connect: %s", strerror(errno));
}

static void on_answer(struct conn *c)
{
  c->stage = HEAD;
  c->unanswered = false;
  count.answered++;
  if (c->status / 100 == 2) return;
  if (!count.failed++) fprintf(stderr, "load: publishing was answered with status %d\n", c->status);
}

/* The connection is over, whoever ended it. A publisher comes back: servers may close a kept-alive one at will. */
static void hang_up(struct conn *c)
{
  if (c->stage == CLOSED) return;
  bool close_ends_answer = c->role == PUBLISHER && c->stage == BODY && c->stream.framing == TO_THE_END;
  if (close_ends_answer) on_answer(c);
  close(c->fd);
  end_inflating(c->stream.inflater);
  c->stream.inflater = NULL;
  free(c->head);
  c->head = NULL;
  c->head_bytes = c->out_bytes = c->out_sent = 0;
  c->stage = CLOSED;
  if (c->role == PUBLISHER) {
    count.failed += c->unanswered;
    c->unanswered = c->blocked = false;
    if (!opt.stream) dial(c);
  } else if (!c->joined) {
    count.handshakes--;
    count.refused++;
  } else if (c->role == SLOW) count.slow_closed++;
  else count.closed++;
}

static void flush(struct conn *c)
{
  ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    hang_up(c);
    return;
  }
  if (sent > 0) c->out_sent += (size_t)sent;
  bool blocked = c->out_sent < c->out_bytes;
  if (!blocked) c->out_bytes = c->out_sent = 0;
  if (blocked != c->blocked) watch(c, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
  c->blocked = blocked;
}

/* A client's frames are masked: with zero, which leaves the payload as it is. False when it could not be sent whole. */
static bool send_frame(struct conn *c, unsigned opcode, const void *payload, size_t bytes)
{
  uint8_t head[8] = { (uint8_t)(0x80 | opcode), (uint8_t)(0x80 | (bytes < 126 ? bytes : 126)) };
  ssize_t head_bytes = bytes < 126 ? 6 : 8;
  if (bytes > 125) {
    head[2] = (uint8_t)(bytes >> 8);
    head[3] = (uint8_t)bytes;
  }
  return send(c->fd, head, (size_t)head_bytes, MSG_NOSIGNAL | MSG_MORE) == head_bytes &&
    send(c->fd, payload, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}
