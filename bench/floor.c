/*
 * floor - the cheapest broadcast server of one thread that gives every subscriber its own send(): the row by which all
 *         others are divided. It has no limits, no resume and no queue: whoever's socket is full is cut off.
 *
 *   gcc -O2 -Wall -Wextra -o floor floor.c && taskset -c 0 ./floor PORT
 *
 *   GET  /events     SSE; the body ends with the connection, so there are no chunks
 *   GET  /ws         the same events as WebSocket text frames
 *   POST /publish    the body becomes one event; answered before it is sent
 *
 * Each path may go on with a topic. A topic that is a number, below 100,000, has one subscriber, the last that came,
 * who is found in a table; all other topics are the same one.
 *
 * What is published within one turn of the event loop goes out in one send() for each subscriber, as any sensible
 * server would do it. A paced publisher never gets more than one event into a turn.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES_MAX (1 << 20)
#define TURN_BYTES (4 << 20) /* of events gathered in one turn */
#define REQUEST_BYTES_MAX (1 << 20)

#define TOPICS_MAX 100000
#define NO_TOPIC -1

enum { REQUESTS, SSE, WS, KINDS };

/* Of each open file: what it is, and its topic, or where it stands in its kind's list; what it has sent of a request. */
static struct file { int kind, place; char *text; size_t bytes; bool has_topic; } *files;

/* Of each kind: who subscribes, and what they get at the end of this turn. */
static struct audience { int *fds, total; char *gathered; size_t bytes; } audiences[KINDS];

/* Of each kind: whose the numbered topics are; 0 where nobody's. */
static int owners[KINDS][TOPICS_MAX];

static const char SSE_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n";
static const char WS_HEAD[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"; /* to RFC 6455's sample key, the only one it knows */
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void *must(void *memory)
{
  if (!memory) abort();
  return memory;
}

static void cut_off(int fd)
{
  struct file *file = &files[fd];
  struct audience *a = &audiences[file->kind];
  if (file->has_topic) owners[file->kind][file->place] = 0;
  else if (file->kind != REQUESTS) {
    int last = a->fds[--a->total];
    a->fds[file->place] = last;
    files[last].place = file->place;
  }
  free(file->text);
  *file = (struct file){ 0 };
  close(fd);
}

/* The number of the topic that stands behind a path, if it is one. */
static int topic_in(const char *rest)
{
  char *end;
  long topic = *rest == '/' ? strtol(rest + 1, &end, 10) : NO_TOPIC;
  return topic >= 0 && topic < TOPICS_MAX && end > rest + 1 ? (int)topic : NO_TOPIC;
}

static void subscribe(int fd, int kind, int topic, const char *head, size_t bytes)
{
  struct audience *a = &audiences[kind];
  free(files[fd].text);
  files[fd] = (struct file){ .kind = kind, .place = topic == NO_TOPIC ? a->total : topic, .has_topic = topic != NO_TOPIC };
  if (topic == NO_TOPIC) a->fds[a->total++] = fd;
  else owners[kind][topic] = fd;
  if (send(fd, head, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) cut_off(fd);
}

static void gather(int kind, const void *bytes, size_t total)
{
  struct audience *a = &audiences[kind];
  memcpy(a->gathered + a->bytes, bytes, total);
  a->bytes += total;
}

static void broadcast(int kind)
{
  struct audience *a = &audiences[kind];
  for (int i = a->total; a->bytes && i-- > 0;)
    if (send(a->fds[i], a->gathered, a->bytes, MSG_NOSIGNAL) != (ssize_t)a->bytes) cut_off(a->fds[i]);
  a->bytes = 0;
}

static void send_to_owner(int kind, int topic)
{
  struct audience *a = &audiences[kind];
  int fd = owners[kind][topic];
  if (fd && send(fd, a->gathered, a->bytes, MSG_NOSIGNAL) != (ssize_t)a->bytes) cut_off(fd);
  a->bytes = 0;
}

static void publish(const char *body, size_t total, int topic)
{
  unsigned char frame[10] = { 0x81, (unsigned char)(total < 126 ? total : total < 65536 ? 126 : 127) };
  int length_bytes = total < 126 ? 0 : total < 65536 ? 2 : 8;
  if (audiences[SSE].bytes + total + 64 > TURN_BYTES || topic != NO_TOPIC) for (int kind = SSE; kind < KINDS; kind++) broadcast(kind);
  for (int i = 0; i < length_bytes; i++) frame[2 + i] = (unsigned char)(total >> 8 * (length_bytes - 1 - i));
  gather(WS, frame, 2 + (size_t)length_bytes);
  gather(WS, body, total);
  gather(SSE, "data: ", 6);
  gather(SSE, body, total);
  gather(SSE, "\n\n", 2);
  if (topic != NO_TOPIC) for (int kind = SSE; kind < KINDS; kind++) send_to_owner(kind, topic);
}

/* Serves the first whole request of what has come; returns its length, or 0 when there is none or it was the last. */
static size_t serve(int fd, char *text, size_t bytes)
{
  char *empty_line = memmem(text, bytes, "\r\n\r\n", 4);
  if (!empty_line) return 0;
  size_t head = (size_t)(empty_line + 4 - text);
  *empty_line = 0;
  if (!strncmp(text, "GET /events", 11)) subscribe(fd, SSE, topic_in(text + 11), SSE_HEAD, sizeof SSE_HEAD - 1);
  else if (!strncmp(text, "GET /ws", 7)) subscribe(fd, WS, topic_in(text + 7), WS_HEAD, sizeof WS_HEAD - 1);
  else if (strncmp(text, "POST /publish", 13)) cut_off(fd);
  else {
    char *length = strcasestr(text, "\r\ncontent-length:");
    size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
    *empty_line = '\r';
    if (bytes < head + body) return 0;
    if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) > 0) publish(text + head, body, topic_in(text + 13));
    return head + body;
  }
  return 0;
}

