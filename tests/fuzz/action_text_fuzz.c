/* The texts of actions: whatever is accepted means something, and what is sent of an address stays one line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/actions/webhook.h"
#include "core/path.h"
#include "core/web_url.h"
#include "rules/alarms/retry.h"
#include "rules/language/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_retry(const char *text) {
    struct wr_retry retry;
    struct wr_error err;
    if (wr_retry_parse(text, &retry, &err) != WR_OK)
        return;
    if (retry.tries < 1 || retry.tries > WR_RETRY_TRIES || retry.percent < 100 || retry.percent > 1000)
        abort();
    int64_t before_ns = 0;
    for (uint32_t tried = 1; tried <= retry.tries; tried++) {
        const int64_t wait_ns = wr_retry_wait_ns(&retry, tried);
        if (wait_ns < before_ns || wait_ns > WR_RETRY_WAIT_MAX_NS)
            abort();
        before_ns = wait_ns;
    }
}

static void check_url(const char *text) {
    struct wr_web_url url, again;
    struct wr_error err;
    if (wr_web_url_parse(text, &url, &err) != WR_OK)
        return;
    char full[2 * WR_WEB_URL_BYTES] = "http://";
    if (url.tls)
        strcpy(full, "https://");
    wr_authority_text(full + strlen(full), WR_AUTHORITY_TEXT_BYTES, url.host, url.port);
    strcat(full, url.path);
    if (url.port == 0 || url.path[0] != '/' || strpbrk(url.path, " \r\n\t#"))
        abort();
    if (strlen(full) < WR_WEB_URL_BYTES && (wr_web_url_parse(full, &again, &err) != WR_OK || again.port != url.port ||
                                            again.tls != url.tls || strcmp(again.host, url.host) != 0 || strcmp(again.path, url.path) != 0))
        abort();
}

static unsigned slashes(const char *text) {
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '/';
    return n;
}

/* As the value of a label it stays in its place. */
static void check_value(const char *text) {
    struct wr_alarm alarm = {0};
    struct wr_web_url url;
    struct wr_error err;
    char into[2048];
    snprintf(alarm.instance, sizeof alarm.instance, "a=%s", text);
    if (wr_template_expand("/d/{a}/x", WR_TEMPLATE_PATH, &alarm, "", "", into, sizeof into) != WR_OK || slashes(into) != 3 ||
        (into[3] != '/' && !wr_path_is_plain(into)))
        abort();
    if (wr_template_expand("https://h/{a}/x", WR_TEMPLATE_URL, &alarm, "", "", into, sizeof into) != WR_OK ||
        wr_web_url_parse(into, &url, &err) != WR_OK || slashes(url.path) != 2)
        abort();
    if (wr_template_expand("d/{a}/x", WR_TEMPLATE_TOPIC, &alarm, "", "", into, sizeof into) != WR_OK || slashes(into) != 2 ||
        strpbrk(into, "+#"))
        abort();
}

static void check_patience(const char *text) {
    const int64_t patience_ns = wr_webhook_patience_ns(text, INT64_C(1772438400) * WR_NS_PER_S);
    if (patience_ns < 0 || patience_ns > WR_ACTION_PATIENCE_NS)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_retry(text);
    check_url(text);
    check_patience(text);
    check_value(text);
    free(text);
    return 0;
}
