/*
 * Which of the slow subscribers the server has given up. They cannot see that themselves, since the end of a stream
 * stands behind all that they have not read; so this looks at the server's end of their connections.
 */
#pragma once
#include "conn.h"

#define ESTABLISHED 1 /* as /proc/net/tcp has it */

/* Marks the ports that the server still has a living connection to. */
static void find_kept(const char *table, bool *kept)
{
  char line[512];
  unsigned local, remote, state;
  FILE *file = fopen(table, "r");
  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%x %x", &local, &remote, &state) != 3) continue;
    if (local == (unsigned)opt.port && state == ESTABLISHED) kept[remote & 65535] = true;
  }
  if (file) fclose(file);
}

static void count_given_up(void)
{
  static bool kept[65536];
  find_kept("/proc/net/tcp", kept);
  find_kept("/proc/net/tcp6", kept); /* where it listens on :: */
  for (struct conn *c = subscribers + opt.clients; c < subscribers + subscribers_total; c++) {
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    if (c->stage != BODY || getsockname(c->fd, (struct sockaddr *)&own, &size)) continue;
    count.slow_closed += !kept[ntohs(own.sin_port)];
  }
}
