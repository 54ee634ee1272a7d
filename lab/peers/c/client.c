/*
 * A closed-loop echo client, to hold our own load against: some connections, on each
 * one frame open, the next when it has come back. It shares no code with that load.
 *
 * Flags: --connect HOST:PORT --cpus LIST --conns N --warmup-ms N --duration-ms N
 * It prints {"answers":N,"seconds":S} and ends; exit code 2 if a connection failed.
 */
#include <sys/epoll.h>
#include <time.h>

#include "common.h"

enum { CONNS_MAX = 65536, EVENTS = 256 };

struct client {
	int fd;
	uint32_t got;  /* bytes of the frame that is under way */
	uint32_t next; /* its number, in its second word */
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask(struct client *c)
{
	uint8_t frame[FRAME_BYTES] = {0};
	memcpy(frame + 4, &c->next, 4);
	c->next = (c->next + 1) % 4096;
	c->got = 0;
	if (send(c->fd, frame, sizeof frame, MSG_NOSIGNAL) != sizeof frame)
		die("send: %s", strerror(errno)); /* 16 bytes with nothing else open: there is room */
}

static void open_client(struct client *c, const struct sockaddr_in *to, int poll, uint32_t i)
{
	int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)to, sizeof *to) != 0)
		die("connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
	if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

/* answered reads and reports whether a whole frame has come. */
static bool answered(struct client *c)
{
	uint8_t data[FRAME_BYTES];
	ssize_t n = recv(c->fd, data, FRAME_BYTES - c->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		die("recv: %s", n == 0 ? "closed by the server" : strerror(errno));
	c->got += (uint32_t)n;
	return c->got == FRAME_BYTES;
}

static void run(struct client *all, int poll, double warmup, double duration)
{
	struct epoll_event events[EVENTS];
	double from = now_s() + warmup, until = from + duration;
	uint64_t answers = 0;
	for (double now = 0; now < until;) {
		int n = epoll_wait(poll, events, EVENTS, 0);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		now = now_s();
		for (int i = 0; i < n; i++) {
			struct client *c = &all[events[i].data.u32];
			if (!answered(c))
				continue;
			answers += now >= from && now < until;
			ask(c);
		}
	}
	printf("{\"answers\":%llu,\"seconds\":%.6f}\n", (unsigned long long)answers, duration);
}

int main(int argc, char **argv)
{
	const char *connect_to = NULL, *cpus = "";
	uint32_t conns = 1, warmup_ms = 0, duration_ms = 1000;
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *v = argv[i + 1];
		if (strcmp(argv[i], "--connect") == 0)
			connect_to = v;
		else if (strcmp(argv[i], "--cpus") == 0)
			cpus = v;
		else if (strcmp(argv[i], "--conns") == 0)
			conns = (uint32_t)strtoul(v, NULL, 10);
		else if (strcmp(argv[i], "--warmup-ms") == 0)
			warmup_ms = (uint32_t)strtoul(v, NULL, 10);
		else if (strcmp(argv[i], "--duration-ms") == 0)
			duration_ms = (uint32_t)strtoul(v, NULL, 10);
		else
			die("%s: no such flag", argv[i]);
	}
	char host[64];
	const char *colon = connect_to ? strrchr(connect_to, ':') : NULL;
	struct sockaddr_in to = {.sin_family = AF_INET};
	if (!colon || colon - connect_to >= (long)sizeof host || conns < 1 || conns > CONNS_MAX || argc % 2 == 0)
		die("want --connect HOST:PORT and --conns 1 to %d", CONNS_MAX);
	snprintf(host, sizeof host, "%.*s", (int)(colon - connect_to), connect_to);
	to.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		die("--connect %s: want an IPv4 address", connect_to);
	set_affinity(cpus);
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct client *all = must(calloc(conns, sizeof *all));
	for (uint32_t i = 0; i < conns; i++)
		open_client(&all[i], &to, poll, i);
	for (uint32_t i = 0; i < conns; i++)
		ask(&all[i]);
	run(all, poll, warmup_ms / 1e3, duration_ms / 1e3);
	return 0;
}