static void on_readable(int fd)
{
  static char sink[1 << 16];
  struct file *file = &files[fd];
  int requests = file->kind == REQUESTS;
  if (requests && !file->text) file->text = must(malloc(REQUEST_BYTES_MAX));
  ssize_t came = requests ? recv(fd, file->text + file->bytes, REQUEST_BYTES_MAX - file->bytes, 0)
                          : recv(fd, sink, sizeof sink, 0); /* pongs and the like */
  if (came <= 0) {
    cut_off(fd);
    return;
  }
  if (!requests) return;
  file->bytes += (size_t)came;
  for (size_t served; file->text && (served = serve(fd, file->text, file->bytes));) {
    file->bytes -= served;
    memmove(file->text, file->text + served, file->bytes);
  }
}

int main(int argc, char **argv)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "3000")) };
  struct epoll_event events[1024];
  struct rlimit limit;
  int one = 1, door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), loop = epoll_create1(0);
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  files = must(calloc(FILES_MAX, sizeof *files)); /* pages never touched are never there */
  for (int kind = SSE; kind < KINDS; kind++) {
    audiences[kind].fds = must(calloc(FILES_MAX, sizeof(int)));
    audiences[kind].gathered = must(malloc(TURN_BYTES));
  }
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 4096)) {
    perror("floor");
    return 1;
  }
  epoll_ctl(loop, EPOLL_CTL_ADD, door, &(struct epoll_event){ .events = EPOLLIN, .data.fd = door });
  for (;;) {
    int total = epoll_wait(loop, events, 1024, -1);
    for (int i = 0; i < total; i++) {
      int fd = events[i].data.fd;
      if (fd != door) {
        on_readable(fd);
        continue;
      }
      while ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd });
      }
    }
    for (int kind = SSE; kind < KINDS; kind++) broadcast(kind);
  }
}
