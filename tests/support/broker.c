#include "tests/support/broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    (void)fprintf(stderr, "tests/support/broker: %s: %s\n", what, strerror(errno));
    abort();
}

/* Runs a program; *ret_out, if wanted, is the read end of its standard output. */
static pid_t spawn(char *const argv[], int *ret_out) {
    int out[2] = {-1, -1};
    if (ret_out != NULL && pipe2(out, O_CLOEXEC) != 0)
        die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 0);
        (void)dup2(ret_out != NULL ? out[1] : null, 1);
        if (getenv("WEIR_TEST_VERBOSE") == NULL)
            (void)dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (ret_out != NULL) {
        (void)close(out[1]);
        *ret_out = out[0];
    }
    return pid;
}

static void run(char *const argv[]) {
    int status = 0;
    pid_t pid = spawn(argv, NULL);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die(argv[0]);
}

void wr_test_dir_make(char dir[64]) {
    (void)snprintf(dir, 64, "/tmp/weir-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        die("mkdtemp");
    char script[512];
    (void)snprintf(script, sizeof script, "%s/tests/support/make-certs", WEIR_SOURCE_DIR);
    run((char *const[]){(char *)"sh", script, dir, NULL});
}

void wr_test_dir_remove(const char *dir) {
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", dir);
    run((char *const[]){(char *)"rm", (char *)"-rf", copy, NULL});
}

const char *wr_test_path(const char *dir, const char *name) {
    static char ring[16][160];
    static unsigned next;
    char *path = ring[next++ % 16];
    (void)snprintf(path, sizeof ring[0], "%s/%s", dir, name);
    return path;
}

void wr_test_write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        die(path);
}

static int listen_on(uint16_t *port, int backlog) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return fd;
}

/* Below those that the kernel gives to whoever connects: of these another test may have taken it before the server listens. */
uint16_t wr_test_free_port(void) {
    for (;;) {
        uint16_t random;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            die("getrandom");
        const struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)(10000 + random % 22000)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        const int reuse = 1;
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) != 0)
            die("a socket");
        const bool is_free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
        (void)close(fd);
        if (is_free)
            return ntohs(address.sin_port);
    }
}

static bool connects(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return up;
}

static void await_port(uint16_t port) {
    for (int i = 0; i < 2000; i++) { /* a peer that starts can only be polled */
        if (connects(port))
            return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    die("mosquitto does not start");
}

static void write_config(const struct wr_test_broker *broker, const char *path) {
    const struct wr_test_broker_options *o = &broker->options;
    FILE *file = fopen(path, "we");
    if (file == NULL)
        die(path);
    (void)fprintf(file,
                  "user root\npersistence false\nmax_queued_messages 0\nmax_inflight_messages 0\nlog_type all\nlistener %u 127.0.0.1\n",
                  (unsigned)broker->port);
    if (o->server_cert != NULL)
        (void)fprintf(file, "cafile %s/ca.pem\ncertfile %s/%s.pem\nkeyfile %s/%s.key\nrequire_certificate %s\n", o->dir, o->dir,
                      o->server_cert, o->dir, o->server_cert, o->client_cert ? "true" : "false");
    (void)fprintf(file, "allow_anonymous %s\n", o->user == NULL ? "true" : "false");
    if (o->user != NULL)
        (void)fprintf(file, "password_file %s/passwd\n", o->dir);
    if (o->more != NULL)
        (void)fprintf(file, "%s\n", o->more);
    if (fclose(file) != 0)
        die(path);
}

void wr_test_broker_restart(struct wr_test_broker *broker) {
    char config[128];
    (void)snprintf(config, sizeof config, "%s/mosquitto-%u.conf", broker->options.dir, (unsigned)broker->port);
    write_config(broker, config);
    broker->pid = spawn((char *const[]){(char *)"/usr/sbin/mosquitto", (char *)"-c", config, NULL}, NULL);
    await_port(broker->port);
}

void wr_test_broker_start(struct wr_test_broker *broker, const struct wr_test_broker_options *options) {
    *broker = (struct wr_test_broker){.options = *options, .port = options->port != 0 ? options->port : wr_test_free_port()};
    if (options->user != NULL) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/passwd", options->dir);
        run((char *const[]){(char *)"mosquitto_passwd", (char *)"-b", (char *)"-c", path, (char *)(uintptr_t)options->user,
                            (char *)(uintptr_t)options->password, NULL});
    }
    wr_test_broker_restart(broker);
}

