/* MQTT beside the agent: a bare subscriber over paho, which does nothing with its messages but count them and look at their stamp, and a publisher.
 *
 *   bench_mqtt sub PORT QOS COUNT [quiet] prints "ready", and after COUNT messages: messages, CPU ns a message of the whole process, messages/s
 *                                        from first to last, and latency p50 and p99 in us, publisher to callback; quiet: with paho's trace off
 *   bench_mqtt pub PORT QOS COUNT RATE   COUNT lines of line protocol on bench/N, stamped just before they are written; RATE 0: as fast as the
 *                                        broker takes them
 *   bench_mqtt flip PORT QOS COUNT       `probe,k=N value=100 STAMP` for each of COUNT series, 2 ms apart: for alarms; with value=1 at first
 */
#include <MQTTAsync.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TOPICS 100
#define WINDOW 100 /* QoS 1 messages on their way */

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void must(int ok, const char *what) {
    if (ok)
        return;
    perror(what);
    exit(2);
}

/* ---- the bare subscriber ---- */

static struct {
    uint64_t count, want;
    int64_t first_ns, last_ns;
    int32_t *latency_us;
    sem_t subscribed, done;
    MQTTAsync client;
    int qos;
} sub;

static int on_message(void *user, char *topic, int topic_len, MQTTAsync_message *message) {
    (void)user, (void)topic_len;
    const int64_t now_ns = clock_ns(CLOCK_REALTIME);
    const char *end = (const char *)message->payload + message->payloadlen;
    int64_t sent_ns = 0;
    for (const char *at = end - 19; at < end; at++)
        sent_ns = sent_ns * 10 + (*at - '0');
    if (sub.count == 0)
        sub.first_ns = now_ns;
    if (sub.count < sub.want)
        sub.latency_us[sub.count] = (int32_t)((now_ns - sent_ns) / 1000);
    sub.last_ns = now_ns;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    if (++sub.count == sub.want)
        sem_post(&sub.done);
    return 1;
}

static void on_subscribed(void *user, MQTTAsync_successData5 *response) {
    (void)user, (void)response;
    sem_post(&sub.subscribed);
}

static void on_connected(void *user, MQTTAsync_successData5 *response) {
    (void)user, (void)response;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess5 = on_subscribed;
    must(MQTTAsync_subscribe(sub.client, "bench/#", sub.qos, &options) == MQTTASYNC_SUCCESS, "subscribe");
}

static int by_number(const void *a, const void *b) {
    return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b);
}

static int subscribe(int port, int qos, uint64_t count) {
    char uri[40];
    snprintf(uri, sizeof uri, "tcp://127.0.0.1:%d", port);
    sub.want = count;
    sub.qos = qos;
    sub.latency_us = calloc(count, sizeof *sub.latency_us);
    must(sub.latency_us != NULL, "memory");
    sem_init(&sub.subscribed, 0, 0);
    sem_init(&sub.done, 0, 0);
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    must(MQTTAsync_createWithOptions(&sub.client, uri, "bench-bare", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) == MQTTASYNC_SUCCESS,
         "create");
    MQTTAsync_setCallbacks(sub.client, NULL, NULL, on_message, NULL);
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
    options.cleanstart = 1;
    options.onSuccess5 = on_connected;
    must(MQTTAsync_connect(sub.client, &options) == MQTTASYNC_SUCCESS, "connect");
    sem_wait(&sub.subscribed);
    puts("ready");
    fflush(stdout);
    const int64_t before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    sem_wait(&sub.done);
    const int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before_ns;
    qsort(sub.latency_us, count, sizeof *sub.latency_us, by_number);
    printf("messages %llu cpu_ns_a_message %.1f messages_s %.0f p50_us %d p99_us %d\n", (unsigned long long)count,
           (double)cpu_ns / (double)count, (double)(count - 1) * 1e9 / (double)(sub.last_ns - sub.first_ns + 1), sub.latency_us[count / 2],
           sub.latency_us[count * 99 / 100]);
    return 0;
}

