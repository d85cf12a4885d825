/* What wr_paho_create asks of paho: no trace of its calls, which costs more than a quarter of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "transport/paho.h"

static unsigned traced;

static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *message) {
    (void)level, (void)message;
    traced++;
}

static void make_one(void) {
    struct wr_error err = {0};
    MQTTAsync paho = NULL;
    const MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    assert_int_equal(wr_paho_create(1, "trace", &options, &paho, &err), WR_OK);
    traced = 0; /* of making it, and below of ending it, paho tells where it is */
    assert_int_equal(MQTTAsync_isConnected(paho), 0);
    const unsigned of_a_call = traced;
    wr_paho_destroy(&paho);
    traced = of_a_call;
}

static void test_calls_leave_no_trace(void **state) {
    (void)state;
    (void)unsetenv("MQTT_C_CLIENT_TRACE");
    MQTTAsync_setTraceCallback(on_trace);
    make_one();
    assert_int_equal(traced, 0);
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_MINIMUM); /* the callback does hear what is traced */
    make_one();
    assert_true(traced > 0);
    MQTTAsync_setTraceCallback(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls_leave_no_trace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