void wr_test_broker_signal(struct wr_test_broker *broker, int signal) {
    (void)kill(broker->pid, signal);
}

static void kill_and_wait(pid_t *pid) {
    if (*pid <= 0)
        return;
    (void)kill(*pid, SIGKILL);
    (void)waitpid(*pid, NULL, 0);
    *pid = 0;
}

void wr_test_broker_kill(struct wr_test_broker *broker) {
    kill_and_wait(&broker->pid);
}

void wr_test_subscriber_start(struct wr_test_subscriber *subscriber, uint16_t port, const char *format) {
    char number[8];
    int out = -1;
    await_port(port);
    (void)snprintf(number, sizeof number, "%u", (unsigned)port);
    /* The first line is its own: a retained message, so that whoever reads it knows the subscription stands. */
    run((char *const[]){(char *)"mosquitto_pub", (char *)"-h", (char *)"127.0.0.1", (char *)"-p", number, (char *)"-r", (char *)"-t",
                        (char *)"ready", (char *)"-m", (char *)"x", NULL});
    subscriber->pid =
        spawn((char *const[]){(char *)"mosquitto_sub", (char *)"-V", (char *)"5", (char *)"-h", (char *)"127.0.0.1", (char *)"-p", number,
                              (char *)"-q", (char *)"1", (char *)"-t", (char *)"#", (char *)"-F", (char *)(uintptr_t)format, NULL},
              &out);
    subscriber->lines = fdopen(out, "r");
    if (subscriber->lines == NULL || wr_test_subscriber_line(subscriber, 10000) == NULL)
        die("mosquitto_sub");
}

const char *wr_test_subscriber_line(struct wr_test_subscriber *subscriber, int ms) {
    static char line[4096];
    (void)setvbuf(subscriber->lines, NULL, _IONBF, 0); /* so that poll sees what is left */
    struct pollfd fd = {.fd = fileno(subscriber->lines), .events = POLLIN};
    if (poll(&fd, 1, ms) <= 0 || fgets(line, sizeof line, subscriber->lines) == NULL)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

void wr_test_subscriber_stop(struct wr_test_subscriber *subscriber) {
    kill_and_wait(&subscriber->pid);
    if (subscriber->lines != NULL)
        (void)fclose(subscriber->lines);
    subscriber->lines = NULL;
}

int wr_test_silent_listener(uint16_t *ret_port) {
    return listen_on(ret_port, 16);
}

void wr_test_black_hole(int ret_fds[4], uint16_t *ret_port) {
    ret_fds[0] = listen_on(ret_port, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*ret_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 1; i < 4; i++) { /* a backlog of 0 holds one connection; the others wait for ever */
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (ret_fds[i] < 0 || (connect(ret_fds[i], (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS))
            die("connect");
    }
}

/* What sanitizers must know about paho, which is not instrumented: it keeps a few hundred bytes of a publish that was in flight when its
 * connection was lost, and its own locks are not seen. */
const char *__lsan_default_suppressions(void);
const char *__tsan_default_suppressions(void);
const char *__tsan_default_options(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libpaho-mqtt3a\n";
}
const char *__tsan_default_suppressions(void) {
    return "called_from_lib:libpaho-mqtt3a.so.1\n";
}
const char *__tsan_default_options(void) {
    return "ignore_noninstrumented_modules=1";
}