/* ---- the publisher ---- */

static struct {
    int fd;
    uint16_t id;
    unsigned unanswered;
    size_t len;
    uint8_t bytes[1 << 16];
} pub;

static void send_all(void) {
    for (size_t from = 0; from < pub.len;) {
        const ssize_t n = send(pub.fd, pub.bytes + from, pub.len - from, MSG_NOSIGNAL);
        must(n > 0, "send");
        from += (size_t)n;
    }
    pub.len = 0;
}

static void await(unsigned left) {
    send_all();
    while (pub.unanswered > left) {
        uint8_t packet[4];
        must(recv(pub.fd, packet, sizeof packet, MSG_WAITALL) == sizeof packet, "recv");
        pub.unanswered--;
    }
}

static void open_publisher(int port) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const uint8_t hello[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
    pub.fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(pub.fd, (const struct sockaddr *)&address, sizeof address) == 0, "connect");
    memcpy(pub.bytes, hello, sizeof hello);
    pub.len = sizeof hello;
    pub.unanswered = 1;
    await(0);
}

static void put(int qos, unsigned topic, const char *payload, size_t len) {
    char name[24];
    const size_t name_len = (size_t)snprintf(name, sizeof name, "bench/%u", topic);
    const size_t rest = 2 + name_len + (qos > 0 ? 2 : 0) + len; /* below 128 */
    if (pub.len + rest + 2 > sizeof pub.bytes)
        send_all();
    uint8_t *at = pub.bytes + pub.len;
    *at++ = (uint8_t)(0x30 | qos << 1);
    *at++ = (uint8_t)rest;
    *at++ = 0;
    *at++ = (uint8_t)name_len;
    memcpy(at, name, name_len);
    at += name_len;
    if (qos > 0) {
        pub.id = pub.id == UINT16_MAX ? 1 : (uint16_t)(pub.id + 1);
        *at++ = (uint8_t)(pub.id >> 8);
        *at++ = (uint8_t)pub.id;
        pub.unanswered++;
    }
    memcpy(at, payload, len);
    pub.len = (size_t)(at + len - pub.bytes);
    if (pub.unanswered >= WINDOW)
        await(WINDOW / 2);
}

static void publish(int qos, uint64_t count, uint64_t rate) {
    const int64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < count; i++) {
        char line[96];
        const int64_t due_ns = rate > 0 ? start_ns + (int64_t)(i * 1000000000 / rate) : 0;
        if (rate > 0 && clock_ns(CLOCK_MONOTONIC) < due_ns) {
            send_all();
            const struct timespec until = {due_ns / 1000000000, due_ns % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        const int len =
            snprintf(line, sizeof line, "temps value=%d.%d %lld", (int)(i % 40), (int)(i % 10), (long long)clock_ns(CLOCK_REALTIME));
        put(qos, (unsigned)(i % TOPICS), line, (size_t)len);
    }
    await(0);
}

static void flip(int qos, uint64_t count) {
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < count; i++) {
            char line[96];
            const int len = snprintf(line, sizeof line, "probe,k=%llu value=%d %lld", (unsigned long long)i, round == 0 ? 1 : 100,
                                     (long long)clock_ns(CLOCK_REALTIME));
            put(qos, 0, line, (size_t)len);
            send_all();
            usleep(round == 0 ? 100 : 2000);
        }
        await(0);
        sleep(1);
    }
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    const int port = atoi(argv[2]);
    const int qos = atoi(argv[3]);
    const uint64_t count = strtoull(argv[4], NULL, 10);
    if (argc > 5 && strcmp(argv[5], "quiet") == 0)
        MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    if (strcmp(argv[1], "sub") == 0)
        return subscribe(port, qos, count);
    open_publisher(port);
    if (strcmp(argv[1], "flip") == 0)
        flip(qos, count);
    else
        publish(qos, count, argc > 5 ? strtoull(argv[5], NULL, 10) : 0);
    return 0;
}
