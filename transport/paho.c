#include "transport/paho.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ABSENT (-9999999) /* MQTTProperties_getNumericValue for a property that is not there */

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t quieted = PTHREAD_ONCE_INIT;

/* paho keeps a trace of its last calls and packets in memory, where only a debugger sees it; that costs a quarter of all that it does for a
 * message. It stays where somebody asks for it by paho's own environment variable. Only levels up to "error" stop it at the root. */
static void quiet(void) {
    if (getenv("MQTT_C_CLIENT_TRACE") == NULL)
        MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
}

enum wr_result wr_paho_create(uint16_t port, const char *client_id, const MQTTAsync_createOptions *options, MQTTAsync *ret_paho,
                              struct wr_error *err) {
    char uri[40];
    (void)snprintf(uri, sizeof uri, "tcp://127.0.0.1:%u", (unsigned)port);
    MQTTAsync_createOptions copy = *options;
    MQTTAsync paho = NULL;
    (void)pthread_once(&quieted, quiet);
    (void)pthread_mutex_lock(&lifecycle);
    int code = MQTTAsync_createWithOptions(&paho, uri, client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &copy);
    (void)pthread_mutex_unlock(&lifecycle);
    if (code != MQTTASYNC_SUCCESS)
        return wr_error_set(err, WR_NO_MEMORY, "MQTT client: code %d", code);
    *ret_paho = paho;
    return WR_OK;
}

void wr_paho_destroy(MQTTAsync *paho) {
    if (*paho == NULL)
        return;
    (void)pthread_mutex_lock(&lifecycle);
    MQTTAsync_destroy(paho);
    (void)pthread_mutex_unlock(&lifecycle);
    *paho = NULL;
}

const char *wr_paho_reason_name(uint8_t reason) {
    const char *name = MQTTReasonCode_toString((enum MQTTReasonCodes)reason);
    return name != NULL ? name : "unknown reason";
}

/* A reason comes as the code, or with code 0 as reasonCode; codes of paho itself are negative. */
uint8_t wr_paho_unsubscribed5(const MQTTAsync_failureData5 *response) {
    int reason = response->code == 0 ? (int)response->reasonCode : response->code;
    return reason >= 0x80 && reason <= 0xFF ? (uint8_t)reason : 0;
}

uint8_t wr_paho_unsubscribed3(const MQTTAsync_failureData *response) {
    return response->code == 0x80 ? 0x80 : 0;
}

uint32_t wr_paho_number(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t otherwise) {
    int value = MQTTProperties_getNumericValue(properties, code);
    return value == ABSENT ? otherwise : (uint32_t)value;
}
