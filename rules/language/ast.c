#include "rules/language/ast.h"

#include <string.h>

#include "core/json.h"

const char *wr_comparison_text(enum wr_comparison comparison) {
    static const char *const texts[] = {"<", "<=", ">", ">=", "==", "!="};
    return texts[comparison];
}

static enum wr_result write_children(const struct wr_node *node, bool shape, const char *between, struct wr_buf *into) {
    for (const struct wr_node *child = node->child; child; child = child->next) {
        WR_TRY(wr_node_canonical(child, shape, into));
        if (child->next)
            WR_TRY(wr_buf_text(into, between));
    }
    return WR_OK;
}

static const char *infix(const struct wr_node *node) {
    switch (node->kind) {
    case WR_NODE_AND:
        return " and ";
    case WR_NODE_OR:
        return " or ";
    case WR_NODE_ADD:
        return " + ";
    case WR_NODE_SUBTRACT:
        return " - ";
    case WR_NODE_MULTIPLY:
        return " * ";
    case WR_NODE_DIVIDE:
        return " / ";
    case WR_NODE_MODULO:
        return " mod ";
    case WR_NODE_COMPARE:
        return wr_comparison_text(node->comparison);
    case WR_NODE_RANGE:
        return node->outside ? " outside " : " in ";
    default:
        return ", ";
    }
}

enum wr_result wr_node_canonical(const struct wr_node *node, bool shape, struct wr_buf *into) {
    char number[32];
    switch (node->kind) {
    case WR_NODE_NUMBER:
        wr_json_format_double(number, node->number);
        return shape ? wr_buf_text(into, "#") : wr_buf_printf(into, "%s%s", number, node->unit.text);
    case WR_NODE_COUNT:
        wr_json_format_double(number, node->number);
        return wr_buf_printf(into, "count %s", shape ? "#" : number);
    case WR_NODE_TEXT:
        return wr_buf_printf(into, "\"%s\"", node->text);
    case WR_NODE_SERIES:
        return wr_buf_text(into, node->text);
    case WR_NODE_NAMED:
        WR_TRY(wr_buf_printf(into, "%s=", node->text));
        return write_children(node, shape, "", into);
    case WR_NODE_CONVERT:
        return write_children(node, shape, "", into);
    case WR_NODE_CALL:
        WR_TRY(wr_buf_printf(into, "%s(", node->text));
        break;
    case WR_NODE_NEGATE:
        WR_TRY(wr_buf_text(into, "(-"));
        break;
    case WR_NODE_NOT:
        WR_TRY(wr_buf_text(into, "(not "));
        break;
    default:
        WR_TRY(wr_buf_text(into, "("));
        break;
    }
    WR_TRY(write_children(node, shape, infix(node), into));
    return wr_buf_text(into, ")");
}
