/*
 * What the two C servers share: flags, CPU affinity, the listening socket, the
 * ready line, signals, output that could not be sent at once, and the framing
 * of the workloads.
 *
 * Flags: --workload echo|framed|fanout --listen HOST:PORT --cpus LIST
 * --disk-file PATH --max-unsent BYTES, and each program's own switches:
 * --NAME VALUE, --NAME or --no-NAME.
 *
 * One thread serves. Everything here belongs to it.
 */
#ifndef COMMON_H
#define COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum workload { ECHO_PLAIN, FRAMED, FANOUT };

enum {
	FRAME_BYTES = 16,
	BLOCK_BYTES = 4096, /* a disk block, as O_DIRECT wants */
	MESSAGE_BYTES_MIN = 16,
	MESSAGE_BYTES_MAX = 65536,
	BACKLOG = 16384, /* 10,000 connects at once; the kernel cuts it to somaxconn */
	READS_PER_CONN_MAX = 1024, /* then the connection is not read until half are answered */
};

struct options {
	enum workload workload;
	const char *listen, *cpus, *disk_file;
	size_t max_unsent; /* bytes of one connection: fanout closes it, the others stop reading it */
	int files_max;     /* RLIMIT_NOFILE */
};

/* A program's own switch. */
struct knob {
	const char *name;
	int *value;
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static bool set_knob(const struct knob *knobs, const char *name, const char *value)
{
	bool off = strncmp(name, "no-", 3) == 0;
	for (const struct knob *k = knobs; k->name; k++) {
		if (off && strcmp(name + 3, k->name) == 0 && !value)
			return *k->value = 0, true;
		if (strcmp(name, k->name) == 0)
			return *k->value = value ? atoi(value) : 1, true;
	}
	return false;
}

static void set_option(struct options *o, const struct knob *knobs, const char *name, const char *value)
{
	if (strcmp(name, "workload") == 0 && value) {
		if (strcmp(value, "echo") == 0)
			o->workload = ECHO_PLAIN;
		else if (strcmp(value, "framed") == 0)
			o->workload = FRAMED;
		else if (strcmp(value, "fanout") == 0)
			o->workload = FANOUT;
		else
			die("--workload %s: want echo, framed or fanout", value);
	} else if (strcmp(name, "listen") == 0 && value) {
		o->listen = value;
	} else if (strcmp(name, "cpus") == 0 && value) {
		o->cpus = value;
	} else if (strcmp(name, "disk-file") == 0 && value) {
		o->disk_file = value;
	} else if (strcmp(name, "max-unsent") == 0 && value) {
		o->max_unsent = strtoull(value, NULL, 10);
	} else if (!set_knob(knobs, name, value)) {
		die("--%s: no such flag, or its value is missing", name);
	}
}

static void parse_options(struct options *o, const struct knob *knobs, int argc, char **argv)
{
	*o = (struct options){.listen = "127.0.0.1:0", .cpus = "", .max_unsent = 4 << 20};
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0)
			die("%s: want --flag", argv[i]);
		char name[64];
		const char *value = strchr(argv[i], '=');
		snprintf(name, sizeof name, "%.*s", value ? (int)(value - argv[i]) - 2 : 60, argv[i] + 2);
		if (value)
			value++;
		else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
			value = argv[++i];
		set_option(o, knobs, name, value);
	}
	if (o->workload == FRAMED && !o->disk_file)
		die("--workload framed: want --disk-file");
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max > 1 << 20)
		files.rlim_cur = 1 << 20;
	o->files_max = (int)files.rlim_cur;
}

/* set_affinity binds this thread, and those it starts, to a list like "0,2-3"; empty: leave alone. */
static void set_affinity(const char *list)
{
	if (!*list)
		return;
	cpu_set_t set;
	CPU_ZERO(&set);
	for (const char *p = list; *p;) {
		char *end;
		long first = strtol(p, &end, 10), last = first;
		if (end == p)
			die("--cpus %s: want a list like 0,2-3", list);
		if (*end == '-') {
			p = end + 1;
			last = strtol(p, &end, 10);
		}
		if (first < 0 || last < first || last >= CPU_SETSIZE || (*end && *end != ','))
			die("--cpus %s: want a list like 0,2-3", list);
		for (; first <= last; first++)
			CPU_SET(first, &set);
		p = *end ? end + 1 : end;
	}
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		die("--cpus %s: %s", list, strerror(errno));
}

/* listen_tcp opens the listening socket. TCP_NODELAY on it passes to the accepted ones: no call for each. */
static int listen_tcp(const char *address)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	if (!colon || colon - address >= (long)sizeof host)
		die("--listen %s: want HOST:PORT", address);
	snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *found;
	int err = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
	if (err)
		die("--listen %s: %s", address, gai_strerror(err));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		die("--listen %s: %s", address, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static void print_ready(int listener)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	getsockname(listener, (struct sockaddr *)&a, &len);
	printf("{\"listen\":\"%s:%d\",\"pid\":%d}\n", inet_ntoa(a.sin_addr), ntohs(a.sin_port), (int)getpid());
	fflush(stdout);
}

/* signal_fd makes SIGINT and SIGTERM readable: no race between looking and sleeping. */
static int signal_fd(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/*
 * parent_fd is readable when the process that started this one has ended: then
 * this one does, as at a signal. Not PR_SET_PDEATHSIG, which tells of the
 * parent's thread, and Go's come and go. -1: the kernel cannot tell (before 5.3).
 */
static int parent_fd(void)
{
	pid_t parent = getppid();
	if (parent <= 1) /* in another pid namespace, or init, which nobody outlives */
		return -1;
	int fd = (int)syscall(SYS_pidfd_open, parent, 0);
	if (getppid() != parent) /* had ended: the descriptor may be another's */
		die("process %d, which started this one, has ended", (int)parent);
	return fd;
}

/* open_disk opens the file of framed past the page cache and counts its blocks. */
static int open_disk(const char *path, uint32_t *blocks)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		die("--disk-file %s: %s (O_DIRECT must be supported)", path, strerror(errno));
	if (st.st_size < BLOCK_BYTES)
		die("--disk-file %s: %lld bytes, want at least %d", path, (long long)st.st_size, BLOCK_BYTES);
	*blocks = (uint32_t)(st.st_size / BLOCK_BYTES);
	return fd;
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

static inline void store32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* block_answer turns a request for a block into its answer. */
static void block_answer(uint8_t *frame, int error, uint32_t crc)
{
	if (error)
		store32(frame + 8, (uint32_t)error);
	store32(frame + 12, error ? UINT32_MAX : crc);
}

#endif
