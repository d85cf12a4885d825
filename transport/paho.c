#include "transport/paho.h"

#include <pthread.h>
#include <stdio.h>

#define ABSENT (-9999999) /* MQTTProperties_getNumericValue for a property that is not there */

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER;

enum wr_result wr_paho_create(uint16_t port, const char *client_id, const MQTTAsync_createOptions *options, MQTTAsync *ret_paho,
                              struct wr_error *err) {
    char uri[40];
    (void)snprintf(uri, sizeof uri, "tcp://127.0.0.1:%u", (unsigned)port);
    MQTTAsync_createOptions copy = *options;
    MQTTAsync paho = NULL;
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

uint32_t wr_paho_number(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t otherwise) {
    int value = MQTTProperties_getNumericValue(properties, code);
    return value == ABSENT ? otherwise : (uint32_t)value;
}
