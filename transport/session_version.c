#include "transport/session_version.h"

#define PROOF 2
#define UNSUPPORTED_PROTOCOL_VERSION 0x84 /* MQTT 5 */
#define UNACCEPTABLE_PROTOCOL_VERSION 1   /* MQTT 3.1.1 */

uint8_t wr_session_version_first(const struct wr_session_version *version) {
    if (version->wanted != WR_MQTT_AUTO)
        return version->wanted;
    return version->taken != 0 ? version->taken : WR_MQTT_5;
}

enum wr_mqtt_answer wr_session_version_answer(uint8_t tried, uint8_t reason) {
    if (tried == WR_MQTT_5) /* it has no reason between success and 0x80: such an answer is one of 3.1.1 */
        return reason < 0x80 || reason == UNSUPPORTED_PROTOCOL_VERSION ? WR_MQTT_WRONG_VERSION : WR_MQTT_REFUSED;
    return reason == UNACCEPTABLE_PROTOCOL_VERSION || reason == UNSUPPORTED_PROTOCOL_VERSION ? WR_MQTT_WRONG_VERSION : WR_MQTT_REFUSED;
}

static bool learn_from_5(struct wr_session_version *version, enum wr_mqtt_answer answer) {
    switch (answer) {
    case WR_MQTT_ACCEPTED:
    case WR_MQTT_REFUSED:
        version->taken = WR_MQTT_5;
        version->signs = 0;
        return false;
    case WR_MQTT_WRONG_VERSION:
        version->taken = 0;
        version->signs = PROOF;
        return true;
    case WR_MQTT_CLOSED:
        if (version->taken == WR_MQTT_5)
            return false;
        if (version->signs < PROOF)
            version->signs++;
        return true;
    case WR_MQTT_NO_ANSWER:
        break;
    }
    return false;
}

bool wr_session_version_learn(struct wr_session_version *version, uint8_t tried, enum wr_mqtt_answer answer) {
    if (version->wanted != WR_MQTT_AUTO)
        return false;
    if (tried == WR_MQTT_5)
        return learn_from_5(version, answer);
    if (answer == WR_MQTT_ACCEPTED || answer == WR_MQTT_REFUSED) {
        if (version->signs >= PROOF)
            version->taken = WR_MQTT_3_1_1;
    } else if (answer == WR_MQTT_WRONG_VERSION) { /* another broker than the one that took it */
        version->taken = 0;
        version->signs = 0;
    } else if (version->taken == 0) { /* neither version was answered: then it was not about the version */
        version->signs = 0;
    }
    return false;
}

const char *wr_session_version_name(uint8_t version) {
    return version == WR_MQTT_5 ? "5" : version == WR_MQTT_3_1_1 ? "3.1.1" : "";
}

const char *wr_session_version_return_code(uint8_t code) {
    static const char *const texts[] = {"accepted",           "unacceptable protocol version", "client identifier rejected",
                                        "server unavailable", "bad user name or password",     "not authorised"};
    return code < sizeof texts / sizeof texts[0] ? texts[code] : "unknown return code";
}
