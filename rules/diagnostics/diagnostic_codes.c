#include "rules/diagnostics/diagnostic_codes.h"

const struct wr_diagnostic_code *wr_diagnostic_codes_find(unsigned code) {
    for (size_t i = 0; i < wr_diagnostic_codes_n; i++)
        if (wr_diagnostic_codes[i].code == code)
            return &wr_diagnostic_codes[i];
    return NULL;
}

enum wr_result wr_diagnostic_codes_address(const struct wr_diagnostic_code *code, struct wr_buf *into) {
    return wr_buf_printf(into, "%s/docs/diagnostics.md%s%s", WEIR_HOMEPAGE, code ? "#" : "", code ? code->anchor : "");
}
