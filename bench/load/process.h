/* What the server costs: CPU time and memory of its process and all that descend from it, from /proc/PID/stat. */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 1024

/* The CPU time of a process includes its ended children's; its memory is what /proc/PID/status calls VmRSS. */
struct cost { double user_s, sys_s, rss_kb; };

static struct { int pid[PROCESSES_MAX], total; } server;

static bool read_cost(int pid, int *parent, struct cost *cost)
{
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (!file) return false;
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = 0;
  char *rest = strrchr(text, ')'); /* the name before it may hold anything */
  unsigned long user, sys;
  long user_ended, sys_ended, pages;
  const char *fields = " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %*d %*d %*u %*u %ld";
  if (!rest || sscanf(rest + 1, fields, parent, &user, &sys, &user_ended, &sys_ended, &pages) != 6) return false;
  double tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
  cost->user_s = (double)((long)user + user_ended) * tick_s;
  cost->sys_s = (double)((long)sys + sys_ended) * tick_s;
  cost->rss_kb = (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
  return true;
}

static bool is_server(int pid)
{
  for (int i = 0; i < server.total; i++) if (server.pid[i] == pid) return true;
  return false;
}

/* Finds the process' descendants: looks through /proc, and again as long as the last look found one. */
static void find_server(int root)
{
  struct cost ignored;
  int parent, before;
  if (!root) return;
  server.pid[0] = root;
  server.total = 1;
  do {
    before = server.total;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
      int pid = atoi(entry->d_name);
      if (pid < 1 || server.total == PROCESSES_MAX || is_server(pid)) continue;
      if (read_cost(pid, &parent, &ignored) && is_server(parent)) server.pid[server.total++] = pid;
    }
    if (dir) closedir(dir);
  } while (server.total > before);
}

static struct cost server_cost(void)
{
  struct cost sum = { 0 }, one;
  int parent;
  for (int i = 0; i < server.total; i++) {
    if (!read_cost(server.pid[i], &parent, &one)) continue;
    sum.user_s += one.user_s;
    sum.sys_s += one.sys_s;
    sum.rss_kb += one.rss_kb;
  }
  return sum;
}

/* Busy seconds of the first CPUs, whoever's, hypervisors' included. */
static double busy_s(int cpus)
{
  char line[512];
  double ticks = 0;
  FILE *file = fopen("/proc/stat", "r");
  while (file && fgets(line, sizeof line, file)) {
    int cpu;
    double user, nice, sys, irq, softirq, steal;
    int found = sscanf(line, "cpu%d %lf %lf %lf %*f %*f %lf %lf %lf", &cpu, &user, &nice, &sys, &irq, &softirq, &steal);
    if (found == 7 && cpu < cpus) ticks += user + nice + sys + irq + softirq + steal;
  }
  if (file) fclose(file);
  return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu_s(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
